# SPDX-License-Identifier: MIT
"""Bad days of backups of real VMs: the repository is full or locked, restic is not what it was, the clock went back, /dev/fuse is gone."""

import json
import os
import shutil
import subprocess
import time

import pytest
from machine import sh, wait_until
from test_backup import NAME, back_up, helpers, image, restored, vm, write  # noqa: F401

SECOND = f"back2-{os.getpid()}"


def listed(machine):
    return {each["id"] for each in json.loads(machine.restic("--json", "snapshots"))}


def run_with(machine, path, stands_in, *words):
    """The verb where another file is in the place of `path`, in mounts of its own."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", stands_in, path, *machine.command("backup", *words)],
                          env=machine.env, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=machine.root)


def stand_in(machine, script):
    """A program in restic's place; $REAL is restic itself."""
    real = machine.root / "real-restic"
    if not real.exists():
        shutil.copy("/usr/bin/restic", real)
    path = machine.root / "stand-in"
    path.write_text("#!/bin/sh\n" + script.replace("$REAL", str(real)))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script,words", [
    ("exit 127\n", "restic"),
    ("echo restic 0.12.1 compiled with go\n", "is too old"),
    ("case \"$*\" in version) exec $REAL version;; *) echo '{}';; esac\n", "restic"),
], ids=["not to be run", "too old", "strange"])
def test_a_restic_that_is_not_what_it_was_takes_no_backup_and_says_so(vm, script, words):  # noqa: F811
    before = listed(vm)
    run = run_with(vm, "/usr/bin/restic", stand_in(vm, script), NAME)
    assert run.returncode == 21 and words in run.stderr, run.stderr
    assert listed(vm) == before and helpers(vm) == []


def test_a_backup_that_lacks_files_is_forgotten_and_the_next_is_whole(vm):  # noqa: F811
    before = listed(vm)
    # restic itself ends with 3 when it could not read a file, and keeps the snapshot
    script = 'case "$*" in *" backup "*) "$REAL" "$@"; exit 3;; *) exec "$REAL" "$@";; esac\n'
    run = run_with(vm, "/usr/bin/restic", stand_in(vm, script), NAME)
    assert run.returncode == 17 and "lacks what could not be read" in run.stderr, run.stderr
    assert listed(vm) == before
    made = back_up(vm)
    assert restored(vm, made["id"]) == image(vm)


def test_a_lock_of_a_process_that_lives_is_respected_and_that_of_a_dead_one_removed(vm):  # noqa: F811
    key = (vm.etc / "backup.password").read_bytes()
    (vm.root / "key").write_bytes(key)
    os.chown(vm.root / "key", 65534, 65534)
    holder = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "restic", "--quiet", "--no-cache", "--repo",
                               vm.root / "repository", "--password-file", vm.root / "key", "backup", "--stdin"], stdin=subprocess.PIPE)
    try:
        locks = vm.root / "repository/locks"
        wait_until("the other restic is at work", 60, lambda: any(locks.iterdir()))
        busy = vm.run("backup", "check")
        assert busy.returncode == 10 and "already locked" in busy.stderr, busy.stderr
        assert vm.run("backup", NAME).returncode == 0  # backups exclude nobody but who checks or prunes
    finally:
        holder.kill()
        holder.wait()
    assert any(locks.iterdir())
    assert vm.run("backup", "check").returncode == 0


def test_a_repository_that_is_full_takes_nothing_and_goes_on_when_there_is_room(vm):  # noqa: F811
    settings, key, repository = (vm.etc / "backup.json", vm.etc / "backup.password", vm.root / "small")
    kept = settings.read_bytes(), key.read_bytes()
    settings.unlink()
    key.unlink()
    repository.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=400k,mode=0711", "tmpfs", repository)
    try:
        write(vm, 0, 600 << 20, 4 << 20)
        sh("qemu-io", "-f", "qcow2", "-c", f"write -s /bin/bash {700 << 20} 1M", next((vm.state / "vms").glob(NAME + ".*")))
        vm.set_up_backups(repository / "in")
        full = vm.run("backup", NAME)
        assert full.returncode == 9 and "no space left" in full.stderr.lower(), full.stderr
    finally:
        sh("umount", repository)
        settings.write_bytes(kept[0])
        key.write_bytes(kept[1])
        key.chmod(0o600)
    assert helpers(vm) == []


def test_a_clock_that_went_back_leaves_no_change_out(vm):  # noqa: F811
    back_up(vm)
    path = vm.state / f"backup/{NAME}.json"
    remembered = json.loads(path.read_text())
    ahead = (time.time_ns() // 86_400_000_000_000 + 400) * 86_400_000_000_000  # as if the clock had been a year ahead
    for part in remembered["disks"]:
        part["times"] = [[first, count, ahead] for first, count, _ in part["times"]]
    path.write_text(json.dumps(remembered | {"at": ahead}))
    for pattern in (11, 12):
        write(vm, pattern, 100 << 20, 65536)
        made = back_up(vm)
        assert restored(vm, made["id"]) == image(vm)
        assert json.loads(path.read_text())["at"] > ahead


def test_two_at_once_of_one_vm_and_of_two_are_all_whole(vm):  # noqa: F811
    assert vm.create(SECOND).returncode == 0
    assert vm.run("stop", SECOND).returncode == 0
    try:
        both = [vm.start("backup", name, "--json") for name in (NAME, SECOND, NAME)]
        ends = [(each.communicate(timeout=300), each.returncode) for each in both]
        made = [json.loads(out) for (out, _), status in ends if status == 0]
        assert {each["name"] for each in made} == {NAME, SECOND}, ends
        for (_, err), status in ends:  # it waits for up to 20 s
            assert status == 0 or "is busy: backup since" in err
        for each in made:
            if each["name"] == NAME:
                assert restored(vm, each["id"]) == image(vm)
        standing = {each["name"]: each for each in json.loads(vm.run("backup", "status", "--json").stdout)["vms"]}
        assert all(standing[each["name"]]["last_backup"] for each in made)
        assert vm.run("backup", "check").returncode == 0 and helpers(vm) == []
    finally:
        assert vm.run("destroy", SECOND).returncode == 0
