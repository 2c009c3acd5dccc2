# SPDX-License-Identifier: MIT
"""A server as a hub, on its bad days: what is beside the conformance of all transports."""

import email.utils
import subprocess
import time

import pytest
from conftest import Host, HttpsStore, signed


@pytest.fixture()
def store(tmp_path):
    made = HttpsStore(tmp_path)
    made.add_host("host-a")
    yield made
    made.close()


def known(store):
    return store.hub.hosts["host-a"]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_that_cannot_answer_now_is_asked_again(store, host, status):
    host.event("a")
    store.hub.bad = {"status": status}
    told = host.failed()
    assert told["code"] == "no_answer" and str(status) in told["error"] and "wait" not in told
    store.hub.bad = {}
    host.exchange()
    assert [event["kind"] for event in store.reports("host-a")[0]["events"]] == ["a"]


@pytest.mark.parametrize("after,least,most", [("120", 120, 120), ("0", 0, 0), (lambda: email.utils.formatdate(time.time() + 300, usegmt=True), 290, 301),
                                              (lambda: email.utils.formatdate(time.time() - 300, usegmt=True), 0, 0)])
def test_retry_after_is_heeded(store, host, after, least, most):
    store.hub.bad = {"status": 503, "headers": {"Retry-After": after() if callable(after) else after}}
    assert least <= host.failed()["wait"] <= most


@pytest.mark.parametrize("after", ["soon", "-5", "1.5", "Thu, 99 Foo 2030 00:00:00 GMT"])
def test_a_retry_after_that_makes_no_sense_is_none(store, host, after):
    store.hub.bad = {"status": 503, "headers": {"Retry-After": after}}
    assert "wait" not in host.failed()


def test_a_token_that_is_not_accepted_is_told_and_one_that_was_replaced_counts_at_once(store, host):
    known(store).tokens = {"another"}
    told = host.failed()
    assert told["code"] == "denied" and "does not accept this host's token" in told["error"] and "token-of" not in told["error"]
    store.give_token("host-a", "another")
    host.exchange()


def test_a_host_has_its_own_token_alone(store, tmp_path):
    store.add_host("host-b")
    store.give_token("host-b", "token-of-host-a")
    other = Host(store, tmp_path, "host-b").start()
    try:
        assert other.failed()["code"] == "denied"
    finally:
        other.kill()
    assert store.hub.hosts["host-b"].reports == []


@pytest.mark.parametrize("text,mode,words", [("", 0o600, "holds no token"), ("a b", 0o600, "holds no token"), ("x", 0o644, "others can read"),
                                             (None, 0, "is missing")])
def test_a_token_file_that_is_none_sends_nothing(store, host, text, mode, words):
    path = store.token_file("host-a")
    path.unlink()
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    told = host.failed()
    assert told["code"] == "config" and words in told["error"] and store.hub.requests == []


def test_an_answer_that_is_cut_off_acknowledges_nothing(store, host):
    host.event("a")
    store.hub.bad = {"truncate": 20}
    assert host.failed()["code"] in ("io", "no_answer")
    store.hub.bad = {}
    assert host.exchange()["waiting"] == 0
    assert [len(report["events"]) for report in known(store).reports] == [1, 0]  # it came twice, and is kept once


def test_a_desired_state_that_is_cut_off_or_another_one_is_fetched_again(store, host):
    store.want("host-a", 1)
    for bad in ({"truncate": 10}, {"body": b'{"version": 1, "host": "host-a", "generation": 1, "x": 1}'}):
        store.hub.bad_at = {"desired": bad}
        told = host.exchange()
        assert told["generation"] is None and told["later"]
    store.hub.bad_at = {}
    assert host.exchange()["generation"] == 1


def test_a_body_without_end_is_not_read_to_its_end(store, host):
    store.hub.bad = {"body": b" " * (1 << 20)}
    assert "more than 65536 bytes" in host.failed()["error"]
    store.hub.bad = {}
    store.want("host-a", 1)
    store.hub.bad_at = {"desired": {"body": b" " * (5 << 20)}}
    assert "more than 4194304 bytes" in host.exchange()["later"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"version": 2, "host": "host-a"}', b'{"version": 1}',
                                  b'{"version": 1, "host": "host-a", "poll_s": "x"}'])
