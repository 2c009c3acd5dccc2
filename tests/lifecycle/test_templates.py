# SPDX-License-Identifier: MIT
"""Versions of the template on the simulated world: what stands on which, and what prune removes."""

import fcntl
import json
import struct
import subprocess

import pytest
from simulated import made
from simulated_templates import (  # noqa: F401
    PRUNE, VERSION, backing, build, current, disks, disks_have_what_they_stand_on, everything, image, listed, mock,
    no_leftovers, prune, templates, three, versions, write_qcow2)


# What stands on what


def test_a_create_uses_the_version_of_its_time_by_its_own_name(mock):
    first = build(mock, "one")
    made(mock)
    second = build(mock, "two")
    assert mock.create("vm-2").returncode == 0
    stands = {path.name.split(".")[0]: backing(path) for path in disks(mock)}
    assert stands == {"vm-1": str(image(mock, first)), "vm-2": str(image(mock, second))}
    assert listed(mock) == {first: ["vm-1"], second + "*": ["vm-2"]}


def test_the_list_says_what_stands_on_each_version(three):
    assert three.create("vm-2").returncode == 0
    assert listed(three) == {three.old: ["vm-1"], three.idle: [], three.now + "*": ["vm-2"]}
    lines = [line.split() for line in three.run("templates").stdout.splitlines()]
    assert lines[0] == ["VERSION", "CURRENT", "MADE", "SIZE", "USED", "BY"]
    assert [(line[0], "yes" in line, line[-1]) for line in lines[1:]] == [
        (three.old, False, "vm-1"), (three.idle, False, "-"), (three.now, True, "vm-2")]


def test_a_look_changes_nothing(three):
    before = everything(three)
    three.run("templates")
    three.run("templates", "--json")
    run = prune(three, "--dry-run")
    assert run.stdout == f"Would remove {three.idle} (256 KiB)\n"
    assert everything(three) == before


def test_a_list_that_cannot_know_the_users_says_so(three):
    three.behave(down=True)
    run = three.run("templates", "--json")
    assert run.returncode == 0 and "what stands on the versions is not known" in run.stderr
    assert [each["used_by"] for each in json.loads(run.stdout)["versions"]] == [None] * 3


def test_a_build_back_to_an_older_version_moves_the_link_only(three):
    assert build(three, "old") == three.old
    assert listed(three) == {three.old + "*": ["vm-1"], three.idle: [], three.now: []}
    assert three.create("vm-2").returncode == 0
    assert listed(three)[three.old + "*"] == ["vm-1", "vm-2"]


# What prune removes


def test_prune_removes_what_nothing_stands_on_and_after_the_last_vm_the_rest(three):
    assert prune(three).stdout == f"Removed {three.idle} (256 KiB)\n"
    assert versions(three) == sorted([three.old, three.now])
    assert prune(three).stdout == ""
    assert three.run("destroy", "vm-1").returncode == 0
    assert prune(three).stdout == f"Removed {three.old} (256 KiB)\n"
    assert versions(three) == [three.now] and current(three) == three.now
    assert prune(three).stdout == ""
    no_leftovers(three)


def test_the_current_version_is_never_removed(mock):
    only = build(mock, "one")
    assert prune(mock).stdout == "" and versions(mock) == [only] and current(mock) == only


def test_a_removed_version_can_be_built_again(three):
    prune(three)
    assert build(three, "idle") == three.idle
    assert versions(three) == sorted([three.old, three.idle, three.now])


def test_a_version_below_another_disk_of_the_pool_is_kept(three):
    """An overlay of an overlay, and a file of no VM's name."""
    folder = three.folder / "mock-world/vms"
    write_qcow2(folder / "between.img", image(three, three.idle))
    write_qcow2(folder / "snapshot-of-mine", folder / "between.img")
    assert prune(three).stdout == "" and len(versions(three)) == 3
    assert [name.rpartition("/")[2] for name in listed(three)[three.idle]] == ["between.img", "snapshot-of-mine"]


