# SPDX-License-Identifier: MIT
"""resume and extend on the simulated world: what was paid for is kept, and what a death leaves is finished."""

import signal

import pytest
from simulated import Mock, ago, gc, in_worlds, made, points_of, suspended


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


@pytest.mark.parametrize("expires,words,low,high", [
    (3, (), -29.9, -30.1), (-9, (), -8.9, -9.1), (-9, ("--extend-days", "2"), -1.9, -2.1),
    (3, ("--extend-days", "5"), -4.9, -5.1), ("rubbish", (), -29.9, -30.1)])
def test_resume_keeps_an_expiry_that_is_to_come(mock, expires, words, low, high):
    mock.expire()
    gc(mock)
    mock.change("vm-1", expires_at=expires if isinstance(expires, str) else ago(expires))
    plan = mock.run("resume", "vm-1", "--dry-run", *words)
    assert plan.returncode == 0 and "start-domain" in plan.stderr
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"
    run = mock.run("resume", "vm-1", *words)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "VM 'vm-1' resumed successfully"
    record = mock.record()
    assert record["status"] == "active" and "suspended_at" not in record
    assert ago(low) < record["expires_at"] < ago(high)
    assert mock.domain() == "running" and mock.files("suspended") == []
    again = mock.run("resume", "vm-1", *words)
    assert again.returncode == 1 and "vm-1 is not suspended (status: active)" in again.stderr


def test_a_suspended_vm_that_runs_already_is_only_marked(mock):
    for state in ("running", "paused"):
        mock.expire()
        gc(mock)
        mock.set_state(state)
        assert mock.run("resume", "vm-1").returncode == 0
        assert mock.record()["status"] == "active" and mock.domain() == "running"


@pytest.mark.parametrize("words,status,sentence", [
    (("vm-9",), 1, "VM not found: vm-9"), (("vm-1", "--extend-days", "0"), 1, "0"), ((), 2, "NAME"),
    (("vm-1", "--extend-days", "x"), 1, "x"), (("../x",), 1, "Invalid VM name")])
def test_a_bad_resume_is_refused(mock, words, status, sentence):
    mock.expire()
    gc(mock)
    run = mock.run("resume", *words)
    assert run.returncode == status and sentence.lower() in run.stderr.lower(), run.stderr
    assert mock.record()["status"] == "suspended" and mock.files("suspended") == ["vm-1"]


def test_a_resume_killed_at_any_point_is_finished():
    def paid(world):
        suspended(world)
        world.change("vm-1", expires_at=ago(-9))

    points = points_of(("resume", "vm-1"), paid)

    def job(world, case):
        n, late = case
        paid(world)
        assert world.run("resume", "vm-1", fault=f"kill@{n}", late=late).returncode in (-signal.SIGKILL, 0)
        again = world.run("resume", "vm-1")
        assert again.returncode == 0 or "is not suspended (status: active)" in again.stderr, again.stderr
        assert world.record()["status"] == "active" and ago(-8.9) < world.record()["expires_at"] < ago(-9.1)
        assert world.domain() == "running" and world.files("suspended") == []
        world.check(["vm-1"])

    assert in_worlds(job, [(n, late) for n in range(1, points + 1) for late in (False, True)]) == []


def test_a_resume_that_fails_at_any_point_can_be_repeated():
    points = points_of(("resume", "vm-1"), suspended)

    def job(world, n):
        suspended(world)
        failed = world.run("resume", "vm-1", fault=f"fail@{n}")
        if failed.returncode != 0:
            assert "ERROR" in failed.stderr
            if world.domain() == "off":
                assert world.files("suspended") == ["vm-1"] or world.files("journal") != []
        again = world.run("resume", "vm-1")
        assert again.returncode == 0 or "status: active" in again.stderr
        assert world.record()["status"] == "active" and world.domain() == "running"

    assert in_worlds(job, range(1, points + 1)) == []


def test_extend_counts_from_the_expiry_and_says_when_that_does_not_help(mock):
    mock.change("vm-1", expires_at="2026-01-02T03:04:05+00:00", gecos_synced=True)
    run = mock.run("extend", "vm-1", "--days", "1")
    assert run.returncode == 0 and run.stdout == "vm-1 expires at 2026-01-03T03:04:05+00:00\n"
    assert "expired all the same" in run.stderr
    assert mock.record()["gecos_synced"] is True
    run = mock.run("extend", "vm-1", "--days", "3", "--from-now")
    assert run.returncode == 0 and run.stderr == ""
    assert ago(-2.9) < mock.record()["expires_at"] < ago(-3.1)


def test_extend_from_now_never_ends_earlier_what_is_paid_for_unless_told_to(mock):
    mock.change("vm-1", expires_at=ago(-30))
    before = mock.registry()
    run = mock.run("extend", "vm-1", "--days", "3", "--from-now")
    assert run.returncode == 3 and "is paid until" in run.stderr and "--shorten" in run.stderr, run.stderr
    assert mock.registry() == before
    run = mock.run("extend", "vm-1", "--days", "3", "--from-now", "--shorten")
    assert run.returncode == 0, run.stderr
    assert ago(-2.9) < mock.record()["expires_at"] < ago(-3.1)


@pytest.mark.parametrize("words,status,sentence", [
    (("vm-9", "--days", "1"), 5, "not found"), (("vm-1",), 2, "days"), (("vm-1", "--days", "0"), 3, "0"),
    (("vm-1", "--days", "99999"), 3, "99999")])
def test_a_bad_extend_is_refused(mock, words, status, sentence):
    before = mock.registry()
    run = mock.run("extend", *words)
    assert run.returncode == status and sentence in run.stderr.lower(), run.stderr
    assert mock.registry() == before


def test_an_extension_past_the_year_9999_is_refused(mock):
    mock.change("vm-1", expires_at="9999-12-30T00:00:00+00:00")
    run = mock.run("extend", "vm-1", "--days", "30")
    assert run.returncode == 3 and "9999" in run.stderr
    assert mock.record()["expires_at"] == "9999-12-30T00:00:00+00:00"


def test_nobody_pays_for_a_vm_that_is_half_gone():
    """A destroy that died with the domain gone and the record still active is extended by nobody."""
    points = points_of(("destroy", "vm-1"), made)
    refused = []

    def job(world, n):
        made(world)
        assert world.run("destroy", "vm-1", fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        if world.domain() is not None or world.record()["status"] == "destroyed":
            return
        before = world.registry()
        run = world.run("extend", "vm-1", "--days", "30")
        assert run.returncode == 8 and "being destroyed" in run.stderr, run.stderr
        assert world.registry() == before
        refused.append(n)

    assert in_worlds(job, range(1, points + 1)) == []
    assert refused != []


def test_a_stale_rewrite_over_a_suspension_ends_in_no_dead_end(mock):
    """Another program writes the record back as active: start and boot forget the veto that the suspension left."""
    stale = mock.registry()
    mock.expire()
    gc(mock)
    stale["vms"]["vm-1"]["expires_at"] = ago(-20)
    mock.write(stale)
    assert mock.run("start", "vm-1").returncode == 0
    assert mock.domain() == "running" and mock.files("suspended") == []
