# SPDX-License-Identifier: MIT
"""Builds, prunes and creates on one world that die, fail, or run at once: every link and every disk leads somewhere."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time

import pytest
from simulated import CREATE, in_worlds, made, points_of
from simulated_templates import (  # noqa: F401
    PRUNE, VERSION, backing, build, current, disks, disks_have_what_they_stand_on, image, listed, mock,
    no_leftovers, order, prune, templates, three, versions)


# Deaths and failures


def standing(world):
    world.first = build(world, "first")


def stands_well(world, allowed):
    assert current(world) in allowed


@pytest.mark.parametrize("base", ["a link", "a file of 0.2.0"])
@pytest.mark.parametrize("manner", ["kill", "fail"])
def test_a_build_that_ends_at_any_point_leaves_a_valid_link_and_the_next_leaves_no_trace(manner, base):
    def prepare(world):
        if base != "a link":
            made(world)
        standing(world)
        order(world, "second")

    points = points_of(("build-template", "--source", "file:source"), prepare)
    assert points >= 8

    def job(world, n):
        prepare(world)
        ended = world.run(*order(world, "second"), fault=f"{manner}@{n}")
        if manner == "kill":
            assert ended.returncode == -signal.SIGKILL
        else:
            assert ended.returncode in (0, 1)
            assert ended.returncode == 0 or ended.stderr.splitlines()[-1].startswith("[build-template] ERROR: ")
            assert ended.returncode == 0 or not (world.folder / "mock-world/cache/build").exists()
        stands_well(world, {world.first, *versions(world)})
        assert world.create("vm-9").returncode == 0
        disks_have_what_they_stand_on(world)
        second = build(world, "second")
        assert second != world.first and versions(world) == sorted([world.first, second])

    assert in_worlds(job, range(1, points + 1)) == []


def test_the_very_first_build_killed_at_any_point_is_done_by_the_next():
    points = points_of(("build-template", "--source", "file:source"), lambda world: order(world, "one"))

    def job(world, n):
        assert world.run(*order(world, "one"), fault=f"kill@{n}").returncode == -signal.SIGKILL
        build(world, "one")
        assert len(versions(world)) == 1

    assert in_worlds(job, range(1, points + 1)) == []


def three_and_an_old_base(world):
    """Two versions that nothing stands on and an old base that makes way; vm-1 stands on the current version."""
    world.run("list")
    for text in ("one", "two", "three"):
        world.now = build(world, text)
    made(world)


@pytest.mark.parametrize("manner", ["kill", "fail"])
def test_a_prune_that_ends_at_any_point_leaves_whole_versions_and_the_next_finishes(manner):
    points = points_of(PRUNE, three_and_an_old_base)
    assert points >= 8

    def job(world, n):
        three_and_an_old_base(world)
        ended = world.run(*PRUNE, fault=f"{manner}@{n}")
        assert ended.returncode in ({-signal.SIGKILL} if manner == "kill" else {0, 1, 19}), ended.stderr
        assert current(world) == world.now
        disks_have_what_they_stand_on(world)
        assert world.run("templates", "--json").returncode == 0
        prune(world)
        assert versions(world) == [world.now] and current(world) == world.now
        assert world.create("vm-2").returncode == 0
        assert listed(world) == {world.now + "*": ["vm-1", "vm-2"]}
        build(world, "three")
        no_leftovers(world)

    assert in_worlds(job, range(1, points + 1)) == []


def open_entry(world, name="vm-1"):
    """What a create's journal notes; None when it has no entry."""
    path = world.folder / f"mock-world/journal/{name}.journal"
    return path.read_text() if path.exists() else None


def pending_calls(world):
    """What dead processes asked for and is still to come."""
    return [json.loads(path.read_text())["call"] for path in (world.folder / "mock-world/pending").glob("*.json")]


def killed_create(world, n, late):
    """A create killed at point n, on a version that it chose. Returns that, and which calls were still to come then."""
    chosen = build(world, "chosen")
    ended = world.create(fault=f"kill@{n}", late=late)
    assert ended.returncode == -signal.SIGKILL
    return chosen, pending_calls(world)


def overtaken(world, chosen):
    """Another version is current and prune runs before anybody recovers the create."""
    build(world, "newer")
    run = world.run(*PRUNE)
    entry = open_entry(world)
    if entry and str(image(world, chosen)) in entry or disks(world):
        assert chosen in versions(world), run.stdout
    disks_have_what_they_stand_on(world)


