# SPDX-License-Identifier: MIT
"""What every way to a hub promises, whatever it is made of: desired states by generation, signed operations at least once, reports
at least once and in order, a host that sees only its own."""

import shutil

from conftest import Host


def sequences(reports):
    return [event["sequence"] for report in reports for event in report["events"]]


def kinds(reports):
    return [event["kind"] for report in reports for event in report["events"]]


# -- desired states

def test_nothing_is_wanted_of_a_host_of_which_nothing_is_said(store, host):
    told = host.exchange()
    assert (told["generation"], told["taken"], told["desired_asked"], told["signed_asked"]) == (None, [], 0, 0)
    assert store.newest("host-a")["host"] == "host-a"


def test_a_desired_state_is_fetched_when_its_generation_moved_and_never_else(store, host):
    store.want("host-a", 3)
    assert host.exchange()["generation"] == 3
    for _ in range(3):
        told = host.exchange()
        assert (told["generation"], told["desired_asked"], told["new"]) == (3, 1, False)
    store.want("host-a", 7)
    told = host.exchange()
    assert (told["generation"], told["desired_asked"], told["new"]) == (7, 2, True)


def test_a_later_process_fetches_nothing_that_it_follows(store, host):
    store.want("host-a", 3)
    host.exchange()
    host.start(generation=3)
    assert host.exchange()["desired_asked"] == 0


def test_a_lower_generation_is_neither_followed_nor_fetched_and_is_told_once(store, host):
    store.want("host-a", 5)
    host.exchange()
    store.want("host-a", 4)
    for _ in range(3):
        told = host.exchange()
        assert (told["generation"], told["desired_asked"]) == (5, 1)
    host.exchange()
    assert kinds(store.reports("host-a")) == ["desired-accepted", "desired-refused"]
    refused = store.reports("host-a")[-1]["events"][0]
    assert refused["generation"] == 4 and "lower than 5" in refused["why"]
    store.want("host-a", 6)
    assert host.exchange()["generation"] == 6


def test_what_is_refused_is_told_once_and_not_fetched_again_until_it_is_another(store, host):
    store.want("host-a", 1, refuse=True)
    for _ in range(3):
        told = host.exchange()
        assert (told["generation"], told["desired_asked"], told["new"]) == (None, 1, False)
    assert kinds(store.reports("host-a")) == ["desired-refused"]
    host.start()
    assert host.exchange()["desired_asked"] == 0
    store.want("host-a", 1)
    assert host.exchange()["generation"] == 1


def test_what_cannot_be_judged_now_comes_again(store, host):
    store.want("host-a", 1)
    store.sign("host-a", "op-1")
    told = host.exchange(failure="the disk is full")
    assert (told["generation"], told["taken"], told["later"]) == (None, [], "the disk is full")
    told = host.exchange()
    assert (told["generation"], told["taken"], told["later"]) == (1, ["op-1"], "")


def test_a_desired_state_for_another_host_is_not_followed(store, host):
    store.want("host-a", 1, document={"host": "host-b"})
    assert host.exchange()["generation"] is None


# -- signed operations

def test_signed_operations_are_handed_in_once_each(store, host):
    store.sign("host-a", "op-1")
    assert host.exchange()["taken"] == ["op-1"]
    assert host.exchange()["signed_asked"] == 1
    store.sign("host-a", "op-2")
    told = host.exchange()
    assert sorted(told["taken"]) == ["op-1", "op-2"]
    assert host.exchange()["signed_asked"] == told["signed_asked"]
    host.exchange()
    assert kinds(store.reports("host-a")) == ["signed-taken", "signed-taken"]


def test_a_later_process_hands_nothing_in_again(store, host):
    store.sign("host-a", "op-1")
    host.exchange()
    host.start()
    assert host.exchange()["taken"] == []
    store.sign("host-a", "op-2")
    assert host.exchange()["taken"] == ["op-2"]


def test_one_that_does_not_count_keeps_no_other_from_being_handed_in(store, host):
    store.sign("host-a", "bad")
    store.sign("host-a", "op-1")
    assert host.exchange()["taken"] == ["op-1"]
    assert host.exchange()["signed_asked"] == 1
    events = [event for report in store.reports("host-a") for event in report["events"]]
    assert {(event["kind"], event["operation"], event.get("why")) for event in events} == {
        ("signed-refused", "bad", "nobody signed it"), ("signed-taken", "op-1", None)}


def test_what_is_taken_away_is_gone(store, host):
    store.sign("host-a", "op-1")
    store.sign("host-a", "op-2")
    host.exchange()
    store.unsign("host-a", "op-1")
    assert sorted(host.exchange()["taken"]) == ["op-1", "op-2"]
    store.unsign("host-a", "op-2")
    assert host.exchange()["new"] is False


# -- reports

