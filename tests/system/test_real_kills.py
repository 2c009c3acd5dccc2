# SPDX-License-Identifier: MIT
"""Verbs killed at random moments on real libvirt and QEMU, and libvirtd under them (kills.py); and what that has found."""

import os
import signal

import kills
import pytest
import seeds
from daemon import Daemon
from machine import Machine, sh, wait_until

COUNT = int(os.environ.get("BLOCKHOST_KILLS", len(kills.ORDER)))
FIRST = int(os.environ.get("BLOCKHOST_FIRST_KILL") or seeds.number())

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")


def test_what_was_killed_at_a_random_moment_can_be_done_again_and_leaves_nothing(record_property):
    numbers = range(FIRST, FIRST + COUNT)
    figures = kills.run(numbers, print)
    record_property("note", f"{figures.played} real kills, {numbers[0]} to {numbers[-1]}, {figures.hit} met a verb before its end")
    assert figures.broken is None, figures.broken
    assert figures.played == COUNT


@pytest.fixture()
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture()
def machine(daemon):
    made = Machine("quick", ipv6=False, prefix=daemon.prefix)
    yield made
    if daemon.gone():
        daemon.restart()
    made.close()


@pytest.mark.parametrize("next_one", ["build-template", "templates --prune"])
def test_a_trial_that_outlived_its_build_and_libvirtd_is_ended_by_the_next(machine, daemon, next_one):
    """libvirtd, come back, no longer knows that the trial was to end with the build."""
    image = machine.root / "source.qcow2"
    sh("cp", machine.settings["GUEST_TEMPLATE"], image)
    sh("qemu-io", "-f", "qcow2", "-c", "write -P 1 1M 1M", image)
    words = ("build-template", "--source", f"file:{image}", "--as-is", "--verify-boot")
    build = machine.start(*words)
    console = machine.root / "var/cache/blockhost/build/trial.log"
    wait_until("the trial boots", 60, lambda: console.exists() and console.stat().st_size or build.poll() is not None)
    daemon.send(signal.SIGKILL)
    build.kill()
    build.communicate()
    wait_until("the daemon's end", 10, daemon.gone)
    daemon.restart()
    assert machine.processes(), "the trial has ended without us"
    run = machine.run(*(words if next_one == "build-template" else ("templates", "--prune")))
    assert run.returncode == 0, run.stderr
    assert machine.leftovers() == {}


def test_the_judge_sees_what_is_left_on_a_real_machine(machine):
    """One thing of each kind, planted."""
    assert machine.leftovers() == {}
    machine.write({"vms": {}, "next_vmid": 1, "allocated_ips": ["10.213.0.99"], "allocated_ipv6": []})
    for path in ("vms/gone.0123456789abcdef.qcow2", "console/gone.log", "suspended/gone", "journal/gone.journal"):
        (machine.state / path).parent.mkdir(exist_ok=True)
        (machine.state / path).touch()
    (machine.state / "cloud-init/gone").mkdir(parents=True)
    (machine.root / "run/blockhost/provisioning.lock").touch()
    (machine.root / "var/cache/blockhost/build").mkdir()
    (machine.root / "var/cache/blockhost/build/image.qcow2").touch()
    machine.sh("ip", "link", "add", "tap-gone", "type", "veth", "peer", "tap-peer")
    machine.sh("ip", "link", "set", "tap-gone", "master", machine.bridge)
    machine.sh("ip", "neigh", "add", f"10.213.{machine.subnet}.77", "lladdr", "52:54:00:00:00:01", "dev", machine.bridge)
    definition = machine.root / "gone.xml"
    definition.write_text(f"<domain type='qemu'><name>gone-{machine.tag}</name><title>{machine.root}</title>"
                          "<memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>")
    machine.virsh("define", str(definition))
    found = machine.leftovers()
    assert sorted(found) == ["addresses", "builds", "disks", "domains", "journal", "locks", "notes", "ports", "seeds"]
    assert len(found["addresses"]) == 2 and len(found["notes"]) == 2
