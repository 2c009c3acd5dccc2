# SPDX-License-Identifier: MIT
"""Backups of real VMs that run or are paused: what is stored is the disk as it was frozen, to the byte; the guest runs on,
whoever is killed; the next backup reads what was written since, and nothing is left but one checkpoint."""

import json
import os
import pathlib
import random
import signal
import time

import pytest
import seeds
from machine import sh, wait_until
from test_backup import helpers, restored

CHUNK = 256 * 1024
NAME = f"live-{os.getpid()}"  # libvirt may have another machine's VMs
OTHER = f"other-{os.getpid()}"


@pytest.fixture(scope="module")
def vm(whole_module):
    """One VM that runs, and a repository of restic's user."""
    machine = whole_module
    assert machine.create(NAME).returncode == 0
    machine.set_up_backups()
    yield machine
    assert machine.run("destroy", NAME).returncode == 0
    assert machine.leftovers() == {}


@pytest.fixture(autouse=True)
def nothing_is_left(vm):
    """After each test: the guest runs and can write, and nothing of a backup is there but one checkpoint."""
    yield
    assert vm.run("start", NAME).returncode == 0
    answers(vm)
    wait_until("no helper is left", 20, lambda: not helpers(vm))
    assert left(vm) == []
    assert len(checkpoints(vm)) <= 1 or not alive(vm)


def answers(machine):
    wait_until("the agent answers", 120, lambda: machine.run("guest-exec", NAME, "true").returncode == 0)


def left(machine):
    """Scratch files, sockets' folders, mounts and jobs."""
    found = [name for name in machine.volumes() if "scratch" in name]
    sockets = machine.root / "var/cache/blockhost/backup-nbd"
    found += [str(each) for each in sockets.iterdir()] if sockets.exists() else []
    found += [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if str(machine.root) in line]
    job = machine.virsh("domjobinfo", NAME, check=False)
    return found + ([job] if "Backup" in job or "Unbounded" in job else [])


def alive(machine):
    return machine.states()[NAME] == "alive"


def checkpoints(machine):
    return machine.virsh("checkpoint-list", NAME, "--name").split()


def disk(machine):
    name, = (each for each in machine.volumes() if each.startswith(NAME + ".") and each.endswith(".qcow2"))
    return machine.state / "vms" / name


def write(machine, at_mib, mib=1):
    """The guest writes what nobody has written before, and makes sure of it."""
    done = machine.run("guest-exec", NAME, f"dd if=/dev/urandom of=/dev/vda bs=1M count={mib} seek={at_mib} conv=notrunc,fsync")
    assert done.returncode == 0, done.stderr


def image(machine):
    """What is on the disk; the guest writes nothing by itself."""
    out = machine.root / "image.raw"
    sh("qemu-img", "convert", "-U", "-O", "raw", disk(machine), out)
    return out.read_bytes()


def back_up(machine):
    run = machine.run("backup", NAME, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout) | {"stderr": run.stderr}


def test_a_running_vm_is_backed_up_and_then_what_it_wrote_since(vm):
    write(vm, 100, 8)
    process = vm.processes()[NAME]
    first = back_up(vm)
    assert first["chunks"] == first["chunks_read"] and first["consistency"] == "crash"
    assert "are not frozen" in first["stderr"]  # the quick guest has mounted no disk
    assert restored(vm, first["id"]) == image(vm)
    assert len(checkpoints(vm)) == 1 and left(vm) == []
    write(vm, 300)
    write(vm, 104)
    second = back_up(vm)
    assert second["chunks_read"] == 8 and second["chunks"] == first["chunks"] + 4, second
    assert restored(vm, second["id"]) == image(vm)
    third = back_up(vm)
    assert third["chunks_read"] == 0 and restored(vm, third["id"]) == image(vm)
    assert vm.processes()[NAME] == process and len(checkpoints(vm)) == 1


def test_a_paused_vm_is_backed_up_and_stays_paused(vm):
    write(vm, 310)
    vm.virsh("suspend", NAME)
    made = back_up(vm)
    assert "it is paused" in made["stderr"] and restored(vm, made["id"]) == image(vm)
    assert vm.virsh("domstate", NAME).strip() == "paused"
    vm.virsh("resume", NAME)


