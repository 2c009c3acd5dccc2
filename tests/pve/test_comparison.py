# SPDX-License-Identifier: MIT
"""What counts as the same answer: a comparison that sees nothing would pass everything."""

import json

import pytest
from comparison import Exchange

ONE, TWO = "1" * 40, "2" * 40
UPID = "UPID:pve1:0000{:04X}:0008D000:6B0AFB79:{}:100:agent@pve!main:"


def answer(data, status=200, reason="OK", **headers):
    body = data if isinstance(data, str) else json.dumps({"data": data})
    return {"status": status, "reason": reason,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "body": body}


@pytest.mark.parametrize("recorded, own", [
    ({"a": 1}, {"a": 2}), ({"a": 1}, {"a": "1"}), ({"a": 1}, {}), ({}, {"a": 1}), ([], [1]), (None, []), ("x", None),
    ({"status": "running"}, {"status": "stopped"}), ({"size": 1}, {"size": 2}), ({"maxmem": 1}, {"maxmem": 2}),
    ({"content": "a,b"}, {"content": "a"}), ({"ctime": 1795881000}, {"ctime": 1795881009}),
    ({"uptime": 5}, {"uptime": "5"}),
    ([{"vmid": 1, "name": "a"}], [{"vmid": 1, "name": "b"}]), ({"digest": ONE}, {"digest": "x"}),
    ([{"n": 1, "t": "a"}, {"n": 2, "t": "b"}], [{"n": 1, "t": "b"}, {"n": 2, "t": "a"}]),
    ([{"upid": UPID.format(1, "a1")}, {"upid": UPID.format(2, "b1")}], [{"upid": UPID.format(1, "b1")},
                                                                       {"upid": UPID.format(2, "a1")}]),
    ({"upid": UPID.format(1, "qmstart")}, {"upid": UPID.format(1, "qmstop")}), ({"protected": 1}, {"protected": True}),
    ({"t": "vzdump 100 --mode stop"}, {"t": "vzdump 100 --mode snapshot"}),
])
def test_what_is_not_the_same(recorded, own):
    assert Exchange().differences(answer(recorded), answer(own))


@pytest.mark.parametrize("recorded, own", [
    ({"digest": ONE, "a": 1}, {"a": 1, "digest": TWO}),
    ({"upid": UPID.format(1, "qmstart")}, {"upid": UPID.format(9, "qmstart")}),
    ({"net0": "virtio=BC:24:11:00:00:01,bridge=a"}, {"net0": "virtio=BC:24:11:AA:00:01,bridge=a"}),
    ([{"vmid": 1}, {"vmid": 2}], [{"vmid": 2}, {"vmid": 1}]), ({"content": "a,b"}, {"content": "b,a"}),
    ({"ctime": 1795881000}, {"ctime": 1795881001}), ({"cpu": 0.1}, {"cpu": 0.2}), ({"cpu": 0}, {"cpu": 0.5}),
])
def test_what_is_the_same_but_for_what_is_fresh(recorded, own):
    assert Exchange().differences(answer(recorded), answer(own)) == []


def test_status_reason_and_headers_count():
    good = answer(None, 500, "no", Connection="close", Content_Type="a")
    assert Exchange().differences(good, good) == []
    for other in (good | {"status": 400}, good | {"reason": "yes"}, good | {"headers": {"Connection": "close"}},
                  good | {"headers": good["headers"] | {"Content-Encoding": "gzip"}}, good | {"body": ""}):
        assert Exchange().differences(good, other)


def test_a_fresh_value_stands_for_the_same_one_ever_after():
    exchange, seen = Exchange(), lambda digest: answer({"digest": digest})
    assert exchange.differences(seen(ONE), seen(TWO)) == []
    assert exchange.differences(seen(ONE), seen(TWO)) == []
    assert exchange.differences(seen("3" * 40), seen(TWO)), "two that differed may not become one"
    assert exchange.differences(seen(ONE), seen("4" * 40)), "nor one become two"
    assert exchange.translated(f"digest={ONE}") == f"digest={TWO}"
