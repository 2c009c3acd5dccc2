# SPDX-License-Identifier: MIT
"""Each state that a VM may be in on real libvirt, and what the power verbs make of it: they end with a look at what is.

Guests are put into these states by the means that an admin, a guest or a full disk has.
"""

import json
import os
import re
import time

import pytest
import seeds
from machine import WALLET, sh, wait_until

NAME = "power-001"
PANIC = "<panic model='isa'/>"


@pytest.fixture()
def vm(whole_module):
    """A running VM with that name; it comes back as it was, whatever a test made of it."""
    machine = whole_module
    if not (machine.root / "definition.xml").exists():
        run = machine.create(NAME)
        assert run.returncode == 0, run.stderr
        (machine.root / "definition.xml").write_text(machine.virsh("dumpxml", "--inactive", NAME))
        (machine.root / "record.json").write_text(json.dumps(machine.registry()))
    yield machine
    put(machine, "active", "running")


def state(machine):
    """libvirt's state and reason; "absent" without a domain."""
    told = machine.sh("virsh", "-c", machine.uri, "domstate", "--reason", NAME, check=False)
    return told.stdout.strip() if told.returncode == 0 else "absent"


def record(machine, status):
    registry = json.loads((machine.root / "record.json").read_text())
    if status == "none":
        registry["vms"] = {}
    else:
        registry["vms"][NAME]["status"] = status
        if status == "suspended":
            registry["vms"][NAME]["suspended_at"] = registry["vms"][NAME]["created_at"]
    machine.write(registry)


def domain(machine, kind, change=lambda xml: xml):
    """The domain anew from its definition, in that state."""
    machine.sh("virsh", "-c", machine.uri, "destroy", NAME, check=False)
    machine.sh("virsh", "-c", machine.uri, "undefine", NAME, "--managed-save", check=False)
    if kind == "none":
        return
    xml = change((machine.root / "definition.xml").read_text())
    if kind == "foreign":
        xml = xml.replace(machine.instance(), "f" * 32)
    path = machine.root / "changed.xml"
    path.write_text(xml)
    machine.virsh("define", str(path))
    if kind in ("running", "paused", "foreign"):
        machine.virsh("start", NAME)
    if kind == "paused":
        machine.virsh("suspend", NAME)


def put(machine, status, kind, **more):
    for folder in ("suspended", "kept-off"):  # left by the state before; the host's own start veto may read them
        (machine.state / folder / NAME).unlink(missing_ok=True)
    record(machine, status)
    domain(machine, kind, **more)


def booted(machine, **more):
    """Running, and its agent answers."""
    put(machine, "active", "running", **more)
    wait_until("the agent to answer", 60, lambda: machine.run("guest-exec", NAME, "true").returncode == 0)


def told(machine):
    return json.loads(machine.run("status", NAME, "--json").stdout)


def status_of(machine):
    return machine.registry()["vms"].get(NAME, {"status": "none"})["status"]


# The state table

START = {("active", kind): "running" for kind in ("running", "paused", "off")}
ROWS = [(status, kind) for status in ("none", "active", "suspended", "destroyed")
        for kind in ("none", "running", "paused", "off", "foreign")]


# Each row takes ten to sixty seconds.
@pytest.mark.parametrize("status,kind", seeds.some_of(ROWS, 8, "start and kill"))
def test_each_row_of_the_state_table_is_started_and_killed_as_it_says(vm, status, kind):
    put(vm, status, kind)
    before = state(vm)
    run = vm.run("start", NAME)
    if (status, kind) in START:
        assert run.returncode == 0 and state(vm).startswith("running"), run.stderr
    else:
        assert run.returncode == 1 and run.stdout == "" and state(vm) == before, run.stderr
        assert "libvirt cannot" not in run.stderr
    put(vm, status, kind)
    run = vm.run("kill", NAME)
    if kind == "foreign":
        assert run.returncode == 1 and state(vm).startswith("running")
    else:
        assert run.returncode == 0, run.stderr
        assert state(vm).startswith("absent" if kind == "none" else "shut off")
    assert status_of(vm) == status


