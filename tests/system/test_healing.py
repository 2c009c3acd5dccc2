# SPDX-License-Identifier: MIT
"""heal on real libvirt: a guest whose QEMU was killed is started once, one that somebody stopped is not, a loop ends."""

import json
import os
import pathlib
import signal

import pytest
from machine import wait_until

NAME = "heal-001"


@pytest.fixture(scope="module")
def guest(whole_module):
    """A guest that runs; it is made once."""
    assert whole_module.create(NAME).returncode == 0
    configure(whole_module, off_for_s=1, between_s=0, longest_s=0, most_starts=2)
    yield whole_module
    assert whole_module.run("destroy", NAME).returncode == 0
    (whole_module.etc / "agent.json").unlink()


def configure(machine, **rules):
    (machine.etc / "agent.json").write_text(json.dumps({"platform": {"kind": "libvirt"}, "healing": rules}))


def kill_qemu(machine):
    """kill -9 of the QEMU of that guest alone."""
    [pid] = [int(each.name) for each in pathlib.Path("/proc").iterdir() if each.name.isdigit() and is_its_qemu(each)]
    os.kill(pid, signal.SIGKILL)
    wait_until("libvirt saw it die", 30, lambda: state(machine) == "shut off (crashed)")


def is_its_qemu(process):
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.startswith(f"guest={NAME},".encode()) for word in words)


def state(machine):
    return machine.virsh("domstate", "--reason", NAME).strip()


def heal(machine, status=0):
    run = machine.run("heal", NAME, "--json")
    assert run.returncode == status, (run.stdout, run.stderr)
    [told] = json.loads(run.stdout)
    return told


def ensure_running(machine):
    assert machine.run("start", NAME).returncode == 0
    assert heal(machine)["stand"] == "runs"


def test_a_guest_whose_qemu_was_killed_is_started_once(guest):
    ensure_running(guest)
    kill_qemu(guest)
    told = heal(guest)
    assert (told["stand"], told["state"]) == ("starts", "done") and "it crashed, libvirt says" in told["why"], told
    assert state(guest).startswith("running")
    assert heal(guest)["stand"] == "runs"
    operations = json.loads(guest.run("operations", "--json").stdout)
    assert [(each["guest"], each["source"], each["state"]) for each in operations] == [(NAME, "healing", "done")]


def test_a_crash_loop_ends_in_a_report(guest):
    ensure_running(guest)
    kill_qemu(guest)
    assert heal(guest)["state"] == "done", "the second of two starts in a row"
    kill_qemu(guest)
    told = heal(guest, status=1)
    assert told["stand"] == "given up" and "2 times" in told["why"] and state(guest) == "shut off (crashed)"
    assert heal(guest)["stand"] == "given up"


@pytest.mark.parametrize("how, words", [
    (lambda machine: machine.run("kill", NAME), "an operator stopped it"),
    (lambda machine: machine.virsh("destroy", NAME), "somebody forced it off")], ids=["by a verb", "by virsh"])
def test_what_somebody_stopped_stays_off(guest, how, words):
    ensure_running(guest)
    how(guest)
    assert {"stand": "left", "why": words, "operation": ""}.items() <= heal(guest).items()


def test_what_was_shut_down_stays_off(guest):
    ensure_running(guest)

    def is_off():
        guest.virsh("shutdown", "--mode", "acpi", NAME, check=False)  # until its kernel listens
        return state(guest).startswith("shut off")
    wait_until("it is off", 60, is_off)
    told = heal(guest)
    assert told["stand"] == "left" and told["why"].startswith("it was shut down"), (told, state(guest))
