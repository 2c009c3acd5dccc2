# SPDX-License-Identifier: MIT
"""Backups of real VMs that are off: what is stored is the disk, to the byte; what is killed leaves nothing that counts."""

import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest
import seeds
from machine import sh, wait_until

CHUNK = 256 * 1024
NAME = f"back-{os.getpid()}"  # libvirt may have another machine's VMs


@pytest.fixture(scope="module")
def vm(whole_module):
    """One VM that is off, and a repository of restic's user."""
    machine = whole_module
    assert machine.create(NAME).returncode == 0
    assert machine.run("stop", NAME).returncode == 0
    wait_until("the VM is off", 60, lambda: machine.states()[NAME] == "off")
    machine.set_up_backups()
    yield machine
    assert machine.run("destroy", NAME).returncode == 0


def disk(machine):
    name, = (each for each in machine.volumes() if each.startswith(NAME + "."))
    return machine.state / "vms" / name


def write(machine, pattern, at, count):
    sh("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {at} {count}", disk(machine))


def image(machine):
    out = machine.root / "image.raw"
    sh("qemu-img", "convert", "-O", "raw", disk(machine), out)
    return out.read_bytes()


def restored(machine, snapshot):
    """The disk's bytes from the repository alone, by the manifest."""
    manifest = json.loads(machine.restic("dump", snapshot, "/manifest.json"))
    part, = manifest["disks"]
    whole = bytearray(part["bytes"])
    target = machine.root / "restored"
    subprocess.run(["rm", "-rf", target], check=True)
    target.mkdir()
    os.chown(target, 65534, 65534)
    machine.restic("restore", snapshot, "--target", target)
    seen = 0
    for first, count in part["chunks"]:
        for chunk in range(first, first + count):
            content = (target / f"{part['name']}/{chunk // 256:05}/{chunk:08}").read_bytes()
            assert len(content) == min(CHUNK, part["bytes"] - chunk * CHUNK)
            whole[chunk * CHUNK:chunk * CHUNK + len(content)] = content
            seen += 1
    assert seen == sum(1 for _ in (target / part["name"]).rglob("*") if _.is_file())
    return bytes(whole)


def back_up(machine, **more):
    run = machine.run("backup", NAME, "--json", **more)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def helpers(machine):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(machine.root).encode() in words and any(each in words for each in (b"imgtree", b"restic", b"qemu-nbd")):
            found.append(path.parent.name)
    return found


def test_a_backup_is_the_disk_to_the_byte_and_names_what_the_vm_was(vm):
    write(vm, 7, 100 << 20, 300_000 // 512 * 512)
    before = vm.kept(NAME)
    made = back_up(vm)
    assert made["name"] == NAME and made["chunks"] == made["chunks_read"] and made["stored_bytes"] > 0
    assert restored(vm, made["id"]) == image(vm)
    assert vm.kept(NAME) == before and helpers(vm) == []
    listed, = [each for each in json.loads(vm.run("backup", "list", "--json").stdout) if each["id"] == made["id"]]
    assert listed["name"] == NAME and listed["instance"] == vm.instance()
    shown = vm.run("backup", "show", made["id"][:8]).stdout
    assert "consistency  off\n" in shown and f"base         {vm.template().stem}\n" in shown
    record = json.loads(vm.restic("dump", made["id"], "/record.json"))
    assert record["name"] == NAME and record["memory_mib"] == 128
    assert b"<domain" in vm.restic("dump", made["id"], "/domain.xml")
    assert vm.restic("dump", made["id"], "/user-data")


def test_a_disk_that_nobody_wrote_is_not_read_again_and_one_that_was_is(vm):
    first = back_up(vm)
    again = back_up(vm)
    assert again["chunks"] == first["chunks"] and again["chunks_read"] == 0
    assert restored(vm, again["id"]) == image(vm)
    write(vm, 9, 200 << 20, 65536)
    third = back_up(vm)
    assert third["chunks_read"] == third["chunks"] == first["chunks"] + 1 and third["stored_bytes"] < 2 * CHUNK
    assert restored(vm, third["id"]) == image(vm)


def without_fuse(machine, *words):
    """The call on a host that has something else in place of /dev/fuse."""
    script = 'mount --bind /dev/null /dev/fuse && exec "$@"'
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *machine.command(*words)]


