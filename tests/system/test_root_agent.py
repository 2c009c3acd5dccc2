# SPDX-License-Identifier: MIT
"""A user of group blockhost whom libvirt lets look, but not write: every change goes through the root agent."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from daemon import Daemon
from machine import BUILD, TREE, Machine, wait_until

USER = 61523
ACCOUNT = f"""
set -e
sed '/^blockhost:/d' /etc/passwd >/run/passwd
sed '/^blockhost:/d' /etc/group >/run/group
echo 'blockhost:x:{USER}:{USER}::/var/lib/blockhost:/usr/sbin/nologin' >>/run/passwd
echo 'blockhost:x:{USER}:' >>/run/group
for file in passwd group; do mount --bind /run/$file /etc/$file; done
"""
LOOK_ONLY = """
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0700"
"""


class Host:
    """A machine whose commands a user without privileges runs, and its root agent."""

    def __init__(self):
        self.daemon = Daemon(settings=LOOK_ONLY)
        try:
            self.daemon.run("sh", "-c", ACCOUNT)
            self.machine = Machine(prefix=self.daemon.prefix)
            self.hand_over()
            self.actions = []
            self.agent = self.start_agent()
        except BaseException:
            self.close()
            raise

    def hand_over(self):
        """The folders as the package and the installer leave them: state and run the user's, configuration root's."""
        machine = self.machine
        for path in (machine.root / "var/lib/blockhost", machine.root / "run/blockhost"):
            os.chown(path, USER, USER)
        for folder in (machine.root / "etc", machine.etc, machine.etc / "network-modes.enabled"):
            folder.chmod(0o755)
        os.chown(machine.etc / "db.yaml", 0, USER)
        (machine.etc / "db.yaml").chmod(0o640)
        bin_folder = machine.root / "bin"
        bin_folder.mkdir(mode=0o755)
        for name in ("blockhost-libvirt", "hypervisor-libvirt.so", "seed-image.so"):
            shutil.copy(BUILD / name, bin_folder)
        shutil.copytree(BUILD / "data", bin_folder / "data")
        self.binary = bin_folder / "blockhost-libvirt"

    def start_agent(self):
        words = [*self.daemon.prefix, sys.executable, TREE / "tests/root_agent.py",
                 self.machine.root / "run/blockhost/root-agent.sock", str(USER), self.binary,
                 TREE / "data/root-agent-actions/virsh.py"]
        self.log = open(self.machine.root / "agent.log", "w+")
        agent = subprocess.Popen(list(map(str, words)), env=self.machine.env, stdin=subprocess.DEVNULL, stdout=self.log)
        wait_until("the agent to be ready", 10, lambda: "ready" in self.asked())
        return agent

    def asked(self):
        return (self.machine.root / "agent.log").read_text().split("\n")

    def words(self, *words):
        return [*self.daemon.prefix, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *map(str, words)]

    def run(self, *words):
        return subprocess.run(self.words(self.binary, *words), env=self.machine.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, cwd="/")

    def start(self, *words):
        return subprocess.Popen(self.words(self.binary, *words), env=self.machine.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, cwd="/")

    def ask(self, action, **params):
        """The agent's reply to one request, asked as root would."""
        run = subprocess.run([*self.daemon.prefix, str(self.binary), "__root-action", action], env=self.machine.env,
                             input=json.dumps(params), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def close(self):
        if hasattr(self, "agent"):
            self.agent.terminate()
            self.agent.wait()
        if hasattr(self, "machine"):
            self.machine.close()
        self.daemon.close()


@pytest.fixture(scope="module")
def host():
    host = Host()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def clean(host):
    yield
    host.machine.wipe()


def create(host, name, *more):
    run = host.run(*host.machine.create_words(name, *more))
    assert run.returncode == 0, run.stderr
    return host.machine.result(run)


def test_the_user_may_look_but_not_write(host):
    assert subprocess.run(host.words("virsh", "-r", "-c", "qemu:///system", "list"), capture_output=True).returncode == 0
    assert subprocess.run(host.words("virsh", "-c", "qemu:///system", "list"), capture_output=True).returncode != 0


def test_a_vm_lives_from_create_to_destroy_through_the_root_agent(host):
    machine = host.machine
    result = create(host, "ra-001")
    asked = host.asked()
    for action in ("vm-step create-volume", "virsh-define", "virsh-start", "vm-step place", "vm-step ask-agent"):
        assert any(line.strip() == action for line in asked), action
    assert not any(line.startswith("ip6-route") for line in asked)
    routes = machine.sh("ip", "-6", "route", "show", "dev", machine.bridge).stdout
    neighbours = machine.sh("ip", "neigh", "show", "dev", machine.bridge, "nud", "permanent").stdout
    assert result["ipv6"] in routes and result["ip"] in neighbours and result["ipv6"] in neighbours
    port = machine.sh("sh", "-c", f"ls -d /sys/class/net/{machine.bridge}/brif/vnet*").stdout.strip()
    assert machine.sh("cat", f"{port}/group_fwd_mask").stdout == "0xfffd\n"

    listed = json.loads(host.run("list", "--format", "json").stdout)
    assert [vm["name"] for vm in listed] == ["ra-001"]
    assert host.run("status", "ra-001").stdout.strip() == "active"
    told = json.loads(host.run("metrics", "ra-001").stdout)
    assert told["state"] == "running" and told["guest_agent_responsive"] is True
    answered = host.run("guest-exec", "ra-001", "echo", "from", "inside")
    assert (answered.returncode, answered.stdout) == (0, "from inside\n"), answered.stderr
    limited = host.run("throttle", "ra-001", "--cpu-shares", "512")
    assert limited.returncode == 0, limited.stderr
    assert "512" in machine.sh("virsh", "schedinfo", "ra-001").stdout

    configured = host.run("configure", "ra-001", "--disk", "2", "--memory", "160", "--description", "mine", "--tags", "a,b")
    assert configured.returncode == 0, configured.stderr
    assert {"vm-step configure", "vm-step grow-disk"} <= {line.strip() for line in host.asked()}
    shown = json.loads(host.run("guests", "ra-001", "--json").stdout)["guests"][0]["config"]
    assert {"memory_mib": 160, "disk_mib": 2048, "description": "mine", "tags": ["a", "b"]}.items() <= shown.items()
    for step, more in (("configure", {"settings": {"cpus": 1}}), ("grow-disk", {"capacity_bytes": 3 << 30})):
        reply = host.ask("vm-step", name="ra-001", operation="", step=step, **{"with": more})
        assert reply["ok"] is False and "no configure of ra-001 is under way" in reply["error"], reply

    stopped = host.run("stop", "ra-001")
    assert stopped.returncode == 0, stopped.stderr
    assert machine.sh("virsh", "domstate", "ra-001").stdout.strip() == "shut off"
    started = host.run("start", "ra-001")
    assert started.returncode == 0, started.stderr
    destroyed = host.run("destroy", "ra-001")
    assert destroyed.returncode == 0, destroyed.stderr
    assert "vm-step delete-volume" in "\n".join(host.asked())
    assert machine.leftovers() == {}
    assert machine.temporary_files() == []


def test_every_layer_of_a_disk_goes_through_the_root_agent(host):
    machine = host.machine
    create(host, "ra-010")
    machine.virsh("snapshot-create-as", "ra-010", "s1", "--disk-only")
    assert len(machine.volumes()) == 2
    run = host.run("destroy", "ra-010")
    assert run.returncode == 0, run.stderr
    assert machine.volumes() == [] and machine.leftovers() == {}


def test_a_create_that_is_killed_is_undone_through_the_root_agent(host):
    process = host.start(*host.machine.create_words("ra-002"))
    wait_until("the domain to run", 60, lambda: "ra-002" in host.machine.sh("virsh", "list", "--name").stdout)
    process.kill()
    process.communicate()
    run = host.run("recover", "--all")
    assert run.returncode == 0, run.stderr
    assert "locks" in host.machine.leftovers() and len(host.machine.leftovers()) == 1  # the next create removes them
    create(host, "ra-002")
    run = host.run("destroy", "ra-002")
    assert run.returncode == 0, run.stderr
    assert host.machine.leftovers() == {}


def test_the_agent_refuses_definitions_that_our_renderer_did_not_make(host):
    create(host, "ra-003")
    machine = host.machine
    domain = machine.sh("virsh", "dumpxml", "--inactive", "ra-003").stdout
    path = machine.state / "cloud-init/evil.xml"
    for xml, why in ((domain, "not one that blockhost-libvirt renders"),
                     (domain.replace("</devices>", "<hostdev mode='subsystem' type='pci' managed='yes'><source>"
                                     "<address domain='0' bus='0' slot='0' function='0'/></source></hostdev></devices>"),
                      "not one that blockhost-libvirt renders"),
                     ("<domain/>", "not one"), ("", "not one"), ("\0", "not one")):
        path.write_text(xml)
        reply = host.ask("virsh-define", xml_path=str(path))
        assert reply["ok"] is False and why in reply["error"], reply
    path.unlink()
    (machine.state / "cloud-init/link.xml").symlink_to("/etc/passwd")
    for wrong in ("/etc/passwd", str(machine.state / "../../../etc/passwd"), str(machine.state / "cloud-init/link.xml"),
                  "relative.xml", str(machine.state / "none.xml")):
        assert host.ask("virsh-define", xml_path=wrong)["ok"] is False, wrong
    (machine.state / "cloud-init/link.xml").unlink()
    assert re.sub(r"\s", "", machine.sh("virsh", "dumpxml", "--inactive", "ra-003").stdout) == re.sub(r"\s", "", domain)


def test_the_agent_starts_nothing_whose_files_were_planted(host):
    create(host, "ra-004")
    machine = host.machine
    assert host.run("kill", "ra-004").returncode == 0
    disk = next((machine.state / "vms").glob("ra-004.*.qcow2"))
    kept = disk.with_name("kept")
    disk.rename(kept)
    for plant in (lambda: disk.symlink_to("/etc/shadow"), lambda: os.link(kept, disk),
                  lambda: subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/hostname",
                                          str(disk)], check=True)):
        plant()
        run = host.run("start", "ra-004")
        assert run.returncode == 1 and "vms/ra-004." in run.stderr, run.stderr
        disk.unlink()
    kept.rename(disk)
    console = machine.state / "console/ra-004.log"
    console.rename(console.with_name("kept"))
    console.symlink_to("/etc/shadow")
    assert host.run("start", "ra-004").returncode == 1
    console.unlink()
    console.with_name("kept").rename(console)
    started = host.run("start", "ra-004")
    assert started.returncode == 0, started.stderr


