# SPDX-License-Identifier: MIT
"""VMs as the 0.2.0 provisioner left them (tests/system/old): they are listed, measured, stopped, started, suspended,
resumed and destroyed like ours, and kept apart from their neighbours; what merely looks like one is left alone."""

import datetime
import json
import pathlib
import shutil
import string
import xml.etree.ElementTree as ElementTree

import pytest
import seeds
from machine import Machine, sh, wait_until

NAMESPACE = "https://blockhost.io/ns/blockhost-libvirt/1"
OLD = pathlib.Path(__file__).parent / "old"


class OldHost(Machine):
    """A machine whose base image, pool and VMs are the 0.2.0 provisioner's; then ours was installed over it."""

    def __init__(self):
        super().__init__("quick")
        self.count = 0
        link = self.state / "templates/blockhost-base.qcow2"
        image = link.resolve()
        link.unlink()
        shutil.copy(image, link)
        link.chmod(0o644)
        self.base = link
        self.build_template(self.settings["GUEST_TEMPLATE"])
        assert self.run("setup", "storage").returncode == 0
        assert link.is_file() and not link.is_symlink()
        (self.state / "cloud-init").mkdir(exist_ok=True, mode=0o711)
        (self.state / "cloud-init").chmod(0o711)

    def values(self, name, more=""):
        self.count += 1
        number = 20 + self.count
        net = f"10.213.{self.subnet}"
        return {"name": name, "more": more, "ip": f"{net}.{number}", "gateway": f"{net}.1",
                "ipv6": f"fd00:b10c:{self.subnet:x}::{number:x}", "gateway6": f"fd00:b10c:{self.subnet:x}::1",
                "mac": f"52:54:00:0d:{self.subnet:02x}:{number:02x}", "bridge": self.bridge,
                "disks": self.state / "vms", "seeds": self.state / "cloud-init", "kernel": self.settings["GUEST_KERNEL"],
                "initrd": self.settings["GUEST_INITRD"], "arguments": self.settings["GUEST_ARGUMENTS"]}

    def make_files(self, values):
        seed = self.state / "cloud-init" / values["name"]
        seed.mkdir(mode=0o710)
        sh("chgrp", "libvirt-qemu", str(seed), check=False)
        for name, mode in (("user-data", 0o600), ("network-config", 0o644)):
            (seed / name).write_text(filled(name, values))
            (seed / name).chmod(mode)
        (seed / "meta-data").write_text('{"instance-id": "iid-local01"}\n')  # cloud-localds had it in the image alone
        sh("genisoimage", "-quiet", "-J", "-r", "-V", "cidata", "-o", str(seed / "cidata.iso"), str(seed / "user-data"),
           str(seed / "network-config"), str(seed / "meta-data"))
        (seed / "meta-data").unlink()
        disk = self.state / "vms" / (values["name"] + ".qcow2")
        sh("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.base), "-F", "qcow2", str(disk), "1G")
        disk.chmod(0o640)

    def define(self, values, tmp_path):
        path = tmp_path / "domain.xml"
        path.write_text(filled("domain.xml", values))
        self.virsh("define", str(path))

    def record(self, values, **changes):
        path = self.state / "vms.json"
        registry = self.registry()
        registry["vms"][values["name"]] = json.loads(filled("record.json", values)) | changes
        registry["allocated_ips"].append(values["ip"])
        registry["allocated_ipv6"].append(values["ipv6"])
        path.write_text(json.dumps(registry, indent=2))

    def make(self, name, tmp_path, more=""):
        values = self.values(name, more)
        self.make_files(values)
        self.define(values, tmp_path)
        self.record(values)
        self.virsh("start", name)
        sh("ip", "-6", "route", "replace", values["ipv6"] + "/128", "dev", self.bridge)
        return values


def filled(name, values):
    return string.Template((OLD / name).read_text()).substitute(values)


@pytest.fixture(scope="module")
def host():
    made = OldHost()
    yield made
    made.close()


@pytest.fixture()
def name(host):
    """A name of this test's, of which nothing is left, and the base image as it was."""
    before = host.base.read_bytes()
    yield f"old-{host.tag}-{host.count}"
    host.wipe()
    assert host.base.read_bytes() == before


def ok(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def figures(host, name):
    return json.loads(ok(host.run("metrics", name)).stdout)


def answering(host, name):
    wait_until("the guest agent", 120, lambda: figures(host, name)["guest_agent_responsive"])


def set_record(host, name, **changes):
    registry = host.registry()
    registry["vms"][name] |= changes
    (host.state / "vms.json").write_text(json.dumps(registry, indent=2))


def from_now(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).isoformat()


def test_an_old_vm_lives_on_like_one_of_ours(host, name, tmp_path):
    values = host.make(name, tmp_path)
    definition = host.virsh("dumpxml", "--inactive", name)

    def status():
        [row] = json.loads(ok(host.run("list", "--format", "json")).stdout)
        assert (row["name"], row["ip"], row["created"]) == (name, values["ip"], "2026-01-01")
        assert host.run("status", name).stdout == row["status"] + "\n"
        return row["status"]

    assert status() == "active"
    answering(host, name)
    shown = figures(host, name)
    assert shown["state"] == "running" and shown["uptime_seconds"] > 0 and shown["memory_total_mb"] == 128
    assert host.run("guest-exec", name, "echo", "hello").stdout == "hello\n"

    assert ok(host.run("stop", name)).stdout == f"Shutdown signal sent: {name}\n"
    assert status() == "suspended" and figures(host, name)["state"] == "stopped"
    sh("ip", "-6", "route", "del", values["ipv6"] + "/128", "dev", host.bridge, check=False)
    assert ok(host.run("start", name)).stdout == f"VM started: {name}\n"
    assert status() == "active"
    assert values["ipv6"] in sh("ip", "-6", "route", "show", "dev", host.bridge).stdout
    assert devices(host.virsh("dumpxml", "--inactive", name)) == devices(definition)
    answering(host, name)

    set_record(host, name, expires_at=from_now(-1))
    run = ok(host.run("gc", "--execute", "--force-clock"))
    assert f"suspend {name}: done" in run.stdout
    assert host.registry()["vms"][name]["status"] == "suspended" and status() == "suspended"
    assert host.virsh("domstate", name).strip() == "shut off"
    assert host.instance() in host.virsh("metadata", name, NAMESPACE), "the start veto knows it by our mark"
    assert host.run("start", name).returncode == 1, "it is unpaid"
    ok(host.run("extend", name, "--days", "30"))
    assert ok(host.run("resume", name)).stdout.splitlines()[-1] == f"VM '{name}' resumed successfully"
    record = host.registry()["vms"][name]
    assert record["status"] == "active" and "suspended_at" not in record
    assert (record["nft_token_id"], record["gecos_synced"]) == (7, True), "what engines wrote stays"
    assert status() == "active" and devices(host.virsh("dumpxml", "--inactive", name)) == devices(definition)

    assert ok(host.run("destroy", name)).stdout == f"VM destroyed: {name}\n"
    assert host.leftovers() == {} and host.temporary_files() == []
    assert host.registry()["vms"][name]["status"] == "destroyed"
    assert host.base.exists() and host.run("destroy", name).returncode == 0


def devices(definition):
    """What the guest sees."""
    found = ElementTree.fromstring(definition).find("devices")
    for interface in found.iter("interface"):
        for guard in ("port", "filterref"):
            for element in interface.findall(guard):
                interface.remove(element)
    return [line for line in ElementTree.tostring(found, encoding="unicode").split("\n") if line.strip()]


def interface_of(host, name, *which):
    return ElementTree.fromstring(host.virsh("dumpxml", *which, name)).find("devices/interface")


def guards_of(interface):
    """What its element says of them: isolation, the filter, and what that pins the guest to."""
    port, reference = interface.find("port"), interface.find("filterref")
    pinned = {p.get("name"): p.get("value") for p in reference.iter("parameter")} if reference is not None else {}
    return (port is not None and port.get("isolated")), pinned


def guards_of_port(host, name):
    """Those that the kernel has: isolation, the mask, and whether frames go through rules of libvirt's."""
    tap = interface_of(host, name).find("target").get("dev")
    port = pathlib.Path(f"/sys/class/net/{tap}/brport")
    rules = sh("ebtables", "-t", "nat", "-L", f"libvirt-I-{tap}", check=False).stdout
    return (port / "isolated").read_text().strip(), (port / "group_fwd_mask").read_text().strip(), "-j DROP" in rules


UNGUARDED = ("0", "0x0", False)


def assert_guarded(host, name, values, how, runs=True):
    wanted = "yes", {"MAC": values["mac"], "IP": values["ip"], "IPV6": values["ipv6"]}
    assert guards_of(interface_of(host, name, "--inactive")) == wanted, how
    if runs:
        assert guards_of(interface_of(host, name)) == wanted, how
        assert guards_of_port(host, name) == ("1", "0xfffd", True), how


def bring_up_again(host, name, how):
    """What an admin, an engine or the host's start does."""
    if how in ("start", "boot"):
        host.virsh("destroy", name)
    if how == "resume":
        host.virsh("destroy", name)
        set_record(host, name, status="suspended", suspended_at=from_now(-1))
    if how == "start from a saved image":
        host.virsh("managedsave", name)
    if how == "unpause":
        host.virsh("suspend", name)
    verb = {"resume": ("resume",), "boot": ("boot", "--again"), "boot of what runs": ("boot", "--again")}.get(how, ("start",))
    run = ok(host.run(*verb, *([] if verb[0] == "boot" else [name])))
    of_guards = [line for line in run.stderr.splitlines()
                 if "WARNING" in line and "its clock" not in line and "guest agent does not answer" not in line]
    assert of_guards == [], run.stderr


WAYS_UP = ("start of what runs", "start", "start from a saved image", "unpause", "resume", "boot", "boot of what runs")


def test_whatever_brings_an_old_vm_up_guards_it_from_then_on(host, name, tmp_path):
    values = host.make(name, tmp_path)
    old = tmp_path / "old.xml"
    old.write_text(host.virsh("dumpxml", "--inactive", name))
    for how in seeds.some_of(WAYS_UP, 3, "ways up"):
        assert guards_of_port(host, name) == UNGUARDED, how
        bring_up_again(host, name, how)
        assert host.virsh("domstate", name).strip() == "running"
        assert_guarded(host, name, values, how)
        host.virsh("destroy", name)
        host.virsh("define", str(old))
        host.virsh("start", name)


def test_an_old_vm_that_gc_suspends_has_its_guards_in_its_definition(host, name, tmp_path):
    values = host.make(name, tmp_path)
    set_record(host, name, expires_at=from_now(-1))
    ok(host.run("gc", "--execute", "--force-clock"))
    assert host.virsh("domstate", name).strip() == "shut off"
    assert_guarded(host, name, values, "gc", runs=False)


def test_what_an_admin_said_of_isolation_and_filter_stays(host, name, tmp_path):
    values = host.values(name)
    host.make_files(values)
    path = tmp_path / "domain.xml"
    path.write_text(filled("domain.xml", values).replace(
        "<model type='virtio'/>", "<port isolated='no'/><model type='virtio'/><filterref filter='clean-traffic'/>", 1))
    host.virsh("define", str(path))
    host.record(values)
    ok(host.run("start", name))
    for which in ((), ("--inactive",)):
        interface = interface_of(host, name, *which)
        assert guards_of(interface)[0] == "no" and interface.find("filterref").get("filter") == "clean-traffic"


def test_gc_destroys_an_old_vm_past_its_grace(host, name, tmp_path):
    host.make(name, tmp_path)
    set_record(host, name, status="suspended", expires_at=from_now(-30), suspended_at=from_now(-20))
    host.virsh("destroy", name)
    run = ok(host.run("gc", "--execute", "--force-clock"))
    assert f"destroy {name}: done" in run.stdout
    assert host.leftovers() == {} and host.registry()["vms"][name]["status"] == "destroyed"


def test_an_old_vm_is_destroyed_where_its_pool_is_off_or_was_never_made(host, name, tmp_path):
    pool = f"blockhost-{host.instance()[:8]}"
    host.make(name, tmp_path)
    host.virsh("pool-destroy", pool)
    ok(host.run("destroy", name))
    assert host.leftovers() == {}
    host.make(name + "b", tmp_path)
    host.virsh("pool-destroy", pool)
    host.virsh("pool-undefine", pool)
    ok(host.run("destroy", name + "b"))
    assert host.leftovers() == {}


def test_create_takes_the_name_of_a_destroyed_old_vm_and_stands_on_the_new_base(host, name, tmp_path):
    host.make(name, tmp_path)
    ok(host.run("destroy", name))
    ok(host.create(name))
    [disk] = (host.state / "vms").glob(f"{name}.*")
    assert f"backing file: {host.template()}\n" in sh("qemu-img", "info", "-U", str(disk)).stdout
    assert host.template() != host.base
    ok(host.run("destroy", name))
    assert host.leftovers() == {}


@pytest.mark.parametrize("place", ["pool", "elsewhere"])
def test_a_second_disk_of_an_old_vm_is_kept_and_told_of(host, name, tmp_path, place):
    extra = (host.state / "vms" if place == "pool" else host.root) / f"{name}-data.qcow2"
    sh("qemu-img", "create", "-q", "-f", "qcow2", str(extra), "64M")
    try:
        host.make(name, tmp_path, f"""
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{extra}'/>
      <target dev='vdb' bus='virtio'/>
    </disk>""")
        run = ok(host.run("destroy", name))
        assert f"{extra} is attached to {name} but was not made by us; it is kept" in run.stderr
        assert extra.exists() and name not in host.domains()
        assert not (host.state / "vms" / f"{name}.qcow2").exists()
    finally:
        extra.unlink()
    assert host.leftovers() == {}


def foreign_kinds(host):
    """What a domain of that name, with a live record of that name, may lack to be an old VM."""
    return {
        "another disk": lambda xml, name: xml.replace(f"vms/{name}.qcow2", f"vms/{name}-other.qcow2"),
        "neither its seed nor its MAC": lambda xml, name: xml.replace(f"{name}/cidata.iso", f"{name}/other.iso").replace(
            "52:54:00:0d:", "52:54:00:0e:"),
        "somebody's metadata": lambda xml, name: xml.replace(
            "<memory unit", "<metadata><o:owner xmlns:o='urn:other'>me</o:owner></metadata><memory unit", 1),
    }


@pytest.mark.parametrize("kind", ["another disk", "neither its seed nor its MAC", "somebody's metadata", "no record"])
def test_a_domain_that_merely_has_the_name_is_left_alone(host, name, tmp_path, kind):
    values = host.values(name)
    host.make_files(values)
    for copy, of in ((host.state / "vms" / f"{name}-other.qcow2", host.state / "vms" / f"{name}.qcow2"),
                     (host.state / "cloud-init" / name / "other.iso", host.state / "cloud-init" / name / "cidata.iso")):
        shutil.copy(of, copy)
    change = foreign_kinds(host).get(kind, lambda xml, _: xml)
    path = tmp_path / "domain.xml"
    path.write_text(change(filled("domain.xml", values), name))
    host.virsh("define", str(path))
    if kind != "no record":
        host.record(values, expires_at=from_now(-30))
    host.virsh("start", name)
    definition, folder = host.virsh("dumpxml", "--inactive", name), sorted((host.state / "vms").iterdir())
    for verb in ("destroy", "start", "stop", "kill"):
        run = host.run(verb, name)
        assert run.returncode == 1 and "did not make" in run.stderr, (verb, run.stderr)
    assert host.run("guest-exec", name, "true").returncode == 1
    host.run("gc", "--execute", "--force-clock", "--grace-days", "0")
    assert host.virsh("domstate", name).strip() == "running"
    assert host.virsh("dumpxml", "--inactive", name) == definition
    assert sorted((host.state / "vms").iterdir()) == folder and (host.state / "cloud-init" / name / "cidata.iso").exists()
    if kind != "no record":
        assert host.registry()["vms"][name]["status"] == "active"
    host.virsh("destroy", name)
    host.virsh("undefine", name)
