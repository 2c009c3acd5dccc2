# SPDX-License-Identifier: MIT
"""The view of frozen disks: its files are the disk's chunks, it outlives nobody, and what cannot be read is never taken for
whole."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest
from place import AS_NOBODY, CHUNK, IMGTREE, NOBODY, left_of, processes_with

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="it mounts"),
              pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no /dev/fuse")]


def test_a_look_tells_which_chunks_have_data_and_that_all_may_have_changed(place):
    disk = place.disk("write -P 7 0 300k", "write -P 9 5M 4k", "write -z 1M 1M")
    assert place.look(place.source(disk)) == [
        {"name": "vda", "bytes": 10 << 20,
         "looks": [[0, 2, True, True], [2, 18, False, True], [20, 1, True, True], [21, 19, False, True]]}]


def test_a_bitmap_tells_what_was_written_since(place):
    disk = place.disk("write -P 7 0 1M")
    subprocess.run(["qemu-img", "bitmap", "--add", "-f", "qcow2", disk, "since"], check=True)
    place.write(disk, "write -P 8 256k 64k", "write -P 1 6M 64k")
    looks = place.look(place.source(disk, bitmap="since"))[0]["looks"]
    assert looks == [[0, 1, True, False], [1, 1, True, True], [2, 2, True, False], [4, 20, False, False], [24, 1, True, True],
                     [25, 15, False, False]]
    missing = place.look(place.source(disk, bitmap="other"))
    assert missing.returncode != 0 and "other" in missing.stderr


@pytest.mark.parametrize("size", [10 << 20, (3 << 20) + 512, 512])
def test_files_are_the_chunks_of_the_disk_and_holes_have_none(place, size):
    chance = random.Random(size)
    writes = [f"write -P {chance.randrange(1, 255)} {chance.randrange(size // 512) * 512} 512" for _ in range(12)]
    disk = place.disk(*writes, size=str(size))
    (place.folder / "copy").mkdir()
    os.chown(place.folder / "copy", NOBODY, NOBODY)
    run = place.run(place.plan(place.times(disk)), f"cp -r . {place.folder}/copy && cat", text="the rest\n")
    assert run.returncode == 0 and run.stdout == "the rest\n", run.stderr
    image = bytearray(size)
    for path in (place.folder / "copy").rglob("vda/*/*"):
        at = int(path.name) * CHUNK
        assert path.stat().st_size == min(CHUNK, size - at) and path.parent.name == f"{int(path.name) // 256:05}"
        image[at:at + CHUNK] = path.read_bytes()
    assert bytes(image) == place.raw(disk)[:size]
    assert (place.folder / "copy/manifest.json").read_text() == "{}"
    assert left_of(place) == []


@pytest.mark.parametrize("chunk", [CHUNK, 4 << 20])
def test_whoever_reads_in_whatever_order_and_pieces_gets_the_chunks(place, chunk):
    """What is read ahead is of runs of chunks that were stored at the same time; several readers disturb it."""
    size = (22 << 20) + 512
    raw = place.folder / "random"
    raw.write_bytes(random.Random(chunk).randbytes(size))
    disk = place.disk(size=str(size))
    subprocess.run(["qemu-img", "convert", "-n", "-O", "qcow2", raw, disk], check=True)
    count = -(-size // chunk)
    times = [[at, min(2, count - at), 1 + at // 2 % 2] for at in range(0, count, 2)]
    plan = place.plan(place.source(disk, bytes=size, chunk_bytes=chunk, times=times))
    copies = place.folder / "copies"
    copies.mkdir()
    os.chown(copies, NOBODY, NOBODY)
    run = place.run(plan, f"for way in cat tac; do (cd vda && ls -d */* | $way | while read name; do "
                    f"dd if=$name of={copies}/$way-${{name#*/}} bs=99999 status=none; done) & done; wait")
    assert run.returncode == 0, run.stderr
    whole = raw.read_bytes() + bytes(-size % 512)
    for way in ("cat", "tac"):
        files = sorted(copies.glob(f"{way}-*"))
        assert len(files) == count and b"".join(path.read_bytes() for path in files) == whole


def test_inode_size_and_times_say_what_is_unchanged(place):
    disk = place.disk("write -P 7 0 1M")
    show = "stat -c '%n %i %s %.9Y %.9Z' vda/*/* manifest.json"
    plan = place.times(disk, at=1_000_000_001)
    first = place.run(place.plan(plan), show).stdout
    assert "vda/00000/00000003" in first and " 1.000000001 1.000000001\n" in first
    assert place.run(place.plan(plan), show).stdout == first
    plan["times"] = [[0, 2, 1_000_000_001], [2, 1, 1_000_000_002], [3, 1, 1_000_000_001]]
    changed = set(place.run(place.plan(plan), show).stdout.splitlines()) - set(first.splitlines())
    assert [line.split()[0] for line in changed] == ["vda/00000/00000002"]


def test_after_the_mount_it_has_no_privilege_and_nothing_can_be_written(place):
    disk = place.disk("write -P 7 0 1M")
    run = place.run(place.plan(place.times(disk)), "grep -E '^(Uid|CapEff|CapPrm|NoNewPrivs)' /proc/$PPID/status; id -u; "
                    "touch new || : ; chmod 777 manifest.json || :; : >vda/00000/00000000 || exit 9")
    assert run.returncode != 0
    assert run.stdout.split() == ["Uid:", *["65534"] * 4, "CapPrm:", "0" * 16, "CapEff:", "0" * 16, "NoNewPrivs:", "1", "65534"]
    assert run.stderr.count("Read-only file system") >= 2


def is_listening(path):
    """A socket is there before its server listens on it."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_read_that_fails_is_an_error_and_nothing_is_read_any_more(place):
    path = place.folder / "socket"
    server = subprocess.Popen(["nbdkit", "--foreground", "--unix", path, "eval", "get_size=echo 2M",
                               "pread=if [ $4 -ge 1048576 ]; then echo EIO a bad sector >&2; exit 1; fi; head -c $3 /dev/zero"])
    try:
        while not is_listening(path):
            time.sleep(0.02)
        source = {"name": "vda", "socket": str(path), "chunk_bytes": CHUNK}
        looks, = place.look(source)
        assert looks["looks"] == [[0, 8, True, True]]
        source |= {"bytes": 2 << 20, "times": [[0, 8, 1]]}
        run = place.run(place.plan(source), "cat vda/00000/00000000 >/dev/null && cat vda/00000/00000005; echo $?; "
                        "cat vda/00000/00000001; echo $?")
        assert run.stdout == "1\n1\n" and run.stderr.count("cat: vda/00000/0000000") == 2
        assert "vda: cannot read " in run.stderr and run.returncode == 1
    finally:
        server.kill()
        server.wait()


