# SPDX-License-Identifier: MIT
"""Hosts to plan for: a stand-in node, and this program's own VMs in their simulated world."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "pve"), str(TESTS / "lifecycle")]

from node import StandIn  # noqa: E402
from simulated import BINARY, WALLET, Mock  # noqa: E402

STATUSES = {"converged": 0, "changes": 2, "refused": 1}


class Host:
    """A host, and what a person types there. `folder` is where documents lie."""

    def run(self, *words, text=None):
        return subprocess.run([BINARY, *words, *self.more], cwd=self.folder, env=self.environment(), capture_output=True,
                              text=True, input=text if text is not None else "")

    def write(self, document, name="desired.json"):
        text = document if isinstance(document, str) else json.dumps(document)
        (self.folder / name).write_text(text)
        return name

    def wanted(self, guests, **more):
        return {"version": 1, "host": self.name, "generation": 1, "guests": guests, **more}

    def plan(self, guests, status, **more):
        """The plan for these guests, as a program reads it."""
        run = self.run("plan", self.write(self.wanted(guests, **more)), "--json")
        assert run.returncode == STATUSES[status], (run.returncode, run.stdout, run.stderr)
        return json.loads(run.stdout)

    def text(self, guests, status):
        """The same as a person reads it."""
        run = self.run("plan", self.write(self.wanted(guests)))
        assert run.returncode == STATUSES[status], (run.returncode, run.stdout, run.stderr)
        return run.stdout

    def refused(self, document):
        """What the last line on stderr says of a wrong document."""
        run = self.run("plan", self.write(document))
        assert run.returncode == STATUSES["refused"] and run.stdout == "", (run.returncode, run.stdout)
        return run.stderr.strip().splitlines()[-1]

    def dump(self, *words):
        run = self.run("dump-desired", *words)
        assert run.returncode == 0, run.stderr
        return run.stdout, run.stderr

    def drift(self):
        """A plan over what the host is dumped as: what it finds to do, and what it does not know."""
        return self.drift_from(self.dump()[0])

    def drift_from(self, document):
        run = self.run("plan", self.write(document), "--json")
        told = json.loads(run.stdout)
        assert run.returncode == (0 if told["converged"] else 2), run.stderr
        return told["actions"] + told["unknown"]


class Node(Host):
    """A stand-in node that agent.json names, a hundred times as fast. Its guests are numbers."""

    kind, name, more = "proxmox", "pve1", ()

    def __init__(self, folder):
        self.folder = folder
        self.standin = StandIn(scale=100)
        self.standin.__enter__()
        self.standin.front.idle = 1 << 20
        self.standin.add_template()
        etc = folder / "root/etc/blockhost"
        etc.mkdir(parents=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(self.standin.token("agent@pve!main", "Agent16") + "\n")
        (etc / "agent.json").write_text(json.dumps({"platform": {
            "kind": "proxmox", "origin": f"https://{self.standin.address}", "node": "pve1", "token_file": str(token),
            "pins": ["sha256:" + self.standin.fingerprint.replace("SHA256:", "")], "backup_storage": "local",
            "disk_storage": "local"}}))

    def environment(self):
        return {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.folder / "root")}

    def add(self, number, running=False):
        self.standin.add_vm(number, name=f"vm-{number}", cores=1, memory=512, disks={"scsi0": 4}, running=running)

    def close(self):
        self.standin.close()


class Simulated(Host):
    """VMs of this program's, in the simulated world. Its guests are names."""

    kind, more = "libvirt", ("--mock",)

    def __init__(self, folder):
        self.mock = Mock(folder)
        self.folder, self.name = folder, os.uname().nodename

    def environment(self):
        return self.mock.environment()

    def add(self, name, running=False):
        run = self.mock.run("create", name, "--owner-wallet", WALLET, "--apply", "--memory", "512", "--cpu", "1", "--disk", "4")
        assert run.returncode == 0, run.stderr
        if not running:
            assert self.mock.run("kill", name).returncode == 0

    def close(self):
        pass


@pytest.fixture()
def node(tmp_path):
    made = Node(tmp_path)
    yield made
    made.close()


@pytest.fixture()
def simulated(tmp_path):
    return Simulated(tmp_path)


@pytest.fixture(params=[Node, Simulated], ids=lambda kind: kind.kind)
def host(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.close()
