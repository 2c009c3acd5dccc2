# SPDX-License-Identifier: MIT
"""Looking at real guests through libvirt's protocol and through its library: the same is seen, by the same users."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import daemon as libvirtd
import pytest
from machine import BINARY, TREE

sys.path.insert(0, str(TREE / "tests/cli"))
from strange_daemon import ALL_STATS, STATE, Daemon  # noqa: E402

RUNS, OFF = "read-001", "read-002"
DRIVERS = ("rpc", "libvirt")
MOVING = {"cpu_percent", "memory_used_mb", "disk_read_iops", "disk_write_iops", "disk_read_bytes_sec", "net_connections",
          "disk_write_bytes_sec", "net_rx_bytes_sec", "net_tx_bytes_sec", "uptime_seconds", "disk_used_mb"}


@pytest.fixture(scope="module")
def pair(whole_module):
    for name in (RUNS, OFF):
        run = whole_module.create(name)
        assert run.returncode == 0, run.stderr
    assert whole_module.run("kill", OFF).returncode == 0
    yield whole_module
    whole_module.wipe()


def outputs(machine, *words):
    """What each driver makes of that command: exit status, stdout and stderr."""
    seen = {}
    for driver in DRIVERS:
        run = subprocess.run(machine.command(*words), env=machine.env | {"BLOCKHOST_DRIVER": driver}, text=True,
                             capture_output=True, stdin=subprocess.DEVNULL, cwd=machine.root)
        seen[driver] = (run.returncode, run.stdout, run.stderr)
    return seen


@pytest.mark.parametrize("words", [("status", RUNS), ("status", OFF), ("status", "nobody"), ("list",), ("list", "--json"),
                                   ("guest-exec", RUNS, "echo here; exit 3"), ("guest-exec", OFF, "true"),
                                   ("destroy", RUNS, "--dry-run"), ("throttle", OFF, "--show")])
def test_both_say_the_same(pair, words):
    seen = outputs(pair, *words)
    assert seen["rpc"] == seen["libvirt"]
    assert "Traceback" not in seen["rpc"][2]


@pytest.mark.parametrize("words", [("metrics", RUNS), ("metrics", OFF), ("metrics", "--all")])
def test_both_measure_the_same(pair, words):
    rows = {}
    for driver, (status, out, err) in outputs(pair, *words).items():
        assert status == 0 and err == "", err
        rows[driver] = [{key: value for key, value in row.items() if key not in MOVING}
                        for row in (json.loads(out) if "--all" in words else [json.loads(out)])]
    assert rows["rpc"] == rows["libvirt"]
    assert rows["rpc"][0]["guest_agent_responsive"] is (OFF not in words)


def test_looking_loads_no_libvirt_and_changing_does(pair):
    for words, loads in ((("status", RUNS), False), (("list",), False), (("metrics", RUNS), False),
                         (("metrics", "--all"), False), (("guest-exec", RUNS, "true"), False), (("start", OFF), True),
                         (("kill", OFF), True)):
        run = subprocess.run(pair.command(*words), env=pair.env | {"LD_DEBUG": "files"}, capture_output=True, text=True)
        assert run.returncode == 0
        assert ("libvirt.so.0" in run.stderr) is loads, words


LOOK_ONLY = """
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0700"
"""
OFF_DOMAIN = "<domain type='qemu'><name>seen</name><memory>4096</memory><os><type>hvm</type></os></domain>"


@pytest.fixture(scope="module")
def look_only():
    """A libvirtd that lets nobody but root change anything, and the program where everybody may read it."""
    daemon = libvirtd.Daemon(settings=LOOK_ONLY)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bh-reading-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        for file in (BINARY, BINARY.parent / "hypervisor-libvirt.so"):
            shutil.copy(file, folder)
        (folder / "seen.xml").write_text(OFF_DOMAIN)
        daemon.virsh("define", folder / "seen.xml")
        yield daemon, folder
    finally:
        daemon.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("driver", DRIVERS)
def test_who_may_only_look_looks_through_the_other_socket(look_only, driver):
    daemon, folder = look_only
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for name, word in (("seen", "suspended"), ("unseen", "destroyed")):
        run = daemon.run(*nobody, folder / "blockhost-libvirt", "status", name, env={"BLOCKHOST_DRIVER": driver})
        assert (run.stdout, run.stderr) == (f"{word}\n", "")


@pytest.mark.parametrize("driver", DRIVERS)
def test_who_may_not_even_look_is_told_so(look_only, driver):
    daemon, folder = look_only
    (folder / "shut").mkdir(mode=0o700, exist_ok=True)
    run = daemon.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", folder / "blockhost-libvirt", "status",
                     "seen", env={"BLOCKHOST_DRIVER": driver,
                                  "BLOCKHOST_LIBVIRT_URI": f"qemu:///system?socket={folder / 'shut/sock'}"})
    assert run.stdout == "unknown\n" and "refuses us" in run.stderr and "member of group libvirt" in run.stderr


def pass_on(connection):
    """Hands a caller over to the real daemon."""
    real = socket.socket(socket.AF_UNIX)
    real.connect("/run/libvirt/libvirt-sock")

    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    threading.Thread(target=copy, args=(real, connection), daemon=True).start()
    copy(connection, real)


@pytest.mark.parametrize("words, call, expected", [(("status", RUNS), STATE, "active\n"), (("list",), ALL_STATS, RUNS),
                                                   (("metrics", RUNS), ALL_STATS, '"state": "running"')])
def test_what_a_strange_daemon_does_not_tell_the_library_does(pair, words, call, expected):
    """Silently: the daemon garbles one answer to us, and speaks well to the library."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bh-reading-"))
    server = Daemon(folder / "sock", {call: lambda talk: talk.send(b"garbage" * 10)}, pass_on)
    try:
        run = subprocess.run(pair.command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                             env=pair.env | {"BLOCKHOST_LIBVIRT_URI": f"qemu+unix:///system?socket={server.path}"})
        assert run.returncode == 0 and expected in run.stdout, run.stderr
        assert run.stderr == "" and server.callers == 2
    finally:
        server.close()
        shutil.rmtree(folder)