def test_a_create_killed_at_any_point_keeps_its_version_until_it_is_recovered():
    points = points_of(CREATE, lambda world: build(world, "chosen"))
    kept = []

    def job(world, n):
        chosen, _ = killed_create(world, n, late=False)
        overtaken(world, chosen)
        if chosen in versions(world):
            kept.append(n)
        assert world.run("recover", "--all").returncode == 0
        prune(world)
        vm_lives = bool(disks(world))
        assert (chosen in versions(world)) == vm_lives
        disks_have_what_they_stand_on(world)
        world.check(["vm-1"] if vm_lives else [])

    assert in_worlds(job, range(1, points + 1)) == []
    assert 20 < len(kept) < points


def test_a_disk_that_is_made_after_its_creates_death_has_what_it_stands_on():
    """libvirt carries the call out while or after prune looks."""
    points = points_of(CREATE, lambda world: build(world, "chosen"))
    arrived = []

    def job(world, n):
        chosen, pending = killed_create(world, n, late=True)
        if "create_volume" not in pending:
            return
        overtaken(world, chosen)
        assert chosen in versions(world), "the disk is still to come"
        time.sleep(1)
        listed(world)
        assert len(disks(world)) == 1
        arrived.append(n)
        disks_have_what_they_stand_on(world)
        world.run(*PRUNE)
        disks_have_what_they_stand_on(world)
        assert chosen in versions(world)
        assert world.run("recover", "--all").returncode == 0
        prune(world)
        assert chosen not in versions(world) and disks(world) == []

    assert in_worlds(job, range(1, points + 1)) == []
    assert arrived != []


# At once


@contextlib.contextmanager
def template_lock(world, manner):
    """What a create holds shared, and a prune alone."""
    with open(world.folder / "mock-world/templates.lock", "a") as file:
        fcntl.flock(file, manner)
        yield


def test_a_create_chooses_its_version_and_makes_its_disk_while_none_is_removed(three):
    with template_lock(three, fcntl.LOCK_EX):
        create = three.start("create", "vm-2", *CREATE[2:])
        for line in create.stderr:
            if "creating the disk" in line:
                break
        newer = build(three, "newer")
        with pytest.raises(subprocess.TimeoutExpired):
            create.wait(0.7)
        assert len(disks(three)) == 1
    out, err = create.communicate(timeout=60)
    assert create.returncode == 0, err
    assert listed(three)[newer + "*"] == ["vm-2"]


def test_a_prune_removes_nothing_while_a_create_has_a_version_and_no_disk_yet(three):
    with template_lock(three, fcntl.LOCK_SH):
        process = three.start(*PRUNE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
        assert len(versions(three)) == 3
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, f"Removed {three.idle} (256 KiB)\n"), err


def test_a_prune_that_waits_for_a_create_ends_when_it_is_told_to(three):
    with template_lock(three, fcntl.LOCK_SH):
        process = three.start(*PRUNE)
        named = three.folder / "mock-world/cache/build.lock"
        while not named.read_text().startswith(f"process {process.pid} "):
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert process.returncode == 143 and len(versions(three)) == 3
    assert os.listdir(three.folder / "mock-world/cache") == ["build.lock"]


def test_a_create_while_versions_come_and_go_ends_with_a_disk_that_stands_on_something(mock):
    build(mock, "0")
    made(mock)
    mock.behave(boot_ms=20)
    for number in range(8):
        create = mock.start("create", f"vm-{number + 2}", *CREATE[2:])
        turn = 0
        while create.poll() is None and turn < 50:
            turn += 1
            assert mock.run(*order(mock, f"{number} {turn}")).returncode == 0
            run = mock.run(*PRUNE)
            assert run.returncode == 0 or "there is" in run.stderr or "cannot be told" in run.stderr or \
                "nowhere to be seen" in run.stderr, run.stderr
        out, err = create.communicate(timeout=60)
        assert create.returncode == 0, err
        disks_have_what_they_stand_on(mock)
    prune(mock)
    disks_have_what_they_stand_on(mock)
    assert set(versions(mock)) == {VERSION.search(backing(disk))[1] for disk in disks(mock)} | {current(mock)}


def test_builds_and_prunes_at_once_leave_the_last_version_whole(mock):
    build(mock, "0")
    made(mock)
    processes = []
    for number in range(6):
        source = mock.folder / f"source-{number}"
        source.write_text(f"none of them what the VM stands on: {number}")
        processes += [mock.start("build-template", "--source", f"file:{source}"), mock.start(*PRUNE)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    prune(mock)
    assert len(versions(mock)) == 2 and current(mock) in versions(mock)
    disks_have_what_they_stand_on(mock)
    no_leftovers(mock)


def test_a_prune_waits_for_a_build_and_ends_when_it_is_told_to(mock):
    build(mock, "0")
    with open(mock.folder / "mock-world/cache/build.lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = mock.start(*PRUNE)
        assert "another build or prune is at work" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert process.returncode == 143
    assert prune(mock).stdout == ""