def test_events_arrive_in_order_and_once_acknowledged_no_more(store, host):
    for kind in ("a", "b"):
        host.event(kind)
    assert host.exchange()["waiting"] == 0
    host.event("c")
    host.exchange()
    host.exchange()
    reports = store.reports("host-a")
    assert kinds(reports) == ["a", "b", "c"] and sequences(reports) == [1, 2, 3]
    assert store.newest("host-a")["events"] == []


def test_numbers_of_reports_grow_also_over_a_kill(store, host):
    numbers = []
    for _ in range(3):
        for _ in range(2):
            host.exchange()
            numbers.append(store.newest("host-a")["number"])
        host.start()
    assert numbers == sorted(set(numbers))


def test_what_happened_while_the_hub_was_away_arrives_afterwards(store, host):
    host.exchange()
    store.go_away()
    for kind in "abc":
        host.event(kind)
        assert host.failed()["code"] in ("no_answer", "io")
    host.start()
    host.event("d")
    store.come_back()
    host.exchange()
    assert kinds(store.reports("host-a")) == ["a", "b", "c", "d"]
    assert sequences(store.reports("host-a")) == [1, 2, 3, 4]


def test_an_outage_that_was_too_long_costs_details_before_ends_and_the_report_says_so(store, host):
    host.start(most=4)
    store.go_away()
    for number in range(3):
        host.event(f"end-{number}", end=True)
        host.event(f"detail-{number}")
    store.come_back()
    host.exchange()
    [report] = store.reports("host-a")
    assert kinds([report]) == ["end-0", "end-1", "end-2", "detail-2"]
    assert report["dropped"] == {"details": 2, "ends": 0}
    assert sequences([report]) == [1, 3, 5, 6]


def test_a_long_outbox_goes_out_in_parts(store, host):
    host.start(batch=2)
    for number in range(5):
        host.event(str(number))
    assert [host.exchange()["more"] for _ in range(3)] == [True, True, False]
    assert sequences(store.reports("host-a")) == [1, 2, 3, 4, 5]
    assert [report["more"] for report in store.reports("host-a")] == [True, True, False]


def test_an_older_copy_of_the_host_is_found_out(store, host, tmp_path):
    head = "7:" + "a" * 64
    host.event("a")
    host.exchange(audit="3:" + "b" * 64)
    host.kill()
    shutil.copytree(host.state, tmp_path / "older")
    host.start()
    for kind in "bcd":
        host.event(kind)
    host.exchange(audit=head)
    host.kill()
    shutil.rmtree(host.state)
    shutil.copytree(tmp_path / "older", host.state)
    host.start()
    host.event("e")
    told = host.exchange(audit="4:" + "c" * 64)
    assert "the hub has its events up to 4, and it remembers 2" in told["older"]
    assert told["known_audit"] == head
    told = host.exchange(audit="5:" + "c" * 64)
    assert (told["older"], told["known_audit"], told["waiting"]) == ("", head, 0)
    reports = store.reports("host-a")
    seen = [kind for kind in dict.fromkeys(kinds(reports))]
    assert seen == ["a", "b", "c", "d", "e"] and sequences(reports)[-1] > 4


# -- the rest

def test_a_host_that_is_blocked_knows_it_until_it_is_not(store, host):
    assert host.exchange()["blocked"] is False
    store.block("host-a", True)
    assert host.exchange()["blocked"] is True
    host.start()
    store.go_away()
    host.failed()
    store.come_back()
    store.block("host-a", False)
    assert host.exchange()["blocked"] is False


def test_a_host_sees_only_its_own(store, host, tmp_path):
    store.add_host("host-b")
    store.want("host-b", 9)
    store.sign("host-b", "op-b")
    told = host.exchange()
    assert (told["generation"], told["taken"], told["desired_asked"], told["signed_asked"]) == (None, [], 0, 0)
    other = Host(store, tmp_path, "host-b").start()
    try:
        told = other.exchange()
        assert (told["generation"], told["taken"]) == (9, ["op-b"])
    finally:
        other.kill()
    assert store.newest("host-a")["host"] == "host-a" and store.newest("host-b")["host"] == "host-b"


def test_a_host_that_is_killed_at_any_moment_loses_nothing(store, host):
    """Each round it is killed right after it was asked, sooner or later."""
    for number in range(25):
        host.event(f"e{number}", end=True)
        store.want("host-a", number + 1)
        store.sign("host-a", f"op-{number}")
        host.process.stdin.write('{"call": "exchange"}\n')
        host.process.stdin.flush()
        if number % 3:
            host.process.stdout.readline()
        host.start(generation=0)
    host.exchange()
    host.exchange()
    told = {event["sequence"]: event for report in store.reports("host-a") for event in report["events"]}
    ends = [event["kind"] for _sequence, event in sorted(told.items()) if event["kind"].startswith("e")]
    assert ends == [f"e{number}" for number in range(25)]
    taken = {event["operation"] for event in told.values() if event["kind"] == "signed-taken"}
    assert taken == {f"op-{number}" for number in range(25)}
