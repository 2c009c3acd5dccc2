# SPDX-License-Identifier: MIT
"""The verbs of this program's own that can lose data, on a host with an agent: behind its gate, or on its record."""

import json
import os
import sqlite3
import subprocess

import pytest
from simulated import WALLET

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent's operations are root's alone")


class Managed:
    """A simulated host with an operator's key and a guest, vm-1."""

    def __init__(self, host):
        self.host, self.mock, self.folder = host, host.mock, host.folder
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.folder / "operator"], check=True)
        self.allowed = self.folder / "allowed_signers"
        self.allowed.write_text("operator " + (self.folder / "operator.pub").read_text())
        self.allowed.chmod(0o600)
        host.add("vm-1")

    def configure(self, **authority):
        file = self.folder / "root/etc/blockhost/agent.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"authority": {"allowed_signers": str(self.allowed), **authority}}))

    def agent_folder(self):
        return next((path for path in self.folder.rglob("agent") if path.is_dir()), None)

    def record(self):
        return [json.loads(line) for line in (self.agent_folder() / "audit.jsonl").read_text().splitlines()]

    def destroy(self, name="vm-1"):
        return self.host.run("destroy", name)

    def is_there(self, name="vm-1"):
        return self.mock.domain(name) is not None

    def approve(self, operation):
        return self.host.run("approve", operation, "--key", str(self.folder / "operator"))


@pytest.fixture()
def managed(simulated):
    return Managed(simulated)


def of_contract(run, name="vm-1"):
    """What a caller of blockhost-vm-destroy reads, to the byte."""
    return (run.returncode, run.stdout) == (0, f"VM destroyed: {name}\n")


def test_a_host_without_an_agent_pays_nothing(managed):
    assert of_contract(managed.destroy()) and not managed.is_there()
    assert managed.agent_folder() is None
    assert of_contract(managed.destroy()), "a repeat finds nothing to do"


def test_an_agents_settings_alone_make_no_database(managed):
    managed.configure()
    assert of_contract(managed.destroy()) and managed.agent_folder() is None


def test_roots_shell_is_the_operator_and_the_record_says_so(managed):
    managed.configure()
    assert managed.host.run("pending").returncode == 0
    run = managed.destroy()
    assert of_contract(run) and not managed.is_there(), run.stderr
    decision, end = managed.record()
    assert (decision["verdict"], decision["why"], decision["change"], decision["source"]) == (
        "permitted", "root's own shell is the operator", "destroy", "root's shell")
    assert decision["requester"] == f"uid {os.getuid()}, destroy" and decision["target"]["guest"] == "vm-1"
    assert decision["target"]["incarnation"].startswith("uuid:")
    assert (end["event"], end["how"], end["operation"]) == ("end", "done", decision["operation"])
    assert of_contract(managed.destroy()) and len(managed.record()) == 2, "nothing was lost by a repeat"


def test_where_everybody_has_to_sign_it_waits_and_approve_carries_on(managed):
    managed.configure(require_signatures="all")
    run = managed.destroy()
    assert (run.returncode, run.stdout) == (1, "") and managed.is_there()
    [pending] = json.loads(managed.host.run("pending", "--json").stdout)
    assert f"vm-1 is not destroyed yet: operation {pending['id']} waits for a signature" in run.stderr
    assert f"blockhost-libvirt approve {pending['id']}" in run.stderr
    again = managed.destroy()
    assert again.returncode == 1 and pending["id"] in again.stderr, "it is not asked for twice"
    assert len(json.loads(managed.host.run("pending", "--json").stdout)) == 1
    assert managed.approve(pending["id"]).returncode == 0
    assert not managed.is_there()
    assert of_contract(managed.destroy()), "what is gone is gone"
    assert {line.get("why") for line in managed.record()} >= {"it needs a signature", "it is signed"}


def test_a_vm_that_runs_is_stopped_by_hand_before_the_approval(managed):
    managed.configure(require_signatures="all")
    assert managed.host.run("start", "vm-1").returncode == 0
    assert managed.destroy().returncode == 1
    [pending] = json.loads(managed.host.run("pending", "--json").stdout)
    assert managed.host.run("kill", "vm-1").returncode == 0
    run = managed.approve(pending["id"])
    assert run.returncode == 0 and not managed.is_there(), run.stderr


def test_a_rejected_one_is_asked_for_anew(managed):
    managed.configure(require_signatures="all")
    managed.destroy()
    [first] = json.loads(managed.host.run("pending", "--json").stdout)
    assert managed.host.run("reject", first["id"]).returncode == 0
    managed.destroy()
    [second] = json.loads(managed.host.run("pending", "--json").stdout)
    assert second["id"] != first["id"] and managed.is_there()