@pytest.fixture(scope="module")
def files(whole_module, tmp_path_factory):
    """The VM's disk and seed, to be put back after a destroy."""
    kept = tmp_path_factory.mktemp("kept")

    def put_back():
        for folder in ("vms", "cloud-init"):
            sh("cp", "-a", f"{kept / folder}/.", str(whole_module.state / folder))

    def keep():
        if not any(kept.iterdir()):
            for folder in ("vms", "cloud-init"):
                sh("cp", "-a", "--sparse=always", str(whole_module.state / folder), str(kept / folder))
        return put_back

    return keep


@pytest.mark.parametrize("status,kind", seeds.some_of(ROWS, 5, "the other verbs"))
def test_each_row_of_the_state_table_is_created_stopped_resumed_suspended_and_destroyed_as_it_says(vm, files, status, kind):
    put_back = files()
    foreign, gone, live = kind == "foreign", kind == "none", status in ("active", "suspended")

    def refused(verb, *words):
        before = state(vm)
        run = vm.run(verb, NAME, *words)
        assert run.returncode != 0 and state(vm) == before and status_of(vm) == status, (verb, run.stderr)
        assert run.stdout == "" or json.loads(run.stdout)["status"] == "error", run.stdout
        assert "libvirt cannot" not in run.stderr

    put(vm, status, kind)
    if live or not gone:
        refused("create", "--owner-wallet", WALLET, "--apply")
    if status != "suspended" or foreign or gone:
        refused("resume")
    if foreign or gone:
        refused("stop")
    elif kind == "off":
        run = vm.run("stop", NAME)
        assert run.returncode == 0 and state(vm).startswith("shut off"), run.stderr
    if status == "suspended" and not foreign and not gone:
        run = vm.run("resume", NAME)
        assert run.returncode == 0 and state(vm).startswith("running") and status_of(vm) == "active", run.stderr
        put(vm, status, kind)
    if live:
        vm.change(NAME, expires_at="2026-01-01T00:00:00+00:00")
    run = vm.run("gc", "--execute", "--force-clock", "--suspend-only", "--patience", "1")
    assert run.returncode == (1 if live and foreign else 0), run.stdout + run.stderr
    if live and not foreign:
        assert status_of(vm) == "suspended" and state(vm).startswith("absent" if gone else "shut off")
    else:  # gc makes the record that a domain of this instance lacks
        assert status_of(vm) == ("active" if status == "none" and not gone and not foreign else status)
        assert state(vm).startswith({"foreign": "running", "none": "absent", "off": "shut off"}.get(kind, kind))
    put(vm, status, kind)
    try:
        if foreign:
            refused("destroy")
        else:
            run = vm.run("destroy", NAME)
            assert run.returncode == 0 and state(vm) == "absent", run.stderr
            assert status_of(vm) == ("destroyed" if live else status)
    finally:
        put_back()


# On the way to another state


def test_a_start_waits_for_a_guest_that_goes_down_and_starts_it_again(vm):
    """libvirt calls a guest running until it is off; its agent goes first."""
    booted(vm)
    slow = "echo never >/run/wish.agent; printf '#!/bin/sh\\nkillall qemu-ga; sleep 8; poweroff -f\\n' " \
           ">/etc/acpi/PWRF/00000080"
    run = vm.run("guest-exec", NAME, slow)
    assert run.returncode == 0, run.stderr
    process = vm.processes()[NAME]
    vm.virsh("shutdown", "--mode", "acpi", NAME)
    run = vm.run("start", NAME)
    assert (run.returncode, run.stdout) == (0, f"VM started: {NAME}\n"), run.stderr
    assert vm.processes()[NAME] != process, "the VM that goes down was called started"
    time.sleep(2)
    assert state(vm).startswith("running")