def test_what_was_written_over_an_off_backup_and_a_restart_is_on_record(vm):
    back_up(vm)
    write(vm, 320)
    assert vm.run("stop", NAME).returncode == 0
    sh("qemu-io", "-f", "qcow2", "-c", f"write -P 5 {330 << 20} {CHUNK}", disk(vm))
    off = back_up(vm)
    assert off["consistency"] == "off" and off["chunks_read"] == 5 and restored(vm, off["id"]) == image(vm)
    assert back_up(vm)["chunks_read"] == 0
    assert vm.run("start", NAME).returncode == 0
    answers(vm)
    write(vm, 340)
    on = back_up(vm)
    assert on["chunks_read"] == 9, on  # the record is of what was written since the last backup of a running VM
    assert restored(vm, on["id"]) == image(vm) and "all of the disk" not in on["stderr"]


@pytest.mark.parametrize("loss", ["libvirt's knowledge", "the record", "what is remembered"])
def test_a_lost_record_costs_a_read_and_never_a_backup(vm, loss):
    back_up(vm)
    write(vm, 350)
    checkpoint, = checkpoints(vm)
    if loss == "libvirt's knowledge":
        vm.virsh("checkpoint-delete", NAME, checkpoint, "--metadata")
    elif loss == "the record":
        blocks = json.loads(vm.virsh("qemu-monitor-command", NAME, '{"execute": "query-block"}'))["return"]
        node, = [each["inserted"]["node-name"] for each in blocks if each.get("inserted", {}).get("file") == str(disk(vm))]
        vm.virsh("qemu-monitor-command", NAME, json.dumps(
            {"execute": "block-dirty-bitmap-remove", "arguments": {"node": node, "name": checkpoint}}))
    else:
        (vm.state / f"backup/{NAME}.json").unlink()
    made = back_up(vm)
    assert restored(vm, made["id"]) == image(vm) and len(checkpoints(vm)) == 1
    if loss == "libvirt's knowledge":
        assert made["chunks_read"] == 4 and "all of the disk" not in made["stderr"]
    else:
        assert made["chunks_read"] == made["chunks"]
        assert ("all of the disk is read" in made["stderr"]) == (loss == "the record")
    write(vm, 350)
    again = back_up(vm)
    assert again["chunks_read"] == 4 and restored(vm, again["id"]) == image(vm)


def under_way(machine, step):
    """A backup that has begun that step, or is over."""
    process = machine.start("backup", NAME, "--json")
    journal = machine.state / f"journal/{NAME}.journal"
    while process.poll() is None:
        try:
            if f'"start": "{step}"' in (text := journal.read_text()) or f'"start":"{step}"' in text:
                break
        except OSError:
            pass
    return process


STEPS = ["reserve", "freeze", "begin", "thaw", "look", "store", "commit", "end", "tidy"]


@pytest.mark.parametrize("step", seeds.some_of(STEPS, 3, "backup killed"))
def test_killed_at_any_step_the_guest_runs_on_and_the_next_backup_is_whole(vm, step):
    chance = random.Random(step)
    write(vm, 90)  # what the last backup need not read
    back_up(vm)
    for _ in range(2):
        write(vm, 400 + chance.randrange(50), 2)
        process = under_way(vm, step)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate(timeout=60)
        write(vm, 460 + chance.randrange(20))
        assert vm.run("recover", NAME).returncode == 0
        assert left(vm) == [] and vm.virsh("domstate", NAME).strip() == "running"
        assert f"{NAME}.journal" not in vm.names("journal")
    made = back_up(vm)
    assert "all of the disk" not in made["stderr"] and made["chunks_read"] < made["chunks"]
    assert restored(vm, made["id"]) == image(vm) and len(checkpoints(vm)) == 1


def stopped_in_store(machine):
    """A backup whose restic is at work, and held there."""
    process = machine.start("backup", NAME, "--json")

    def held():
        for pid in helpers(machine):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"restic") and b"backup" in words:
                os.kill(int(pid), signal.SIGSTOP)
                return True
        return process.poll() is not None
    wait_until("restic is at work", 60, held)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("victim", seeds.some_of(["imgtree", "restic", "QEMU", "the guest"], 2, "backup of one that runs"))
