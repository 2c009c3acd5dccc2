# SPDX-License-Identifier: MIT
"""apply, pending, approve and reject: what loses nothing is done, what can lose data waits for a signature."""

import json
import os
import pty
import subprocess
import time

import pytest
from platform_process import Platform
from simulated import BINARY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="operations of a node are root's alone")


def one(host, running=True):
    name = "100" if host.kind == "proxmox" else "vm-1"
    host.add(name if host.kind == "libvirt" else int(name), running=running)
    return name


def apply(host, guests, *words, generation=1):
    return host.run("apply", host.write(host.wanted(guests) | {"generation": generation}), *words)


def done(run, status=0):
    assert run.returncode == status, (run.stdout, run.stderr)
    return run.stdout


def operations(host):
    return [(each["guest"], each["action"]["kind"], each["state"]) for each in json.loads(done(host.run("operations", "--json")))]


def waiting(host):
    return json.loads(done(host.run("pending", "--json")))


def knows_an_operator(host):
    """Makes an operator's key and a stranger's, and the host know the operator; the keys' folder."""
    for name in ("operator", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", host.folder / name], check=True)
    allowed = host.folder / "allowed_signers"
    allowed.write_text("operator " + (host.folder / "operator.pub").read_text())
    allowed.chmod(0o600)
    file = host.folder / "root/etc/blockhost/agent.json"
    settings = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(settings | {"authority": {"allowed_signers": str(allowed)}}))
    return host.folder


@pytest.fixture()
def keys(host):
    return knows_an_operator(host)


def destroy_waits(host):
    """A guest that is off and not wanted any more; its id, and that of the operation that waits."""
    name = one(host, running=False)
    run = apply(host, {name: {"power": "absent"}}, "--yes")
    [pending] = waiting(host)
    assert f"blockhost-libvirt approve {pending['id']}" in done(run, 2)
    return name, pending["id"]


def is_there(host, name):
    return json.loads(host.dump()[0])["guests"].get(name) is not None


# -- what loses nothing

def test_power_becomes_what_is_wanted(host):
    name = one(host)
    assert f"{name}: stop done" in done(apply(host, {name: {"power": "stopped"}}, "--yes"))
    assert operations(host) == [(name, "stop", "done")]
    assert host.plan({name: {"power": "stopped"}}, "converged")["actions"] == []
    assert done(apply(host, {name: {"power": "stopped"}}, "--yes")) == "Nothing is to be done.\n"
    assert len(operations(host)) == 1


def test_three_fields_become_what_is_wanted(host):
    name = one(host)
    document = json.loads(host.dump()[0])
    document["guests"][name] |= {"memory_mib": 1024, "cpus": 2, "description": "mine", "tags": ["b", "a"], "disk_gib": 6}
    document["generation"] = 2
    done(host.run("apply", host.write(document), "--yes"))
    assert {(guest, kind) for guest, kind, state in operations(host) if state == "done"} == {(name, "set-config"), (name, "grow")}
    assert host.drift_from(json.dumps(document)) == []


def test_what_a_new_guest_lacks_still_is_done_by_the_same_call(simulated):
    name = "vm-7"
    wanted = {name: {"source": {"template": "current"}, "owner_wallet": "0x" + "cd" * 20} | {"power": "stopped", "cpus": 2, "memory_mib": 256, "disk_gib": 5, "description": "new", "tags": ["x"]}}
    done(apply(simulated, wanted, "--yes"))
    assert [kind for _guest, kind, _state in operations(simulated)] == ["create", "stop", "set-config"]
    assert simulated.plan(wanted, "converged")["actions"] == []


def test_one_guest_alone(node):
    node.add(100, running=True)
    node.add(101, running=True)
    wanted = {name: {"power": "stopped"} for name in ("100", "101")}
    done(apply(node, wanted, "--yes", "--only", "101"))
    assert operations(node) == [("101", "stop", "done")]
    run = apply(node, wanted, "--yes", "--only", "102")
    assert run.returncode == 1 and "does not name 102" in run.stderr


def test_what_cannot_be_is_told_and_the_rest_is_done(host):
    name = one(host)
    out = done(apply(host, {name: {"power": "stopped", "disk_gib": 3}}, "--yes"), 2)
    assert f"{name}: stop done" in out and f"{name}: not done: a disk only grows" in out


def test_a_guest_is_not_stopped_for_a_destroy_that_nobody_approved(host):
    name = one(host)
    out = done(apply(host, {name: {"power": "absent"}}, "--yes"), 2)
    assert "approve it with" in out
    assert json.loads(host.dump()[0])["guests"][name]["power"] == "running"


