# SPDX-License-Identifier: MIT
"""Expiry, suspension, resume and destruction of real VMs, under a libvirtd of the tests' own that has the start veto."""

import datetime
import signal
import stat

import pytest
from daemon import Daemon
from machine import BUILD, Machine, wait_until

HOOK = "/etc/libvirt/hooks/qemu.d/blockhost"
GC = ("gc", "--execute", "--force-clock")


def ago(days):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)).isoformat()


@pytest.fixture(scope="module")
def daemon():
    made = Daemon()
    made.run("mkdir", "-p", "/etc/libvirt/hooks/qemu.d")
    made.run("ln", "-s", BUILD / "hooks/blockhost-start-veto", HOOK)
    made.send(signal.SIGHUP)
    yield made
    made.close()


@pytest.fixture(scope="module")
def machine(daemon):
    made = Machine("quick", prefix=daemon.prefix)
    yield made
    made.close()


def ok(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def test_a_vm_from_expiry_to_payment_and_from_expiry_to_nothing(machine):
    ok(machine.create("gc-1"))
    machine.change("gc-1", expires_at=ago(1))
    run = ok(machine.run(*GC))
    assert "gc-1: expired at" in run.stdout and "suspend gc-1: done" in run.stdout
    record = machine.registry()["vms"]["gc-1"]
    assert record["status"] == "suspended"
    assert machine.virsh("domstate", "gc-1").strip() == "shut off"

    # Nobody starts it, whichever way: not libvirt itself, not an admin of ours.
    raw = machine.sh("virsh", "-c", machine.uri, "start", "gc-1", check=False)
    assert raw.returncode != 0 and "gc-1 is suspended since" in raw.stderr, raw.stderr
    mine = machine.run("start", "gc-1")
    assert mine.returncode == 1 and "unpaid" in mine.stderr

    # Paid: the date the engine set is the date it keeps.
    ok(machine.run("extend", "gc-1", "--days", "100"))
    extended = machine.registry()["vms"]["gc-1"]["expires_at"]
    run = ok(machine.run("resume", "gc-1"))
    assert run.stdout.splitlines()[-1] == "VM 'gc-1' resumed successfully"
    record = machine.registry()["vms"]["gc-1"]
    assert record["status"] == "active" and record["expires_at"] == extended and "suspended_at" not in record
    assert machine.virsh("domstate", "gc-1").strip() == "running"

    # Not paid: suspended again, and after the grace destroyed, the network plugins told first.
    told = machine.root / "told"
    hook = machine.root / "usr/bin/blockhost-network-hook"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho \"$@\" >> {told}\nexit 3\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    machine.change("gc-1", expires_at=ago(9))
    ok(machine.run(*GC))
    machine.change("gc-1", suspended_at=ago(8))
    run = ok(machine.run(*GC))
    assert "destroy gc-1: done" in run.stdout
    assert told.read_text() == "cleanup gc-1\n" and "ended with status 3" in run.stderr
    assert machine.registry()["vms"]["gc-1"]["status"] == "destroyed"
    assert machine.leftovers() == {}


def test_a_paused_vm_and_one_that_ignores_the_power_button_are_off_before_they_are_marked(machine, tmp_path):
    ok(machine.create("gc-2"))
    stubborn = tmp_path / "user-data"
    stubborn.write_text("#cloud-config\n# quick-guest: power-button=ignored\n")
    ok(machine.create("gc-3", "--cloud-init-content", str(stubborn)))
    machine.virsh("suspend", "gc-2")
    for name in ("gc-2", "gc-3"):
        machine.change(name, expires_at=ago(1))
    run = ok(machine.run(*GC, "--patience", "3"))
    assert "gc-3 did not shut down within 3 s" in run.stderr
    for name in ("gc-2", "gc-3"):
        assert machine.virsh("domstate", name).strip() == "shut off"
        assert machine.registry()["vms"][name]["status"] == "suspended"
        ok(machine.run("destroy", name))
    assert machine.leftovers() == {}


def test_gc_killed_in_the_middle_is_finished_or_taken_back(machine):
    """Killed while the guest shuts down; paid meanwhile: it runs on. Killed again, unpaid: it is suspended."""
    ok(machine.create("gc-4"))
    for paid in (True, False):
        machine.change("gc-4", expires_at=ago(1))
        process = machine.start(*GC, "--jobs", "1")
        for line in process.stderr:
            if "asking the guest to shut down" in line:
                break
        process.kill()
        process.communicate()
        if paid:
            ok(machine.run("extend", "gc-4", "--days", "50"))
        ok(machine.run("recover", "--all"))
        status = machine.registry()["vms"]["gc-4"]["status"]
        assert status == ("active" if paid else "suspended")
        state = machine.virsh("domstate", "gc-4").strip()
        assert state == ("running" if paid else "shut off")
        assert (machine.state / "suspended/gc-4").exists() == (not paid)
    ok(machine.run("destroy", "gc-4"))
    assert machine.leftovers() == {}


def test_a_gc_that_loses_libvirtd_half_way_marks_nothing_it_did_not_see(machine, daemon):
    ok(machine.create("gc-5"))
    machine.change("gc-5", expires_at=ago(1))
    process = machine.start(*GC, "--jobs", "1")
    for line in process.stderr:
        if "asking the guest to shut down" in line:
            break
    daemon.send(signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "suspend gc-5: FAILED" in out
    assert machine.registry()["vms"]["gc-5"]["status"] == "active"
    wait_until("the daemon's end", 10, daemon.gone)
    daemon.restart()
    wait_until("the daemon", 20, lambda: daemon.virsh("list", check=False).returncode == 0)
    ok(machine.run(*GC))
    assert machine.registry()["vms"]["gc-5"]["status"] == "suspended"
    assert machine.virsh("domstate", "gc-5").strip() == "shut off"
    ok(machine.run("destroy", "gc-5"))


def test_boot_brings_back_what_should_run(machine):
    for name in ("gc-6", "gc-7"):
        ok(machine.create(name))
    ok(machine.run("kill", "gc-6"))
    machine.virsh("destroy", "gc-7")
    address = machine.registry()["vms"]["gc-7"]["ipv6_address"]
    machine.sh("ip", "-6", "route", "del", address + "/128", "dev", machine.bridge)
    run = ok(machine.run("boot"))
    assert sorted(run.stdout.splitlines()) == ["gc-6: kept off: it was stopped by an admin", "gc-7: started"]
    assert machine.virsh("domstate", "gc-7").strip() == "running"
    assert machine.virsh("domstate", "gc-6").strip() == "shut off"
    assert address in machine.sh("ip", "-6", "route", "show", "dev", machine.bridge).stdout
    for name in ("gc-6", "gc-7"):
        ok(machine.run("destroy", name))
    assert machine.leftovers() == {}


def test_gc_refuses_a_clock_that_the_kernel_does_not_trust(machine):
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = [("modes", ctypes.c_uint), ("words", ctypes.c_long * 4), ("status", ctypes.c_int),
                    ("rest", ctypes.c_char * 200)]

    state = Timex()
    untrusted = ctypes.CDLL(None).adjtimex(ctypes.byref(state)) == 5 or state.status & 0x40
    run = machine.run("gc", "--execute")
    assert run.returncode == (20 if untrusted else 0), run.stderr
    if untrusted:
        assert "the kernel says that its clock is not synchronised" in run.stderr
