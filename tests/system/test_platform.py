# SPDX-License-Identifier: MIT
"""This host's libvirt as a platform keeps what every platform promises; and what only real domains show."""

import pathlib
import sys

import pytest
from machine import WALLET, wait_until

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "platform"), str(TESTS / "pve")]
from conformance import *  # noqa: E402, F403
from platform_process import Platform  # noqa: E402

NAME = "seen-001"


class Libvirt:
    """A machine of the system suite. Its guest is made once; each test gets it off, as it was made or made anew."""

    id, other = NAME, "seen-002"
    lacks = frozenset({"snapshot", "rollback", "delete-snapshot", "backup", "restore", "delete-backup", "set-features", "mount",
                       "unmount"})

    def __init__(self, machine):
        self.machine = machine
        self.platform = self.opened()

    def opened(self):
        return Platform(None, None, platform="libvirt", env=self.machine.env, cwd=self.machine.root)

    def done(self, run):
        assert run.returncode == 0, run.stderr

    def add(self, name):
        if name not in self.machine.registry()["vms"] or self.machine.registry()["vms"][name]["status"] == "destroyed":
            self.done(self.machine.run("create", name, "--owner-wallet", WALLET, "--apply", "--memory", "512", "--cpu", "1",
                                       "--disk", "2"))
        self.done(self.machine.run("kill", name))
        self.done(self.machine.run("configure", name, "--cpu", "1", "--memory", "512", "--description", "", "--tags", ""))

    def edit(self, name):
        for call in ("setmem", "setmaxmem"):
            self.machine.virsh(call, name, "333M", "--config")

    def replace(self, name):
        self.done(self.machine.run("destroy", name))
        self.add(name)

    def state(self):
        told = self.machine.sh("virsh", "-c", self.machine.uri, "domstate", NAME, check=False)
        return told.stdout.strip() if told.returncode == 0 else None

    def lock(self, name):
        registry = self.machine.registry()
        registry["vms"][name]["expires_at"] = "2020-01-01T00:00:00+00:00"
        self.machine.write(registry)
        self.done(self.machine.run("gc", "--execute", "--force-clock", "--suspend-only"))
        return "suspended"

    def lose(self, wanted, note, after):
        if after:
            self.platform.do("begin", **wanted, note=note)
            wait_until("it runs", 60, lambda: self.state() == "running")
        self.platform.process.kill()
        self.platform = self.opened()

    name = "libvirt"

    def making(self, _kind):
        return {"owner_wallet": WALLET, "cores": 1, "memory": 256}

    def deafen(self, _name):
        """One that was started just now does not listen yet."""

    def hide(self):
        registry = self.machine.registry()
        registry["vms"]["no name"] = {}
        self.machine.write(registry)

    def vanish(self, _handle):
        self.platform.close()
        self.platform = self.opened()

    def close(self):
        self.platform.close()
        registry = self.machine.registry()
        registry["vms"].pop("no name", None)
        self.machine.write(registry)
        self.machine.run("resume", NAME, "--extend-days", "30")


@pytest.fixture()
def world(whole_module):
    made = Libvirt(whole_module)
    made.add(NAME)
    yield made
    made.close()


def test_the_host_is_told(world):
    told = world.platform.do("host")
    assert told["platform"] == "libvirt" and told["memory_mib"] > 0 and told["cpus"] > 0


def test_a_guest_is_made_and_its_incarnation_is_its_domains(world):
    action = {"kind": "create", "name": world.other, "cores": 1, "memory": 256, "owner_wallet": WALLET}
    wanted = {"guest": world.other, "incarnation": "", "action": action}
    handle = world.platform.do("begin", **wanted, note=world.platform.do("note", **wanted))
    end = world.platform.do("await", handle=handle, ms=240_000)
    assert end["phase"] == "done" and end["guest"] == world.other, end
    uuid = world.machine.sh("virsh", "-c", world.machine.uri, "domuuid", world.other).stdout.strip()
    assert world.platform.guest(world.other)["incarnation"] == f"uuid:{uuid}"
    assert world.platform.carry_out(world.other, "stop", patience=0, force=True)["phase"] == "done"
    assert world.platform.carry_out(world.other, "destroy")["phase"] == "done"


def test_a_create_whose_process_dies_is_undone_by_whoever_looks(world):
    action = {"kind": "create", "name": world.other, "cores": 1, "memory": 256, "owner_wallet": WALLET}
    wanted = {"guest": world.other, "incarnation": "", "action": action}
    note = world.platform.do("note", **wanted)
    handle = world.platform.do("begin", **wanted, note=note)
    wait_until("its domain is there", 120,
               lambda: world.machine.sh("virsh", "-c", world.machine.uri, "domstate", world.other, check=False).returncode == 0)
    world.platform.process.kill()
    world.platform = world.opened()
    end = world.platform.do("await", handle=handle, ms=120_000)
    assert end["phase"] == "failed" and end["error"]["code"] == "interrupted"
    assert world.platform.guest(world.other) is None
    assert world.platform.do("recover", **wanted, note=note)["phase"] == "failed", "whoever looks again learns the same"
