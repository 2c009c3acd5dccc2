# SPDX-License-Identifier: MIT
"""The steps of setup on a real libvirt: one of our own, since network `default` is stopped for good."""

import json
import os
import stat
import subprocess

import pytest
from daemon import Daemon
from machine import Machine

NETWORK = """<network><name>default</name><forward mode='nat'/><bridge name='virbrsetup'/>
<ip address='192.168.199.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.199.2' end='192.168.199.254'/></dhcp></ip>
</network>"""


@pytest.fixture(scope="module")
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture()
def machine(daemon):
    made = Machine("quick", prefix=daemon.prefix)
    yield made
    made.close()


@pytest.fixture()
def network(daemon, tmp_path):
    """libvirt's network `default`, running and autostarted, with a dnsmasq that hands out addresses."""
    daemon.virsh("net-destroy", "default", check=False)
    daemon.virsh("net-undefine", "default", check=False)
    path = tmp_path / "default.xml"
    path.write_text(NETWORK)
    daemon.virsh("net-define", path)
    daemon.virsh("net-autostart", "default")
    daemon.virsh("net-start", "default")
    yield
    daemon.virsh("net-destroy", "default", check=False)
    daemon.virsh("net-undefine", "default", check=False)


def step(machine, *words):
    run = machine.run("setup", *words, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def refusal(machine, *words):
    run = machine.run("setup", *words, "--json")
    assert run.returncode not in (0, 2), run.stdout
    return json.loads(run.stdout)


def facts(daemon, what, name):
    lines = daemon.virsh(f"{what}-info", name).stdout.splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_storage_makes_the_pool_that_creates_use(daemon, machine):
    answer = step(machine, "storage")
    assert answer == {"step": "storage", "changed": True, "pool": f"blockhost-{machine.instance()[:8]}",
                      "path": str(machine.state / "vms")}
    pool = facts(daemon, "pool", answer["pool"])
    assert (pool["State"], pool["Autostart"], pool["Persistent"]) == ("running", "yes", "yes")
    assert stat.S_IMODE(os.stat(machine.state / "vms").st_mode) == 0o710
    assert step(machine, "storage") == answer | {"changed": False}
    pools = daemon.virsh("pool-list", "--all", "--name").stdout.split()
    assert machine.create("setup-001").returncode == 0
    assert daemon.virsh("pool-list", "--all", "--name").stdout.split() == pools
    assert machine.run("destroy", "setup-001").returncode == 0


def test_storage_brings_a_pool_back_that_was_stopped_or_had_no_autostart(daemon, machine):
    pool = step(machine, "storage")["pool"]
    for words in (("pool-destroy", pool), ("pool-autostart", pool, "--disable")):
        daemon.virsh(*words)
        assert step(machine, "storage")["changed"] is True
        info = facts(daemon, "pool", pool)
        assert (info["State"], info["Autostart"]) == ("running", "yes")


def test_a_pool_at_another_place_and_a_folder_qemu_cannot_reach_are_refused(daemon, machine):
    pool = step(machine, "storage")["pool"]
    other = machine.root / "other"
    for words in (("storage", "--path", other), ("db-config", "--path", other)):
        answer = refusal(machine, *words)
        assert answer["field"] == "path" and str(machine.state / "vms") in answer["error"] and answer["hint"]
    assert not other.exists()
    closed = machine.root / "closed"
    closed.mkdir(mode=0o700)
    answer = refusal(machine, "storage", "--pool", "second", "--path", closed / "in/it")
    assert answer["field"] == "path" and "QEMU's user cannot reach" in answer["error"]
    assert not (closed / "in").exists()
    assert [name for name in daemon.virsh("pool-list", "--all", "--name").stdout.split() if "second" in name] == []
    assert facts(daemon, "pool", pool)["State"] == "running"


def test_network_stops_libvirts_network_for_good(daemon, machine, network):
    answer = step(machine, "network", "--bridge", machine.bridge)
    assert answer == {"step": "network", "changed": True, "bridge": machine.bridge,
                      "address": f"10.213.{machine.subnet}.1/24"}
    info = facts(daemon, "net", "default")
    assert (info["Active"], info["Autostart"], info["Persistent"]) == ("no", "no", "yes")
    assert daemon.run("ip", "link", "show", "virbrsetup", check=False).returncode != 0
    assert step(machine, "network", "--bridge", machine.bridge) == answer | {"changed": False}
    daemon.virsh("net-undefine", "default")
    assert step(machine, "network", "--bridge", machine.bridge)["changed"] is False


def test_a_bridge_of_no_use_leaves_libvirts_network_running(daemon, machine, network):
    daemon.run("ip", "link", "add", "brsetup0", "type", "bridge")
    try:
        for name in ("brsetup0", "virbrsetup", "nowhere", "lo"):
            assert refusal(machine, "network", "--bridge", name)["field"] == "bridge"
        assert facts(daemon, "net", "default")["Active"] == "yes"
    finally:
        daemon.run("ip", "link", "del", "brsetup0")


def test_the_bridge_is_found_and_is_not_libvirts_own(daemon, machine, network):
    """The machine's bridge (bht…) and libvirt's (virbr…) are all there are in the namespace."""
    (machine.etc / "db.yaml").unlink()
    daemon.run("ip", "link", "set", machine.bridge, "name", "zz" + machine.bridge[2:])
    machine.bridge = "zz" + machine.bridge[2:]
    assert step(machine, "network")["bridge"] == machine.bridge


def test_db_config_writes_the_file_as_validate_system_wants_it_and_warns(daemon, machine, network):
    (machine.etc / "db.yaml").unlink()
    answer = step(machine, "db-config", "--bridge", machine.bridge, "--ip-start", "1", "--ip-end", "60")
    assert answer["changed"] and [each["field"] for each in answer["warnings"]] == ["ip_start", "gateway"]
    assert answer["db"]["ip_pool"] == {"network": f"10.213.{machine.subnet}.0/24", "start": 1, "end": 60,
                                       "gateway": f"10.213.{machine.subnet}.1"}
    found = os.stat(machine.etc / "db.yaml")
    group = subprocess.run(["getent", "group", "blockhost"], capture_output=True, text=True).stdout.split(":")
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o640, 0)
    assert found.st_gid == (int(group[2]) if len(group) > 2 else 0)
    os.chmod(machine.etc / "db.yaml", 0o644)
    assert step(machine, "db-config")["changed"] is True
    assert stat.S_IMODE(os.stat(machine.etc / "db.yaml").st_mode) == 0o640
    assert step(machine, "db-config")["changed"] is False
    warnings = step(machine, "db-config", "--ip-network", "192.168.199.0/24", "--gateway", "192.168.199.1",
                    "--dry-run")["warnings"]
    assert any("DHCP of libvirt's network default" in each["message"] for each in warnings)
    assert any("the network of virbrsetup" in each["message"] for each in warnings)


def test_a_vm_is_made_with_what_the_steps_wrote(daemon, machine, network):
    kept = (machine.etc / "db.yaml").read_text()
    boot = "".join(line + "\n" for line in kept.splitlines() if line.startswith("boot_"))
    (machine.etc / "db.yaml").write_text(f"# kernel of the test guest\n{boot}")
    for words in (("storage",), ("network", "--bridge", machine.bridge), ("db-config", "--bridge", machine.bridge)):
        step(machine, *words)
    run = machine.create("setup-002")
    assert run.returncode == 0, run.stderr
    assert machine.result(run)["ip"] == f"10.213.{machine.subnet}.200"
    assert machine.run("destroy", "setup-002").returncode == 0
    assert machine.leftovers() == {}
