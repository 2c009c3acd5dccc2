# SPDX-License-Identifier: MIT
"""What is done on a node itself: by root's own programs, for the node that is meant, and for nobody else's disk."""

import pytest
from conftest import Proxmox
from platform_process import Failed

USB = {"guest": "storage:usb-1", "incarnation": "filesystem:1A2B-3C4D"}


@pytest.fixture
def world(tmp_path):
    made = Proxmox(tmp_path)
    yield made
    made.close()


def begin(world, kind, target=None, **action):
    wanted = {**(target or USB), "action": {"kind": kind, **action}}
    return world.platform.do("begin", **wanted, note=world.platform.do("note", **wanted))


def calls(world):
    path = world.root / "pct-calls"
    return path.read_text() if path.exists() else ""


def test_a_containers_features_are_set_by_pct_and_a_vm_has_none(world):
    world.standin.add_container(150, network=True)
    world.add(100)
    assert world.platform.do("await", handle=world.platform.begin(150, "set-features", features=["keyctl", "nesting"]))["phase"] == "done"
    assert calls(world) == "set 150 --features keyctl=1,nesting=1\n"
    with pytest.raises(Failed, match="a VM has no features"):
        world.platform.begin(100, "set-features", features=["keyctl"])
    with pytest.raises(Failed, match="made anew"):
        world.platform.begin(150, "set-features", incarnation="created:1", features=["keyctl"])
    assert calls(world).count("\n") == 1


def test_a_disk_is_mounted_by_its_file_system_and_has_its_line(world):
    begin(world, "mount", point="/mnt/usb-1")
    assert (world.root / "etc/fstab").read_text().endswith("UUID=1A2B-3C4D /mnt/usb-1 auto nofail,nosuid,nodev,x-blockhost-libvirt 0 0\n")
    with pytest.raises(Failed, match="no disk with the file system 5E6F-7A8B"):
        begin(world, "mount", {"guest": "storage:usb-1", "incarnation": "filesystem:5E6F-7A8B"}, point="/mnt/usb-2")


def test_a_disk_that_a_backup_is_written_to_stays_mounted(world):
    begin(world, "mount", point="/mnt/usb-1")
    (world.root / "usr/bin/umount").write_text("#!/bin/sh\necho 'umount: /mnt/usb-1: target is busy.' >&2; exit 32\n")
    before = (world.root / "etc/fstab").read_text()
    with pytest.raises(Failed, match="target is busy") as failed:
        begin(world, "unmount", point="/mnt/usb-1")
    assert failed.value.code == "program" and (world.root / "etc/fstab").read_text() == before
    assert world.platform.do("is-mounted", **USB, point="/mnt/usb-1") is True


def test_another_machine_than_the_node_is_left_alone(world):
    (world.root / "etc/pve/local").unlink()
    (world.root / "etc/pve/local").symlink_to("nodes/pve2")
    (world.root / "etc/pve/nodes/pve2").mkdir()
    with pytest.raises(Failed, match="mounting a disk needs the node pve1, and this machine is pve2"):
        begin(world, "mount", point="/mnt/usb-1")
    with pytest.raises(Failed, match="looking at a disk needs the node pve1"):
        world.platform.do("is-mounted", **USB, point="/mnt/usb-1")


def test_a_program_that_does_not_end_may_have_mounted_it(world):
    """Whether it did is seen afterwards; it is not mounted again."""
    (world.root / "usr/bin/mount").write_text("#!/bin/sh\nexec sleep 60\n")
    world.platform.close()
    world.platform = world.reopened(local_patience_ms=300)
    with pytest.raises(Failed, match="did not end within") as failed:
        begin(world, "mount", point="/mnt/usb-1")
    assert failed.value.code == "no_answer" and failed.value.lost
