# SPDX-License-Identifier: MIT
"""A backup of a VM that runs, where what the guest overwrites finds no room: the backup is given up, and never the guest."""

import json
import os

import pytest
from machine import Machine, sh, wait_until
from test_backup import helpers
from test_backup_running import NAME, alive, checkpoints, disk, image, left, restored, stopped_in_store, write

MIB = 1 << 20
ROOM = 500 * MIB
DATA = 250  # MiB, of which the guest overwrites each


@pytest.fixture(scope="module")
def vm():
    """One VM that runs, whose disk lies on a file system of its own."""
    machine = Machine("quick")
    disks = machine.state / "vms"
    try:
        before = disks.stat()
        sh("truncate", "-s", str(ROOM), machine.root / "small.img")
        sh("mkfs.ext4", "-q", "-m", "0", machine.root / "small.img")
        sh("mount", "-o", "loop", machine.root / "small.img", disks)
        sh("rmdir", disks / "lost+found")
        os.chown(disks, before.st_uid, before.st_gid)
        disks.chmod(before.st_mode & 0o7777)
        assert machine.create(NAME).returncode == 0
        machine.set_up_backups()
        yield machine
        assert machine.run("destroy", NAME).returncode == 0
    finally:
        machine.wipe()
        sh("umount", disks, check=False)
        machine.close()


def test_a_guest_that_finds_no_room_for_what_it_overwrites_runs_on_and_the_backup_is_given_up(vm):
    write(vm, 0, DATA)
    process = stopped_in_store(vm)
    writer = vm.start("guest-exec", NAME, f"dd if=/dev/urandom of=/dev/vda bs=1M count={DATA} conv=notrunc,fsync")
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and "the backup is given up, so that the guest runs on" in err, err
    wait_until("the guest runs", 20, lambda: vm.virsh("domstate", NAME).strip() == "running")
    assert [line for line in left(vm) if str(vm.state / "vms") not in line] == []
    out, err = writer.communicate(timeout=120)
    assert writer.returncode == 0, err
    assert checkpoints(vm) == [] and helpers(vm) == [] and alive(vm)
    made = json.loads(vm.run("backup", NAME, "--json").stdout)
    assert restored(vm, made["id"]) == image(vm)


def test_without_room_a_backup_is_refused_before_anything_is_done(vm):
    filler = vm.state / "vms/filler"
    free = os.statvfs(disk(vm).parent)
    sh("fallocate", "-l", str(free.f_bavail * free.f_frsize - 20 * MIB), filler)
    had = checkpoints(vm)
    try:
        refused = vm.run("backup", NAME)
    finally:
        filler.unlink()
    assert refused.returncode != 0 and "what the guest overwrites while it is backed up may take" in refused.stderr
    assert "make room there" in refused.stderr and checkpoints(vm) == had and alive(vm)
