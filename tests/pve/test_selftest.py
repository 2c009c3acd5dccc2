# SPDX-License-Identifier: MIT
"""agent --selftest on a node: what is good, what is doubtful, what is bad, that it only looks; and --selftest=task, which does not."""

import json
import os

import pytest
from node import StandIn, certificates
from node.access import AGENT_ROLE
from test_verbs import Host


@pytest.fixture()
def world():
    """Its clock is right."""
    with StandIn() as made:
        made.add_vm(100, name="web", cores=2, memory=512, disks={"scsi0": 4}, running=True)
        made.add_container(200, network=True)
        made.access.add_role("whole", {*AGENT_ROLE, "VM.Clone", "VM.GuestAgent.Audit", "VM.GuestAgent.FileSystemMgmt",
                                       "VM.GuestAgent.Unrestricted"})
        yield made


@pytest.fixture()
def host(world, tmp_path):
    return Host(world, tmp_path, role="whole")


def verdicts(host, status):
    run = host.run("agent", "--selftest=read", "--json")
    assert run.returncode == status, (run.stdout, run.stderr)
    told = {}
    for each in json.loads(run.stdout):
        assert bool(each["remedy"]) == (each["verdict"] != "good"), each
        told.setdefault(each["check"], []).append((each["verdict"], each["told"]))
    return told


def test_a_node_in_order_is_good(world, host):
    told = verdicts(host, 0)
    assert list(told) == ["platform", "clock", "certificate", "privileges", "guests"]
    assert {verdict for rows in told.values() for verdict, _ in rows} == {"good"}
    assert told["guests"] == [("good", "2 of 2 can be read")]
    assert {method for method, _, _ in world.requests} == {"GET"}
    lines = host.run("agent", "--selftest").stdout.splitlines()
    assert lines[0].startswith("good      platform     proxmox 9.") and len(lines) == 5


@pytest.mark.parametrize("seconds, verdict, status", [(30, "doubtful", 0), (-30, "doubtful", 0), (3600, "bad", 1)])
def test_clocks_that_are_apart(world, host, seconds, verdict, status):
    world.knobs.wrong_clock(seconds)
    [(told, words)] = verdicts(host, status)["clock"]
    assert told == verdict and ("ahead of" if seconds > 0 else "behind") in words


def test_a_certificate_that_ends_soon(world, host):
    world.knobs.renew_certificate(days=9)
    world.knobs.reload_certificate()
    host.configure(pins=["sha256:" + world.fingerprint.replace("SHA256:", "")])
    [(told, words)] = verdicts(host, 0)["certificate"]
    assert told == "doubtful" and words in ("is valid for 8 days more", "is valid for 9 days more")


def test_a_next_certificate_that_no_pin_fits_is_doubtful(world, host):
    world.knobs.renew_certificate(same_key=False)
    [(told, words)] = verdicts(host, 0)["next certificate"]
    following = "sha256:" + world.nodes["pve1"].certificates.leaf.fingerprint.replace(":", "").lower()
    assert told == "doubtful" and words == following + " follows, and no pin fits it"
    host.configure(pins=[*host.platform["pins"], following])
    assert verdicts(host, 0)["next certificate"] == [("good", following + " follows")]


def test_what_the_role_lacks_is_doubtful_and_a_guest_that_cannot_be_read_is_bad(world, host):
    world.access.add_role("power", {"VM.PowerMgmt"})
    world.knobs.grant("agent@pve!main", "power", "/vms/100")
    told = verdicts(host, 0)
    assert any("VM.Audit on /vms/100" in words for _, words in told["privileges"])
    assert [verdict for verdict, _ in told["guests"]] == ["doubtful", "good"]
    world.knobs.next("status", "/qemu", status=500, reason="got timeout", times=9, method="GET")
    assert [verdict for verdict, _ in verdicts(host, 1)["guests"]] == ["bad"]


def test_a_node_that_does_not_answer_is_bad_everywhere(world, host):
    world.close()
    told = verdicts(host, 1)
    assert {verdict for rows in told.values() for verdict, _ in rows} == {"bad"}
    assert list(told) == ["platform", "privileges", "guests"]


