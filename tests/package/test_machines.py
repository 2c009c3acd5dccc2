# SPDX-License-Identifier: MIT
"""Machines on a host of the package's own making: an installed .deb, its folders, users, links and units, real libvirt.

Nothing is prepared here that the package, blockhost-common or the installer prepares.
"""

import json
import pathlib
import shlex
import subprocess

import pytest
import root as roots
from root import TREE

WALLET = "0x" + "ab" * 20
STATE = "/var/lib/blockhost"


class Host(roots.LiveRoot):
    """`before`: packages that are there before ours is."""

    def __init__(self, folder, base, guest, package, before):
        super().__init__(folder, base, guest["GUEST_FOLDER"])
        try:
            for deb in (*before, package):
                self.install(deb)
            self.configure(guest)
        except BaseException:
            self.close()
            raise

    def configure(self, guest):
        """What the installer does before its last step; the network mode is blockhost-common's to link."""
        self.sh("ip link add br0 type bridge; ip address add 10.99.7.1/24 dev br0; ip link set br0 up\n"
                "mkdir -p /etc/blockhost/network-modes.enabled; echo '{}' >/etc/blockhost/network-modes.enabled/none.json\n"
                "usermod -aG libvirt,libvirt-qemu blockhost")
        for step in ("storage", "network --bridge br0", "db-config --ip-network 10.99.7.0/24 --ip-start 10 --ip-end 60 --gateway 10.99.7.1"):
            self.sh(f"blockhost-libvirt setup {step}")
        kernel = (f"boot_kernel: {guest['GUEST_KERNEL']}\nboot_initrd: {guest['GUEST_INITRD']}\n"
                  f"boot_arguments: \"{guest['GUEST_ARGUMENTS']}\"\n")
        self.run("sh", "-c", "cat >>/etc/blockhost/db.yaml", text=kernel)
        self.sh(f"blockhost-libvirt build-template --source file:{guest['GUEST_TEMPLATE']} --as-is")

    def finalize(self):
        """The installer's last step."""
        self.sh(f"chown -R blockhost:blockhost {STATE}; chmod 0755 {STATE}")

    def as_blockhost(self, *words, check=True):
        return self.run("setpriv", "--reuid=blockhost", "--regid=blockhost", "--init-groups", *words, check=check)

    def create_words(self, name):
        return ("blockhost-vm-create", name, "--owner-wallet", WALLET, "--memory", "128", "--disk", "1", "--apply")

    def lives(self, name):
        return self.sh(f"virsh -c qemu:///system domstate {name}") == "running"

    def may_be_read_by_everybody(self):
        """Files below the state folder that hold a guest's secrets, with the mode of those that others may read."""
        return self.sh(f"find {STATE}/cloud-init -type f -name 'user-data' -o -name '*.iso' | xargs -r stat -c '%a %n' "
                       "| grep -v '^600 ' || true")


@pytest.fixture(scope="session")
def guest():
    made = subprocess.run([TREE / "tests/guest/build-quick.sh"], check=True, stdout=subprocess.PIPE, text=True)
    folder = pathlib.Path(made.stdout.splitlines()[-1])
    lines = (line.partition("=") for line in (folder / "guest.env").read_text().splitlines())
    # Seen there at another place.
    settings = {key: " ".join(shlex.split(value)).replace(str(folder), "/mnt/shared") for key, _, value in lines}
    return settings | {"GUEST_FOLDER": folder}


@pytest.fixture(scope="session")
def libvirt_base(base):
    return roots.base_root("libvirt")


@pytest.fixture(scope="module", params=["fresh", "over 0.2.0"])
def host(request, libvirt_base, guest, package, stand_ins, tmp_path_factory):
    before = [roots.make_common(stand_ins)]
    if request.param == "over 0.2.0":
        before.append(roots.make_old(stand_ins))
    made = Host(tmp_path_factory.mktemp("host"), libvirt_base, guest, package, before)
    yield made
    made.close()


# In order: the host is finalized once.


def test_root_creates_a_machine_before_the_installer_has_finished(host):
    folders = host.owners(STATE)
    assert {folders[name] for name in ("vms", "cloud-init")} == {"blockhost:libvirt-qemu 710"}
    assert json.loads(host.run(*host.create_words("early-1")).stdout.splitlines()[-1])["status"] == "ok"
    assert host.lives("early-1")
    assert host.may_be_read_by_everybody() == ""


