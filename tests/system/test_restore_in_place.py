# SPDX-License-Identifier: MIT
"""A VM that is there gets its disk as it was: to the byte, undone to the byte, whole or not there after a kill."""

import json

import pytest
import seeds
from test_snapshot import MIB, NAME, disk, files, image, is_just_one_disk, killed_at, listed, off, ok, snapshot, write, write_off

STEPS = ["make-disk", "fill-disk", "note-disk", "power-off", "switch-disk", "start-again"]


@pytest.fixture()
def vm(machine):
    """A VM that runs, with a backup of its disk, which was changed since."""
    assert machine.create(NAME).returncode == 0
    machine.set_up_backups()
    write(machine, 1, 100)
    ok(machine.run("backup", NAME))
    write(machine, 9, 100)
    write(machine, 7, 200)
    yield machine
    assert machine.run("destroy", NAME).returncode == 0
    assert machine.leftovers() == {}


def in_place(machine, *more):
    return json.loads(ok(machine.run("restore", f"{NAME}@latest", "--in-place", "--json", *more)))


def numbers(machine):
    """What its disk has at 100 and at 200 MiB, while it is off."""
    content = image(machine)
    found = [content[at * MIB:(at + 2) * MIB] for at in (100, 200)]
    assert all(each == each[:1] * (2 * MIB) for each in found)
    return [each[0] for each in found]


def backed_up(machine):
    """That the next backup is what the disk has, once it is off."""
    made = json.loads(ok(machine.run("backup", NAME, "--json")))
    to = machine.root / made["id"]
    ok(machine.run("backup", "extract", made["id"], "--to", to))
    off(machine)
    return image(machine, to / "vda.qcow2") == image(machine)


def test_a_vm_that_runs_has_its_disk_as_it_was_and_gets_back_the_other(vm):
    process, before, identity = vm.processes()[NAME], disk(vm), vm.virsh("domuuid", NAME)
    done = in_place(vm, "--for", "2h")
    assert done["guest"] == "ready" and done["on_template"] and vm.processes()[NAME] != process
    assert vm.virsh("domuuid", NAME) == identity and disk(vm) != before
    only, = listed(vm)
    assert only["kind"] == "replaced" and before.endswith(only["file"]) and only["until"] == done["undoable_until"]
    assert len(files(vm)) == 2
    write(vm, 5, 300)
    assert backed_up(vm) and numbers(vm) == [1, 0]
    ok(vm.run("start", NAME))
    assert "and runs" in snapshot(vm, "undo")
    assert disk(vm) == before and is_just_one_disk(vm)
    assert backed_up(vm) and numbers(vm) == [9, 7]


def test_of_a_vm_that_is_off_what_is_kept_is_the_only_disk(vm):
    off(vm)
    assert in_place(vm)["guest"] == "off" and numbers(vm) == [1, 0]
    write_off(vm, 3, 200)
    snapshot(vm, "keep")
    assert is_just_one_disk(vm) and numbers(vm) == [1, 3]
    assert backed_up(vm)


def test_gc_deletes_the_disk_of_before_when_its_time_is_over(vm):
    in_place(vm, "--off", "--for", "1s")
    assert len(files(vm)) == 2 and numbers(vm) == [1, 0]
    assert "its undo snapshot ended at" in ok(vm.run("gc"))
    assert len(files(vm)) == 2
    ok(vm.run("gc", "--execute", "--force-clock"))
    assert is_just_one_disk(vm) and numbers(vm) == [1, 0]


def test_whatever_step_it_is_killed_at_the_vm_has_one_disk_or_the_other_and_runs(vm):
    hits = 0
    for step in seeds.some_of(STEPS, 2, "restore in place killed"):
        assert numbers_while_off(vm) == [9, 7]
        hits += killed_at(vm, step, "restore", f"{NAME}@latest", "--in-place")
        ok(vm.run("recover", NAME))
        assert vm.states()[NAME] == "alive", step
        there = listed(vm)
        assert len(files(vm)) == 1 + len(there), (step, files(vm))
        assert numbers_while_off(vm) == ([1, 0] if there else [9, 7]), step
        if there:
            snapshot(vm, "undo")
        assert is_just_one_disk(vm), step
    assert hits >= 1


def numbers_while_off(machine):
    off(machine)
    found = numbers(machine)
    ok(machine.run("start", NAME))
    return found


def test_what_cannot_be_is_refused_and_changes_nothing(vm):
    def refused(sentence, *words):
        before = vm.kept(NAME)
        run = vm.run("restore", f"{NAME}@latest", *words)
        assert run.returncode != 0 and sentence in run.stderr, run.stderr
        assert vm.kept(NAME) == before
    refused("do not go together", "--in-place", "--as", "other")
    refused("--for goes with --in-place only", "--for", "2h")
    refused("is not a duration", "--in-place", "--for", "for ever")
    refused("already exists", "--off")
    snapshot(vm, "take")
    refused("has an undo snapshot already", "--in-place")
    snapshot(vm, "keep")
    vm.virsh("managedsave", NAME)
    refused(f"memory of {NAME} is saved", "--in-place")
    ok(vm.run("destroy", NAME))
    assert vm.create(NAME).returncode == 0
    refused("is of an earlier VM named", "--in-place")


def test_a_destroy_takes_both_disks_along(vm):
    in_place(vm)
    ok(vm.run("destroy", NAME))
    assert vm.leftovers() == {} and vm.volumes() == []
    assert vm.create(NAME).returncode == 0 and listed(vm) == []
