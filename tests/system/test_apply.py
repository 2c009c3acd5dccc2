# SPDX-License-Identifier: MIT
"""A desired state on real libvirt: three fields become what is wanted, a signed destroy is all that ends a VM that runs."""

import json
import subprocess

import pytest

NAME = "want-001"


class Wanted:
    """A host's desired state in a file."""

    def __init__(self, machine):
        self.machine, self.file = machine, machine.root / "desired.json"
        dumped = machine.run("dump-desired")
        assert dumped.returncode == 0, dumped.stderr
        self.document = json.loads(dumped.stdout)

    def change(self, **fields):
        self.document["guests"][NAME] = fields if "power" in fields else self.document["guests"][NAME] | fields
        self.document["generation"] += 1

    def do(self, verb, status, *words):
        self.file.write_text(json.dumps(self.document))
        run = self.machine.run(verb, str(self.file), *words)
        assert run.returncode == status, (run.stdout, run.stderr)
        return run.stdout


@pytest.fixture()
def operator(machine):
    """The key of one who may sign."""
    key, allowed = machine.root / "operator", machine.root / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    allowed.write_text("operator " + key.with_suffix(".pub").read_text())
    allowed.chmod(0o600)
    (machine.etc / "agent.json").write_text(json.dumps({"platform": {"kind": "libvirt"}, "authority": {"allowed_signers": str(allowed)}}))
    return key


def test_a_host_becomes_what_its_document_wants_and_a_destroy_waits_for_its_signature(machine, operator):
    created = machine.create(NAME)
    assert created.returncode == 0, created.stderr
    wanted = Wanted(machine)
    assert wanted.do("plan", 0) == "Nothing is to be done.\n"

    wanted.change(memory_mib=160, description="the <shop>", tags=["paid", "db"], disk_mib=1024 + 512, cpus=2)
    wanted.document["guests"][NAME].pop("disk_gib")
    planned = wanted.do("plan", 2)
    assert "memory_mib: 128 -> 160" in planned and "disk_mib: 1024 -> 1536" in planned and "next start" in planned
    applied = wanted.do("apply", 0, "--yes")
    assert f"{NAME}: set-config done" in applied and f"{NAME}: grow done" in applied
    now = wanted.do("plan", 0)
    assert "Nothing is to be done." in now and "memory_mib is 128 now and 160 at its next start" in now
    definition = machine.virsh("dumpxml", "--inactive", NAME)
    assert "<memory unit='KiB'>163840</memory>" in definition and "&lt;shop&gt;</description>" in definition
    assert "<vcpu placement='static'>2</vcpu>" in definition
    inside = machine.run("guest-exec", NAME, "cat /sys/block/vda/size")
    assert (inside.returncode, inside.stdout) == (0, f"{1536 * 2048}\n"), "the guest that runs has the larger disk"

    wanted.change(power="absent")
    waits = wanted.do("apply", 2, "--yes")
    assert "waiting for signature" in waits
    assert machine.run("status", NAME).stdout == "active\n"
    [pending] = json.loads(machine.run("pending", "--json").stdout)
    approved = machine.run("approve", pending["id"], "--key", str(operator))
    assert (approved.returncode, approved.stdout) == (0, f"{pending['id']}: done\n"), approved.stderr
    assert wanted.do("plan", 0) == "Nothing is to be done.\n"
    assert machine.run("status", NAME).stdout == "destroyed\n"
    assert machine.leftovers() == {}
