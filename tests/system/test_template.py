# SPDX-License-Identifier: MIT
"""Templates under real VMs: a new version never changes what runs, and an old one goes only when nothing needs it."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest
from machine import Machine, sh, wait_until

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")


@pytest.fixture()
def machine():
    made = Machine("quick", ipv6=False)
    yield made
    made.close()


def other_image(machine, name):
    """The quick guest's disk with some content of its own."""
    path = machine.root / f"{name}.qcow2"
    shutil.copy(machine.settings["GUEST_TEMPLATE"], path)
    sh("qemu-io", "-f", "qcow2", "-c", f"write -P {1 + len(list(machine.root.glob('*.qcow2')))} 1M 1M", path)
    return path


def disk_of(machine, name):
    return next(machine.state / "vms" / volume for volume in machine.volumes() if volume.startswith(name + "."))


def base_of(machine, name):
    info = json.loads(sh("qemu-img", "info", "-U", "--output=json", disk_of(machine, name)).stdout)
    return pathlib.Path(info["full-backing-filename"])


def content_of(machine, name):
    """Digest of all that the VM's disk shows, its overlay and what is below, also while it runs."""
    raw = machine.root / "content.raw"
    sh("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", disk_of(machine, name), raw)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def made(machine, name):
    run = machine.create(name)
    assert run.returncode == 0, run.stderr


def rebooted(machine, name):
    for verb in ("kill", "start"):
        run = machine.run(verb, name)
        assert run.returncode == 0, run.stderr
    wait_until(f"{name} answers", 120, lambda: machine.run("guest-exec", name, "true").returncode == 0)


def versions(machine):
    return json.loads(machine.run("templates", "--json").stdout)


def prune(machine):
    run = machine.answered("templates", "--prune")
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_vm_keeps_its_version_and_prune_removes_that_only_once_the_vm_is_gone(machine):
    first = machine.template()
    made(machine, "old-1")
    content = content_of(machine, "old-1")
    second = machine.build_template(other_image(machine, "second"))
    assert second != first and base_of(machine, "old-1") == first

    made(machine, "new-1")
    assert base_of(machine, "new-1") == second
    assert prune(machine) == ""
    assert content_of(machine, "old-1") == content
    rebooted(machine, "old-1")
    assert content_of(machine, "old-1") == content
    used = {v["image"]: v["used_by"] for v in versions(machine)["versions"]}
    assert used == {str(first): ["old-1"], str(second): ["new-1"]}

    # Off is no less in need of its disk than running, and a domain without a record no less than a VM.
    assert machine.run("kill", "old-1").returncode == 0
    assert prune(machine) == ""
    assert machine.run("destroy", "old-1").returncode == 0
    assert prune(machine).startswith("Removed " + first.stem.removeprefix("blockhost-base-"))
    assert not first.exists() and second.exists()
    rebooted(machine, "new-1")
    assert machine.run("destroy", "new-1").returncode == 0
    assert prune(machine) == "" and machine.template() == second, "the current version stays without any VM"
    assert machine.leftovers() == {}


def test_a_disk_on_a_regular_file_of_the_old_provisioner_reads_the_same_after_our_builds(machine):
    link = machine.state / "templates/blockhost-base.qcow2"
    for entry in link.parent.iterdir():
        entry.unlink()
    shutil.copy(other_image(machine, "old"), link)
    link.chmod(0o644)
    made(machine, "old-1")
    assert base_of(machine, "old-1") == link
    content, inode = content_of(machine, "old-1"), link.stat().st_ino

    fresh = machine.build_template(other_image(machine, "fresh"))
    assert not link.is_symlink() and link.stat().st_ino == inode
    assert content_of(machine, "old-1") == content
    made(machine, "new-1")
    assert base_of(machine, "new-1") == fresh
    assert prune(machine) == "" and not link.is_symlink()
    rebooted(machine, "old-1")
    assert content_of(machine, "old-1") == content
    assert versions(machine)["old_base"]["used_by"] == ["old-1"]

    assert machine.run("destroy", "old-1").returncode == 0
    assert "the base of the 0.2.0 provisioner" in prune(machine)
    assert link.is_symlink() and link.resolve() == fresh
    assert not (link.parent / "blockhost-base.current").is_symlink()
    made(machine, "new-2")
    assert base_of(machine, "new-2") == fresh
    for name in ("new-1", "new-2"):
        assert machine.run("destroy", name).returncode == 0
    assert machine.leftovers() == {}


