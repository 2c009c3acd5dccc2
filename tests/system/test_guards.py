# SPDX-License-Identifier: MIT
"""What was set at a start is looked at afterwards, and mended: a bridge made again, a tap moved, tables flushed."""

import json
import pathlib
import xml.etree.ElementTree as ET

import pytest
from machine import sh

NAME = "guarded-001"


class Guarded:
    """One VM, and what keeps it apart."""

    def __init__(self, machine):
        self.machine, self.bridge = machine, machine.bridge
        # Without one of its own a bridge takes a port's, and the guest would go on answering to the one before.
        self.address = (pathlib.Path("/sys/class/net") / self.bridge / "address").read_text().strip()
        sh("ip", "link", "set", self.bridge, "address", self.address)
        run = machine.create(NAME)
        assert run.returncode == 0, run.stderr
        result = machine.result(run)
        self.ip, self.ip6 = result["ip"], result["ipv6"]
        interface = ET.fromstring(machine.virsh("dumpxml", NAME)).find("devices/interface")
        self.tap, self.mac = interface.find("target").get("dev"), interface.find("mac").get("address")
        self.whole = self.state()
        assert self.whole == {"bridge": self.bridge, "up": True, "isolated": "1", "mask": "0xfffd", "rules": True,
                              "neighbours": [self.ip, self.ip6], "route": True}

    def state(self):
        tap = pathlib.Path("/sys/class/net") / self.tap
        port = {name: (tap / "brport" / name).read_text().strip() if (tap / "brport").exists() else None
                for name in ("isolated", "group_fwd_mask")}
        jumps = sh("ebtables", "-t", "nat", "-L", "PREROUTING").stdout
        rules = sh("ebtables", "-t", "nat", "-L", f"libvirt-I-{self.tap}", check=False).stdout
        known = [line.split() for line in sh("ip", "neigh", "show", "nud", "permanent").stdout.splitlines()]
        return {"bridge": (tap / "master").resolve().name if (tap / "master").exists() else None,
                "up": bool(int((tap / "flags").read_text(), 16) & 1),
                "isolated": port["isolated"], "mask": port["group_fwd_mask"],
                "rules": f"-j libvirt-I-{self.tap}" in jumps and "\n-j DROP" in rules,
                "neighbours": [ip for ip in (self.ip, self.ip6)
                               if any(words[0] == ip and self.bridge in words and self.mac in words for words in known)],
                "route": self.ip6 in sh("ip", "-6", "route", "show", "dev", self.bridge).stdout.split()}

    def answers(self):
        return sh("ping", "-c", "1", "-W", "5", self.ip, check=False).returncode == 0

    # what happens to it

    def bridge_is_made_again(self):
        sh("ip", "link", "del", self.bridge)
        self.make_bridge()

    def make_bridge(self):
        sh("ip", "link", "add", self.bridge, "address", self.address, "type", "bridge")
        sh("ip", "addr", "add", f"10.213.{self.machine.subnet}.1/24", "dev", self.bridge)
        sh("ip", "link", "set", self.bridge, "up")

    def tap_is_moved(self):
        other = self.bridge.replace("bht", "bhu")
        sh("ip", "link", "add", other, "type", "bridge")
        sh("ip", "link", "set", self.tap, "master", other)

    def tap_is_taken_off(self):
        sh("ip", "link", "set", self.tap, "nomaster")

    def isolation_is_switched_off(self):
        sh("bridge", "link", "set", "dev", self.tap, "isolated", "off")

    def mask_is_reset(self):
        sh("ip", "link", "set", "dev", self.tap, "type", "bridge_slave", "group_fwd_mask", "0")

    def rules_are_flushed(self):
        """Of this VM alone: other tests' are in the same table."""
        sh("ebtables", "-t", "nat", "-D", "PREROUTING", "-i", self.tap, "-j", f"libvirt-I-{self.tap}")
        sh("ebtables", "-t", "nat", "-F", f"libvirt-I-{self.tap}")

    def neighbours_are_flushed(self):
        sh("ip", "neigh", "flush", "dev", self.bridge, "nud", "permanent")

    def route_is_deleted(self):
        sh("ip", "-6", "route", "del", f"{self.ip6}/128", "dev", self.bridge)


@pytest.fixture(scope="module")
def vm(whole_module):
    made = Guarded(whole_module)
    yield made
    whole_module.run("destroy", NAME)
    sh("ip", "link", "del", whole_module.bridge.replace("bht", "bhu"), check=False)


WAYS = {"guard": ("guard", "--all"), "boot": ("boot", "--again"), "gc": ("gc", "--execute", "--force-clock"),
        "start": ("start", NAME)}


@pytest.mark.parametrize("how,way", [
    ("bridge_is_made_again", "guard"), ("bridge_is_made_again", "boot"), ("bridge_is_made_again", "gc"),
    ("bridge_is_made_again", "start"), ("tap_is_moved", "guard"), ("tap_is_taken_off", "gc"),
    ("isolation_is_switched_off", "guard"), ("isolation_is_switched_off", "gc"), ("mask_is_reset", "boot"),
    ("rules_are_flushed", "guard"), ("rules_are_flushed", "start"), ("neighbours_are_flushed", "gc"),
    ("route_is_deleted", "guard")])
def test_what_was_lost_is_named_and_mended(vm, how, way):
    getattr(vm, how)()
    assert vm.state() != vm.whole
    look = vm.machine.run("guard", "--all", "--dry-run", "--json")
    [told] = json.loads(look.stdout)
    assert look.returncode == 1 and told["name"] == NAME and told["missing"], look.stderr
    assert vm.state() != vm.whole, "a dry run changes nothing"
    run = vm.machine.run(*WAYS[way])
    assert run.returncode == 0, run.stdout + run.stderr
    assert vm.state() == vm.whole
    assert vm.answers()
    assert vm.machine.run("guard", "--all").stdout == "All guards stand\n"


def test_a_bridge_that_is_down_is_named_by_whoever_looks_and_nothing_is_created_on_it(vm):
    sh("ip", "link", "set", vm.bridge, "down")
    try:
        run = vm.machine.run("guard", "--all")
        assert run.returncode == 1 and f"the bridge {vm.bridge} is down" in run.stdout
        assert f"the bridge {vm.bridge} is down" in vm.machine.run("detect", "--explain").stdout
        create = vm.machine.create("never-001")
        assert create.returncode == 1 and f"the bridge {vm.bridge} is down" in create.stderr
        setup = vm.machine.run("setup", "network", "--bridge", vm.bridge)
        assert setup.returncode != 0 and "is down" in setup.stderr
    finally:
        sh("ip", "link", "set", vm.bridge, "up")
        run = vm.machine.run("guard", "--all")
    assert run.returncode == 0 and vm.state() == vm.whole, run.stdout


def test_a_bridge_that_is_gone_is_named(vm):
    sh("ip", "link", "del", vm.bridge)
    run = vm.machine.run("guard", NAME)
    assert run.returncode == 1 and run.stdout == f"FAILED: {NAME}: there is no bridge {vm.bridge}\n", run.stdout
    vm.make_bridge()
    assert vm.machine.run("guard", NAME).returncode == 0
    assert vm.state() == vm.whole