def test_an_answer_that_makes_no_sense_is_told_once(store, host, body):
    store.hub.bad = {"body": body}
    for _ in range(3):
        assert host.failed()["code"] == "invalid"
    store.hub.bad = {}
    host.exchange()
    assert [event["kind"] for event in store.reports("host-a")[0]["events"]] == ["answer-refused"]


def test_an_answer_for_another_host_counts_for_nothing(store, host):
    store.want("host-a", 1)
    store.hub.bad = {"host": "host-b"}
    assert "another host's" in host.failed()["error"]
    store.hub.bad = {}
    assert host.exchange()["generation"] == 1
    store.sign("host-a", "op")
    store.hub.bad_at = {"signed": {"host": "host-b"}}
    told = host.exchange()
    assert told["taken"] == [] and "another host's" in told["later"]


def test_a_redirect_is_not_followed(store, host):
    store.hub.bad = {"status": 307, "headers": {"Location": store.hub.url + "/elsewhere"}}
    assert host.failed()["code"] == "io" and len(store.hub.requests) == 1


def test_a_silent_server_is_not_waited_for_when_the_host_is_told_to_end(store, host):
    store.hub.bad = {"silent": 30}
    host.process.stdin.write('{"call": "exchange"}\n')
    host.process.stdin.flush()
    end = time.monotonic() + 20
    while not store.hub.requests:
        assert time.monotonic() < end
    began = time.monotonic()
    host.process.terminate()
    assert '"interrupted"' in host.process.stdout.readline() and time.monotonic() - began < 10


def fingerprint(certificate):
    text = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate], check=True, capture_output=True, text=True)
    return "sha256:" + text.stdout.split("=")[1].strip()


def test_a_certificate_that_is_replaced_is_taken_when_it_was_pinned_before_and_nothing_is_sent_to_another(store, tmp_path):
    current, _key = store.authority.certificate("IP:127.0.0.1")
    following, _key = store.authority.certificate("DNS:next")
    settings = store.settings("host-a")
    del settings["ca_file"]
    store.settings = lambda _host: settings | {"pins": [fingerprint(current), fingerprint(following)]}
    host = Host(store, tmp_path).start()
    try:
        host.exchange()
        store.go_away()
        store.hub.context = store.authority.context("DNS:next")
        store.come_back()
        host.exchange()
        before = len(store.hub.requests)
        store.go_away()
        store.hub.context = store.authority.context("DNS:another")
        store.come_back()
        told = host.failed()
        assert told["code"] == "denied" and "fits none of the pins" in told["error"] and len(store.hub.requests) == before
    finally:
        host.kill()


def test_an_authority_that_is_not_trusted_gets_nothing(store, tmp_path):
    settings = store.settings("host-a")
    del settings["ca_file"]
    store.settings = lambda _host: settings
    host = Host(store, tmp_path).start()
    try:
        assert host.failed()["code"] == "denied" and store.hub.requests == []
    finally:
        host.kill()


def test_the_token_is_in_no_argument_environment_report_or_core(store, host):
    host.event("a")
    host.exchange()
    for part in ("cmdline", "environ"):
        with open(f"/proc/{host.process.pid}/{part}", "rb") as file:
            assert b"token-of" not in file.read()
    assert "token-of" not in str(known(store).reports)


def test_a_poll_is_taken_from_the_answer(store, host):
    known(store).poll_s = 90
    assert host.exchange()["poll"] == 90
    known(store).poll_s = 5
    assert host.exchange()["poll"] == 60


def test_what_is_signed_arrives_to_the_byte(store, host):
    store.hub.sign("host-a", signed("é \\u0000 \" \\n"))
    assert host.exchange()["taken"] == ["é \\u0000 \" \\n"]


