# SPDX-License-Identifier: MIT
"""Counts, races and kills on real libvirt and QEMU, with the guest that boots in seconds."""

import json
import os
import random
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import pytest
import seeds
from machine import BUILD, WALLET, Machine, sh, wait_until

RECORD_KEYS = ["vm_name", "vmid", "ip_address", "ipv6_address", "expires_at", "owner", "status", "created_at",
               "purpose", "wallet_address", "username", "network_mode"]


def last_brace_line(stdout):
    """What an engine of the older generation reads: the last line that, trimmed, starts with '{'."""
    return json.loads([line for line in stdout.splitlines() if line.strip().startswith("{")][-1])


def test_create_serves_both_generations_of_engines_and_registers_the_record(machine):
    run = machine.create("both-001", "--username", "alice", "--expiry-days", "7", "--nft-token-id", "42")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 2 and lines[0] == "BLOCKHOST_RESULT: " + lines[1]
    result = json.loads(lines[1])
    assert result == last_brace_line(run.stdout) == machine.result(run)
    assert list(result) == ["status", "vm_name", "ip", "ipv6", "vmid", "nft_token_id", "username"]
    assert lines[1] == json.dumps(result)
    assert result["status"] == "ok" and result["vmid"] == "both-001" and result["nft_token_id"] == 42

    record = machine.registry()["vms"]["both-001"]
    assert list(record) == RECORD_KEYS
    assert record["vmid"] == 0 and record["status"] == "active" and record["purpose"] == ""
    assert record["owner"] == record["wallet_address"] == WALLET and record["username"] == "alice"
    assert record["ip_address"] == result["ip"] and record["ipv6_address"] == result["ipv6"] != ""
    assert record["network_mode"] == "none"
    assert machine.registry()["allocated_ips"] == [result["ip"]]
    assert machine.run("destroy", "both-001").returncode == 0
    assert machine.leftovers() == {}


def test_a_vm_lives_through_every_verb_and_leaves_nothing(machine):
    assert machine.create("life-001").returncode == 0
    assert machine.run("status", "life-001").stdout == "active\n"
    assert machine.run("start", "life-001").stdout == "VM started: life-001\n"
    assert machine.run("stop", "life-001").stdout == "Shutdown signal sent: life-001\n"
    assert machine.run("status", "life-001").stdout == "suspended\n"
    assert machine.run("stop", "life-001").returncode == 0
    assert machine.run("start", "life-001").returncode == 0
    assert machine.run("status", "life-001").stdout == "active\n"
    machine.virsh("suspend", "life-001")
    assert machine.run("status", "life-001").stdout == "suspended\n"
    assert machine.run("start", "life-001").returncode == 0
    assert machine.run("status", "life-001").stdout == "active\n"
    assert machine.run("kill", "life-001").stdout == "VM force-stopped: life-001\n"
    assert machine.run("kill", "life-001").returncode == 0
    listed = json.loads(machine.run("list", "--format", "json").stdout)
    assert {"name": "life-001", "status": "suspended"}.items() <= next(v for v in listed if v["name"] == "life-001").items()
    assert machine.run("destroy", "life-001").stdout == "VM destroyed: life-001\n"
    assert machine.run("destroy", "life-001").stdout == "VM destroyed: life-001\n"
    assert machine.run("status", "life-001").stdout == "destroyed\n"
    assert machine.run("start", "life-001").returncode == 1
    assert machine.leftovers() == {}
    assert machine.temporary_files() == []


def test_the_bridges_mtu_is_the_guests(machine):
    machine.sh("ip", "link", "set", machine.bridge, "mtu", "1400")
    try:
        assert machine.create("mtu-001").returncode == 0
        port = ET.fromstring(machine.virsh("dumpxml", "mtu-001")).find("devices/interface/target").get("dev")
        assert machine.sh("cat", f"/sys/class/net/{port}/mtu").stdout.strip() == "1400"
        inside = machine.run("guest-exec", "mtu-001", "cat /sys/class/net/e*/mtu")
        assert (inside.returncode, inside.stdout) == (0, "1400\n"), inside.stderr
        assert machine.run("destroy", "mtu-001").returncode == 0
    finally:
        machine.sh("ip", "link", "set", machine.bridge, "mtu", "1500")