def golden(node):
    """A backup of a guest of the node's; the guest goes."""
    node.add(100)
    platform = Platform(node.standin, node.folder / "secrets", token_text=(node.folder / "token").read_text().strip(), patience_ms=2000)
    try:
        assert platform.carry_out(100, "backup", repository="local")["phase"] == "done"
        return max(row["id"] for row in platform.do("backups"))
    finally:
        platform.close()


def test_a_guest_made_of_a_backup_grows_and_starts_by_the_same_call(node):
    wanted = {"107": {"source": {"backup": golden(node)}, "power": "running", "disk_gib": 6, "memory_mib": 768, "description": "new"}}
    done(apply(node, wanted, "--yes"))
    kinds = [kind for _guest, kind, state in operations(node) if state == "done"]
    assert kinds[0] == "create" and kinds[-1] == "start" and "grow" in kinds, kinds
    assert node.plan(wanted, "converged")["actions"] == []


# -- generations

def test_an_older_document_is_refused_from_then_on(host):
    name = one(host)
    done(apply(host, {name: {"power": "stopped"}}, "--yes", generation=5))
    for generation, power, words in [(4, "running", "4"), (5, "running", "5")]:
        run = apply(host, {name: {"power": power}}, "--yes", generation=generation)
        assert run.returncode == 1 and words in run.stderr, run.stderr
        run = host.run("plan", host.write(host.wanted({name: {"power": power}}) | {"generation": generation}))
        assert run.returncode == 1 and words in run.stderr and run.stdout == "", run.stderr
    assert len(operations(host)) == 1
    done(apply(host, {name: {"power": "running"}}, "--yes", generation=6))


# -- asking

def test_nobody_can_be_asked_through_a_pipe(host):
    name = one(host)
    run = apply(host, {name: {"power": "stopped"}})
    assert run.returncode == 1 and "give --yes to carry it out" in run.stderr and "stop:" in run.stdout
    assert operations(host) == []


class Terminal:
    """apply on a terminal, which shows the plan and asks."""

    def __init__(self, host, guests):
        master, slave = pty.openpty()
        words = [BINARY, "apply", host.write(host.wanted(guests)), *host.more]
        self.process = subprocess.Popen(words, cwd=host.folder, env=host.environment() | {"TERM": "dumb"}, stdin=slave,
                                        stdout=slave, stderr=slave)
        os.close(slave)
        self.master, self.shown = master, ""
        deadline = time.monotonic() + 60
        while "Only 'yes' does." not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self.shown += os.read(master, 4096).decode()

    def answer(self, text):
        os.write(self.master, (text + "\n").encode())
        try:
            while piece := os.read(self.master, 4096):
                self.shown += piece.decode()
        except OSError:  # the other side is closed
            pass
        os.close(self.master)
        return self.process.wait(timeout=60)


@pytest.mark.parametrize("answer, status, ended", [("yes", 0, 1), ("y", 1, 0), ("", 1, 0)])
def test_a_person_is_asked(host, answer, status, ended):
    name = one(host)
    terminal = Terminal(host, {name: {"power": "stopped"}})
    assert "stop:" in terminal.shown and terminal.answer(answer) == status, terminal.shown
    assert len(operations(host)) == ended


def test_guests_that_changed_while_the_question_stood_are_left_alone(node):
    node.add(100, running=True)
    terminal = Terminal(node, {"100": {"memory_mib": 1024}})
    node.standin.knobs.edit(100, memory=2048)
    assert terminal.answer("yes") == 1 and "changed since the plan was shown" in terminal.shown, terminal.shown
    assert operations(node) == []


# -- what can lose data

def test_a_destroy_happens_once_it_was_approved(host, keys):
    name, operation = destroy_waits(host)
    assert is_there(host, name)
    assert done(host.run("approve", operation, "--key", keys / "operator")) == f"{operation}: done\n"
    assert not is_there(host, name) and waiting(host) == []
    assert done(host.run("pending")) == "Nothing waits for a signature.\n"
    run = host.run("approve", operation, "--key", keys / "operator")
    assert run.returncode != 0 and "waits for a signature" in run.stderr


def test_one_signature_stops_and_destroys_a_guest_that_runs(host, keys):
    name = one(host, running=True)
    done(apply(host, {name: {"power": "absent"}}, "--yes"), 2)
    [pending] = waiting(host)
    assert operations(host) == [(name, "destroy", "waiting for signature")]
    assert done(host.run("approve", pending["id"], "--key", keys / "operator")) == f"{pending['id']}: done\n"
    assert not is_there(host, name)
    assert sorted(operations(host)) == [(name, "destroy", "done"), (name, "stop", "done")]


