# SPDX-License-Identifier: MIT
"""Talk in systemd's journal: a socket of this test's own stands where journald's would, in a mount namespace."""

import os
import socket
import subprocess
import time

import pytest
from host import BINARY, BUILD, Host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace")

# Runs in the namespace: FOLDER stands over /run/systemd/journal, and stderr is a stream that JOURNAL_STREAM names.
RUN = r"""
mkdir -p /run/systemd/journal
mount --bind "$1" /run/systemd/journal || exit 99
shift
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"
"""


def fields_of(datagram):
    found, at = {}, 0
    while at < len(datagram):
        end = datagram.index(b"\n", at)
        name, equals, value = datagram[at:end].partition(b"=")
        at = end + 1
        if not equals:
            size = int.from_bytes(datagram[at:at + 8], "little")
            value = datagram[at + 8:at + 8 + size]
            at += 8 + size + 1
        assert name.decode() not in found
        found[name.decode()] = value.decode()
    return found


class Journal:
    def __init__(self, host):
        self.host, self.folder = host, host.folder / "journal"
        self.folder.mkdir()
        self.taken = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(str(self.folder / "socket"))
        self.socket.setblocking(False)
        self.reading = True  # a socket keeps ten datagrams only: they are taken while the program runs

    def run(self, *words, program=BINARY, script=RUN, **env):
        command = ["unshare", "-m", "sh", "-c", script, "sh", self.folder, program, *words]
        with subprocess.Popen(command, cwd=self.host.folder, env=self.host.env | env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while self.reading and process.poll() is None:
                self.take()
                time.sleep(0.001)
            process.out, process.err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, process.out, process.err)

    def take(self):
        while True:
            try:
                self.taken.append(fields_of(self.socket.recv(1 << 20)))
            except BlockingIOError:
                return

    def lines(self):
        self.take()
        return self.taken


@pytest.fixture
def journal(tmp_path):
    journal = Journal(Host(tmp_path))
    yield journal
    journal.socket.close()


CREATE = ("vm-1", "--owner-wallet", "0x" + "ef" * 20, "--memory", "128", "--disk", "4", "--mock", "--apply")


def test_stages_go_to_the_journal_with_verb_and_vm_and_not_to_stderr(journal):
    run = journal.run("create", *CREATE)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("BLOCKHOST_RESULT: ")
    lines = journal.lines()
    stages = [line for line in lines if line["PRIORITY"] == "5"]
    assert len(stages) > 2
    assert all(line["BLOCKHOST_VERB"] == "create" and line["BLOCKHOST_VM"] == "vm-1" and
               line["SYSLOG_IDENTIFIER"] == "blockhost-libvirt" for line in lines)
    assert all(line["BLOCKHOST_STAGE"] == line["MESSAGE"] for line in stages)
    assert {line["PRIORITY"] for line in lines} <= {"4", "5", "7"}


def test_a_sandbox_with_everything_read_only_reaches_it(journal):
    """As the units' ProtectSystem=strict has it."""
    read_only = "mount -o remount,bind,ro /run/systemd/journal || exit 98\nshift\n"
    run = journal.run("status", "a/b", script=RUN.replace("shift\n", read_only))
    assert (run.returncode, run.stderr) == (0, "") and len(journal.lines()) == 1


def test_a_refusal_has_its_code_and_hint(journal):
    run = journal.run("vm-9", "--mock", program=BUILD / "symlinks/blockhost-vm-resume")
    assert (run.returncode, run.stderr) == (1, "")
    last = journal.lines()[-1]
    assert (last["PRIORITY"], last["BLOCKHOST_ERROR"], last["BLOCKHOST_VM"]) == ("3", "not_found", "vm-9")
    assert last["SYSLOG_IDENTIFIER"] == "blockhost-vm-resume" and last["BLOCKHOST_VERB"] == "resume"
    assert last["MESSAGE"].startswith("VM not found: vm-9")


def test_a_hint_is_a_field_and_in_the_message(journal):
    (journal.host.etc / "db.yaml").write_text("")
    assert journal.run("gc", "--mock").returncode == 1
    last = journal.lines()[-1]
    assert last["BLOCKHOST_HINT"] == "restore it, or let the program that owns it write it again"
    assert last["MESSAGE"].endswith("; " + last["BLOCKHOST_HINT"]) and "BLOCKHOST_VM" not in last


def test_text_from_outside_stays_one_line_and_makes_no_field(journal):
    name = "x\nBLOCKHOST_VM=other\nPRIORITY=0"
    assert journal.run("start", name, "--mock").returncode == 1
    for line in journal.lines():
        assert "\n" not in line["MESSAGE"] and "BLOCKHOST_VM" not in line and line["PRIORITY"] != "0"


def test_without_the_socket_everything_is_on_stderr(journal):
    (journal.folder / "socket").unlink()
    run = journal.run("create", *CREATE)
    assert run.returncode == 0 and run.stderr.startswith("[vm-create] ") and journal.lines() == []


def test_a_journal_that_does_not_read_holds_nothing_up_for_long(journal):
    journal.reading = False
    fill = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    fill.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            fill.sendto(b"x", str(journal.folder / "socket"))
    run = journal.run("create", *CREATE)
    assert run.returncode == 0 and "[vm-create] " in run.stderr
    fill.close()


@pytest.mark.parametrize("stream", ["", "1:2", "nonsense", "8:"])
def test_another_stream_than_stderr_is_none_of_ours(journal, stream):
    script = RUN.replace("JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)", f"JOURNAL_STREAM='{stream}'")
    assert script != RUN
    run = journal.run("create", *CREATE, script=script)
    assert run.returncode == 0 and "[vm-create] " in run.stderr and journal.lines() == []
