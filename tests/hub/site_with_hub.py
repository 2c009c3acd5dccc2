# SPDX-License-Identifier: MIT
"""A host of simulated VMs with a hub and an operator, and its agent as systemd runs it: for the tests of the agent."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time

import pytest
from conftest import FolderStore
from simulated import BINARY, Mock

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "data/schemas/hub-report.schema.json").read_text())
HOST = os.uname().nodename


class Site:
    """A host with its hub and an operator."""

    def __init__(self, folder):
        self.mock, self.hub, self.folder = Mock(folder), FolderStore(folder), folder
        self.hub.add_host(HOST)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "operator"], check=True)
        allowed = folder / "allowed_signers"
        allowed.write_text("operator " + (folder / "operator.pub").read_text())
        allowed.chmod(0o600)
        self.configuration = {"platform": {"kind": "libvirt"}, "authority": {"allowed_signers": str(allowed)},
                              "hub": {"kind": "folder", "folder": str(self.hub.place), "poll_s": 60}}
        self.configure()
        self.generation = 0

    def configure(self, **more):
        self.configuration |= more
        (self.folder / "root/etc/blockhost/agent.json").write_text(json.dumps(self.configuration))

    def want(self, guests, generation=None):
        self.generation = generation or self.generation + 1
        self.hub.want(HOST, self.generation, guests=guests)

    def agent(self, *words, **more):
        return self.mock.run("agent", *words, **more)

    def once(self, status=0):
        run = self.agent("--once")
        assert run.returncode == status, (run.returncode, run.stdout, run.stderr)
        return self.report()

    def report(self):
        return self.hub.newest(HOST)

    def events(self, kind=None):
        """By sequence, without those that came twice."""
        all_events = {event["sequence"]: event for report in self.hub.reports(HOST) for event in report["events"]}
        return [event for _sequence, event in sorted(all_events.items()) if kind in (None, event["kind"])]

    def ends(self):
        return [(event["guest"], event["action"]["kind"], event["state"]) for event in self.events("operation-ended")]

    def operations(self):
        told = json.loads(self.mock.run("operations", "--json").stdout)
        return [(each["guest"], each["action"]["kind"], each["state"]) for each in told]

    def power(self, name="vm-1"):
        guests = {guest["id"]: guest["power"] for guest in json.loads(self.mock.run("guests", "--json").stdout)["guests"]}
        return guests.get(name)

    def sign(self, document, file="op"):
        (self.folder / "pending.json").write_text(document)
        signed = subprocess.run([BINARY, "sign", "pending.json", "--key", "operator"], cwd=self.folder, capture_output=True, text=True,
                                env={"PATH": os.environ["PATH"]}, check=True).stdout
        self.hub.replace(self.hub.place / HOST / "signed" / f"{file}.json", signed)

    def database(self):
        return sqlite3.connect(self.folder / "mock-world/agent/agent.db")


class Running:
    """The agent as systemd runs it, with a socket for its notifications."""

    def __init__(self, site, watchdog="600000"):
        self.site, self.heard = site, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(site.folder / "notify"))
        environment = site.mock.environment() | {"NOTIFY_SOCKET": str(site.folder / "notify"), "WATCHDOG_USEC": watchdog}
        self.process = subprocess.Popen([BINARY, "agent", "--mock"], cwd=site.folder, env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def hears(self, word, seconds=30):
        """Waits for a datagram that begins so."""
        end = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            self.heard.append(self.socket.recv(4096).decode())
            if self.heard[-1].startswith(word):
                return self.heard[-1]

    def ask_now(self):
        self.process.send_signal(signal.SIGHUP)
        self.hears("RELOADING=1\nMONOTONIC_USEC=")
        self.hears("READY=1")

    def until(self, true, seconds=60):
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, (self.site.report(), self.heard[-3:])
            self.drain()
            time.sleep(0.1)

    def drain(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(4096).decode())

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        self.drain()
        self.socket.close()
        (self.site.folder / "notify").unlink()
        return err


def validated(report):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    return report