def test_an_approval_is_not_for_a_namesake(managed):
    managed.configure(require_signatures="all")
    managed.destroy()
    [pending] = json.loads(managed.host.run("pending", "--json").stdout)
    managed.configure()
    assert of_contract(managed.destroy())
    managed.host.add("vm-1")
    managed.configure(require_signatures="all")
    assert managed.approve(pending["id"]).returncode != 0 and managed.is_there()


def test_what_may_be_done_cannot_be_told_from_broken_settings(managed):
    file = managed.folder / "root/etc/blockhost/agent.json"
    for text in ("{", '{"authority": {"require_signatures": "maybe"}}', '{"authority": 1}'):
        managed.configure()
        file.write_text(text)
        run = managed.destroy()
        assert run.returncode == 1 and "agent.json" in run.stderr and managed.is_there(), run.stderr


def test_a_damaged_database_permits_nothing(managed):
    managed.configure()
    managed.host.run("pending")
    (managed.agent_folder() / "agent.db").write_bytes(b"no database" * 1000)
    run = managed.destroy()
    assert run.returncode == 1 and managed.is_there() and "agent.db" in run.stderr


def test_a_database_that_is_empty_and_should_not_be_approves_nothing(managed):
    managed.configure(require_signatures="all")
    managed.destroy()
    [pending] = json.loads(managed.host.run("pending", "--json").stdout)
    assert managed.approve(pending["id"]).returncode == 0
    managed.host.add("vm-1")
    for path in managed.agent_folder().glob("agent.db*"):
        path.unlink()
    managed.destroy()
    [pending] = json.loads(managed.host.run("pending", "--json").stdout)
    run = managed.approve(pending["id"])
    assert run.returncode != 0 and managed.is_there()
    assert "are counted there: it is an older copy" in run.stderr


def test_a_database_that_another_process_holds_permits_nothing(managed):
    managed.configure()
    managed.host.run("pending")
    held = sqlite3.connect(managed.agent_folder() / "agent.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    run = managed.destroy()
    held.execute("ROLLBACK")
    assert run.returncode == 1 and managed.is_there() and run.stdout == "", run.stderr


def expired(managed):
    """vm-1 is past its grace."""
    managed.mock.expire("vm-1")
    assert managed.mock.run("gc", "--execute", "--force-clock", "--suspend-only").returncode == 0


def test_gc_leaves_what_needs_a_signature_and_says_how_to_ask(managed):
    expired(managed)
    managed.configure(require_signatures="all")
    run = managed.mock.run("gc", "--execute", "--force-clock", "--grace-days", "0")
    assert "destroy vm-1: skipped: it needs an operator's signature: 'blockhost-libvirt destroy vm-1' asks for one" in run.stdout
    assert managed.is_there() and run.returncode == 0


def test_gc_destroys_on_the_record(managed):
    expired(managed)
    managed.configure()
    managed.host.run("pending")
    run = managed.mock.run("gc", "--execute", "--force-clock", "--grace-days", "0")
    assert run.returncode == 0 and not managed.is_there(), run.stdout
    decision, end = managed.record()
    assert decision["requester"] == f"uid {os.getuid()}, gc" and end["how"] == "done"


def test_an_undo_which_nobody_can_sign_is_refused_and_its_snapshot_stays(managed):
    def snapshots():
        return json.loads(managed.host.run("snapshot", "list", "--json").stdout)
    assert managed.host.run("snapshot", "take", "vm-1").returncode == 0
    managed.configure(require_signatures="all")
    run = managed.host.run("snapshot", "undo", "vm-1")
    assert run.returncode == 18 and "requires an operator's signature" in run.stderr and len(snapshots()) == 1, run.stderr
    managed.configure()
    assert managed.host.run("snapshot", "undo", "vm-1").returncode == 0 and snapshots() == []


def test_another_platforms_agent_is_none_for_our_vms(managed):
    managed.configure()
    file = managed.folder / "root/etc/blockhost/agent.json"
    file.write_text(json.dumps({"platform": {"kind": "proxmox"}, "authority": {"require_signatures": "all"}}))
    assert of_contract(managed.destroy()) and managed.agent_folder() is None


def test_what_loses_nothing_needs_no_signature_and_no_record(managed):
    managed.configure(require_signatures="all")
    for verb in ("start", "kill"):
        assert managed.host.run(verb, "vm-1").returncode == 0
    assert managed.mock.run("create", "vm-2", "--owner-wallet", WALLET, "--apply", "--memory", "512", "--cpu", "1", "--disk",
                            "4").returncode == 0
    assert managed.agent_folder() is None