def test_a_domain_of_somebody_elses_on_a_version_keeps_it(machine):
    first = machine.template()
    disk = machine.root / "foreign.qcow2"
    sh("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", first, disk)
    name = f"foreign-{machine.tag}"
    xml = machine.root / "foreign.xml"
    xml.write_text(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
                   f"<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                   f"<source file='{disk}'/><target dev='vda' bus='virtio'/></disk></devices></domain>")
    machine.virsh("define", str(xml))
    try:
        machine.build_template(other_image(machine, "second"))
        assert prune(machine) == "" and first.exists()
        disk.unlink()
        run = machine.run("templates", "--prune")
        assert run.returncode != 0 and name in run.stderr, "a disk that cannot be seen proves nothing"
        assert first.exists()
    finally:
        machine.virsh("undefine", name)
    assert prune(machine).startswith("Removed ") and not first.exists()


def test_what_a_domain_runs_with_and_was_saved_with_keeps_its_version_whatever_it_is_defined_as_by_now(machine):
    first = machine.template()
    machine.state.chmod(0o751)  # as the first create leaves it: QEMU's user may pass
    name = f"foreign-{machine.tag}"
    disk = machine.root / "foreign.qcow2"
    sh("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", first, disk)

    def defined(devices):
        xml = machine.root / "foreign.xml"
        xml.write_text(f"<domain type='qemu'><name>{name}</name><uuid>{uuid.UUID(int=machine.subnet)}</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
                       f"<devices>{devices}</devices></domain>")
        machine.virsh("define", str(xml))

    try:
        defined(f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>"
                "<target dev='vda' bus='virtio'/></disk>")
        machine.virsh("start", name)
        machine.build_template(other_image(machine, "second"))
        defined("")
        assert prune(machine) == "" and first.exists()
        assert name in {v["image"]: v["used_by"] for v in versions(machine)["versions"]}[str(first)]
        machine.virsh("managedsave", name)
        defined("")
        assert prune(machine) == "" and first.exists(), "what was saved starts again with the disk that it had"
    finally:
        machine.virsh("destroy", name, check=False)
        machine.virsh("undefine", name, "--managed-save")
    assert prune(machine).startswith("Removed ") and not first.exists()


def test_an_image_is_seen_to_boot_before_it_is_used_and_one_that_does_not_boot_is_not_used(machine):
    before = machine.template()
    run = machine.run("build-template", "--source", f"file:{other_image(machine, 'good')}", "--as-is", "--verify-boot")
    assert run.returncode == 0, run.stderr
    good = machine.template()
    assert good != before
    assert [v["booted"] for v in versions(machine)["versions"] if v["image"] == str(good)] == [True]

    # Without the quick guest's kernel its disk is empty, and stops at the firmware.
    machine.settings = {**machine.settings, "GUEST_KERNEL": ""}
    machine.write_db_yaml()
    trial = machine.start("build-template", "--source", f"file:{other_image(machine, 'bad')}", "--as-is", "--verify-boot")
    named = "blockhost-template-trial-"
    wait_until("the trial runs", 60, lambda: named in machine.virsh("list", "--name"))
    trial.kill()
    trial.wait()
    wait_until("libvirt ends the trial of a killed build", 30, lambda: named not in machine.virsh("list", "--all", "--name"))
    assert machine.template() == good
    assert machine.run("build-template", "--source", f"file:{machine.root / 'bad.qcow2'}", "--as-is").returncode == 0
    assert not list((machine.root / "var/cache/blockhost").glob("build/*"))


def test_a_build_of_debian_from_packages_that_is_killed_leaves_nothing_alive_and_nothing_behind(machine):
    """Two real builds: killed while Debian is installed, and while the image is customised."""
    before = machine.template()
    bench = machine.root / "var/cache/blockhost/build"

    def at_work(part):
        return any(str(machine.root) in line and part in line
                   for line in sh("ps", "-eo", "args").stdout.splitlines()) or part_in_folder(part)

    def part_in_folder(part):
        """Programs that were given relative names: told by the folder they work in."""
        for process in pathlib.Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                if os.readlink(process / "cwd").startswith(str(bench)) and part in (process / "cmdline").read_text():
                    return True
            except OSError:
                continue
        return False

    def killed_at(part, *more):
        build = machine.start("build-template", "--no-packages", *more)
        wait_until(f"{part} is at work", 180, lambda: at_work(part) or build.poll() is not None)
        assert build.poll() is None, build.communicate()
        build.kill()
        build.wait()
        wait_until(f"{part} is gone too", 20, lambda: not at_work(part))
        assert machine.template() == before

    killed_at("mmdebstrap", "--source", "packages")
    debian = pathlib.Path(sh(pathlib.Path(__file__).parents[1] / "guest/build-debian.sh",
                             stdin=subprocess.DEVNULL).stdout.strip().splitlines()[-1])
    killed_at("virt-customize", "--source", f"file:{debian / 'template.qcow2'}")
    after = machine.build_template(other_image(machine, "next"))
    assert after.exists() and after != before
    assert not list(bench.glob("*"))
    assert not [p for p in (machine.state / "templates").iterdir() if p.name.startswith(".")]
    assert not sh("mount").stdout.count(str(machine.root))
