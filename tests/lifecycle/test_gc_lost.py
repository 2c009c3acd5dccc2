# SPDX-License-Identifier: MIT
"""What gc finds: records that vanished, addresses that leaked, operations that died, and what it only reports."""

import json
import signal

import pytest
from simulated import CREATE, Mock, ago, gc, made, points_of


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def test_a_record_that_vanished_is_written_again_from_the_domain(mock):
    before = mock.record()
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    registry["allocated_ips"] = []
    registry["allocated_ipv6"] = []
    mock.write(registry)
    dry = mock.run("gc")
    assert "Adopt: 1 candidate\n" in dry.stdout and "[DRY RUN] Would write a record for vm-1" in dry.stdout
    run = gc(mock)
    assert "adopt vm-1: done" in run.stdout and "look at its expiry" in run.stderr
    assert mock.record() == before
    mock.check(["vm-1"])


def test_an_adopted_vm_gets_at_least_the_grace(mock):
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    expires = mock.record()["expires_at"]
    xml.write_text(xml.read_text().replace(expires, ago(100)))
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    mock.write(registry)
    gc(mock)
    assert ago(-6.9) < mock.record()["expires_at"] < ago(-7.1)


def test_a_vm_whose_address_is_anothers_is_not_adopted(mock):
    registry = mock.registry()
    registry["vms"]["vm-2"] = registry["vms"].pop("vm-1") | {"vm_name": "vm-2"}
    mock.write(registry)
    run = gc(mock, status=1)
    assert "adopt vm-1: FAILED: an address of vm-1 was given to another VM" in run.stdout
    assert "vm-2: its record says active, but libvirt has no such domain" in run.stdout
    assert list(mock.registry()["vms"]) == ["vm-2"]


def test_a_foreign_domain_without_a_record_is_not_even_mentioned(mock):
    mock.disown()
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    registry["allocated_ips"] = []
    mock.write(registry)
    run = gc(mock)
    assert "vm-1" not in run.stdout
    assert mock.domain() == "running" and mock.registry()["vms"] == {}


def test_an_expired_record_with_a_foreign_domain_is_an_error_and_touches_nothing(mock):
    mock.disown()
    mock.expire()
    run = gc(mock, status=1)
    assert "did not make" in run.stdout
    assert mock.domain() == "running" and mock.record()["status"] == "active"


def test_an_address_is_released_only_with_proof(mock):
    """Reserved by hand: reported. Taken by a create that was rolled back, and back by a stale rewrite: released."""
    points = points_of(CREATE)
    failed = mock.create("vm-2", fault=f"fail@{points - 8}")
    assert failed.returncode == 1
    taken = json.loads((mock.folder / "mock-world/journal/history").read_text().splitlines()[-1])["ip"]
    registry = mock.registry()
    registry["allocated_ips"] += [taken, "10.9.9.39"]
    registry["allocated_ipv6"] += ["fd00:9::1", "fd00:9::2"]
    mock.write(registry)
    run = gc(mock)
    assert f"{taken}: allocated, but no record has it" in run.stdout, "it may still be on its way"
    history = mock.folder / "mock-world/journal/history"
    line = json.loads(history.read_text().splitlines()[-1])
    history.write_text(json.dumps(line | {"at": ago(0.5)}, separators=(",", ":")) + "\n")
    run = gc(mock)
    assert f"release {taken}: done" in run.stdout
    assert "10.9.9.39: allocated, but no record has it" in run.stdout
    after = mock.registry()
    assert taken not in after["allocated_ips"] and "10.9.9.39" in after["allocated_ips"]
    assert after["allocated_ipv6"] == registry["allocated_ipv6"], "IPv6 is never swept"


def test_what_was_interrupted_is_finished_first(mock):
    points = points_of(CREATE)
    assert mock.create("vm-2", fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    assert "Recover: 1 candidate\n" in mock.run("gc").stdout
    run = gc(mock)
    assert "recover vm-2: done" in run.stdout
    mock.check(["vm-1"])


def test_the_json_document_has_everything(mock):
    mock.expire()
    document = json.loads(gc(mock, "--json").stdout)
    assert document["executed"] is True and document["processed"] == 1 and document["errors"] == 0
    (item,) = [i for i in document["items"] if i["action"] != "report"]
    assert item["object"] == "vm-1" and item["action"] == "suspend" and item["end"] == "done"
    assert 86400 <= item["age_seconds"] < 86500


def test_a_suspended_vm_that_lost_its_record_is_adopted_as_suspended(mock):
    mock.expire()
    gc(mock)
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    mock.write(registry)
    gc(mock)
    assert mock.record()["status"] == "suspended" and mock.domain() == "off"
    assert mock.run("resume", "vm-1").returncode == 0
    assert mock.domain() == "running"


def test_the_address_of_a_domain_of_ours_is_never_released(mock):
    points = points_of(CREATE)
    assert mock.create("vm-2", fault=f"fail@{points - 8}").returncode == 1
    history = mock.folder / "mock-world/journal/history"
    line = json.loads(history.read_text().splitlines()[-1])
    history.write_text(json.dumps(line | {"at": ago(0.5)}, separators=(",", ":")) + "\n")
    assert mock.create("vm-3").returncode == 0
    registry = mock.registry()
    assert registry["vms"].pop("vm-3")["ip_address"] == line["ip"]
    xml = mock.folder / "mock-world/domains/vm-3.xml"
    xml.write_text(xml.read_text().replace("<blockhost:username>", "<blockhost:username>No "))
    mock.write(registry)
    run = gc(mock, status=1)
    assert "adopt vm-3: FAILED" in run.stdout
    assert line["ip"] in mock.registry()["allocated_ips"]


def test_a_journal_entry_that_cannot_be_read_stops_only_its_own_vm(mock):
    assert mock.create("vm-2").returncode == 0
    mock.expire("vm-1")
    (mock.folder / "mock-world/journal/vm-2.journal").mkdir()
    run = gc(mock)
    assert "vm-2: its journal entry cannot be read" in run.stdout
    assert mock.record("vm-1")["status"] == "suspended"