def test_a_disk_that_names_its_version_by_a_relative_path_or_a_link_keeps_it(three):
    folder = three.folder / "mock-world/vms"
    write_qcow2(folder / "relative.img", f"../templates/blockhost-base-{three.idle}.qcow2")
    assert prune(three).stdout == ""
    (folder / "relative.img").unlink()
    (three.folder / "alias").symlink_to(image(three, three.idle))
    write_qcow2(folder / "by-link.img", three.folder / "alias")
    assert prune(three).stdout == ""
    (folder / "by-link.img").unlink()
    assert three.idle in prune(three).stdout


def foreign(world, source, name="foreign", state="off"):
    """Somebody else's domain with that disk."""
    folder = world.folder / "mock-world/domains"
    known = json.loads((folder / "vm-1.json").read_text())
    uuid = "f" * 8 + known["uuid"][8:]
    (folder / f"{name}.json").write_text(json.dumps(known | {"uuid": uuid, "state": state}))
    (folder / f"{name}.xml").write_text(
        f"<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>128</memory><vcpu>1</vcpu>"
        f"<os><type>hvm</type></os><devices>{source}</devices></domain>")


@pytest.mark.parametrize("state", ["off", "running"])
@pytest.mark.parametrize("source", [
    "<disk type='file' device='disk'><source file='{disk}'/><target dev='vda'/></disk>",
    "<disk type='file'><source file='{disk}'/><target dev='vda'/></disk>",
    "<disk type='file' device='disk'><source file='{image}'/><readonly/><target dev='vdb'/></disk>",
    "<disk type='file' device='disk'><source file='{plain}'/><backingStore type='file'><format type='qcow2'/>"
    "<source file='{image}'/></backingStore><target dev='vda'/></disk>",
    "<disk type='block' device='disk'><source dev='{disk}'/><target dev='vda'/></disk>"])
def test_a_foreign_domains_disk_keeps_its_version(three, source, state):
    disk, plain = three.folder / "elsewhere.qcow2", three.folder / "plain.raw"
    write_qcow2(disk, image(three, three.idle))
    plain.write_bytes(b"\0" * 4096)
    foreign(three, source.format(disk=disk, image=image(three, three.idle), plain=plain), state=state)
    assert prune(three).stdout == ""
    assert listed(three)[three.idle] == ["foreign"]


def test_a_foreign_domains_volume_keeps_its_version(three):
    pool = (three.folder / "mock-world/pools").iterdir().__next__().stem
    write_qcow2(three.folder / "mock-world/vms/theirs.img", image(three, three.idle))
    foreign(three, f"<disk type='volume' device='disk'><source pool='{pool}' volume='theirs.img'/><target dev='vda'/></disk>")
    assert prune(three).stdout == "" and "foreign" in listed(three)[three.idle]


def test_a_foreign_domain_without_disks_or_with_a_network_disk_hinders_nobody(three):
    foreign(three, "", "diskless")
    foreign(three, "<disk type='network' device='disk'><source protocol='rbd' name='a/b'/><target dev='vda'/></disk>"
                   "<disk type='file' device='cdrom'><target dev='sda'/></disk>", "far")
    assert three.idle in prune(three).stdout


def lose(world, *paths):
    for path in paths:
        path.unlink()


def domain_files(world, name="vm-1"):
    return [world.folder / f"mock-world/domains/{name}{suffix}" for suffix in (".xml", ".json")]


def strange_name(world, name):
    """A disk whose backing file's name is no path, though there is a file at that path."""
    file = world.folder / "mock-world/vms" / name
    file.parent.mkdir(parents=True)
    file.touch()
    write_qcow2(world.folder / "mock-world/vms/strange.qcow2", name)


