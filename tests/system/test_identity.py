# SPDX-License-Identifier: MIT
"""Domains and disks that libvirt's own tools have copied, renamed, defined anew or given layers: what is ours stays ours,
and nothing else becomes it."""

import json
import os
import re
import shutil
import uuid
import xml.etree.ElementTree as ElementTree

import pytest
from machine import sh, wait_until

MARKED_UUID = re.compile(r"(<blockhost:vm [^>]*) uuid=['\"][^'\"]*['\"]")


@pytest.fixture()
def vm(machine, request):
    """A VM that is off, and its name."""
    name = "id-" + re.sub("[^a-z]", "", request.node.name.rsplit("_", 1)[-1]) + "-001"
    assert machine.create(name).returncode == 0
    assert machine.run("kill", name).returncode == 0
    yield name
    for left in machine.domains():
        machine.sh("virsh", "-c", machine.uri, "destroy", left, check=False)


def definition(machine, name):
    return machine.virsh("dumpxml", "--inactive", name)


def define(machine, xml):
    path = machine.root / "edited.xml"
    path.write_text(xml)
    machine.virsh("define", str(path))


def disk_of(machine, name):
    for disk in ElementTree.fromstring(definition(machine, name)).iterfind("devices/disk[@device='disk']/source"):
        return disk.get("file")


def copy_domain(machine, name, copy):
    """What virt-clone does: another name, uuid, MAC and disk, and everything else as it was."""
    disk, xml = disk_of(machine, name), definition(machine, name)
    own = machine.state / "vms" / f"{copy}.qcow2"
    shutil.copy(disk, own)
    xml = xml.replace(f"<name>{name}</name>", f"<name>{copy}</name>", 1).replace(disk, str(own))
    xml = re.sub("<uuid>.*?</uuid>", f"<uuid>{uuid.uuid4()}</uuid>", xml, count=1)
    define(machine, re.sub("<mac address='[^']*'/>", "", xml))
    return own


def remove_domain(machine, name):
    machine.sh("virsh", "-c", machine.uri, "destroy", name, check=False)
    machine.sh("virsh", "-c", machine.uri, "undefine", name, check=False)


def findings(machine):
    return {each["finding"]: each for each in json.loads(machine.run("detect", "--json").stdout)["findings"]}


def refused(run, *words):
    assert run.returncode == 1, run.stdout + run.stderr
    for each in words:
        assert each in run.stderr, run.stderr


def test_a_copy_is_nobodys_and_its_original_is_ours(machine, vm):
    copy = f"{vm}-copy"
    own = copy_domain(machine, vm, copy)
    try:
        assert f"{copy} is a copy of {vm}" in findings(machine)["domains"]["found"]
        found = json.loads(machine.run("gc", "--execute", "--force-clock", "--json").stdout)
        assert copy not in json.dumps(found) and list(machine.registry()["vms"]) == [vm]
        for verb in ("start", "stop", "kill", "destroy"):
            refused(machine.run(verb, copy), f"{copy} is taken by a copy of {vm}; it is left untouched")
        refused(machine.create(copy), f"a copy of {vm}")
        assert machine.run("start", vm).returncode == 0
        before = definition(machine, copy)
        run = machine.run("destroy", vm)
        assert run.returncode == 0, run.stderr
        assert own.exists() and definition(machine, copy) == before
        assert json.loads(machine.run("gc", "--execute", "--force-clock", "--json").stdout)["items"] == []
    finally:
        remove_domain(machine, copy)
        own.unlink()
    assert machine.leftovers() == {}


def test_a_domain_that_was_renamed_is_told_of_under_both_names(machine, vm):
    now = f"{vm}-now"
    machine.virsh("domrename", vm, now)
    try:
        words = f"the domain of {vm} was renamed to {now} in libvirt"
        hint = f"virsh domrename {now} {vm}"
        status = machine.run("status", vm)
        assert status.stdout == "unknown\n" and words in status.stderr and hint in status.stderr
        listed = machine.run("list", "--json")
        assert {"name": vm, "status": "unknown"}.items() <= json.loads(listed.stdout)[-1].items() and words in listed.stderr
        assert findings(machine)["domains"] == {"finding": "domains", "ok": False, "advice": hint,
                                                "found": f"{now} is what was {vm} until it was renamed in libvirt"}
        for verb in ("start", "stop", "kill", "destroy", "resume"):
            refused(machine.run(verb, vm), words, hint)
        for verb in ("start", "stop", "kill", "destroy"):
            refused(machine.run(verb, now), f"{now} is taken by what was {vm}")
        items = json.loads(machine.run("gc", "--execute", "--force-clock", "--json").stdout)["items"]
        assert [item["action"] for item in items if now in json.dumps(item)] == ["report"]
        assert machine.volumes() != []
    finally:
        machine.virsh("domrename", now, vm, check=False)
    assert machine.run("start", vm).returncode == 0
    assert machine.run("destroy", vm).returncode == 0
    assert machine.leftovers() == {}


