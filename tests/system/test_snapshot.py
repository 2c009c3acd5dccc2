# SPDX-License-Identifier: MIT
"""Undo snapshots of real VMs, running and off: undone to the byte, kept without a write lost, whole or not there after a kill."""

import json
import os
import re
import time

import pytest
import seeds
from machine import sh, wait_until

NAME = f"snap-{os.getpid()}"  # libvirt may have another machine's VMs
MIB = 1 << 20


@pytest.fixture()
def vm(machine):
    """A VM that runs, with something on its disk."""
    assert machine.create(NAME).returncode == 0
    write(machine, 1, 100)
    yield machine
    assert machine.run("destroy", NAME).returncode == 0
    assert machine.leftovers() == {}


def files(machine):
    return [each for each in machine.volumes() if each.startswith(NAME + ".")]


def disk(machine):
    """The file that the definition names."""
    xml = machine.virsh("dumpxml", "--inactive", NAME)
    return re.search(r"<source file='([^']*)'", xml[xml.index("device='disk'"):]).group(1)


def write(machine, number, at, count=2):
    """`count` MiB at `at` MiB, all of that number, by the guest itself, once it has started."""
    wait_until("the guest's agent answers", 60, lambda: machine.run("guest-exec", NAME, "true").returncode == 0)
    text = f"dd if=/dev/zero bs=1M count={count} 2>/dev/null | tr '\\000' '\\{number:03o}' | dd of=/dev/vda bs=64k seek={at * 16} conv=fsync"
    run = machine.run("guest-exec", NAME, text)
    assert run.returncode == 0, run.stderr


def write_off(machine, number, at, count=2):
    sh("qemu-io", "-f", "qcow2", "-c", f"write -P {number} {at}M {count}M", disk(machine))


def off(machine):
    assert machine.run("kill", NAME).returncode == 0


def image(machine, file=None):
    """The bytes of its disk while it is off, or of another image."""
    out = machine.root / "image.raw"
    sh("qemu-img", "convert", "-O", "raw", file or disk(machine), out)
    return out.read_bytes()


def ok(run):
    assert run.returncode == 0, run.stderr
    return run.stdout


def snapshot(machine, what, *more):
    return ok(machine.run("snapshot", what, NAME, *more))


def listed(machine):
    return json.loads(ok(machine.run("snapshot", "list", "--json")))


def is_just_one_disk(machine):
    assert listed(machine) == [] and len(files(machine)) == 1 and disk(machine).endswith(files(machine)[0])
    assert machine.names("half-kept") == []
    return True


@pytest.mark.parametrize("state", ["running", "off"])
def test_what_was_written_since_is_undone_to_the_byte(vm, state):
    off(vm)
    before = image(vm)
    if state == "running":
        ok(vm.run("start", NAME))
        process = vm.processes()[NAME]
    said = snapshot(vm, "take", "--for", "2h")
    assert "can be undone until" in said and len(files(vm)) == 2
    only, = listed(vm)
    assert only["name"] == NAME and only["file"] in files(vm) and disk(vm).endswith(only["file"]) and not only["half_kept"]
    assert vm.virsh("snapshot-list", NAME, "--name").split() == []
    if state == "running":
        assert vm.processes()[NAME] == process
        write(vm, 7, 200)
        assert "and runs" in snapshot(vm, "undo")
        wait_until("it runs", 20, lambda: vm.states()[NAME] == "alive")
        off(vm)
    else:
        write_off(vm, 7, 200)
        assert image(vm) != before
        assert "is off" in snapshot(vm, "undo")
    assert is_just_one_disk(vm) and image(vm) == before