def test_the_blockhost_user_creates_one_too(host):
    host.as_blockhost(*host.create_words("early-2"))
    assert host.lives("early-2")
    host.as_blockhost("blockhost-vm-destroy", "early-2")
    assert "early-2" not in host.sh(f"ls {STATE}/vms {STATE}/cloud-init")


def test_after_the_installers_last_step_machines_are_made_and_started_all_the_same(host):
    host.as_blockhost("blockhost-vm-kill", "early-1")
    host.finalize()
    dry = host.as_blockhost(*[word for word in host.create_words("late-1") if word != "--apply"])
    assert '"status": "ok"' in dry.stdout
    assert host.owners(STATE)["vms"] == "blockhost:blockhost 710"  # a dry run changes nothing
    host.as_blockhost(*host.create_words("late-1"))
    assert host.lives("late-1")
    host.as_blockhost("blockhost-vm-start", "early-1")
    assert host.lives("early-1")
    folders = host.owners(STATE)
    assert {folders[name] for name in ("vms", "cloud-init")} == {"blockhost:libvirt-qemu 710"}
    assert host.may_be_read_by_everybody() == ""


def test_a_user_who_cannot_open_a_folder_is_told_what_does(host):
    host.sh(f"chown root:root {STATE}/vms; chmod 0700 {STATE}/vms")
    refused = host.as_blockhost(*host.create_words("late-2"), check=False)
    assert refused.returncode == 1
    assert f"QEMU's user cannot reach {STATE}/vms: it may not pass through {STATE}/vms" in refused.stderr
    assert "run 'blockhost-libvirt setup storage' as root" in refused.stderr
    host.sh("blockhost-libvirt setup storage")
    host.sh(f"chown blockhost {STATE}/vms")
    host.as_blockhost(*host.create_words("late-2"))
    assert host.lives("late-2")


def test_a_user_outside_qemus_group_lets_everybody_pass(host):
    host.finalize()
    words = ("setpriv", "--reuid=blockhost", "--regid=blockhost", f"--groups={host.sh('getent group libvirt | cut -d: -f3')}")
    host.run(*words, *host.create_words("late-3"))
    assert host.lives("late-3")
    folders = host.owners(STATE)
    assert {folders[name] for name in ("vms", "cloud-init")} == {"blockhost:blockhost 711"}


def test_resume_and_boot_mend_the_folders_as_well(host):
    known = json.loads(host.sh(f"cat {STATE}/vms.json"))
    known["vms"]["early-1"]["expires_at"] = "2020-01-01T00:00:00+00:00"
    host.run("sh", "-c", f"cat >{STATE}/vms.json", text=json.dumps(known))
    host.run("blockhost-vm-gc", "--execute", "--suspend-only", "--force-clock")
    host.finalize()
    host.as_blockhost("blockhost-vm-resume", "early-1", "--extend-days", "30")
    assert host.lives("early-1")
    host.sh("virsh -c qemu:///system destroy early-1")
    host.finalize()
    host.run("blockhost-libvirt", "boot")
    assert host.lives("early-1")


@pytest.mark.parametrize("unit", ["boot", "gc", "guard", "heal", "recover", "throttle"])
def test_what_the_units_run_works(host, unit):
    text = host.sh(f"cat /usr/lib/systemd/system/blockhost-{unit}.service")
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    run = host.run if "User" not in values else host.as_blockhost
    # A host of the tests' is not synchronised with any clock, which gc refuses by itself.
    run(*shlex.split(values["ExecStart"]), *(["--force-clock"] if unit == "gc" else []))


def test_every_machine_is_destroyed_and_nothing_of_it_is_left(host):
    names = [vm["name"] for vm in json.loads(host.as_blockhost("blockhost-vm-list", "--format", "json").stdout)
             if vm["status"] != "destroyed"]
    assert {"early-1", "late-1"} <= set(names)
    for name in names:
        host.as_blockhost("blockhost-vm-destroy", name)
    assert host.sh(f"ls {STATE}/vms {STATE}/cloud-init {STATE}/console {STATE}/journal | grep -E 'early|late' || true") == ""
    assert host.sh("virsh -c qemu:///system list --all --name") == ""
