# SPDX-License-Identifier: MIT
"""host, guests and task where the platform is libvirt: in the simulated world."""

import json

import pytest
from host import Host


@pytest.fixture()
def host(tmp_path):
    made = Host(tmp_path)
    assert made.create("vm-1").returncode == 0
    return made


def told(host, *words):
    run = host.run(*words, "--mock", "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_host_is_told(host):
    assert told(host, "host")["platform"] == "libvirt"
    assert host.run("host", "--mock").stdout.startswith("platform     libvirt\n")


def test_guests_are_a_table_and_a_list(host):
    lines = host.run("guests", "--mock").stdout.splitlines()
    assert lines[0].split() == ["ID", "KIND", "POWER", "CPUS", "MIB", "NAME", "NOTE"]
    assert lines[1].split()[:3] == ["vm-1", "vm", "running"] and len(lines) == 2
    [one] = told(host, "guests", "vm-1")["guests"]
    assert one["incarnation"].startswith("uuid:") and one["config"]["memory_mib"] == 128
    assert one["config"]["disk_mib"] == 4096 and one["unreadable"] == "" and one["running"] is None


def test_nobody_is_told_as_nobody(host):
    run = host.run("guests", "vm-9", "--mock")
    assert run.returncode != 0 and "there is no guest vm-9" in run.stderr and run.stdout == ""


def test_a_guest_without_its_domain_is_told_as_unreadable(host):
    for end in ("json", "xml"):
        (host.folder / f"mock-world/domains/vm-1.{end}").unlink()
    [one] = told(host, "guests")["guests"]
    assert one["power"] == "unknown" and one["unreadable"] == "its record has no domain of that name"


def test_a_suspended_guest_says_why_it_is_refused(host):
    registry = json.loads((host.folder / "mock-db.json").read_text())
    registry["vms"]["vm-1"]["expires_at"] = "2020-01-01T00:00:00+00:00"
    (host.folder / "mock-db.json").write_text(json.dumps(registry))
    assert host.run("gc", "--execute", "--force-clock", "--suspend-only", "--mock").returncode == 0
    assert told(host, "guests")["guests"][0]["lock"] == "suspended"
    assert "suspended" in host.run("guests", "--mock").stdout


def test_a_task_that_is_none_is_refused_and_one_that_nobody_knows_is_unknown(host):
    run = host.run("task", "nonsense", "--mock")
    assert run.returncode != 0 and "nonsense is no handle of an operation" in run.stderr and "three words" in run.stderr
    run = host.run("task", "start vm-1 0123456789abcdef", "--mock", "--json")
    assert run.returncode == 1 and json.loads(run.stdout) == {
        "phase": "unknown", "guest": "vm-1", "detail": "nothing is left of it", "warnings": [], "error": ""}


def test_the_selftest_looks_at_the_host_and_each_guest(host):
    assert told(host, "agent", "--selftest")[-1] == {"check": "guests", "verdict": "good", "told": "1 of 1 can be read",
                                                     "remedy": ""}
    for end in ("json", "xml"):
        (host.folder / f"mock-world/domains/vm-1.{end}").unlink()
    run = host.run("agent", "--selftest", "--mock")
    assert run.returncode == 1 and "bad       guest vm-1  cannot be read: its record has no domain of that name" in run.stdout
