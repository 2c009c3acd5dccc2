"""One real Debian guest (systemd, cloud-init, sshd) through its whole life on real libvirt and QEMU."""

import base64
import json
import os
import xml.etree.ElementTree as ET

import pytest
from machine import WALLET, Machine, sh

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")

NAME = "debian-001"


@pytest.fixture(scope="module")
def debian():
    made = Machine("debian")
    yield made
    made.close()


def in_guest(machine, command):
    """Output of a shell command in the guest, through the agent."""
    ask = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True}}
    pid = json.loads(machine.virsh("qemu-agent-command", NAME, json.dumps(ask)))["return"]["pid"]
    ask = {"execute": "guest-exec-status", "arguments": {"pid": pid}}
    while True:
        answer = json.loads(machine.virsh("qemu-agent-command", NAME, json.dumps(ask)))["return"]
        if answer["exited"]:
            return base64.b64decode(answer.get("out-data", "")).decode()


def test_a_debian_guest_lives_through_create_list_status_stop_start_kill_destroy(debian):
    run = debian.run("create", NAME, "--owner-wallet", WALLET, "--memory", "768", "--disk", "4", "--username", "alice",
                     "--nft-token-id", "7", "--apply")
    assert run.returncode == 0, run.stderr
    result = debian.result(run)

    listed = json.loads(debian.run("list", "--json").stdout)
    assert listed == [{"name": NAME, "status": "active", "ip": result["ip"],
                       "created": debian.registry()["vms"][NAME]["created_at"][:10]}]
    assert debian.run("status", NAME).stdout == "active\n"

    # create said ready: cloud-init has made the user, its GECOS and the addresses by now
    assert in_guest(debian, "getent passwd alice").split(":")[4] == f"wallet={WALLET},nft=7"
    addresses = in_guest(debian, "ip -o addr show scope global")
    assert result["ip"] + "/24" in addresses and result["ipv6"] + "/" in addresses
    assert in_guest(debian, "hostname").strip() == NAME
    assert in_guest(debian, "cat /var/lib/cloud/data/instance-id").startswith(NAME + "-")
    assert "default via 10.213." in in_guest(debian, "ip route")
    gateway6 = result["ipv6"].rsplit("::", 1)[0] + "::1"
    assert f"default via {gateway6}" in in_guest(debian, "ip -6 route")
    # and the host reaches it on both
    assert sh("ping", "-c", "1", "-W", "5", result["ip"], check=False).returncode == 0

    assert debian.run("stop", NAME).stdout == f"Shutdown signal sent: {NAME}\n"
    assert debian.run("status", NAME).stdout == "suspended\n"
    assert debian.run("start", NAME).stdout == f"VM started: {NAME}\n"
    assert debian.run("status", NAME).stdout == "active\n"
    assert debian.run("kill", NAME).stdout == f"VM force-stopped: {NAME}\n"
    assert debian.run("status", NAME).stdout == "suspended\n"
    assert ET.fromstring(debian.virsh("dumpxml", NAME)).find("devices/disk/source").get("file").startswith(str(debian.state))
    assert debian.run("destroy", NAME).stdout == f"VM destroyed: {NAME}\n"
    assert debian.run("status", NAME).stdout == "destroyed\n"
    assert debian.leftovers() == {}
    assert debian.temporary_files() == []
