# SPDX-License-Identifier: MIT
"""Backups in the simulated world: whatever is lost or wrong, a backup holds the disk as it is."""

import json
import subprocess

import pytest
from simulated import Mock, invariants, made, replace_fields

STOPPED_CLOCK = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec* at) {
    if (clock != CLOCK_REALTIME) return (int)syscall(SYS_clock_gettime, clock, at);
    at->tv_sec = 1900000000;
    at->tv_nsec = 0;
    return 0;
}
"""


@pytest.fixture()
def world(tmp_path):
    mock = Mock(tmp_path)
    made(mock)
    mock.write_disk(3, "first")
    mock.write_disk(900, "stays")
    return mock


def back_up(world):
    run = world.run("backup", "vm-1", "--json")
    assert run.returncode == 0, run.stderr
    assert world.unlike_the_disk() + invariants.broken(world) + invariants.left_by_backups(world) == []
    return json.loads(run.stdout), run.stderr


def test_the_next_backup_reads_what_was_written_since_and_nothing_else(world):
    assert back_up(world)[0]["chunks_read"] == 2
    world.write_disk(901, "new")
    taken, said = back_up(world)
    assert (taken["chunks"], taken["chunks_read"], taken["consistency"]) == (2, 2, "frozen") and "WARNING" not in said
    assert world.run("stop", "vm-1").returncode == 0
    assert back_up(world)[0]["chunks_read"] == 1  # the guest's own word that it thawed
    assert back_up(world)[0]["chunks_read"] == 0
    world.write_disk(40, "by somebody else, while it is off")
    assert back_up(world)[0]["chunks_read"] == 2  # QEMU records since the last one that ran
    assert world.run("start", "vm-1").returncode == 0
    world.write_disk(50, "in its next run")
    assert back_up(world)[0]["chunks_read"] == 3


def test_a_clock_that_stands_still_leaves_no_change_out(world, tmp_path, monkeypatch):
    (tmp_path / "clock.c").write_text(STOPPED_CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", tmp_path / "clock.so", tmp_path / "clock.c"], check=True)
    plain = Mock.environment
    monkeypatch.setattr(Mock, "environment", lambda mock: plain(mock) | {"LD_PRELOAD": str(tmp_path / "clock.so")})
    for text in ("one", "two", "three"):
        world.write_disk(3, text)
        back_up(world)
    assert world.last_backup()["at"] == 1_900_000_000 * 10 ** 9 + 2


def test_a_bitmap_that_qemu_did_not_write_to_the_disk_costs_a_full_read(world):
    back_up(world)
    assert (world.run("stop", "vm-1").returncode, world.run("start", "vm-1").returncode) == (0, 0)
    world.write_disk(3, "in the run that ends badly")
    world.set_state("off")  # as QEMU's death leaves it
    taken, said = back_up(world)
    assert taken["chunks_read"] == 2 and "cannot be used" in said
    assert world.run("start", "vm-1").returncode == 0
    world.write_disk(3, "and in the next")
    taken, said = back_up(world)
    assert taken["chunks_read"] == 2 and "all of the disk is read" in said
    world.write_disk(3, "once more")
    assert "WARNING" not in back_up(world)[1]


def test_what_is_remembered_costs_a_full_read_when_it_is_lost_and_no_backup(world):
    back_up(world)
    world.write_disk(3, "since")
    remembered = world.folder / "mock-world/backup/vm-1.json"
    for text in (None, "half of", remembered.read_text().replace(world.last_backup()["uuid"], "0" * 8 + "-0000-4000-8000-" + "0" * 12)):
        remembered.unlink() if text is None else remembered.write_text(text)
        taken, said = back_up(world)
        assert taken["chunks_read"] == 2 and ("cannot be used" in said or text is None)


def test_a_backup_that_the_repository_lost_is_built_on_no_more(world):
    back_up(world)
    world.write_disk(3, "since")
    (world.folder / f"mock-world/repository/{world.last_backup()['snapshot']}.json").unlink()
    taken, said = back_up(world)
    assert taken["chunks_read"] == 2 and "the repository has it no more" in said


def test_a_backup_of_which_the_repository_lost_a_part_is_none(world):
    back_up(world)
    before = world.last_backup()
    world.write_disk(3, "since")
    world.behave(store="loses")
    run = world.run("backup", "vm-1")
    assert run.returncode != 0 and "the repository does not have all of the backup: 1 of 2 chunks" in run.stderr
    assert world.last_backup() == before and len(world.files("repository")) == 1
    assert invariants.broken(world) + invariants.left_by_backups(world) == []
    world.behave(store="ok")
    assert back_up(world)[0]["chunks_read"] == 1


def test_an_undo_snapshot_kept_or_undone_keeps_backups_true(world):
    back_up(world)
    for word in ("undo", "keep"):
        assert world.run("snapshot", "take", "vm-1").returncode == 0
        world.write_disk(3, f"above the snapshot, before {word}")
        run = world.run("snapshot", word, "vm-1")
        assert run.returncode == 0, run.stderr
        back_up(world)
        world.write_disk(5, f"after {word}")
        back_up(world)
    assert world.content(world.disk())["clusters"]["3"] == "above the snapshot, before keep"


def test_a_guest_that_found_no_room_runs_on_though_a_scratch_file_cannot_be_removed(world):
    back_up(world)
    assert world.run("backup", "vm-1", fault="kill@30").returncode < 0
    [scratch] = [name for name in world.files("vms") if name.endswith(".scratch")]
    other = world.folder / "mock-world/vms" / scratch.replace(scratch[-12:-8], "ffff")  # of another operation
    (other / "not empty").mkdir(parents=True)
    replace_fields(world.folder / "mock-world/domains/vm-1.json", state="paused", reason="I/O error")
    assert world.run("recover", "--all").returncode == 0
    assert world.domain() == "running" and invariants.broken(world) == []
    assert invariants.left_by_backups(world) == [f"of the reading of disks ['vms/{other.name}'] is left"]


def test_a_restore_brings_back_the_disk_as_it_was_backed_up(world):
    back_up(world)
    stored = world.stored(world.snapshot(world.last_backup()["snapshot"]))
    world.write_disk(3, "after it")

    run = world.run("restore", "vm-1@latest", "--as", "vm-2")
    assert run.returncode == 0, run.stderr
    assert world.content(world.disk("vm-2"))["clusters"] == stored

    run = world.run("restore", "vm-1@latest", "--in-place")
    assert run.returncode == 0, run.stderr
    assert world.content(world.disk())["clusters"] == stored
    assert world.run("snapshot", "undo", "vm-1").returncode == 0
    assert world.content(world.disk())["clusters"]["3"] == "after it"

    assert world.run("destroy", "vm-1").returncode == 0
    run = world.run("restore", "vm-1@latest")
    assert run.returncode == 0, run.stderr
    assert world.content(world.disk())["clusters"] == stored and world.domain() == "running"
    assert invariants.broken(world) == []
    back_up(world)


@pytest.mark.parametrize("words", [("backup", "list"), ("backup", "forget"), ("drill", "vm-1@latest"), ("restore", "vm-1@latest", "--file", "/etc",
                                   "--to", "/x")], ids=" ".join)
def test_what_is_done_with_a_real_repository_alone_says_so(world, words):
    run = world.run(*words)
    assert run.returncode == 4 and "no simulated repository" in run.stderr
