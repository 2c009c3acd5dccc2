# SPDX-License-Identifier: MIT
"""Undo snapshots in the simulated world: killed and failed at every point, a snapshot is whole or not there."""

import json
import re
import signal
import time

import pytest
from simulated import GC, Mock, ago, in_worlds, made, points_of, suspended, thinned


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def disk(world):
    return re.search(r'/vms/([^"\']*)', world.text("domains/vm-1.xml")).group(1)


def listed(world):
    run = world.run("snapshot", "list", "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def ok(world, *words, **more):
    run = world.run(*words, **more)
    assert run.returncode == 0, run.stderr
    return run.stdout


def taken(world):
    made(world)
    ok(world, "snapshot", "take", "vm-1")


def taken_off(world):
    taken(world)
    ok(world, "kill", "vm-1")


def made_off(world):
    made(world)
    ok(world, "kill", "vm-1")


def is_whole(world):
    """The definition names a file that is there; a snapshot is two files, or there is one."""
    files = world.files("vms")
    assert disk(world) in files, (disk(world), files)
    there = listed(world)
    assert len(files) == 1 + len(there), (there, files)
    assert (".undo-" in disk(world)) == bool(there)
    world.check(["vm-1"])
    return bool(there)


PREPARED = {("take", "running"): made, ("take", "off"): made_off, ("undo", "running"): taken, ("undo", "off"): taken_off,
            ("keep", "running"): taken, ("keep", "off"): taken_off}


@pytest.mark.parametrize("what,state", PREPARED)
def test_killed_at_any_point_it_is_whole_or_not_there_and_can_be_repeated(what, state):
    prepare = PREPARED[what, state]
    words = ("snapshot", what, "vm-1")
    points = points_of(words, prepare)

    def job(world, case):
        n, manner = case
        prepare(world)
        killed = world.run(*words, fault=f"kill@{n}", late=manner == "late")
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
        if manner == "twice":
            world.run("recover", "--all", fault=f"kill@{max(1, n // 2)}")
        ok(world, "recover", "--all")
        there = is_whole(world)
        assert not any(each["half_kept"] for each in listed(world))
        if state == "off":
            assert world.domain() == "off"
        if there == (what == "take"):
            return
        ok(world, *words)
        assert is_whole(world) == (what == "take")
        assert world.domain() == state

    cases = [(n, manner) for manner in ("once", "late", "twice") for n in range(1, points + 1)]
    assert in_worlds(job, thinned(cases)) == []


@pytest.mark.parametrize("what,state", PREPARED)
def test_failed_at_any_point_it_can_be_repeated(what, state):
    prepare = PREPARED[what, state]
    words = ("snapshot", what, "vm-1")
    points = points_of(words, prepare)

    def job(world, n):
        prepare(world)
        run = world.run(*words, fault=f"fail@{n}")
        ok(world, "recover", "--all")  # an overlay that nothing names is the next verb's to delete
        there = is_whole(world)
        if run.returncode == 0:
            assert there == (what == "take")
            return
        assert "ERROR" in run.stderr.splitlines()[-1]
        if there == (what == "take"):
            return
        if what == "undo" and listed(world)[0]["half_kept"]:
            raise AssertionError("an undo commits nothing")
        ok(world, *words)
        assert is_whole(world) == (what == "take")

    assert in_worlds(job, thinned(range(1, points + 1))) == []


def test_a_destroy_takes_it_along_wherever_it_is_killed():
    words = ("destroy", "vm-1")

    def job(world, n):
        taken(world)
        world.run(*words, fault=f"kill@{n}")
        ok(world, *words)
        world.check([])
        assert world.files("vms") == []

    assert in_worlds(job, thinned(range(1, points_of(words, taken) + 1))) == []


def test_a_keep_that_is_asked_to_give_up_is_half_kept_and_goes_on_later(mock):
    ok(mock, "snapshot", "take", "vm-1")
    mock.behave(commit_ms=60000)
    keeping = mock.start("snapshot", "keep", "vm-1")
    try:
        for _ in range(200):
            if "committing" in (mock.text("domains/vm-1.json") or ""):
                break
            time.sleep(0.05)
        keeping.send_signal(signal.SIGTERM)
        _, err = keeping.communicate(timeout=30)
    finally:
        keeping.kill()
    assert keeping.returncode != 0 and "interrupted" in err.lower(), err
    assert "committing" not in mock.text("domains/vm-1.json"), "the job is left"
    assert listed(mock)[0]["half_kept"]
    refused = mock.run("snapshot", "undo", "vm-1")
    assert refused.returncode != 0 and "is half kept" in refused.stderr
    mock.behave(commit_ms=0)
    ok(mock, "snapshot", "keep", "vm-1")
    assert not is_whole(mock) and mock.files("half-kept") == []


def test_a_destroy_ends_a_keep(mock):
    ok(mock, "snapshot", "take", "vm-1")
    mock.behave(commit_ms=60000)
    keeping = mock.start("snapshot", "keep", "vm-1")
    for _ in range(200):
        if "committing" in (mock.text("domains/vm-1.json") or ""):
            break
        time.sleep(0.05)
    ok(mock, "destroy", "vm-1")
    keeping.communicate(timeout=30)
    mock.check([])
    assert mock.files("vms") == [] and mock.files("half-kept") == []


def test_gc_keeps_what_is_over_and_nothing_else(mock):
    ok(mock, "snapshot", "take", "vm-1")
    assert "undo snapshot" not in ok(mock, *GC)
    assert is_whole(mock)
    over = re.sub(r"undo-(\d+)-\d+", r"undo-\1-1700000000", disk(mock))
    (mock.folder / "mock-world/vms" / disk(mock)).rename(mock.folder / "mock-world/vms" / over)
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    xml.write_text(xml.read_text().replace(disk(mock), over))
    assert "its undo snapshot ended at 2023-11-14" in ok(mock, "gc")
    assert is_whole(mock)
    ok(mock, *GC)
    assert not is_whole(mock) and mock.domain() == "running"


def test_gc_destroys_rather_than_keeps(mock):
    ok(mock, "snapshot", "take", "vm-1", "--for", "1s")
    mock.expire(days=40)
    ok(mock, *GC)
    mock.change("vm-1", suspended_at=ago(30))
    out = ok(mock, *GC)
    assert "Keep" not in out and mock.files("vms") == []


def test_a_suspended_vm_can_be_brought_back_and_stays_off(tmp_path):
    world = Mock(tmp_path)
    suspended(world)
    ok(world, "snapshot", "take", "vm-1")
    ok(world, "snapshot", "undo", "vm-1")
    assert world.domain() == "off" and not is_whole(world)


@pytest.mark.parametrize("words,sentence", [
    (("undo", "vm-1"), "vm-1 has no undo snapshot"), (("keep", "vm-1"), "vm-1 has no undo snapshot"),
    (("take", "vm-2"), "there is no VM named vm-2"), (("take",), "snapshot take needs a VM"),
    (("take", "vm-1", "--for", "31d"), "is not a duration"), (("take", "vm-1", "--for", "soon"), "is not a duration"),
    (("undo", "vm-1", "--for", "1h"), "--for goes with snapshot take only"),
    (("take", "vm-1", "--json"), "--json goes with snapshot list only"), (("drop", "vm-1"), "")])
def test_what_makes_no_sense_is_refused(mock, words, sentence):
    before = mock.kept("vm-1")
    run = mock.run("snapshot", *words)
    assert run.returncode != 0 and sentence in run.stderr, run.stderr
    assert mock.kept("vm-1") == before


def test_a_second_one_a_full_disk_and_another_programs_layer_are_refused(mock):
    ok(mock, "snapshot", "take", "vm-1")
    for words, sentence in ((("snapshot", "take", "vm-1"), "has an undo snapshot already"),
                            (("configure", "vm-1", "--disk", "8"), "grows only without one")):
        run = mock.run(*words)
        assert run.returncode != 0 and sentence in run.stderr, run.stderr
    ok(mock, "snapshot", "undo", "vm-1")
    mock.behave(pool_available=100 << 20)
    run = mock.run("snapshot", "take", "vm-1")
    assert run.returncode != 0 and "not enough room" in run.stderr, run.stderr
    assert not is_whole(mock)


def test_one_that_is_worked_on_is_waited_for_and_two_at_once_make_one(mock):
    both = [mock.start("snapshot", "take", "vm-1") for _ in range(2)]
    ends = sorted(each.wait() for each in both)
    for each in both:
        each.communicate()
    assert ends[0] == 0 and ends[1] != 0 and is_whole(mock)