def overlay_on(path, *more):
    return lambda disk: subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *more, "-b", path, str(disk), "1G"], check=True)


def test_roots_own_verbs_start_nothing_that_the_agent_refuses(host, tmp_path):
    """Each plant, tried through the agent, by root's start and boot, and after a suspension by root's resume."""
    machine = host.machine
    create(host, "ra-007")
    machine.sh("virsh", "destroy", "ra-007")  # as a reboot of the host leaves it
    disk = next((machine.state / "vms").glob("ra-007.*.qcow2"))
    seed = next((machine.state / "cloud-init/ra-007").glob("*.iso"))
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's alone".ljust(1 << 20))
    secret.chmod(0o600)
    descriptor = machine.state / "templates/other.qcow2"  # as if that folder were the user's still
    descriptor.write_text(f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "{secret}" 0\n')
    template = str(machine.template())
    plants = [
        (disk, overlay_on(str(secret), "-F", "raw"), "stands on"),
        (disk, lambda path: path.symlink_to(template), "is no regular file"),
        (disk, overlay_on(str(descriptor), "-F", "vmdk"), "does not say that what it stands on is qcow2"),
        (disk, lambda path: subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o",
                                            f"data_file={secret},data_file_raw=on", str(path), "1M"], check=True),
         "has its content in another file"),
        (disk, overlay_on(template, "-F", "qcow2", "-o", "extended_l2=on"), "with features"),
        (seed, lambda path: path.symlink_to(secret), "is no regular file"),
    ]
    for path, plant, words in plants:
        kept = path.with_name("kept")
        path.rename(kept)
        plant(path)
        refused = [host.run("start", "ra-007"), machine.run("start", "ra-007"), machine.run("boot", "--again")]
        machine.change("ra-007", status="suspended", suspended_at="2030-01-01T00:00:00Z")
        refused.append(machine.run("resume", "ra-007"))
        (machine.state / "suspended/ra-007").unlink(missing_ok=True)
        machine.change("ra-007", status="active", suspended_at=None)
        for run in refused:
            assert run.returncode != 0 and words in run.stdout + run.stderr, (words, run.args, run.stdout, run.stderr)
        assert machine.sh("virsh", "domstate", "ra-007").stdout.strip() == "shut off"
        assert secret.stat().st_uid == 0, "libvirt gives what it starts to QEMU's user"
        path.unlink()
        kept.rename(path)
    descriptor.unlink()
    started = machine.run("start", "ra-007")
    assert started.returncode == 0, started.stderr


