# SPDX-License-Identifier: MIT
"""What docs/backup.md tells people to type works as it is typed, in its order; the names and places are this test's own."""

import json
import os
import pathlib
import re
import shlex

import pytest
import seeds
from machine import BINARY, Machine, sh, wait_until

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs/backup.md"
ONE, TWO = f"docs-{os.getpid()}", f"more-{os.getpid()}"  # libvirt may have another machine's VMs


def commands():
    """The lines of the document's shell blocks, without their comments, but of what needs a node."""
    found, inside, is_node = [], False, False
    for line in DOC.read_text().splitlines():
        if line.startswith("## "):
            is_node = line == "## On a node of Proxmox VE"  # tests/pve has one
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside and line.strip() and not is_node:
            found.append(re.sub(r"\s+#.*", "", line).strip())
    return found


class Reader:
    """Somebody who reads the document on a host with two VMs, and what is asked of them in between."""

    def __init__(self, machine):
        self.machine, self.home = machine, machine.root / "home"
        self.home.mkdir()
        (machine.root / "srv").mkdir()
        for name in (ONE, TWO):
            made = machine.create(name)
            assert made.returncode == 0, made.stderr
        bin = self.home / "bin"
        bin.mkdir()
        (bin / "blockhost-libvirt").symlink_to(BINARY)

    def sheet(self):
        return (self.machine.etc / "backup.password").read_text()

    def last_id(self):
        return json.loads(self.machine.run("backup", "list", ONE, "--json").stdout)[-1]["id"]

    def before(self, command):
        """What the text around a command says that there is."""
        verb = self.machine.run
        if command.startswith("blockhost-libvirt restore") and "--in-place" not in command and "--as" not in command:
            for name in [ONE, TWO] if "--all" in command else [ONE]:
                assert verb("destroy", name).returncode in (0, 5), name
        if "--in-place" in command or command.startswith("blockhost-libvirt snapshot undo"):
            verb("start", ONE)
        if command.startswith("blockhost-libvirt snapshot keep"):
            listed = json.loads(verb("snapshot", "list", "--json").stdout)
            if not listed:
                assert verb("snapshot", "take", ONE).returncode == 0
        if "--digests" in command:
            wait_until("the agent answers", 120, lambda: verb("guest-exec", ONE, "true").returncode == 0)
            (self.home / "files.sha256").write_text(verb("guest-exec", ONE, "sha256sum /bin/busybox").stdout)
        if "key add" in command:
            second = self.machine.root / "srv/second"
            second.write_text("a password of the admin's own\n")
            second.chmod(0o600)

    def here(self, command):
        """The same with this host's names and places."""
        root = self.machine.root
        here = command.replace("sftp:backup@far:/srv/host-a", "/srv/backup").replace("/srv/", f"{root}/srv/")
        here = here.replace("/root/host-a.wrapped", "host-a.wrapped")
        here = here.replace("/root/second", f"{root}/srv/second").replace("web-001", ONE).replace("web-002", TWO)
        here = here.replace("'systemctl is-active nginx'", "'test -d /proc'")
        if "1f3a9c22" in here:
            here = here.replace("1f3a9c22", self.second_key() if "key remove" in here else self.last_id()[:12])
        if "UUID" in here:
            here = here.replace("UUID", self.machine.virsh("domuuid", ONE).strip())
        if "backup setup" in here or " --from " in here:
            here += " --user nobody"
        if here.endswith("backup forget"):
            here += " --force-clock"  # nothing may set this host's clock
        return here

    def second_key(self):
        keys = json.loads(self.machine.run("backup", "key", "list", "--json").stdout)
        return next(key["id"] for key in keys if not key["own"])

    def types(self, command):
        environment = self.machine.env | {"PATH": f"{self.home}/bin:{os.environ['PATH']}"}
        if command.startswith("restic"):  # the keeper's, who is the repository's user
            environment |= {"RESTIC_REPOSITORY": str(self.machine.root / "srv/backup"), "RESTIC_PASSWORD": self.sheet().strip()}
            command = "setpriv --reuid=nobody --regid=nogroup --clear-groups restic --no-cache" + command.removeprefix("restic")
        typed = self.sheet() if "/dev/stdin" in command else self.code if "key unwrap" in command else ""
        run = sh("bash", "-c", command, env=environment, cwd=self.home, input=typed, check=False)
        if "key wrap" in command:
            self.code = re.search(r"^code +(\S+)$", run.stdout, re.M)[1]
        return run


@pytest.fixture(scope="module")
def reader():
    machine = Machine("quick")
    try:
        yield Reader(machine)
        for name in (ONE, TWO, f"{ONE}-copy"):
            machine.run("destroy", name)
        assert machine.leftovers() == {}
    finally:
        machine.wipe()
        machine.close()


@pytest.mark.skipif(not seeds.is_due(1 / 3, "documents of backups"), reason="its minutes are another commit's (BLOCKHOST_WHOLE=1)")
def test_each_command_works(reader):
    done = []
    for command in commands():
        if command.startswith("runuser") or "setup" in command and ("sftp:" in command or "rclone:" in command):
            continue  # another host: tests/backup/test_targets.py and test_backup_targets.py have one
        if " --file " in command:
            continue  # tests/backup/test_files.py runs it: libguestfs takes its time
        reader.before(command)
        run = reader.types(reader.here(command))
        assert run.returncode == 0, (command, run.stderr + run.stdout)
        done.append(command)
    assert len(done) > 30 and any(shlex.split(each)[0] == "restic" for each in done)
