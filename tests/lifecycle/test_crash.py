# SPDX-License-Identifier: MIT
"""Kills and failures at every point of the simulated world, then the same verb again, then a look at everything."""

import json
import signal

import pytest
from simulated import CREATE, Mock, WALLET, in_worlds, points_of, thinned


@pytest.fixture()
def mock(tmp_path):
    return Mock(tmp_path)


def test_a_create_killed_at_two_hundred_moments_can_be_repeated():
    """At every point: killed once; with its last call carried out late; and killed again while it recovers."""
    points = points_of(CREATE)
    kills, late_kills = [], []
    moments = [(n, manner) for manner in ("once", "late", "twice") for n in range(1, points + 1)]

    def job(world, case):
        n, manner = case
        killed = world.create(fault=f"kill@{n}", late=manner == "late")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        kills.append(n)
        if manner == "twice":
            world.create(fault=f"kill@{max(1, n // 2)}")
        again = world.create()
        if "already exists" in again.stderr:
            # It died after the commit, with its result handed over: the VM is the caller's.
            late_kills.append(n)
            assert killed.stdout.count('"status": "ok"') == 2
        else:
            assert again.returncode == 0, again.stderr
        world.check(["vm-1"])

    assert in_worlds(job, thinned(moments)) == []
    assert len(kills) == len(thinned(moments)) and len(moments) >= 200
    assert all(n > points - 3 for n in late_kills), "only removing the ended journal entry comes after the commit"


def test_a_create_that_fails_at_any_point_leaves_nothing_and_can_be_repeated():
    points = points_of(CREATE)

    def job(world, n):
        failed = world.create(fault=f"fail@{n}")
        if failed.returncode == 0:
            world.check(["vm-1"])
            return
        assert failed.returncode == 1
        assert "ERROR" in failed.stderr.splitlines()[-1]
        again = world.create()
        assert again.returncode == 0, again.stderr
        world.check(["vm-1"])

    assert in_worlds(job, thinned(range(1, points + 1))) == []


def prepared(world):
    run = world.create()
    assert run.returncode == 0, run.stderr


def test_a_destroy_killed_at_any_point_is_finished_by_the_next():
    points = points_of(("destroy", "vm-1"), prepared)

    def job(world, case):
        n, finisher = case
        prepared(world)
        killed = world.run("destroy", "vm-1", fault=f"kill@{n}")
        assert killed.returncode in (-signal.SIGKILL, 0)
        run = world.run(*finisher)
        assert run.returncode == 0, run.stderr
        if finisher[0] == "recover" and world.registry()["vms"]["vm-1"]["status"] == "active":
            world.check(["vm-1"])  # it died before its journal entry was begun: nothing was promised
            return
        world.check([])

    cases = [(n, f) for n in range(1, points + 1) for f in (("destroy", "vm-1"), ("recover", "--all"))]
    assert in_worlds(job, thinned(cases)) == []


def test_recover_undoes_a_killed_create(mock):
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    look = mock.run("recover", "--all", "--dry-run", "--json")
    assert [e["direction"] for e in json.loads(look.stdout)] == ["roll back"]
    assert mock.run("recover", "vm-1").returncode == 0
    mock.check([])
    assert mock.run("recover", "--all").stdout == "Nothing to recover\n"


def test_destroy_finishes_what_a_killed_create_left(mock):
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    assert mock.run("destroy", "vm-1").returncode == 0
    mock.check([])


def test_a_dead_start_is_never_carried_out_later(mock):
    prepared(mock)
    assert mock.run("kill", "vm-1").returncode == 0
    points = points_of(("start", "vm-1"), lambda w: (prepared(w), w.run("kill", "vm-1")))
    for n in range(1, points + 1):
        assert mock.run("start", "vm-1", fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        before = mock.run("status", "vm-1").stdout
        assert mock.run("recover", "--all").returncode == 0
        assert mock.run("status", "vm-1").stdout == before
        assert mock.run("kill", "vm-1").returncode == 0


def test_a_dry_run_changes_nothing_and_names_the_steps(mock):
    run = mock.run("create", "vm-1", "--owner-wallet", WALLET)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["ip"] == "10.9.9.10"
    for step in ("reserve-addresses", "create-volume", "define-domain", "register"):
        assert step in run.stderr
    assert not (mock.folder / "mock-db.json").exists()
    assert mock.files("domains") == [] and mock.files("journal") == []


def test_the_mock_writes_nothing_outside_its_folder(mock):
    before = sorted(str(p) for p in (mock.folder / "root").rglob("*"))
    prepared(mock)
    assert sorted(str(p) for p in (mock.folder / "root").rglob("*")) == before


def test_an_entry_that_cannot_be_read_frees_nothing_and_is_reported(mock):
    """Whose address it notes cannot be known, so none is given back: a failed look is not an empty look."""
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    taken = mock.registry()["allocated_ips"]
    (mock.folder / "mock-world/journal/aaa.journal").mkdir()
    run = mock.run("recover", "--all")
    assert run.returncode == 1
    assert "aaa: unreadable entry" in run.stdout and "could not be taken or read" in run.stdout
    assert "vm-1: create" in run.stdout, "the others are looked at all the same"
    assert mock.registry()["allocated_ips"] == taken != []
    (mock.folder / "mock-world/journal/aaa.journal").rmdir()
    mock.check([])
