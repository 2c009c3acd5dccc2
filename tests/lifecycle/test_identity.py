# SPDX-License-Identifier: MIT
"""The simulated world's copies, renamed domains and layered disks: what is ours, and what goes with it."""

import re
import signal
import subprocess

import pytest
from simulated import Mock, gc, in_worlds, made, points_of, thinned

UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def domains(world):
    return world.folder / "mock-world/domains"


def disk_of(world, name="vm-1"):
    return re.search(r"<source file='?\"?([^'\"]*vms/[^'\"]*)", (domains(world) / f"{name}.xml").read_text()).group(1)


def copy_domain(world):
    """What virt-clone makes of vm-1: another name, uuid and disk."""
    xml, state = ((domains(world) / f"vm-1.{end}").read_text() for end in ("xml", "json"))
    uuid, disk = re.search("<uuid>(.*?)</uuid>", xml).group(1), disk_of(world)
    own = world.folder / "mock-world/vms/copy.qcow2"
    own.write_bytes(open(disk, "rb").read())
    xml = xml.replace("<name>vm-1<", "<name>copy<", 1).replace(f"<uuid>{uuid}<", f"<uuid>{UUID}<").replace(disk, str(own))
    (domains(world) / "copy.xml").write_text(xml)
    (domains(world) / "copy.json").write_text(state.replace(uuid, UUID))
    return own


def rename(world, name, now):
    for end in ("xml", "json"):
        path = domains(world) / f"{name}.{end}"
        path.write_text(path.read_text().replace(f"<name>{name}<", f"<name>{now}<", 1))
        path.rename(domains(world) / f"{now}.{end}")


def add_layer(world, name="vm-1", snapshot="s1"):
    """As virsh snapshot-create-as --disk-only does."""
    disk = disk_of(world, name)
    over = disk.rsplit(".", 1)[0] + "." + snapshot
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, over], check=True)
    path = domains(world) / f"{name}.xml"
    path.write_text(path.read_text().replace(disk, over))
    return over


def test_a_copy_is_neither_adopted_nor_destroyed_and_keeps_nothing_of_its_original(mock):
    own = copy_domain(mock)
    run = mock.run("destroy", "copy")
    assert run.returncode == 1 and "copy is taken by a copy of vm-1" in run.stderr
    gc(mock)
    assert list(mock.registry()["vms"]) == ["vm-1"]
    assert mock.run("destroy", "vm-1").returncode == 0
    assert own.exists() and mock.files("vms") == ["copy.qcow2"]
    assert mock.registry()["allocated_ips"] == [] and mock.files("network") == []


def test_a_renamed_vm_is_untouched_under_both_names(mock):
    rename(mock, "vm-1", "now")
    for verb in ("start", "stop", "kill", "destroy"):
        run = mock.run(verb, "vm-1")
        assert run.returncode == 1 and "was renamed to now in libvirt" in run.stderr
        assert mock.run(verb, "now").returncode == 1
    assert mock.run("status", "vm-1").stdout == "unknown\n"
    assert "renamed" in gc(mock).stdout
    mock.expire()
    gc(mock, status=1)
    assert mock.domain("now") == "running" and mock.files("vms") != []
    rename(mock, "now", "vm-1")
    gc(mock)
    assert mock.record()["status"] == "suspended"


def layered(world):
    made(world)
    add_layer(world)
    add_layer(world, snapshot="s2")


def test_a_destroy_of_a_layered_disk_that_is_killed_at_any_point_removes_all_of_it_the_next_time():
    points = points_of(("destroy", "vm-1"), layered)

    def job(world, n):
        layered(world)
        assert len(world.files("vms")) == 3
        killed = world.run("destroy", "vm-1", fault=f"kill@{n}")
        assert killed.returncode == -signal.SIGKILL
        assert world.run("destroy", "vm-1").returncode == 0
        assert world.files("vms") == []
        world.check([])

    assert in_worlds(job, thinned(range(1, points + 1))) == []


def test_a_storage_folder_that_is_gone_is_not_an_empty_one(mock):
    folder = mock.folder / "mock-world/vms"
    folder.rename(folder.with_name("away"))
    for run in (mock.run("destroy", "vm-1"), mock.create("vm-2")):
        assert run.returncode == 1 and "is missing; nothing was touched" in run.stderr
    assert not folder.exists() and mock.domain() == "running"
    folder.with_name("away").rename(folder)
    assert mock.run("destroy", "vm-1").returncode == 0
