# SPDX-License-Identifier: MIT
"""A suspended VM stays off, whoever starts it: our hook in a libvirtd of the test's own, with tiny domains of our mark."""

import json
import pathlib
import shutil
import signal
import tempfile
import time
import uuid

import pytest
from daemon import Daemon
from machine import BINARY, BUILD, wait_until

PROGRAM = BUILD / "hooks/blockhost-start-veto"
HOOK = "/etc/libvirt/hooks/qemu.d/blockhost"
NAMESPACE = "https://blockhost.io/ns/blockhost-libvirt/1"
SINCE = "2026-01-02T03:04:05+00:00"


class Instance:
    """A state folder, and domains that carry its mark."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="blockhost-veto-", dir="/var/tmp"))
        self.state = self.root / "var/lib/blockhost"
        (self.state / "suspended").mkdir(parents=True)
        self.id = uuid.uuid4().hex
        self.uuids = {}

    def define(self, name, marked=True):
        self.uuids[name] = str(uuid.uuid4())
        mark = (f"<metadata><b:vm xmlns:b='{NAMESPACE}' instance='{self.id}' operation='x' state='{self.state}'>"
                f"<b:name>{name}</b:name></b:vm>"
                "</metadata>") if marked else ""
        xml = self.state / f"{name}.xml"
        xml.write_text(f"<domain type='qemu'><name>{name}</name><uuid>{self.uuids[name]}</uuid>{mark}"
                       "<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>"
                       "<on_crash>destroy</on_crash></domain>")
        self.daemon.virsh("define", xml)
        return name

    def suspend(self, name, **changed):
        (self.state / "suspended" / name).write_text(
            json.dumps({"instance": self.id, "uuid": self.uuids[name], "since": SINCE} | changed))

    def resume(self, name):
        (self.state / "suspended" / name).unlink()

    def refused(self, *words):
        run = self.daemon.virsh(*words, check=False)
        assert run.returncode != 0
        assert f"is suspended since {SINCE}, unpaid: extend and resume it with BlockHost" in run.stderr, run.stderr

    def state_of(self, name):
        return self.daemon.virsh("domstate", name).stdout.strip()

    def detected(self):
        """What detect says about the hook."""
        run = self.daemon.run("env", f"BLOCKHOST_ROOT={self.root}", BINARY, "detect", "--json", check=False)
        found = {each["finding"]: each for each in json.loads(run.stdout)["findings"]}["start veto"]
        return found["ok"], found["found"] + "; " + found["advice"]

    def close(self):
        for name in self.uuids:
            self.daemon.virsh("destroy", name, check=False)
            self.daemon.virsh("undefine", name, "--managed-save", check=False)
        shutil.rmtree(self.root)


@pytest.fixture(scope="module")
def daemon():
    made = Daemon()
    yield made
    made.close()


def answers(daemon):
    return daemon.virsh("list", check=False).returncode == 0


def restart(daemon, number):
    daemon.send(number)
    wait_until("the daemon's end", 10, daemon.gone)
    daemon.restart()
    wait_until("the restarted daemon", 20, lambda: answers(daemon))


def notices(daemon, instance):
    """libvirtd works on SIGHUP when it comes to it."""
    name = instance.define("probe")
    instance.suspend(name)
    daemon.send(signal.SIGHUP)

    def is_refused():
        if daemon.virsh("start", name, check=False).returncode != 0:
            return True
        daemon.virsh("destroy", name)
        return False
    wait_until("libvirtd to notice the hook", 20, is_refused)
    instance.resume(name)


@pytest.fixture(scope="module")
def hooked(daemon):
    daemon.run("mkdir", "-p", "/etc/libvirt/hooks/qemu.d")
    daemon.run("ln", "-sfn", PROGRAM, HOOK)
    made = Instance(daemon)
    try:
        notices(daemon, made)
    finally:
        made.close()
    return daemon


def test_detect_says_whether_libvirtd_has_noticed_the_hook(daemon):
    """The first test: libvirtd runs already when the hook's folder comes."""
    made = Instance(daemon)
    try:
        ok, words = made.detected()
        assert not ok and "is not there" in words
        daemon.run("mkdir", "-p", "/etc/libvirt/hooks/qemu.d")
        daemon.run("ln", "-s", PROGRAM, HOOK)
        name = made.define("early")
        made.suspend(name)
        daemon.virsh("start", name)
        daemon.virsh("destroy", name)
        ok, words = made.detected()
        assert not ok and "systemctl reload libvirtd" in words
        notices(daemon, made)
        assert made.detected() == (True, HOOK + "; ")
        made.refused("start", name)
    finally:
        made.close()