def test_a_vm_with_a_layer_that_an_administrators_snapshot_made_starts_again(host):
    machine = host.machine
    create(host, "ra-008")
    machine.sh("virsh", "snapshot-create-as", "ra-008", "s1", "--disk-only", "--no-metadata")
    for who in (machine.run, host.run):
        assert machine.run("kill", "ra-008").returncode == 0
        started = who("start", "ra-008")
        assert started.returncode == 0, started.stderr


def test_templates_that_the_installer_gave_away_are_roots_again_after_a_start(host):
    machine = host.machine
    create(host, "ra-009")
    assert host.run("kill", "ra-009").returncode == 0
    templates = machine.state / "templates"
    subprocess.run(["chown", "-R", f"{USER}:{USER}", str(templates)], check=True)
    templates.chmod(0o710)
    started = host.run("start", "ra-009")
    assert started.returncode == 0, started.stderr
    assert (templates.stat().st_uid, oct(templates.stat().st_mode & 0o777)) == (0, "0o755")
    assert machine.template().stat().st_uid != USER
    assert subprocess.run(host.words("sh", "-c", f"echo x >>{machine.template()} || mv {machine.template()} {templates}/x"),
                          capture_output=True).returncode != 0


def test_a_mark_is_set_once_and_no_address_of_the_network_is_placed(host):
    machine = host.machine
    create(host, "ra-010")
    lan = f"10.213.{machine.subnet}.200"  # in the bridge's network, but not in the pool
    before = machine.sh("virsh", "dumpxml", "--inactive", "ra-010").stdout
    mark = re.search("<blockhost:vm.*</blockhost:vm>", before, re.DOTALL).group(0)
    own = re.search("<blockhost:ip>(.*)</blockhost:ip>", mark).group(1)
    reply = host.ask("vm-step", name="ra-010", operation="", step="set-mark", **{"with": {"mark": mark.replace(own, lan)}})
    assert (reply["ok"], reply["code"]) == (False, "denied"), reply
    assert machine.sh("virsh", "dumpxml", "--inactive", "ra-010").stdout == before
    assert host.ask("vm-step", name="ra-010", operation="", step="set-mark", **{"with": {"mark": mark}})["ok"]

    machine.change("ra-010", ip_address=lan)
    here = {"bridge": machine.bridge, "mac": "52:54:00:00:00:01", "ip": lan, "ipv6": ""}
    reply = host.ask("vm-step", name="ra-010", operation="", step="place", **{"with": here})
    assert f"{lan} is not an address for VMs" in reply["problems"][0], reply
    for who in (machine.run, host.run):
        assert machine.run("kill", "ra-010").returncode == 0
        started = who("start", "ra-010")
        assert started.returncode == 0 and f"{lan} is not an address for VMs" in started.stderr, started.stderr
    assert lan not in machine.sh("ip", "neigh", "show", "dev", machine.bridge, "nud", "permanent").stdout


