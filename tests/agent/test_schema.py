# SPDX-License-Identifier: MIT
"""data/schemas/desired-state.schema.json says of a document what the program says of it."""

import json
import pathlib

import pytest

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "data/schemas/desired-state.schema.json").read_text())
POLICY = {"at": "03:00", "keep": {"daily": 7, "weekly": 4, "monthly": 6}, "repository": "main", "drill": "weekly"}
DISK = {"kind": "usb", "uuid": "1A2B-3C4D", "mount": "/mnt/backup-1", "roles": ["backup"]}

GOOD_GUESTS = [
    {}, {"power": "running"}, {"power": "absent"}, {"power": "absent", "kind": "vm"}, {"cpus": 1, "memory_mib": 16},
    {"disk_gib": 1}, {"disk_mib": 1}, {"disk_gib": 65536}, {"description": ""}, {"description": "ü\n"}, {"tags": []},
    {"tags": ["A", "a", "_x", "1.2+3-4"]}, {"start_on_boot": False, "protected": True}, {"limits": {}},
    {"limits": {"cpu_percent": 150}}, {"owner_wallet": "0xAb_-"}, {"expires_at": "2027-01-01T00:00:00Z"},
    {"expires_at": "2027-01-01T00:00:00.123+02:00"}, {"expires_at": "2027-01-01"}, {"source": {"template": "current"}},
    {"source": {"backup": "local:backup/vzdump-lxc-200-2026_11_20-10_00_00.tar.zst"}}, {"backup": {"policy": "daily"}},
    {"name": "web-1.example"}, {"colour": 1, "limits": {"x": 1}},
]
BAD_GUESTS = [
    [], None, {"power": "on"}, {"power": None}, {"kind": "lxc"}, {"cpus": 0}, {"cpus": 8193}, {"cpus": "2"}, {"cpus": 1.5},
    {"cpus": True},
    {"memory_mib": 15}, {"memory_mib": 16777217}, {"disk_gib": 0}, {"disk_gib": 65537}, {"disk_gib": 1, "disk_mib": 1024},
    {"description": 1}, {"description": "x" * 8193}, {"tags": "a"}, {"tags": [""]}, {"tags": ["a b"]}, {"tags": ["a" * 65]},
    {"tags": [1]}, {"start_on_boot": 1}, {"protected": "true"}, {"limits": 1}, {"limits": {"cpu_percent": 0}},
    {"owner_wallet": ""}, {"owner_wallet": "a b"}, {"expires_at": "tomorrow"}, {"expires_at": 1},
    {"source": {}}, {"source": {"template": "a", "backup": "b"}}, {"source": {"template": ""}}, {"source": "current"},
    {"backup": {}}, {"backup": "daily"}, {"backup": {"policy": "a b"}}, {"name": ""}, {"name": "a b"}, {"name": "-a"},
    {"power": "absent", "cpus": 1}, {"power": "absent", "tags": []}, {"power": "absent", "colour": 1},
]
GOOD = [{"guests": {"1": guest}} for guest in GOOD_GUESTS] + [
    {}, {"guests": {}}, {"backup_policies": {}}, {"storage": {}}, {"generation": 9007199254740991}, {"generation": 0},
    {"storage": {"usb-1": DISK}}, {"storage": {"usb-1": DISK | {"uuid": "0b5c0b5c-0000-4000-8000-0b5c0b5c0b5c"}}},
    {"storage": {"usb-1": DISK | {"uuid": "0123456789ABCDEF", "roles": []}}}, {"colour": 1},
]
BAD = [{"guests": {"1": guest}} for guest in BAD_GUESTS] + [
    {"version": 2}, {"version": "1"}, {"version": None}, {"host": ""}, {"host": "a b"}, {"host": None}, {"generation": -1},
    {"generation": 9007199254740992}, {"generation": "1"}, {"guests": []}, {"guests": {"a b": {}}}, {"guests": {"": {}}},
    {"guests": {"a" * 65: {}}}, {"backup_policies": {"p": {}}}, {"storage": {"s": {}}}, {"storage": {"s s": DISK}},
    *({"backup_policies": {"daily": POLICY | part}} for part in (
        {"at": "24:00"}, {"at": "3:00"}, {"at": 3}, {"keep": {}}, {"keep": {"daily": 0}}, {"keep": 7}, {"repository": "a b"},
        {"drill": "yearly"})),
    *({"storage": {"s": DISK | part}} for part in (
        {"kind": "nfs"}, {"uuid": "x"}, {"uuid": "1a2b-3c4d"}, {"mount": "/etc"}, {"mount": "/mnt/pve"}, {"mount": "/mnt/a/b"},
        {"roles": "backup"}, {"roles": ["a b"]})),
]


def document(host, part):
    return host.wanted({}, backup_policies={"daily": POLICY}) | part


def refused_by_the_program(host, wanted):
    run = host.run("plan", host.write(wanted))
    assert run.returncode in (0, 1, 2), (run.returncode, run.stderr)
    assert run.returncode != 1 or "desired.json:1:" in run.stderr, run.stderr
    return run.returncode == 1


@pytest.fixture()
def judged():
    """Whether the schema refuses a document."""
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return lambda wanted: not validator.is_valid(wanted)


def test_the_program_takes_what_is_good_and_refuses_what_is_bad(simulated):
    for part in GOOD:
        assert not refused_by_the_program(simulated, document(simulated, part)), part
    for part in BAD:
        assert refused_by_the_program(simulated, document(simulated, part)), part


def test_so_does_the_schema(simulated, judged):
    assert [part for part in GOOD if judged(document(simulated, part))] == []
    assert [part for part in BAD if not judged(document(simulated, part))] == []
    assert judged({}) and judged([]) and judged(None)


def test_what_is_dumped_fits_the_schema(host, judged):
    for name in (("100", "101") if host.kind == "proxmox" else ("vm-1", "vm-2")):
        host.add(int(name) if host.kind == "proxmox" else name, running=name.endswith("1"))
    if host.kind == "proxmox":
        host.standin.add_container(200, network=True, description="one", tags="a;b", onboot=1, protection=1)
    document = json.loads(host.dump()[0])
    assert len(document["guests"]) >= 2 and not judged(document)


def test_every_key_of_the_schema_is_one_that_the_program_knows(simulated):
    """And the other way round: each key that is warned of as unknown is in none."""
    guest = {key: value for part in GOOD_GUESTS for key, value in part.items() if key not in ("colour", "power", "disk_mib")}
    guest["limits"] = {"cpu_percent": 150}
    assert set(guest) | {"power", "disk_mib"} == set(SCHEMA["$defs"]["guest"]["properties"])
    wanted = document(simulated, {"guests": {"1": guest}, "storage": {"usb-1": DISK}})
    assert set(wanted) == set(SCHEMA["properties"])
    run = simulated.run("plan", simulated.write(wanted))
    assert run.returncode == 2 and "not known" not in run.stderr, run.stderr