def test_a_server_that_dies_fails_every_read(place):
    path = place.folder / "socket"
    server = subprocess.Popen(["nbdkit", "--foreground", "--unix", path, "memory", "2M"])
    while not is_listening(path):
        time.sleep(0.02)
    source = {"name": "vda", "socket": str(path), "chunk_bytes": CHUNK, "bytes": 2 << 20, "times": [[0, 8, 1]]}
    process = place.start(place.plan(source), *AS_NOBODY, "/bin/sh", "-c", "echo ready; sleep 1000 & wait; :", text="")
    assert process.stdout.readline() == "ready\n"
    server.kill()
    server.wait()
    process.kill()
    process.wait()
    run = place.run(place.plan(source), "cat vda/00000/00000001")
    assert run.returncode == 1 and "cannot connect" in run.stderr


@pytest.mark.parametrize("victim", ["helper", "caller", "program", "server"])
def test_whoever_is_killed_no_mount_and_no_process_is_left(place, victim):
    disk = place.disk("write -P 7 0 1M")
    plan = place.plan(place.times(disk))
    (place.folder / "plan").write_text(plan)
    program = ["/bin/sh", "-c", f"echo ready; exec tail -f {place.folder}/plan"]
    if victim == "caller":
        process = subprocess.Popen(["/bin/sh", "-c", '"$@" <"$0"; :', place.folder / "plan", IMGTREE, "store", *AS_NOBODY, *program],
                                   stdout=subprocess.PIPE, text=True)
    else:
        process = place.start(plan, *AS_NOBODY, *program, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    while not processes_with(f"tail\0-f\0{place.folder}"):
        time.sleep(0.02)
    assert str(place.mount_point) not in pathlib.Path("/proc/mounts").read_text()
    if victim == "server":
        server, = [pid for pid in processes_with("qemu-nbd") if pid in processes_with(str(disk))]
        os.kill(int(server), signal.SIGKILL)
        process.kill()
    elif victim == "program":
        program, = [pid for pid in processes_with(f"tail\0-f\0{place.folder}")]
        os.kill(int(program), signal.SIGKILL)
    else:
        process.kill()
    assert process.wait(timeout=20) == (137 if victim == "program" else -9)
    assert left_of(place) == []


def test_killed_before_it_answers_for_its_folder_it_leaves_no_program_that_waits_for_it(place):
    """The program is still root then, and its death signal would have to come from nobody, who may not send it."""
    plan = place.plan(place.times(place.disk("write -P 7 0 1M")))
    late = ["strace", "-o", "/dev/null", "-e", "trace=prctl", "-e", "inject=prctl:delay_enter=3000000:when=4"]  # it is nobody by then
    words = [*late, IMGTREE, "store", *AS_NOBODY, "/bin/sh", "-c", f"exec tail -f {place.folder}/plan"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    process.stdin.write(plan)
    process.stdin.close()
    helpers = []
    while len(helpers) < 2:  # it has begun the program, which enters the folder
        time.sleep(0.05)
        helpers = [pid for pid in processes_with(f"{IMGTREE}\0store") if pid in processes_with(str(place.folder)) and int(pid) != process.pid]
    time.sleep(0.5)
    os.kill(min(map(int, helpers)), signal.SIGKILL)
    process.wait(timeout=20)
    assert left_of(place) == []


def test_a_helper_whose_caller_is_gone_does_nothing(place):
    disk = place.disk("write -P 7 0 1M")
    plan = json.dumps(json.loads(place.plan(place.times(disk))) | {"caller": 1})
    run = place.run(plan + "\n", "echo ran")
    assert run.returncode == 1 and "the process that started this is gone" in run.stderr and run.stdout == ""
    served = subprocess.run([IMGTREE, "with", "1", "/bin/echo", "ran"], capture_output=True, text=True)
    assert served.returncode == 1 and served.stdout == ""
    assert subprocess.run([IMGTREE, "with", str(os.getpid()), "/bin/echo", "ran"], capture_output=True, text=True).stdout == "ran\n"


def test_what_does_not_fit_is_refused_before_anything_is_mounted(place):
    disk = place.disk("write -P 7 0 1M")
    plan = place.times(disk)
    for wrong, said in [({"bytes": 5 << 20, "times": []}, "has 10485760 bytes now, and had 5242880"),
                        ({"times": [[39, 2, 1]]}, "a run out of place"), ({"times": [[3, 1, 1], [1, 1, 1]]}, "a run out of place"),
                        ({"chunk_bytes": 300000}, "no power of two"), ({"more": 1}, "is unknown"),
                        ({"file": str(place.folder / "nothing")}, "qemu-nbd does not serve")]:
        run = place.run(place.plan(plan | wrong), "echo ran")
        assert run.returncode == 1 and said in run.stderr and "ran" not in run.stdout, run.stderr
    assert subprocess.run([IMGTREE], capture_output=True).returncode == 2
    missing = place.start(place.plan(plan), "/nowhere/program")
    assert missing.wait(timeout=20) == 127


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")
def test_restic_reads_again_only_what_changed(place):
    disk = place.disk("write -P 7 0 4M")
    (place.folder / "repository").mkdir()
    os.chown(place.folder / "repository", NOBODY, NOBODY)
    restic = f"restic -q --no-cache -r {place.folder}/repository"
    plan = place.times(disk)
    assert place.run(place.plan(plan), f"{restic} init && echo secret | {restic} --json backup .", text="secret\n").returncode == 0
    place.write(disk, "write -P 8 1M 64k")
    plan["times"] = [[0, 4, 1], [4, 1, 2], [5, 11, 1]]
    run = place.run(place.plan(plan), f"{restic} --json backup .", text="secret\n")
    summary = json.loads(run.stdout.splitlines()[-1])
    assert (summary["files_changed"], summary["files_unmodified"], summary["files_new"]) == (1, 16, 0)
    image = bytearray(10 << 20)
    for chunk in range(16):
        got = subprocess.run(["restic", "-q", "--no-cache", "-r", place.folder / "repository", "dump", "latest",
                              f"/vda/00000/{chunk:08}"], input=b"secret\n", capture_output=True, check=True).stdout
        image[chunk * CHUNK:(chunk + 1) * CHUNK] = got
    assert bytes(image) == place.raw(disk)