def test_the_agent_touches_no_domain_that_is_not_ours(host):
    machine = host.machine
    xml = machine.root / "foreign.xml"
    xml.write_text("<domain type='qemu'><name>ra-foreign</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
                   "</domain>")
    machine.sh("virsh", "define", str(xml))
    try:
        for action in ("virsh-start", "virsh-destroy", "virsh-shutdown", "virsh-undefine"):
            reply = host.ask(action, domain="ra-foreign", remove_storage=True)
            assert (reply["ok"], reply["code"]) == (False, "foreign"), reply
        for step, more in (("unpause", {}), ("tune", {"subsystem": "cpu", "of": "running", "limits": {}}),
                           ("set-mark", {"mark": "<x/>"}), ("ask-agent", {"command": "{}", "seconds": 1})):
            reply = host.ask("vm-step", name="ra-foreign", operation="", step=step, **{"with": more})
            assert (reply["ok"], reply["code"]) == (False, "foreign"), reply
        assert machine.sh("virsh", "domstate", "ra-foreign").stdout.strip() == "shut off"
    finally:
        machine.sh("virsh", "undefine", "ra-foreign", check=False)


def test_addresses_are_set_for_those_whose_they_are(host):
    machine = host.machine
    result = create(host, "ra-005")
    here = {"bridge": machine.bridge, "mac": "52:54:00:00:00:01", "ipv6": ""}
    net = f"10.213.{machine.subnet}"

    def place(name="ra-005", **more):
        return host.ask("vm-step", name=name, operation="", step="place", **{"with": here | more})

    assert place(ip=f"{net}.1")["code"] == "invalid"           # the host's and gateway's
    assert place(ip="192.0.2.1")["code"] == "invalid"          # not in the pool
    assert place(ip=f"{net}.55")["code"] == "invalid"          # nobody's
    assert place(name="other", ip=result["ip"])["code"] == "invalid"
    assert place(ip=result["ip"], bridge="lo")["code"] == "invalid"
    assert place(ip=result["ip"], mac="nonsense")["code"] == "invalid"
    before = machine.sh("ip", "neigh", "show", "dev", machine.bridge, "nud", "permanent").stdout
    other = host.ask("vm-step", name="other", operation="", step="unplace",
                     **{"with": {"bridge": machine.bridge, "ip": result["ip"], "ipv6": ""}})
    assert other["ok"] and other["problems"] == []
    assert machine.sh("ip", "neigh", "show", "dev", machine.bridge, "nud", "permanent").stdout == before