BLINDNESS = {
    "the registry is torn": lambda w: (w.folder / "mock-db.json").write_text('{"vms": {"vm-1": '),
    "the registry is empty": lambda w: (w.folder / "mock-db.json").write_text(""),
    "a record cannot be read": lambda w: w.write(w.registry() | {"vms": w.registry()["vms"] | {"odd": {"status": "frozen"}}}),
    "a journal entry is a folder": lambda w: (w.folder / "mock-world/journal/aaa.journal").mkdir(),
    "a disk stands on what is no path": lambda w: write_qcow2(
        w.folder / "mock-world/vms/strange.qcow2", 'json:{"driver":"qcow2","file":{"driver":"file","filename":"/x"}}'),
    "a disk stands on a network's image": lambda w: write_qcow2(w.folder / "mock-world/vms/strange.qcow2", "nbd://127.0.0.1/x"),
    "a disk stands on a network's image, and there is a file of that name": lambda w: strange_name(w, "nbd:/127.0.0.1/x"),
    "a disk is cut off": lambda w: (w.folder / "mock-world/vms/strange.qcow2").write_bytes(b"QFI\xfb\0\0\0\x03"),
    "a disk stands on what is gone": lambda w: write_qcow2(w.folder / "mock-world/vms/strange.qcow2", "/nowhere/base.qcow2"),
    "disks stand on each other": lambda w: write_qcow2(w.folder / "mock-world/vms/strange.qcow2", "strange.qcow2"),
    "a VM has neither disk nor domain": lambda w: lose(w, *disks(w), *domain_files(w)),
    "a VM's domain has lost its disk": lambda w: lose(w, *disks(w)),
    "a foreign domain's disk is gone": lambda w: foreign(
        w, "<disk type='file' device='disk'><source file='/nowhere/x.qcow2'/><target dev='vda'/></disk>"),
    "a foreign domain's pool is unknown": lambda w: foreign(
        w, "<disk type='volume' device='disk'><source pool='nowhere' volume='x'/><target dev='vda'/></disk>"),
    "the hypervisor is down": lambda w: w.behave(down=True),
}


@pytest.mark.parametrize("what", BLINDNESS)
def test_prune_removes_nothing_when(three, what):
    BLINDNESS[what](three)
    for words in ((), ("--dry-run",)):
        run = three.run(*PRUNE, *words)
        assert run.returncode not in (0, 2) and "ERROR" in run.stderr.splitlines()[-1], run.stdout + run.stderr
        assert run.stdout == ""
        assert versions(three) == sorted([three.old, three.idle, three.now])


def test_a_running_guest_that_nobody_knows_of_keeps_its_version(three):
    """A qemu-img or QEMU of somebody's has the image locked; the others go."""
    lock = ("import fcntl, sys, struct; f = open(sys.argv[1]); "
            "fcntl.fcntl(f, 37, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 100, 1, 0)); print('held', flush=True); "
            "sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", lock, image(three, three.idle)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        prune(three)
        assert three.idle in versions(three)
        assert listed(three)[three.idle] == ["a running guest"]
        process.stdin.close()
    assert three.idle in prune(three).stdout


# The base of the 0.2.0 provisioner, which every simulated world begins with


def test_the_old_base_stays_while_a_disk_stands_on_it_and_then_makes_way_for_the_link(mock):
    made(mock)
    base = templates(mock) / "blockhost-base.qcow2"
    before = base.stat(), base.read_bytes()
    version = build(mock, "one")
    assert (base.stat().st_ino, base.read_bytes()) == (before[0].st_ino, before[1]) and not base.is_symlink()
    assert json.loads(mock.run("templates", "--json").stdout)["old_base"] == {"image": str(base), "used_by": ["vm-1"]}
    assert prune(mock).stdout == "" and not base.is_symlink()
    assert mock.create("vm-2").returncode == 0
    assert mock.run("destroy", "vm-1").returncode == 0
    assert "Would remove the base of the 0.2.0 provisioner" in prune(mock, "--dry-run").stdout and not base.is_symlink()
    assert "Removed the base of the 0.2.0 provisioner" in prune(mock).stdout
    assert base.is_symlink() and current(mock) == version and not (templates(mock) / "blockhost-base.current").is_symlink()
    disks_have_what_they_stand_on(mock)
    assert mock.create("vm-3").returncode == 0
    assert listed(mock) == {version + "*": ["vm-2", "vm-3"]}


def test_the_old_base_stays_while_there_is_no_version(mock):
    made(mock)
    assert mock.run("destroy", "vm-1").returncode == 0
    assert prune(mock).stdout == ""
    assert (templates(mock) / "blockhost-base.qcow2").is_file()
    made(mock)