def test_a_running_vm_is_isolated_filtered_and_pinned(machine):
    run = machine.create("pins-001")
    assert run.returncode == 0, run.stderr
    result = machine.result(run)
    xml = ET.fromstring(machine.virsh("dumpxml", "pins-001"))
    tap = xml.find("devices/interface/target").get("dev")
    assert "isolated on" in sh("bridge", "-d", "link", "show", "dev", tap).stdout
    assert xml.find("devices/interface/filterref") is not None
    assert tap in machine.virsh("nwfilter-binding-list")
    mac = xml.find("devices/interface/mac").get("address")
    neighbours = sh("ip", "neigh", "show", "dev", machine.bridge, "nud", "permanent").stdout
    assert f"{result['ip']} lladdr {mac} PERMANENT" in neighbours
    assert f"{result['ipv6']} lladdr {mac} PERMANENT" in neighbours
    assert result["ipv6"] in sh("ip", "-6", "route", "show", "dev", machine.bridge).stdout
    assert machine.run("destroy", "pins-001").returncode == 0
    assert machine.leftovers() == {}


def test_eight_creates_at_once_give_eight_vms(machine):
    names = [f"eight-{i:03d}" for i in range(8)]
    lock = machine.root / "run/blockhost/provisioning.lock"
    runs = [machine.start(*machine.create_words(name)) for name in names]
    pids = {str(run.pid) for run in runs}
    seen, gaps = set(), 0
    wait_until("the provisioning lock", 10, lock.exists)
    while all(run.poll() is None for run in runs):
        try:
            seen.add(lock.read_text().strip())
        except FileNotFoundError:
            gaps += 1
        time.sleep(0.05)
    ends = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, [err for _, err in ends]
    assert gaps == 0 and seen and seen <= pids
    assert not lock.exists()
    results = [json.loads(out.splitlines()[-1]) for out, _ in ends]
    assert len({r["ip"] for r in results}) == len({r["ipv6"] for r in results}) == 8
    macs = {ET.fromstring(machine.virsh("dumpxml", n)).find("devices/interface/mac").get("address") for n in names}
    assert len(macs) == 8
    assert sorted(machine.registry()["allocated_ips"]) == sorted(r["ip"] for r in results)
    assert machine.leftovers(survivors=names) == {}
    for name, run in [(name, machine.start("destroy", name)) for name in names]:
        _, err = run.communicate()  # which gives up after 40 s, on a host that eight are too many for
        assert run.returncode == 0 or machine.answered("destroy", name).returncode == 0, err
    assert machine.leftovers() == {}


def killed_create(machine, name, after, sent=signal.SIGKILL):
    run = machine.start(*machine.create_words(name))
    try:
        run.wait(timeout=after)
    except subprocess.TimeoutExpired:
        run.send_signal(sent)
    out, err = run.communicate()
    return run.returncode, out, err