@pytest.mark.parametrize("state", ["running", "off"])
def test_what_is_kept_is_on_the_disk_with_one_file_fewer(vm, state):
    snapshot(vm, "take")
    if state == "running":
        write(vm, 7, 200)
        process = vm.processes()[NAME]
        snapshot(vm, "keep")
        assert vm.processes()[NAME] == process and is_just_one_disk(vm)
        write(vm, 8, 300)
        off(vm)
    else:
        write(vm, 7, 200)
        off(vm)
        write_off(vm, 8, 300)
        snapshot(vm, "keep")
    assert is_just_one_disk(vm)
    after = image(vm)
    for number, at in ((1, 100), (7, 200), (8, 300)):
        assert after[at * MIB:(at + 2) * MIB] == bytes([number]) * (2 * MIB), f"what was written at {at} MiB is lost"
    ok(vm.run("start", NAME))
    snapshot(vm, "take")  # and again, on the same disk
    assert len(files(vm)) == 2
    snapshot(vm, "undo")


def killed_at(machine, step, *words):
    """The call, killed when its journal says that the step began; whether it was."""
    process = machine.start(*words)
    journal = machine.state / f"journal/{NAME}.journal"
    met = False
    while process.poll() is None and not met:
        try:
            met = f'"{step}"' in journal.read_text()
        except OSError:
            pass
    if met:
        time.sleep(0.003 * (hash(step) % 5))
    process.kill()
    process.communicate()
    return met


STEPS = [("take", "make-overlay"), ("take", "switch-disk"), ("undo", "power-off"), ("undo", "restore-disk"), ("undo", "delete-overlay"),
         ("undo", "start-again"), ("keep", "note-keep"), ("keep", "commit"), ("keep", "restore-disk"), ("keep", "delete-overlay")]


@pytest.mark.parametrize("state", seeds.some_of(["running", "off"], 1, "snapshot killed"))
def test_killed_at_each_step_the_snapshot_is_whole_or_not_there_and_no_write_is_lost(vm, state, record_property):
    hits, steps = 0, seeds.some_of(STEPS, 4, "snapshot killed", state)
    for what, step in steps:
        if vm.states()[NAME] == "off":
            ok(vm.run("start", NAME))
        write(vm, 1, 100)
        if what != "take":
            snapshot(vm, "take")
        write(vm, 9, 100)
        if state == "off":
            off(vm)
        hits += killed_at(vm, step, "snapshot", what, NAME)
        ok(vm.run("recover", NAME))
        if state == "off":
            assert vm.states()[NAME] == "off"
        there = listed(vm)
        assert len(files(vm)) == 1 + len(there), (what, step, files(vm))
        if there:
            off(vm)
            if what == "undo":  # killed before its journal entry was begun: nothing was promised
                snapshot(vm, "undo")
            else:
                assert not there[0]["half_kept"], (what, step)
                snapshot(vm, "keep")
        assert is_just_one_disk(vm)
        off(vm)
        sh("qemu-img", "check", "-q", disk(vm))
        found = image(vm)[100 * MIB:102 * MIB]
        assert found == bytes([1 if what == "undo" else 9]) * (2 * MIB), (what, step)
    record_property("note", f"{hits} of {len(steps)} kills met their step")
    assert hits >= len(steps) // 2


def test_a_destroy_takes_the_snapshot_along(machine):
    assert machine.create(NAME).returncode == 0
    snapshot(machine, "take")
    write(machine, 7, 200)
    ok(machine.run("destroy", NAME))
    assert machine.leftovers() == {} and machine.volumes() == []


def test_start_stop_and_gc_work_with_a_snapshot_there_and_gc_keeps_it_when_its_time_is_over(vm):
    snapshot(vm, "take", "--for", "1s")
    write(vm, 7, 200)
    off(vm)
    ok(vm.run("start", NAME))
    time.sleep(1.1)
    assert len(files(vm)) == 2
    assert "its undo snapshot ended at" in ok(vm.run("gc"))
    assert len(files(vm)) == 2
    ok(vm.run("gc", "--execute", "--force-clock"))
    assert is_just_one_disk(vm)
    off(vm)
    assert image(vm)[200 * MIB:202 * MIB] == bytes([7]) * (2 * MIB)