def test_a_start_of_a_running_vm_is_success(vm):
    booted(vm)
    process = vm.processes()[NAME]
    run = vm.run("start", NAME)
    assert (run.returncode, run.stderr.count("agent")) == (0, 0), run.stderr
    assert vm.processes()[NAME] == process


def test_a_start_of_a_saved_vm_runs_it_again(vm):
    booted(vm)
    vm.virsh("managedsave", NAME)
    assert state(vm) == "shut off (saved)"
    run = vm.run("start", NAME)
    assert run.returncode == 0 and state(vm) == "running (restored)", run.stderr


# Paused


def test_a_stop_lets_a_paused_guest_run_on_so_that_it_hears_of_it(vm):
    booted(vm)
    vm.virsh("suspend", NAME)
    assert told(vm)["reason"] == "user"
    run = vm.run("stop", NAME)
    assert (run.returncode, run.stdout) == (0, f"Shutdown signal sent: {NAME}\n"), run.stderr
    assert state(vm).startswith("shut off")


def asleep(machine):
    booted(machine)
    machine.run("guest-exec", NAME, "(sleep 1; echo mem >/sys/power/state) >/dev/null 2>&1 &")
    wait_until("the guest to sleep", 30, lambda: state(machine).startswith("pmsuspended"))


@pytest.mark.parametrize("verb,end", [("start", "running"), ("stop", "shut off"), ("kill", "shut off")])
def test_a_guest_that_sleeps_is_woken_or_refused_in_our_words(vm, verb, end):
    asleep(vm)
    assert (told(vm)["state"], told(vm)["reason"]) == ("paused", "suspended to memory")
    run = vm.run(verb, NAME)
    assert run.returncode == 0, run.stderr
    if verb == "stop" and "has not shut down yet" in run.stderr:
        end = "running"  # it was woken and asked, and does not always hear its button after a sleep; stop says what is
    assert state(vm).startswith(end), (run.stderr, state(vm))


@pytest.fixture()
def full(vm):
    """The VM's disk on a file system that has no room, which its guest has met."""
    folder = vm.state / "full"
    folder.mkdir(exist_ok=True)
    sh("mount", "-t", "tmpfs", "-o", "size=64m,mode=0711", "none", str(folder))
    try:
        text = (vm.root / "definition.xml").read_text()
        disk = re.search(r"<source file='([^']*/vms/[^']*)'", text).group(1)
        sh("cp", "--sparse=always", disk, str(folder / os.path.basename(disk)))
        sh("chown", "--reference", disk, str(folder / os.path.basename(disk)))
        # O_DIRECT is nothing that a tmpfs has
        booted(vm, change=lambda xml: xml.replace(disk, str(folder / os.path.basename(disk)))
               .replace("cache='none' io='native'", "cache='writeback'"))
        with open(folder / "filler", "wb") as filler:
            try:
                while True:
                    filler.write(b"x" * 65536)
                    filler.flush()
            except OSError:
                pass
        vm.run("guest-exec", NAME, "dd if=/dev/urandom of=/dev/vda bs=1M count=8 >/dev/null 2>&1 &")
        wait_until("the guest to meet the full disk", 30, lambda: state(vm) == "paused (I/O error)")
        yield folder / "filler"
    finally:
        domain(vm, "off")
        sh("umount", str(folder), check=False)
        folder.rmdir()