def test_a_domain_that_was_defined_anew_is_not_the_one_that_create_made(machine, vm):
    xml = definition(machine, vm)
    machine.virsh("undefine", vm)
    define(machine, re.sub("<uuid>.*?</uuid>", "", xml, count=1))
    refused(machine.run("destroy", vm), "was defined anew with another uuid than create gave it")
    refused(machine.run("start", vm), "was defined anew")
    machine.virsh("undefine", vm)
    define(machine, xml)
    assert machine.run("destroy", vm).returncode == 0
    assert machine.leftovers() == {}


def test_metadata_that_an_earlier_build_wrote_still_proves_by_the_name(machine, vm):
    xml = definition(machine, vm)
    assert MARKED_UUID.search(xml)
    define(machine, MARKED_UUID.sub(r"\1", xml))
    assert machine.run("start", vm).returncode == 0
    assert machine.run("destroy", vm).returncode == 0
    assert machine.leftovers() == {}


def test_a_vm_that_was_reverted_to_a_snapshot_is_ours(machine, vm):
    machine.virsh("snapshot-create-as", vm, "before")
    assert machine.run("start", vm).returncode == 0
    machine.virsh("snapshot-revert", vm, "before", "--force")
    assert machine.run("start", vm).returncode == 0
    assert machine.run("destroy", vm).returncode == 0
    assert machine.leftovers() == {}


# one folder, however it is spelled


@pytest.fixture()
def linked(machine):
    link = machine.root / "disks"
    link.symlink_to(machine.state / "vms")
    yield link
    machine.write_db_yaml()
    link.unlink()


def test_a_folder_is_one_however_it_is_spelled(machine, linked):
    """Made where the path ends in a slash, under a link after that, and destroyed under the plain name and the link."""
    machine.write_db_yaml(f"storage_path: {machine.state}//vms/./\n")
    assert machine.create("spelled-001").returncode == 0
    machine.write_db_yaml(f"storage_path: {linked}/\n")
    run = machine.create("spelled-002")
    assert run.returncode == 0, run.stderr
    assert findings(machine)["storage pool"]["ok"]
    run = machine.run("destroy", "spelled-001")
    assert run.returncode == 0, run.stderr
    machine.write_db_yaml()
    run = machine.run("destroy", "spelled-002")
    assert run.returncode == 0, run.stderr
    assert machine.leftovers() == {} and machine.volumes() == []


# what is not mounted is missed