def test_a_strangers_signature_stops_nobody(host, keys):
    name = one(host, running=True)
    done(apply(host, {name: {"power": "absent"}}, "--yes"), 2)
    [pending] = waiting(host)
    assert host.run("approve", pending["id"], "--key", keys / "stranger").returncode != 0
    assert json.loads(host.dump()[0])["guests"][name]["power"] == "running"
    assert operations(host) == [(name, "destroy", "waiting for signature")]


def test_it_may_be_signed_on_another_machine(host, keys):
    name, operation = destroy_waits(host)
    (host.folder / "pending.json").write_text(done(host.run("pending", operation)))
    signed = subprocess.run([BINARY, "sign", "pending.json", "--key", "operator"], cwd=host.folder, capture_output=True, text=True,
                            env={"PATH": os.environ["PATH"]}, check=True).stdout
    run = host.run("approve", operation, "--signed", "pending.json")
    assert run.returncode != 0 and "nobody has signed pending.json" in run.stderr
    (host.folder / "signed.json").write_text(signed)
    done(host.run("approve", operation, "--signed", "signed.json"))
    assert not is_there(host, name)


def test_of_two_signers_one_may_sign_again_and_counts_once(node):
    folder = node.folder
    for name in ("alice", "bob"):  # each signature of an ECDSA key is another one
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "", "-f", folder / name], check=True)
    allowed = folder / "allowed_signers"
    allowed.write_text("".join(f"{name} {(folder / name).with_suffix('.pub').read_text()}" for name in ("alice", "bob")))
    allowed.chmod(0o600)
    file = node.folder / "root/etc/blockhost/agent.json"
    authority = {"allowed_signers": str(allowed), "roles": {"operator": {"principals": ["alice", "bob"]}}, "two_signers": ["destroy"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"authority": authority}))
    name, operation = destroy_waits(node)
    for _ in range(2):
        run = node.run("approve", operation, "--key", folder / "alice")
        assert run.returncode != 0 and "wants 2 different signers, and 1 has signed" in run.stderr and is_there(node, name)
    assert done(node.run("approve", operation, "--key", folder / "bob")) == f"{operation}: done\n"
    assert not is_there(node, name)


def test_a_strangers_signature_ends_nothing(host, keys):
    name, operation = destroy_waits(host)
    run = host.run("approve", operation, "--key", keys / "stranger")
    assert run.returncode != 0 and "an allowed signer" in run.stderr and run.stdout == ""
    assert is_there(host, name) and [each["id"] for each in waiting(host)] == [operation]
    done(host.run("approve", operation, "--key", keys / "operator"))
    assert not is_there(host, name)


def test_what_was_rejected_is_over(host, keys):
    name, operation = destroy_waits(host)
    assert done(host.run("reject", operation)) == f"{operation}: rejected\n"
    assert is_there(host, name) and waiting(host) == [] and operations(host) == [(name, "destroy", "rejected")]
    run = host.run("reject", operation)
    assert run.returncode != 0 and f"no operation {operation} waits for a signature" in run.stderr


def test_a_guest_that_was_made_anew_is_another_one(node):
    keys = knows_an_operator(node)
    name, operation = destroy_waits(node)
    node.standin.knobs.replace(100)
    run = node.run("approve", operation, "--key", keys / "operator")
    assert run.returncode != 0 and "waits for a signature" in run.stderr
    assert is_there(node, name) and operations(node) == [(name, "destroy", "failed")]


def test_without_allowed_signers_nothing_is_approved(node):
    name, operation = destroy_waits(node)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", node.folder / "any"], check=True)
    run = node.run("approve", operation, "--key", node.folder / "any")
    assert run.returncode != 0 and is_there(node, name), run.stderr


@pytest.mark.parametrize("words", [(), ("--key", "a", "--signed", "b")])
def test_a_signature_comes_from_one_place(host, words):
    run = host.run("approve", "0123456789abcdef", *words)
    assert run.returncode == 2 and "either --key" in run.stderr


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_an_answer_that_nobody_heard_is_said_with_what_it_means(host, keys, verb):
    name, operation = destroy_waits(host)
    words = (verb, operation, *(("--key", keys / "operator") if verb == "approve" else ()))
    with open("/dev/full", "w") as full:
        run = subprocess.run([BINARY, *words, *host.more], cwd=host.folder, env=host.environment(), stdout=full,
                             stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    assert run.returncode != 0 and "cannot write to standard output" in run.stderr.splitlines()[-1]
    assert is_there(host, name) == (verb == "reject") and waiting(host) == []
    assert "waits for a signature" in host.run(*words).stderr, "a repeat does nothing twice"