def test_whoever_dies_in_the_middle_the_next_backup_is_whole(vm, victim):
    write(vm, 90)  # what the next backup need not read
    back_up(vm)
    write(vm, 500, 4)
    process = stopped_in_store(vm)
    write(vm, 502, 4)
    if victim == "QEMU":
        os.kill(vm.processes()[NAME][0], signal.SIGKILL)
    elif victim == "the guest":
        vm.virsh("destroy", NAME)
    else:
        for pid in helpers(vm):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(victim.encode()):
                os.kill(int(pid), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0, err
    if victim in ("QEMU", "the guest"):
        assert "went off while it was backed up" in err
        assert left(vm) == [] and vm.run("start", NAME).returncode == 0
        answers(vm)
    assert left(vm) == []
    write(vm, 510)
    made = back_up(vm)
    assert restored(vm, made["id"]) == image(vm) and len(checkpoints(vm)) == 1
    assert (made["chunks_read"] == made["chunks"]) == (victim == "QEMU"), made


def test_a_record_that_qemu_did_not_close_is_told_of_before_it_costs_a_full_read(vm):
    back_up(vm)
    assert vm.run("kill", NAME).returncode == 0 and vm.run("start", NAME).returncode == 0  # the record is in the file now
    answers(vm)
    os.kill(vm.processes()[NAME][0], signal.SIGKILL)
    wait_until("the VM is off", 20, lambda: vm.states()[NAME] == "off")
    lost = f"the record of what {NAME} wrote was not closed when it went off: its next backup reads all of the disk"
    assert lost in vm.run("detect", "--explain").stdout
    started = vm.run("start", NAME)
    assert started.returncode == 0 and lost in started.stderr
    answers(vm)
    write(vm, 640)
    made = back_up(vm)
    assert made["chunks_read"] == made["chunks"] and "cannot be used" in made["stderr"]
    assert restored(vm, made["id"]) == image(vm)


@pytest.mark.parametrize("state", ["running", "off"])
def test_a_disk_that_somebody_attached_is_told_of_and_left_out(vm, state):
    other = vm.root / "attached.raw"
    other.write_bytes(b"somebody's" * 100_000)
    vm.virsh("attach-disk", NAME, other, "vdz", "--persistent", "--subdriver", "raw")
    if state == "off":
        assert vm.run("kill", NAME).returncode == 0
    try:
        write(vm, 620) if state == "running" else None
        made = vm.run("backup", NAME, "--json")
        assert made.returncode == 0, made.stderr
        assert f"what is attached to {NAME} besides its own disk is not in the backup: vdz" in made.stderr
        assert restored(vm, json.loads(made.stdout)["id"]) == image(vm)
    finally:
        if vm.states()[NAME] == "off":
            assert vm.run("start", NAME).returncode == 0
            answers(vm)
        vm.virsh("detach-disk", NAME, "vdz", "--persistent")
        other.unlink()


def test_other_verbs_say_who_is_busy_or_end_the_backup(vm):
    write(vm, 520)
    process = stopped_in_store(vm)
    assert "is busy: backup since" in vm.run("stop", NAME).stderr
    assert vm.run("throttle", NAME, "--cpu-shares", "512").returncode == 0
    assert vm.run("extend", NAME, "--days", "3").returncode == 0
    assert vm.run("status", NAME).returncode == 0
    assert process.poll() is None
    assert vm.run("kill", NAME).returncode == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 11 and left(vm) == [] and not alive(vm), err


def test_a_destroy_ends_the_backup_and_takes_the_checkpoint_with_it(vm):
    assert vm.create(OTHER).returncode == 0
    process = vm.start("backup", OTHER)
    wait_until("it is at work", 60, lambda: f"{OTHER}.journal" in vm.names("journal") or process.poll() is not None)
    assert vm.run("destroy", OTHER).returncode == 0
    process.communicate(timeout=60)
    assert [each for each in vm.volumes() if each.startswith(OTHER)] == []
    assert vm.create(OTHER).returncode == 0
    assert vm.run("backup", OTHER).returncode == 0
    assert vm.run("destroy", OTHER).returncode == 0
    assert [each for each in vm.volumes() if each.startswith(OTHER)] == []


def test_the_frozen_disk_is_for_root_and_qemu_alone(vm):
    write(vm, 530)
    process = stopped_in_store(vm)
    folder = vm.root / f"var/cache/blockhost/backup-nbd/{NAME}"
    assert folder.stat().st_mode & 0o777 == 0o700 and folder.stat().st_uid == disk(vm).stat().st_uid
    assert (folder / "s").is_socket()
    for pid in helpers(vm):
        os.kill(int(pid), signal.SIGCONT)
    assert process.wait() == 0 and not folder.exists()
