"""Versions of the template on the simulated world: what stands on which, what prune removes, and what deaths leave."""

import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import time

import pytest
from simulated import CREATE, Mock, in_worlds, made, points_of

VERSION = re.compile(r"blockhost-base-([0-9a-f]{12})\.qcow2")
PRUNE = ("templates", "--prune")


@pytest.fixture()
def mock(tmp_path):
    return Mock(tmp_path)


def templates(world):
    return world.folder / "mock-world/templates"


def order(world, text):
    """The words of a build whose version follows from `text`."""
    (world.folder / "source").write_text(text)
    return "build-template", "--source", "file:source"


def build(world, text, **more):
    """Builds, looks whether all is well, and returns the version that is current now."""
    run = world.run(*order(world, text), **more)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"Template built successfully: {templates(world)}/blockhost-base.qcow2\n"
    no_leftovers(world)
    return current(world)


def current(world):
    """What the link leads to, which must be a whole version."""
    stand_in = templates(world) / "blockhost-base.current"
    version = VERSION.fullmatch(os.readlink(stand_in if stand_in.is_symlink() else templates(world) / "blockhost-base.qcow2"))[1]
    assert version in versions(world)
    return version


def image(world, version):
    return templates(world) / f"blockhost-base-{version}.qcow2"


def versions(world):
    """The versions that are there, each with its image and its manifest."""
    if not templates(world).exists():
        return []
    found = sorted(match[1] for match in map(VERSION.fullmatch, os.listdir(templates(world))) if match)
    for version in found:
        manifest = json.loads((templates(world) / f"blockhost-base-{version}.json").read_text())
        assert (manifest["version"], manifest["bytes"]) == (version, image(world, version).stat().st_size)
        assert oct(image(world, version).stat().st_mode) == "0o100444"
    return found


def no_leftovers(world):
    names = os.listdir(templates(world))
    assert [name for name in names if name.startswith(".")] == []
    manifests = {name[:-5] for name in names if name.endswith(".json")}
    assert manifests == {f"blockhost-base-{version}" for version in versions(world)}
    assert os.listdir(world.folder / "mock-world/cache") == ["build.lock"]


def listed(world):
    """version -> what stands on it; the current one's key ends with *."""
    run = world.run("templates", "--json")
    assert run.returncode == 0, run.stderr
    return {each["version"] + "*" * each["current"]: each["used_by"] for each in json.loads(run.stdout)["versions"]}


def prune(world, *more, status=0):
    run = world.run(*PRUNE, *more)
    assert run.returncode == status, run.stdout + run.stderr
    return run


def write_qcow2(path, backing, size=4 << 30):
    """The head of an image, which is all that anybody looks at."""
    name = str(backing).encode()
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 112 if name else 0, len(name), 16, size, 0, 0, 0, 0, 0, 0, 0)
    path.write_bytes(head.ljust(112, b"\0") + name.ljust(1024, b"\0"))


def backing(path):
    content = path.read_bytes()
    offset, length = struct.unpack(">QI", content[8:20])
    return content[offset:offset + length].decode()


def disks(world):
    return [path for path in (world.folder / "mock-world/vms").glob("*.qcow2")]


def disks_have_what_they_stand_on(world):
    for disk in disks(world):
        assert os.path.exists(backing(disk)), f"{disk.name} stands on {backing(disk)}"


def everything(world):
    """Files of the world that a look must not change."""
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in world.folder.rglob("*") if path.name not in ("lock", "templates.lock", "build.lock") and not path.is_dir()}


@pytest.fixture()
def three(mock):
    """An old version that vm-1 stands on, one that nothing stands on, and the current one."""
    mock.old = build(mock, "old")
    made(mock)
    mock.idle = build(mock, "idle")
    mock.now = build(mock, "now")
    return mock


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


def killed_create(world, n, late):
    """A create killed at point n, on a version that is not the current one when prune runs right after."""
    chosen = build(world, "chosen")
    ended = world.create(fault=f"kill@{n}", late=late)
    assert ended.returncode == -signal.SIGKILL
    build(world, "newer")
    run = world.run(*PRUNE)
    entry = open_entry(world)
    if entry and str(image(world, chosen)) in entry or disks(world):
        assert chosen in versions(world), run.stdout
    disks_have_what_they_stand_on(world)
    return chosen


def test_a_create_killed_at_any_point_keeps_its_version_until_it_is_recovered():
    points = points_of(CREATE, lambda world: build(world, "chosen"))
    kept = []

    def job(world, n):
        chosen = killed_create(world, n, late=False)
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
        chosen = killed_create(world, n, late=True)
        pending = [json.loads(p.read_text())["call"] for p in (world.folder / "mock-world/pending").glob("*.json")] \
            if (world.folder / "mock-world/pending").exists() else []
        if "create_volume" not in pending:
            return
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
        source.write_text(str(number))
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