def test_what_cannot_be_is_refused_and_changes_nothing(vm):
    def refused(sentence, *words):
        before = vm.kept(NAME)
        run = vm.run(*words)
        assert run.returncode != 0 and sentence in run.stderr, run.stderr
        assert vm.kept(NAME) == before
    refused("has no undo snapshot", "snapshot", "undo", NAME)
    refused("has no undo snapshot", "snapshot", "keep", NAME)
    refused("there is no VM named", "snapshot", "take", "no-such")
    snapshot(vm, "take")
    refused("has an undo snapshot already", "snapshot", "take", NAME)
    refused("grows only without one", "configure", NAME, "--disk", "2")
    vm.virsh("managedsave", NAME)
    refused(f"memory of {NAME} is saved", "snapshot", "undo", NAME)
    refused(f"memory of {NAME} is saved", "snapshot", "keep", NAME)
    ok(vm.run("start", NAME))
    vm.virsh("snapshot-create-as", NAME, "theirs", "--disk-only", "--no-metadata")
    refused("another program's layer", "snapshot", "undo", NAME)
    vm.virsh("blockcommit", NAME, "vda", "--active", "--shallow", "--pivot", "--wait")
    (vm.state / "vms" / f"{NAME}.{files(vm)[0].split('.')[1]}.theirs").unlink(missing_ok=True)
    for left in files(vm):
        if left.endswith(".theirs"):
            (vm.state / "vms" / left).unlink()
    snapshot(vm, "undo")


def test_a_vm_with_a_snapshot_is_backed_up_as_its_guest_sees_it(vm):
    vm.set_up_backups()
    snapshot(vm, "take")
    write(vm, 7, 200)
    off(vm)
    ok(vm.run("backup", NAME))
    to = vm.root / "extracted"
    ok(vm.run("backup", "extract", f"{NAME}@latest", "--to", to))
    assert image(vm, to / "vda.qcow2") == image(vm)
    snapshot(vm, "keep")


def test_a_vm_that_runs_is_backed_up_before_with_and_after_a_snapshot(vm):
    """A backup of a VM that runs leaves a checkpoint, which the snapshot, its undo and its keep have to live with."""
    vm.set_up_backups()

    def backed_up(*numbers):
        ok(vm.run("backup", NAME))
        to = vm.root / f"running-{len(numbers)}"
        ok(vm.run("backup", "extract", f"{NAME}@latest", "--to", to))
        restored = image(vm, to / "vda.qcow2")
        for number, at in numbers:
            assert restored[at * MIB:(at + 2) * MIB] == bytes([number]) * (2 * MIB), f"{at} MiB are not {number}"
    backed_up((1, 100))
    snapshot(vm, "take")
    write(vm, 7, 200)
    backed_up((1, 100), (7, 200))
    write(vm, 8, 300)
    snapshot(vm, "keep")
    backed_up((1, 100), (7, 200), (8, 300))
    snapshot(vm, "take")
    write(vm, 9, 200)
    snapshot(vm, "undo")
    backed_up((1, 100), (7, 200), (8, 300), (0, 500))
    assert is_just_one_disk(vm)


def test_an_overlay_that_no_checkpoint_knows_of_is_read_whole_and_so_is_the_disk_after_its_undo(vm):
    """A checkpoint's record of writes is in the layer below, where QEMU finds it although it tells of no write to the overlay."""
    vm.set_up_backups()
    off(vm)
    write_off(vm, 1, 150)  # a chunk that the backup has already
    ok(vm.run("start", NAME))
    ok(vm.run("backup", NAME))
    off(vm)
    snapshot(vm, "take")
    write_off(vm, 7, 150)

    def is_backed_up(when):
        ok(vm.run("backup", NAME))
        to = vm.root / f"layer-{when}"
        ok(vm.run("backup", "extract", f"{NAME}@latest", "--to", to))
        assert image(vm, to / "vda.qcow2") == image(vm), when
    is_backed_up("with it")
    snapshot(vm, "undo")
    is_backed_up("after its undo")