@pytest.fixture()
def instance(hooked):
    made = Instance(hooked)
    yield made
    made.close()


def test_a_raw_start_of_a_suspended_vm_is_refused_until_it_is_resumed(instance):
    name = instance.define("unpaid")
    instance.suspend(name)
    instance.refused("start", name)
    instance.refused("start", name, "--paused")
    assert instance.state_of(name) == "shut off"
    instance.resume(name)
    instance.daemon.virsh("start", name)
    assert instance.state_of(name) == "running"


def test_a_saved_vm_is_not_brought_back_and_its_image_is_kept(instance):
    name = instance.define("saved")
    instance.daemon.virsh("start", name)
    instance.daemon.virsh("managedsave", name)
    instance.suspend(name)
    instance.refused("start", name)
    assert "saved" in instance.daemon.virsh("list", "--all", "--with-managed-save", "--name").stdout.split()
    instance.resume(name)
    instance.daemon.virsh("start", name)
    assert instance.state_of(name) == "running"
    assert "saved" not in instance.daemon.virsh("list", "--all", "--with-managed-save", "--name").stdout.split()


def test_a_vm_saved_to_a_file_is_not_brought_back(instance):
    name = instance.define("filed")
    instance.daemon.virsh("start", name)
    instance.daemon.virsh("save", name, "/run/filed.image")
    instance.suspend(name)
    instance.refused("restore", "/run/filed.image")
    instance.resume(name)
    instance.daemon.virsh("restore", "/run/filed.image")
    assert instance.state_of(name) == "running"


def test_autostart_at_the_daemons_start_leaves_it_off_and_starts_the_others(instance):
    for name in ("auto-unpaid", "auto-paid"):
        instance.define(name)
        instance.daemon.virsh("autostart", name)
    instance.suspend("auto-unpaid")
    instance.daemon.run("rm", "-f", "/run/libvirt/qemu/autostarted")  # libvirt autostarts once a boot of the host
    restart(instance.daemon, signal.SIGTERM)
    wait_until("the paid one", 20, lambda: instance.state_of("auto-paid") == "running")
    assert instance.state_of("auto-unpaid") == "shut off"
    assert instance.detected()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_running_vm_survives_the_daemons_restart_though_it_is_suspended(instance, number):
    name = instance.define("runs")
    instance.daemon.virsh("start", name)
    process = instance.daemon.run("cat", f"/run/libvirt/qemu/{name}.pid").stdout
    instance.suspend(name)
    restart(instance.daemon, number)
    time.sleep(1)
    assert instance.state_of(name) == "running"
    assert instance.daemon.run("cat", f"/run/libvirt/qemu/{name}.pid").stdout == process
    instance.daemon.virsh("suspend", name)
    instance.daemon.virsh("resume", name)
    assert instance.daemon.virsh("destroy", name).returncode == 0


def test_other_peoples_files_and_domains_do_not_matter(instance):
    name = instance.define("mine")
    other = Instance(instance.daemon)
    try:
        other.uuids["mine"] = instance.uuids["mine"]
        other.suspend("mine")
        instance.suspend(name, instance=other.id)
        instance.daemon.virsh("start", name)
        plain = instance.define("not-ours", marked=False)
        instance.suspend(plain)
        instance.daemon.virsh("start", plain)
    finally:
        other.uuids.clear()
        other.close()


def test_a_hook_that_is_gone_or_dangles_keeps_nobody_off(instance):
    """A package that is being replaced, or was removed without its link."""
    name = instance.define("alone")
    instance.suspend(name)
    instance.daemon.run("ln", "-sfn", "/nowhere/blockhost-start-veto", HOOK)
    try:
        instance.daemon.virsh("start", name)
    finally:
        instance.daemon.run("ln", "-sfn", PROGRAM, HOOK)
