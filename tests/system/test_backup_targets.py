# SPDX-License-Identifier: MIT
"""A VM's backups on another host: by ssh, and on a server that only takes."""

import json
import os
import pathlib
import sys
import tempfile

import pytest
from machine import Machine, sh, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from far import MISSING, Far  # noqa: E402

NAME = f"far-{os.getpid()}"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def far():
    with tempfile.TemporaryDirectory(prefix="blockhost-far-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o711)
        made = Far(folder)
        yield made
        made.stop()


@pytest.fixture(scope="module")
def vm(far):
    """One VM that is off, with something on its disk; commands see restic's user, `bh-saver`."""
    machine = Machine("quick", prefix=far.wrapped())
    try:
        assert machine.create(NAME).returncode == 0
        assert machine.run("stop", NAME).returncode == 0
        wait_until("the VM is off", 60, lambda: machine.states()[NAME] == "off")
        sh("qemu-io", "-f", "qcow2", "-c", "write -P 7 300M 3M", disk(machine))
        yield machine
    finally:
        machine.run("destroy", NAME)
        machine.close()


def disk(machine):
    return next((machine.state / "vms").glob(NAME + ".*"))


def content(machine):
    return sh("qemu-img", "convert", "-O", "raw", disk(machine), machine.root / "raw") and (machine.root / "raw").read_bytes()


def set_up(machine, address):
    for name in ("backup.json", "backup.password"):
        (machine.etc / name).unlink(missing_ok=True)
    made = machine.run("backup", "setup", "--user", "bh-saver", "--repository", address)
    assert made.returncode == 0, made.stderr


def test_a_vm_comes_back_from_another_host_by_address_and_password(vm, far):
    far.ssh()
    set_up(vm, far.address())
    stored = vm.run("backup", NAME, "--json")
    assert stored.returncode == 0, stored.stderr
    before = content(vm)
    (vm.etc / "backup.password").rename(vm.root / "sheet")
    (vm.etc / "backup.json").unlink()
    assert vm.run("destroy", NAME).returncode == 0
    back = vm.run("restore", f"{NAME}@latest", "--from", far.address(), "--password-file", vm.root / "sheet", "--user", "bh-saver", "--off")
    assert back.returncode == 0, back.stderr
    assert content(vm) == before


def test_what_a_server_only_takes_cannot_be_forgotten_from_here(vm, far):
    set_up(vm, far.takes_only())
    settings = vm.etc / "backup.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"keep": {"last": 1}}))
    for _ in range(2):
        made = vm.run("backup", NAME, "--json")
        assert made.returncode == 0, made.stderr
    gone = vm.run("backup", "forget", "--force-clock")
    assert gone.returncode == 18 and "lets nobody remove anything: it is append-only" in gone.stderr, gone.stderr
    assert '"append_only": true' in gone.stderr
    assert len(json.loads(vm.run("backup", "list", NAME, "--json").stdout)) == 2