def test_create_killed_at_some_of_twenty_moments_can_be_repeated(machine):
    """Four at a time, eight of them in each run; each VM is killed at its moment, created again, and must be the only thing of its name."""
    began = time.monotonic()
    assert machine.create("pace-000").returncode == 0
    whole = time.monotonic() - began
    assert machine.run("destroy", "pace-000").returncode == 0
    moments = [whole * (i + 0.5) / 20 for i in range(20)]
    random.Random(7).shuffle(moments)
    failures, ended = [], []

    def one(index):
        name = f"kill-{index:03d}"
        code, _, _ = killed_create(machine, name, moments[index])
        ended.append(code)
        if code == 0:
            return
        again = machine.create(name)
        if again.returncode != 0:
            failures.append((name, moments[index], again.stderr))

    waves = seeds.some_of(range(0, 20, 4), 2, "create killed")
    for wave in waves:
        threads = [threading.Thread(target=one, args=(i,)) for i in range(wave, wave + 4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        names = [f"kill-{i:03d}" for i in range(wave, wave + 4)]
        assert failures == []
        assert machine.domains() == names
        assert len(machine.volumes()) == len(names)
        assert machine.leftovers(survivors=names) == {}
        for name, run in [(name, machine.start("destroy", name)) for name in names]:
            assert run.wait() == 0 or machine.answered("destroy", name).returncode == 0
        assert machine.leftovers() == {}
    assert ended.count(-signal.SIGKILL) >= 3 * len(waves)


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_create_rolls_back_on_a_signal(machine, sent, code):
    name = f"signal-{code}"
    run = machine.start(*machine.create_words(name))
    wait_until("the domain", 30, lambda: name in machine.domains())
    run.send_signal(sent)
    out, err = run.communicate()
    assert run.returncode == code, err
    assert json.loads(out)["status"] == "error"
    assert machine.leftovers() == {}


def test_create_undoes_a_guest_whose_agent_never_answers_and_shows_its_console(machine, tmp_path):
    content = tmp_path / "user-data"
    content.write_text("#cloud-config\n# quick-guest: agent=never\n")
    run = machine.create("mute-001", "--cloud-init-content", content, "--ready-timeout", "15")
    assert run.returncode == 1
    assert "waiting for its guest agent" in run.stderr and "console" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("[vm-create] ERROR: ")
    assert json.loads(run.stdout)["status"] == "error"
    assert machine.leftovers() == {}


@pytest.mark.parametrize("kind, words", [("disabled", "disabled"), ("failed", "failed"), ("no-final", "final stage")])
def test_create_fails_where_cloud_init_is_disabled_or_failed(machine, tmp_path, kind, words):
    content = tmp_path / "user-data"
    content.write_text(f"#cloud-config\n# quick-guest: cloud-init={kind}\n")
    run = machine.create(f"ci-{kind}", "--cloud-init-content", content, "--ready-timeout", "30")
    assert run.returncode == 1, run.stdout
    assert words in run.stderr
    assert machine.leftovers() == {}


def test_create_warns_loudly_where_cloud_init_is_still_at_work(machine, tmp_path):
    content = tmp_path / "user-data"
    content.write_text("#cloud-config\n# quick-guest: cloud-init=slow\n")
    run = machine.create("slow-001", "--cloud-init-content", content, "--ready-timeout", "12")
    assert run.returncode == 0, run.stderr
    assert "WARNING" in run.stderr and "cloud-init" in run.stderr
    assert machine.run("destroy", "slow-001").returncode == 0
    assert machine.leftovers() == {}


def test_create_undoes_a_guest_whose_login_was_not_made(machine, tmp_path):
    content = tmp_path / "user-data"
    content.write_text("#cloud-config\nusers:\n  - name: carol\n# quick-guest: login=missing\n"
                       "# quick-guest: cloud-init=errors\n")
    run = machine.create("nobody-001", "--cloud-init-content", content, "--username", "carol")
    assert run.returncode == 1 and "nobody can log in: the guest has no user carol" in run.stderr, run.stderr
    assert machine.leftovers() == {}


def test_create_waits_for_a_login_that_comes_late_and_gives_up_one_that_never_does(machine, tmp_path):
    content = tmp_path / "user-data"
    content.write_text("#cloud-config\nusers:\n  - name: carol\n# quick-guest: login=missing\n"
                       "# quick-guest: cloud-init=never\n")
    run = machine.create("never-001", "--cloud-init-content", content, "--username", "carol", "--ready-timeout", "20")
    assert run.returncode == 1 and "no login within 40 s: the guest has no user carol" in run.stderr, run.stderr
    assert machine.leftovers() == {}


def test_the_login_of_a_guest_has_its_owner_and_its_keys(machine, tmp_path):
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    run = machine.create("keyed-001", "--ssh-key", tmp_path / "key.pub", "--nft-token-id", "5")
    assert run.returncode == 0, run.stderr
    assert machine.run("guest-exec", "keyed-001", "grep ^admin: /etc/passwd").stdout.split(":")[4] == f"wallet={WALLET},nft=5"
    assert machine.run("guest-exec", "keyed-001", "cat /home/admin/.ssh/authorized_keys").stdout.strip() == \
        (tmp_path / "key.pub").read_text().strip()
    assert machine.run("destroy", "keyed-001").returncode == 0


def test_destroy_makes_a_create_under_way_give_up(machine):
    run = machine.start(*machine.create_words("race-001"))
    wait_until("the domain", 30, lambda: "race-001" in machine.domains())
    assert machine.run("destroy", "race-001").returncode == 0
    run.communicate()
    assert run.returncode == 1
    assert machine.leftovers() == {}


def test_a_suspended_vm_is_not_started(machine):
    assert machine.create("unpaid-001").returncode == 0
    assert machine.run("kill", "unpaid-001").returncode == 0
    path = machine.state / "vms.json"
    registry = json.loads(path.read_text())
    registry["vms"]["unpaid-001"].update(status="suspended", suspended_at="2026-01-02T03:04:05+00:00")
    path.write_text(json.dumps(registry, indent=2))
    run = machine.run("start", "unpaid-001")
    assert run.returncode == 1
    assert "unpaid-001 is suspended since 2026-01-02T03:04:05+00:00, unpaid" in run.stderr
    assert machine.run("status", "unpaid-001").stdout == "suspended\n"
    assert machine.run("destroy", "unpaid-001").returncode == 0
    assert machine.leftovers() == {}


FOREIGN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""


def test_a_foreign_domain_is_never_touched(machine, tmp_path):
    name = f"foreign-{machine.tag}"
    definition = tmp_path / "domain.xml"
    definition.write_text(FOREIGN.format(name=name))
    machine.virsh("define", str(definition))
    try:
        for words in (machine.create_words(name), ("destroy", name), ("start", name), ("stop", name), ("kill", name)):
            run = machine.run(*words)
            assert run.returncode == 1, words
            assert "did not make" in run.stderr
        assert name in machine.virsh("list", "--all", "--name")
        assert machine.leftovers() == {}
    finally:
        machine.virsh("undefine", name)


def test_another_instances_vm_is_foreign(machine):
    other = Machine("quick")
    try:
        assert machine.create("shared-001").returncode == 0
        run = other.create("shared-001")
        assert run.returncode == 1 and "did not make" in run.stderr
        assert other.run("destroy", "shared-001").returncode == 1
        assert machine.run("status", "shared-001").stdout == "active\n"
    finally:
        machine.run("destroy", "shared-001")
        other.close()
    assert machine.leftovers() == {}


def test_a_disk_is_kept_while_a_renamed_domain_stands_on_it(machine):
    """Somebody renamed the domain and started it: the record's VM is lost, its disk is in use."""
    assert machine.create("renamed-001").returncode == 0
    assert machine.run("kill", "renamed-001").returncode == 0
    machine.virsh("domrename", "renamed-001", "other-name-001")
    try:
        machine.virsh("start", "other-name-001")
        disks = machine.volumes()
        run = machine.run("destroy", "renamed-001")
        assert run.returncode == 1 and "was renamed to other-name-001" in run.stderr
        assert machine.volumes() == disks != []
    finally:
        machine.virsh("destroy", "other-name-001", check=False)
        machine.virsh("domrename", "other-name-001", "renamed-001", check=False)
    assert machine.run("destroy", "renamed-001").returncode == 0
    assert machine.leftovers() == {}


def test_a_destroy_is_finished_although_the_domain_was_started_meanwhile(machine):
    assert machine.create("again-001").returncode == 0
    run = machine.start("destroy", "again-001")
    wait_until("the journal entry", 10, (machine.state / "journal/again-001.journal").exists)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    machine.virsh("start", "again-001", check=False)
    assert machine.run("destroy", "again-001").returncode == 0
    assert machine.leftovers() == {}


def test_memory_promised_to_running_vms_counts(machine):
    assert machine.create("counted-001").returncode == 0
    machine.write_db_yaml("memory_overcommit: 0.1\n")
    try:
        host = int(sh("sh", "-c", "virsh -c qemu:///system nodeinfo | sed -n 's/^Memory size: *\\([0-9]*\\).*/\\1/p'").stdout) // 1024
        room = int((host - 1024) * 0.1)
        run = machine.create("counted-002", "--memory", str(room - 64))
        assert run.returncode == 1 and "not enough memory" in run.stderr and "128 MiB promised" in run.stderr
    finally:
        machine.write_db_yaml()
    assert machine.run("destroy", "counted-001").returncode == 0
    assert machine.leftovers() == {}


def test_a_taken_volume_is_a_collision(machine):
    (machine.state / "vms").mkdir(exist_ok=True)
    disk = machine.state / "vms/taken-001.qcow2"
    disk.write_text("somebody's")
    run = machine.create("taken-001")
    assert run.returncode == 1 and "Disk already exists" in run.stderr
    assert disk.read_text() == "somebody's"
    disk.unlink()
    assert machine.leftovers() == {}


def test_a_vm_of_the_earlier_provisioner_is_adopted_by_destroy(machine, tmp_path):
    """Its record, its disk path and its seed path agree, and no metadata is there: that is the proof."""
    name = "old-001"
    pool = machine.state / "vms"
    pool.mkdir(exist_ok=True)
    sh("qemu-img", "create", "-q", "-f", "qcow2", str(pool / f"{name}.qcow2"), "64M")
    seed = machine.state / "cloud-init" / name
    seed.mkdir(parents=True)
    (seed / "cidata.iso").write_bytes(b"")
    definition = tmp_path / "old.xml"
    definition.write_text(f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{pool}/{name}.qcow2'/>
        <target dev='vda' bus='virtio'/></disk>
      <disk type='file' device='cdrom'><source file='{seed}/cidata.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
      </devices></domain>""")
    machine.virsh("define", str(definition))
    refused = machine.run("destroy", name)
    assert refused.returncode == 1 and "did not make" in refused.stderr, "without a record nothing is proved"
    ip = f"10.213.{machine.subnet}.44"
    path = machine.state / "vms.json"
    registry = machine.registry()
    registry["vms"][name] = {"vm_name": name, "vmid": 0, "ip_address": ip, "ipv6_address": "", "status": "active",
                             "owner": WALLET, "created_at": "2026-01-01T00:00:00+00:00"}
    registry["allocated_ips"].append(ip)
    path.write_text(json.dumps(registry, indent=2))
    assert machine.run("destroy", name).returncode == 0
    assert not (pool / f"{name}.qcow2").exists()
    assert machine.leftovers() == {}


def test_start_sets_routes_again_after_a_reboot_of_the_host(machine):
    run = machine.create("reboot-001")
    assert run.returncode == 0
    ipv6 = machine.result(run)["ipv6"]
    assert machine.run("kill", "reboot-001").returncode == 0
    sh("ip", "-6", "route", "del", f"{ipv6}/128", "dev", machine.bridge)
    assert machine.run("start", "reboot-001").returncode == 0
    assert ipv6 in sh("ip", "-6", "route", "show", "dev", machine.bridge).stdout
    assert machine.run("destroy", "reboot-001").returncode == 0
    assert machine.leftovers() == {}


def test_the_secret_is_nowhere_but_in_the_seed(machine):
    """A template with the secret in it; afterwards the secret is in user-data (0600) and the seed image (0600) only."""
    templates = machine.root / "usr/share/blockhost/cloud-init/templates"
    templates.mkdir(parents=True)
    (templates / "nft-auth.yaml").write_text("#cloud-config\n# secret ${SECRET_KEY} for ${VM_NAME}\nusers:\n"
                                            "  - name: ${USERNAME}\n    gecos: wallet=${WALLET_ADDRESS},nft=\n")
    run = machine.create("secret-001")
    assert run.returncode == 0, run.stderr
    user_data = machine.state / "cloud-init/secret-001/user-data"
    secret = user_data.read_text().split()[3]
    assert len(secret) == 64
    holders = []
    for folder, _, files in os.walk(machine.root):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.getsize(path) < 1 << 24 and secret.encode() in open(path, "rb").read():
                holders.append((os.path.relpath(path, machine.root), oct(os.stat(path).st_mode & 0o777)))
    assert sorted(holders) == [("var/lib/blockhost/cloud-init/secret-001/cidata.iso", "0o600"),
                               ("var/lib/blockhost/cloud-init/secret-001/user-data", "0o600")]
    assert secret not in run.stdout + run.stderr + machine.virsh("dumpxml", "secret-001")
    assert machine.run("destroy", "secret-001").returncode == 0
    assert machine.leftovers() == {}


def test_contract_names_work_as_links(machine):
    run = subprocess.run([BUILD / "symlinks/blockhost-vm-status", "nobody-here"], env=machine.env, capture_output=True,
                         text=True)
    assert (run.returncode, run.stdout) == (0, "destroyed\n")