def test_no_verb_of_the_panel_waits_for_an_agent_that_hangs_for_longer_than_the_panel_waits(host):
    """The panel gives up after 60 s; what it calls must have answered by then, with the reason."""
    verbs = {"start": "ra-007", "stop": "ra-008", "kill": "ra-009", "destroy": "ra-010"}
    creates = [host.start(*host.machine.create_words(name)) for name in verbs.values()]
    assert [process.wait() for process in creates] == [0] * 4, [process.stderr.read() for process in creates]
    assert host.run("kill", verbs["start"]).returncode == 0
    before = host.machine.states()
    host.agent.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        running = {verb: host.start(verb, name) for verb, name in verbs.items()}
        for verb, process in running.items():
            _, told = process.communicate(timeout=120)
            assert process.returncode == 1 and "the root agent did not answer in time" in told, (verb, told)
            assert time.monotonic() - began < 45, verb
        assert host.machine.states() == before
    finally:
        host.agent.send_signal(signal.SIGCONT)
    wait_until("the agent to be through", 60, lambda: host.run("guest-exec", verbs["stop"], "true").returncode == 0)
    assert host.machine.states() == before, "what was given up was carried out"
    for verb, name in verbs.items():
        run = host.run(verb, name)
        assert run.returncode == 0, run.stderr


def test_without_the_agent_a_change_is_refused_and_nothing_is_left(host):
    host.agent.send_signal(signal.SIGSTOP)
    socket = host.machine.root / "run/blockhost/root-agent.sock"
    socket.rename(socket.with_name("away"))
    try:
        run = host.run(*host.machine.create_words("ra-006"))
        assert run.returncode == 1 and "libvirt at qemu:///system refuses us" in run.stderr, run.stderr
        assert "the root agent, which changes VMs for the blockhost user, is not there" in run.stderr
        assert str(socket) in run.stderr and "systemctl start blockhost-root-agent" in run.stderr
    finally:
        socket.with_name("away").rename(socket)
        host.agent.send_signal(signal.SIGCONT)
    assert host.machine.leftovers() == {}
