# SPDX-License-Identifier: MIT
"""Kills in a row of whoever takes part in a backup of a VM that runs: the program at each step, and restic, the view of the disk,
QEMU and libvirtd in the middle. After each of them the next backup is the disk, to the byte, and nothing is left of the one before.
BLOCKHOST_KILLS says how many."""

import itertools
import json
import os
import pathlib
import random
import signal
import time

import pytest
import seeds
from daemon import Daemon
from machine import Machine, wait_until
from test_backup import helpers, restored
from test_backup_running import NAME, STEPS, alive, answers, back_up, checkpoints, image, left, stopped_in_store, under_way, write

COUNT = int(os.environ.get("BLOCKHOST_KILLS", 4))
VICTIMS = ["imgtree", "restic", "QEMU", "libvirtd"]
PATIENCE = 120
"""Seconds that one kill and what follows may take."""


@pytest.fixture(scope="module")
def daemon():
    made = Daemon(lifetime=600 + COUNT * PATIENCE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def vm(daemon):
    """One VM that runs, and a repository of restic's user."""
    machine = Machine("quick", prefix=daemon.prefix)
    try:
        assert machine.create(NAME).returncode == 0
        machine.set_up_backups()
        yield machine
        assert machine.run("destroy", NAME).returncode == 0
        assert machine.leftovers() == {}
    finally:
        machine.close()


def order():
    """All of them in turn, in another order each time."""
    chance = random.Random(repr((seeds.number(), "kills of backups")))

    def rounds():
        while True:
            yield from chance.sample([*STEPS, *VICTIMS], len(STEPS) + len(VICTIMS))
    return itertools.islice(rounds(), COUNT)


def send_to_helper(machine, name, number):
    for pid in helpers(machine):
        try:
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(name.encode()):
                os.kill(int(pid), number)
        except OSError:
            pass


def killed_at(machine, step, chance):
    """Whether the backup had not ended by then."""
    process = under_way(machine, step)
    time.sleep(chance.random() * 0.05)
    process.kill()
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def killed_in_the_middle(machine, daemon, victim):
    process = stopped_in_store(machine)
    write(machine, 502, 2)  # while it is frozen
    if victim == "QEMU":
        os.kill(machine.processes()[NAME][0], signal.SIGKILL)
    elif victim == "libvirtd":
        daemon.send(signal.SIGKILL)
        wait_until("libvirtd is gone", 20, daemon.gone)
        daemon.restart()
        send_to_helper(machine, "restic", signal.SIGCONT)
    else:
        send_to_helper(machine, victim, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    # QEMU goes on without libvirtd, and so may the backup.
    assert process.returncode != 0 or victim == "libvirtd", err


def test_after_each_of_so_many_kills_the_next_backup_is_the_disk(vm, daemon, record_property):
    chance = random.Random(repr((seeds.number(), "where the guest writes")))
    met = 0
    for number, victim in enumerate(order()):
        write(vm, 100 + chance.randrange(300), 1 + chance.randrange(3))
        if victim in STEPS:
            met += killed_at(vm, victim, chance)
        else:
            killed_in_the_middle(vm, daemon, victim)
            met += 1
        recovered = vm.run("recover", NAME)
        told = (number, victim, recovered.stdout, recovered.stderr)
        assert recovered.returncode == 0, told
        wait_until("no helper is left", 20, lambda: not helpers(vm))
        assert left(vm) == [] and f"{NAME}.journal" not in vm.names("journal"), told
        if not alive(vm):
            assert victim == "QEMU" and vm.run("start", NAME).returncode == 0, told
        answers(vm)
        assert vm.virsh("domstate", NAME).strip() == "running", told
        write(vm, 420 + chance.randrange(60))
        made = back_up(vm)
        assert restored(vm, made["id"]) == image(vm), told
        assert len(checkpoints(vm)) == 1 and left(vm) == [] and helpers(vm) == [], told
        whole = json.loads(vm.run("backup", "list", NAME, "--json").stdout)
        assert whole[-1]["id"] == made["id"], told
    checked = vm.run("backup", "check", "--read-data-subset", "100")
    assert checked.returncode == 0, checked.stderr
    record_property("note", f"{COUNT} kills of backups, {met} met one before its end")