@pytest.fixture()
def own_file_system(machine):
    """A pool on a file system of its own, that can be taken away and brought back with what is on it."""
    place, real = machine.root / "mnt", machine.root / "file-system"
    for folder in (place, real):
        folder.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=512m,mode=0755", "tmpfs", str(real))
    sh("mount", "--bind", str(real), str(place))
    machine.write_db_yaml(f"storage_pool: elsewhere\nstorage_path: {place}/vms\n")
    yield place, real
    (machine.state / "mounts.json").unlink(missing_ok=True)
    machine.write_db_yaml()
    for name in machine.domains():
        remove_domain(machine, name)
    pool = "elsewhere-" + machine.instance()[:8]
    for word in ("pool-destroy", "pool-undefine"):
        machine.sh("virsh", "-c", machine.uri, word, pool, check=False)
    for folder in (place, real):
        sh("umount", str(folder), check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("noted", [True, False])
def test_a_pool_whose_file_system_is_not_mounted_is_missed_and_never_made(machine, own_file_system, noted):
    place, real = own_file_system
    assert machine.create("mounted-001").returncode == 0
    assert machine.run("kill", "mounted-001").returncode == 0
    notes = machine.state / "mounts.json"
    assert json.loads(notes.read_text()) == {"mounted": [str(place)]}
    if not noted:
        notes.unlink()
    machine.virsh("pool-destroy", "elsewhere-" + machine.instance()[:8])
    sh("umount", str(place))
    words = f"the file system of {place}" if noted else "the folder"
    for run in (machine.create("mounted-002"), machine.run("destroy", "mounted-001"),
                machine.run("templates", "--prune")):
        assert run.returncode != 0 and words in run.stderr and "mount" in run.stderr, run.stderr
    if not noted:
        assert machine.run("setup", "storage").returncode != 0
    else:
        assert machine.run("gc", "--execute").returncode != 0
    assert list(place.iterdir()) == [] and "mounted-001" in machine.registry()["vms"]
    assert machine.registry()["vms"]["mounted-001"]["status"] == "active"
    sh("mount", "--bind", str(real), str(place))
    assert machine.create("mounted-002").returncode == 0
    for name in ("mounted-001", "mounted-002"):
        run = machine.run("destroy", name)
        assert run.returncode == 0, run.stderr
    assert list((place / "vms").iterdir()) == []
    assert machine.leftovers() == {}


def test_the_free_room_that_detect_tells_is_the_file_systems_now(machine, own_file_system):
    place, _ = own_file_system
    run = machine.run("setup", "storage")
    assert run.returncode == 0, run.stderr

    def free_mib():
        return float(re.search(r"([\d.]+) MiB free", findings(machine)["storage pool"]["found"])[1])
    before = free_mib()
    (place / "ballast").write_bytes(bytes(200 << 20))  # behind libvirt's back, which looks when the pool is refreshed
    assert before - free_mib() == pytest.approx(200, abs=1)


def test_a_folder_of_the_state_whose_file_system_is_not_mounted_is_missed(machine):
    folders = {machine.state / name: machine.root / f"file-system-{name}" for name in ("templates", "console", "cloud-init")}
    try:
        for place, real in folders.items():
            real.mkdir()
            sh("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(real))
            sh("cp", "-a", f"{place}/.", str(real))
            sh("mount", "--bind", str(real), str(place))
        known = set(machine.registry()["vms"])
        assert machine.create("mounted-001").returncode == 0
        assert set(map(str, folders)) <= set(json.loads((machine.state / "mounts.json").read_text())["mounted"])
        for place, real in folders.items():
            sh("umount", "--lazy", str(place))  # the VM's console is open
            before = sorted(path.name for path in place.iterdir())
            run = machine.create("mounted-002")
            assert run.returncode != 0 and f"the file system of {place}" in run.stderr and "mount" in run.stderr, run.stderr
            assert sorted(path.name for path in place.iterdir()) == before
            assert set(machine.domains()) == {"mounted-001"}
            assert set(machine.registry()["vms"]) == known | {"mounted-001"}
            sh("mount", "--bind", str(real), str(place))
        run = machine.run("destroy", "mounted-001")
        assert run.returncode == 0, run.stderr
        assert machine.leftovers() == {}
    finally:
        for name in machine.domains():
            remove_domain(machine, name)
        for place, real in folders.items():
            for each in (place, real):
                sh("umount", "--lazy", str(each), check=False)
            shutil.rmtree(real, ignore_errors=True)
        (machine.state / "mounts.json").unlink(missing_ok=True)


def test_a_state_folder_without_its_content_is_missed(machine, vm):
    """The instance's id made anew would make a stranger of every VM."""
    id_file = machine.state / "instance-id"
    away = machine.root / "instance-id"
    id_file.rename(away)
    try:
        for run in (machine.create(f"{vm}-more"), machine.run("destroy", vm), machine.run("setup", "storage")):
            assert run.returncode != 0 and "has no instance-id now" in run.stderr, run.stderr
            assert not id_file.exists()
    finally:
        away.rename(id_file)
    assert machine.run("destroy", vm).returncode == 0
    assert machine.leftovers() == {}


def test_a_database_whose_folder_is_missing_is_not_an_empty_one(machine):
    config = machine.etc / "db.yaml"
    config.write_text(config.read_text().replace(f"db_file: {machine.state}/", f"db_file: {machine.root}/unmounted/"))
    words = f"the folder {machine.root}/unmounted of the VM database is missing"
    try:
        listed = machine.run("list", "--json")
        assert listed.stdout == "[]\n" and words in listed.stderr
        for run in (machine.create("no-database-001"), machine.run("gc", "--execute"), machine.run("destroy", "nobody")):
            assert run.returncode != 0 and words in run.stderr, run.stderr
        assert not (machine.root / "unmounted").exists()
    finally:
        machine.write_db_yaml()
    assert machine.leftovers() == {}


# a VM's disks are its chain


def layer(machine, name, snapshot, **spec):
    """A layer of `name`'s disk, as virsh puts one there; its file."""
    file = spec.get("file")
    machine.virsh("snapshot-create-as", name, snapshot, "--disk-only", *(["--diskspec", f"vda,file={file}"] if file else []))
    return disk_of(machine, name)


def untouched(machine, name, run, *words):
    refused(run, *words, "nothing was touched")
    assert name in machine.domains() and machine.registry()["vms"][name]["status"] == "active"


def gone(machine, name):
    run = machine.run("destroy", name)
    assert run.returncode == 0, run.stderr
    assert machine.volumes() == [], "the whole chain"
    assert machine.run("templates", "--prune").returncode == 0
    assert machine.leftovers() == {}


def test_every_layer_of_a_disk_goes_with_its_vm(machine, vm):
    layer(machine, vm, "off")
    assert machine.run("start", vm).returncode == 0
    layer(machine, vm, "s1")
    layer(machine, vm, "s2", file=machine.state / "vms/any-name.img")
    assert len(machine.volumes()) == 4
    gone(machine, vm)


def test_what_is_not_provably_the_vms_keeps_all_of_its_disk(machine, vm):
    """A layer outside of the storage folder, a block copy that is being made, an overlay that nobody has attached."""
    assert machine.run("start", vm).returncode == 0
    outside = layer(machine, vm, "s1", file=machine.root / "outside.qcow2")
    disks = machine.volumes()
    untouched(machine, vm, machine.run("destroy", vm), f"{outside} is part of the disk of {vm}, but lies outside")
    assert machine.volumes() == disks and os.path.exists(outside)
    [disk] = disks
    back = machine.state / "vms" / disk.replace(".qcow2", ".back")
    machine.virsh("blockcopy", vm, "vda", "--dest", str(back), "--format", "qcow2", "--transient-job", "--wait", "--pivot")
    os.unlink(outside)

    copy = machine.root / "copy.qcow2"
    machine.virsh("blockcopy", vm, "vda", "--dest", str(copy), "--format", "qcow2", "--transient-job")
    untouched(machine, vm, machine.run("destroy", vm), f"a block copy of the disk of {vm} to {copy} is under way",
              f"virsh blockjob {vm} vda --abort")
    machine.virsh("blockjob", vm, "vda", "--abort")

    overlay = machine.state / "vms/somebodys.qcow2"
    sh("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "qcow2", "-b", disk_of(machine, vm), str(overlay), "1G")
    untouched(machine, vm, machine.run("destroy", vm), f"somebodys.qcow2 stands on the disk of {vm}")
    overlay.unlink()
    assert machine.run("status", vm).stdout == "active\n"
    gone(machine, vm)


def test_a_disk_that_was_copied_elsewhere_is_not_taken_for_the_one_that_create_made(machine, vm):
    assert machine.run("start", vm).returncode == 0
    copy = machine.root / "moved.qcow2"
    machine.virsh("blockcopy", vm, "vda", "--dest", str(copy), "--format", "qcow2", "--transient-job", "--wait", "--pivot")
    untouched(machine, vm, machine.run("destroy", vm), f"{copy} is part of the disk of {vm}, but lies outside")
    back = machine.volumes()[0]
    (machine.state / "vms" / back).unlink()
    machine.virsh("blockcopy", vm, "vda", "--dest", str(machine.state / "vms" / back), "--format", "qcow2",
                  "--transient-job", "--wait", "--pivot")
    gone(machine, vm)
    copy.unlink()


def test_a_commit_that_was_not_ended_does_not_keep_a_layer(machine, vm):
    assert machine.run("start", vm).returncode == 0
    layer(machine, vm, "s1")
    machine.template().chmod(0o644)  # as it is published, QEMU cannot open the chain anew, and refuses to commit
    machine.virsh("blockcommit", vm, "vda", "--active")
    wait_until("the commit's mirror", 20, lambda: "<mirror" in machine.virsh("dumpxml", vm))
    gone(machine, vm)
