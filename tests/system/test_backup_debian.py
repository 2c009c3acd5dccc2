# SPDX-License-Identifier: MIT
"""A backup of a real Debian guest that runs: its agent freezes its file systems for a moment, and where there is no agent, the
backup is what a loss of power would have left."""

import json
import os

import pytest
from machine import WALLET, Machine, sh, wait_until
from test_debian import PATIENCE

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")

NAME = f"frozen-{os.getpid()}"  # libvirt may have another machine's VMs
MOST_MS = 2000
WORDS = "written before the backup"


@pytest.fixture(scope="module")
def debian():
    machine = Machine("debian")
    try:
        made = machine.run("create", NAME, "--owner-wallet", WALLET, "--memory", "768", "--disk", "4", "--username", "alice",
                           "--apply", "--ready-timeout", PATIENCE)
        assert made.returncode == 0, made.stderr
        written = machine.run("guest-exec", NAME, f"echo '{WORDS}' >/root/before; sync")
        assert written.returncode == 0, written.stderr
        machine.set_up_backups()
        yield machine
        assert machine.run("destroy", NAME).returncode == 0
    finally:
        machine.close()


def back_up(machine):
    made = machine.run("backup", NAME, "--json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout) | {"stderr": made.stderr}


def extracted(machine, backup):
    """The disk of that backup, as an image."""
    folder = machine.root / f"extracted-{backup['id'][:8]}"
    out = machine.run("backup", "extract", backup["id"], "--to", folder)
    assert out.returncode == 0, out.stderr
    image, = folder.glob("*.qcow2")
    return image


def in_root(image, request):
    """What debugfs says of the largest file system of an image, whose journal it does not replay."""
    raw = image.with_suffix(".raw")
    if not raw.exists():
        sh("qemu-img", "convert", "-O", "raw", image, raw)
    parts = json.loads(sh("sfdisk", "--json", raw).stdout)["partitiontable"]["partitions"]
    root = max(parts, key=lambda part: part["size"])
    return sh("debugfs", "-R", request, f"{raw}?offset={root['start'] * 512}").stdout


def test_the_file_systems_are_frozen_for_a_moment_and_what_was_written_before_is_on_the_disk(debian):
    written = debian.run("guest-exec", NAME, f"echo '{WORDS}' >/root/just-before")  # nothing wrote it to the disk
    assert written.returncode == 0, written.stderr
    made = back_up(debian)
    assert made["consistency"] == "frozen" and "are not frozen" not in made["stderr"], made
    assert 0 < made["frozen_ms"] <= MOST_MS, made
    image = extracted(debian, made)
    assert in_root(image, "cat /root/just-before") == WORDS + "\n"
    assert "needs_recovery" not in in_root(image, "features")  # it was frozen, and not only said to be
    # Nobody is left frozen: the guest writes, and makes sure of it.
    assert debian.run("guest-exec", NAME, "rm /root/just-before; sync").returncode == 0


def test_without_an_agent_the_backup_is_as_after_a_loss_of_power_and_says_so(debian):
    # The agent ends after its answer.
    gone = debian.run("guest-exec", NAME, "systemd-run --on-active=2 systemctl stop qemu-guest-agent")
    assert gone.returncode == 0, gone.stderr
    wait_until("no agent answers", 60, lambda: "disconnected" in debian.virsh("dumpxml", NAME))
    made = back_up(debian)
    assert made["consistency"] == "crash" and made["frozen_ms"] is None, made
    assert "are not frozen, so that the backup is as after a loss of power" in made["stderr"]
    assert "may be frozen still" not in made["stderr"]
    assert debian.virsh("domstate", NAME).strip() == "running"
    image = extracted(debian, made)
    assert in_root(image, "cat /root/before") == WORDS + "\n" and "needs_recovery" in in_root(image, "features")