def test_the_part_is_named_behind_an_equals_sign_alone(host):
    for words, status in ((["--selftest=nothing"], 3), (["--selftest", "read"], 3), ([], 4), (["--selftest="], 3)):
        run = host.run("agent", *words)
        assert run.returncode == status and run.stdout == "", (words, run.stderr)


def test_a_certificate_that_an_authority_signed_is_looked_at_too(world, host, tmp_path):
    [node] = world.nodes.values()
    authority = tmp_path / "ca.pem"
    authority.write_text(node.certificates.ca.text)
    world.knobs.renew_certificate(days=9)
    world.knobs.reload_certificate()
    host.configure(pins=None, ca_file=str(authority))
    [(told, words)] = verdicts(host, 0)["certificate"]
    assert told == "doubtful" and words in ("is valid for 8 days more", "is valid for 9 days more")
    authority.write_text(certificates.authority("ec", 1)[0])
    assert verdicts(host, 1)["platform"][0][0] == "bad"


# -- changes that are tried

OF_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="operations of a node are root's alone")


@OF_ROOT
@pytest.mark.parametrize("runs", [True, False])
def test_changes_are_tried_on_a_guest_that_is_marked_and_taken_back(world, host, runs):
    world.add_vm(999, name="trial", cores=1, memory=512, disks={"scsi0": 1}, tags="blockhost-selftest", running=runs)
    before = json.loads(host.run("guests", "999", "--json").stdout)["guests"][0]["config"]
    run = host.run("agent", "--selftest=task", "--guest", "999", "--json")
    assert run.returncode == 0, (run.stdout, run.stderr)
    told = {each["check"]: each["verdict"] for each in json.loads(run.stdout)}
    assert list(told) == ["set-config", "snapshot", "rollback", "delete-snapshot", "set-config back"] + ["start"] * runs
    assert set(told.values()) == {"good"}
    after = json.loads(host.run("guests", "999", "--json").stdout)["guests"][0]["config"]
    after["details"]["vmgenid"] = before["details"]["vmgenid"]  # a rollback makes another one
    guest = world.guests.by_id[999]
    assert after == before and not guest.snapshots and guest.running == runs
    listed = json.loads(host.run("operations", "--json").stdout)
    assert {each["state"] for each in listed} == {"done"} and {each["source"] for each in listed} == {"selftest"}


@OF_ROOT
def test_a_guest_without_snapshots_gets_back_what_was_changed(world, host):
    before = world.add_container(999, network=True, tags="blockhost-selftest").digest()
    run = host.run("agent", "--selftest=task", "--guest", "999", "--json")
    told = {each["check"]: (each["verdict"], each["told"]) for each in json.loads(run.stdout)}
    assert run.returncode == 1 and told["snapshot"] == ("bad", "the task was refused: snapshot feature is not available")
    assert list(told) == ["set-config", "snapshot", "set-config back"] and world.guests.by_id[999].digest() == before


@OF_ROOT
@pytest.mark.parametrize("words, status, said", [
    (("--guest", "100"), 18, "the guest 100 is not marked for trials; give the tag blockhost-selftest"),
    (("--guest", "998"), 5, "there is no guest 998"), ((), 2, "--selftest=task needs --guest")])
def test_nothing_is_tried_on_any_other(world, host, words, status, said):
    run = host.run("agent", "--selftest=task", *words)
    assert run.returncode == status and said in run.stderr, (run.returncode, run.stderr)
    assert {method for method, _, _ in world.requests} <= {"GET"}


@OF_ROOT
def test_a_trial_that_nobody_heard_is_told_by_operations(world, host):
    world.add_vm(999, name="trial", cores=1, memory=512, disks={"scsi0": 1}, tags="blockhost-selftest")
    run = host.run("agent", "--selftest=task", "--guest", "999", stdout=open("/dev/full", "w"))
    assert run.returncode != 0 and run.stderr.strip().endswith("a repeat does it again")
    assert len(json.loads(host.run("operations", "--json").stdout)) == 5


def test_a_guest_is_named_for_a_trial_alone(host):
    run = host.run("agent", "--selftest", "--guest", "100")
    assert run.returncode == 2 and "--guest is for --selftest=task alone" in run.stderr