def test_without_dev_fuse_all_is_copied_first_and_the_backup_is_like_any_other(vm):
    copies = vm.root / "var/cache/blockhost/backup-copy"
    write(vm, 31, 40 << 20, 1 << 20)
    process = subprocess.Popen(without_fuse(vm, "backup", NAME), env=vm.env, cwd=vm.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("the copy is made", 60, lambda: list(copies.glob(f"{NAME}/vda/*/*")) or process.poll() is not None)
    process.kill()
    process.communicate()
    wait_until("no helper is left", 20, lambda: not helpers(vm))
    made = sh(*without_fuse(vm, "backup", NAME, "--json"), env=vm.env, cwd=vm.root)
    assert "this host has no /dev/fuse: all that the disk holds is copied first" in made.stderr
    assert restored(vm, json.loads(made.stdout)["id"]) == image(vm)
    assert list(copies.iterdir()) == [] and str(vm.root) not in pathlib.Path("/proc/mounts").read_text()
    again = vm.run("backup", NAME, "--json")
    assert again.returncode == 0 and restored(vm, json.loads(again.stdout)["id"]) == image(vm), again.stderr


def test_several_are_backed_up_one_after_another_and_one_that_fails_stops_no_other(vm):
    run = vm.run("backup", "no-such", NAME, NAME)
    assert run.returncode == 1
    first, second = run.stdout.splitlines()
    assert first.startswith("no-such is not backed up: ") and second.startswith(f"{NAME} is backed up as ")
    failed, made = map(json.loads, vm.run("backup", "no-such", NAME, "--json").stdout.splitlines())
    assert (failed["name"], failed["code"]) == ("no-such", "not_found") and failed["error"] and failed["hint"]
    assert made["name"] == NAME and restored(vm, made["id"]) == image(vm)
    everyone = vm.run("backup", "--all", "--json")
    assert everyone.returncode == 0, everyone.stderr
    assert [json.loads(line)["name"] for line in everyone.stdout.splitlines()] == [NAME]


@pytest.mark.parametrize("damage", ["gone", "torn", "another VM's", "forgotten by the repository", "open to others"])
def test_what_is_remembered_costs_a_read_and_never_a_backup(vm, damage):
    back_up(vm)
    remembered = vm.state / f"backup/{NAME}.json"
    if damage == "gone":
        remembered.unlink()
    elif damage == "torn":
        remembered.write_text(remembered.read_text()[:100])
    elif damage == "forgotten by the repository":
        vm.forget_backup(json.loads(remembered.read_text())["snapshot"])
    elif damage == "another VM's":
        remembered.write_text(json.dumps(json.loads(remembered.read_text()) | {"uuid": "11111111-2222-4333-8444-555555555555"}))
    else:
        remembered.parent.chmod(0o755)
    run = vm.run("backup", NAME, "--json")
    remembered.parent.chmod(0o700)
    if damage == "open to others":  # what others may have changed is not believed, nor written to
        assert run.returncode != 0 and "other users may enter it" in run.stderr
        return
    assert run.returncode == 0, run.stderr
    assert ("what is remembered of the last backup cannot be used" in run.stderr) == (damage != "gone")
    made = json.loads(run.stdout)
    assert made["chunks_read"] == made["chunks"] and restored(vm, made["id"]) == image(vm)


def test_one_that_is_read_cannot_be_started_and_starts_afterwards(vm):
    process = vm.start("backup", NAME)
    wait_until("the disk is read", 60, lambda: len(helpers(vm)) >= 3 or process.poll() is not None)
    if process.poll() is None:
        run = vm.run("backup", NAME)
        assert run.returncode == 0 or "is busy: backup since" in run.stderr  # it waits for up to 20 s
    assert process.wait() == 0
    assert vm.run("start", NAME).returncode == 0
    assert vm.run("kill", NAME).returncode == 0
    assert vm.run("backup", "no-such").returncode == 5


@pytest.mark.parametrize("victim", seeds.some_of(["blockhost-libvirt", "imgtree", "restic", "qemu-nbd"], 2, "backup of one that is off"))
def test_whoever_is_killed_the_next_backup_is_whole_and_nothing_is_left(vm, victim):
    chance = random.Random(victim)
    for round in range(3):
        write(vm, chance.randrange(1, 255), chance.randrange(300, 900) << 20, 4 << 20)
        (vm.state / f"backup/{NAME}.json").unlink(missing_ok=True)
        process = vm.start("backup", NAME)
        time.sleep(chance.random() * 1.5)
        if victim == "blockhost-libvirt":
            process.kill()
        else:
            for pid in helpers(vm):
                try:
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if victim.encode() in words[0]:
                        os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
        process.communicate(timeout=120)
        wait_until("no helper is left", 20, lambda: not helpers(vm))
        assert str(vm.root) not in pathlib.Path("/proc/mounts").read_text()
        assert vm.run("recover", NAME).returncode == 0
    made = back_up(vm)
    assert restored(vm, made["id"]) == image(vm)
    assert vm.run("backup", "check", "--read-data-subset", "100").returncode == 0


def test_a_destroy_ends_the_backup(vm):
    """The last test of this VM: the fixture's destroy finds nothing left to do."""
    write(vm, 3, 500 << 20, 16 << 20)
    process = vm.start("backup", NAME)
    wait_until("the backup is at work", 60, lambda: f"{NAME}.journal" in vm.names("journal") or process.poll() is not None)
    assert vm.run("destroy", NAME).returncode == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 11), err
    assert helpers(vm) == [] and vm.leftovers() == {}