def test_a_vm_that_stopped_for_lack_of_space_says_so_and_is_not_said_to_be_started(vm, full):
    words = "I/O error (no space left for vda)"
    assert vm.run("status", NAME).stdout == "suspended\n"
    assert (told(vm)["state"], told(vm)["reason"]) == ("paused", words)
    metrics = json.loads(vm.run("metrics", NAME).stdout)
    assert (metrics["state"], metrics["state_reason"]) == ("paused", words)
    assert f"{NAME} is paused: {words}" in vm.run("list").stderr
    assert vm.run("list", "--long").stdout.splitlines()[1].endswith(f"\tpaused\t{words}")

    run = vm.run("start", NAME)
    assert run.returncode == 1 and run.stdout == "" and f"{NAME} is paused: {words}" in run.stderr, run.stderr
    run = vm.run("stop", NAME)
    assert run.returncode == 1 and run.stdout == "" and words in run.stderr and f"kill {NAME}" in run.stderr
    assert "libvirt cannot" not in run.stderr

    full.unlink()
    run = vm.run("start", NAME)
    assert run.returncode == 0 and state(vm).startswith("running"), run.stderr
    assert vm.run("kill", NAME).returncode == 0


# Crashed


@pytest.mark.parametrize("verb,end", [("stop", "shut off"), ("kill", "shut off"), ("start", "running (booted)")])
def test_a_guest_that_panicked_and_is_kept_holds_its_memory_until_a_verb_ends_it(vm, verb, end):
    put(vm, "active", "running", change=lambda xml: xml.replace("</devices>", PANIC + "</devices>").replace(
        "<on_crash>destroy</on_crash>", "<on_crash>preserve</on_crash>"))
    vm.virsh("qemu-monitor-command", NAME, "--hmp", "o /1 0x505 1")  # what a guest's kernel writes when it panics
    wait_until("libvirt to hear of the panic", 20, lambda: state(vm).startswith("crashed"))
    assert state(vm) == "crashed (panicked)" and vm.processes().get(NAME)
    assert (told(vm)["status"], told(vm)["state"], told(vm)["reason"]) == ("suspended", "crashed", "panicked")
    assert json.loads(vm.run("metrics", NAME).stdout)["state_reason"] == "panicked"
    run = vm.run(verb, NAME)
    assert run.returncode == 0 and state(vm).startswith(end), (run.stderr, state(vm))


def test_a_qemu_that_died_says_that_it_crashed(vm):
    put(vm, "active", "running")
    for process in vm.processes()[NAME]:
        os.kill(process, 9)
    wait_until("libvirt to notice", 20, lambda: state(vm).startswith("shut off"))
    assert (told(vm)["state"], told(vm)["reason"]) == ("off", "crashed")
    assert f"{NAME} is off: crashed" in vm.run("list").stderr
    assert vm.run("start", NAME).returncode == 0 and state(vm).startswith("running")


# Undefined while it runs


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_was_undefined_while_it_runs_is_defined_again_before_it_is_ended(vm, verb):
    booted(vm)
    vm.virsh("undefine", NAME)
    assert told(vm)["defined"] is False
    assert f"{NAME} runs without a definition" in vm.run("list").stderr
    found = {each["finding"]: each for each in json.loads(vm.run("detect", "--json").stdout)["findings"]}
    assert found["definitions"]["ok"] is False and NAME in found["definitions"]["found"]
    run = vm.run(verb, NAME)
    assert run.returncode == 0 and "ran without a definition" in run.stderr, run.stderr
    assert state(vm).startswith("shut off")
    assert vm.virsh("dumpxml", "--inactive", NAME) == (vm.root / "definition.xml").read_text()
    assert vm.run("start", NAME).returncode == 0 and state(vm).startswith("running")


def test_gc_defines_again_what_it_suspends(vm):
    put(vm, "active", "running")
    vm.change(NAME, expires_at="2026-01-01T00:00:00+00:00")
    vm.virsh("undefine", NAME)
    run = vm.run("gc", "--execute", "--force-clock", "--patience", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert state(vm).startswith("shut off") and vm.registry()["vms"][NAME]["status"] == "suspended"
    run = vm.run("resume", NAME)
    assert run.returncode == 0 and state(vm).startswith("running"), run.stderr


def test_a_start_of_an_undefined_running_vm_gives_it_its_definition_back(vm):
    booted(vm)
    vm.virsh("undefine", NAME)
    assert vm.run("start", NAME).returncode == 0
    assert told(vm)["defined"] is True
