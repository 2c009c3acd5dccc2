# SPDX-License-Identifier: MIT
"""The package on clean Debian 12 roots: installed, asked, installed again, upgraded, removed and purged."""

import json

import pytest
import root as roots
from root import PACKAGE, TREE, VERSION

HOOK = "/etc/libvirt/hooks/qemu.d/blockhost"
VETO = "/usr/sbin/blockhost-start-veto"
TIMERS = ["blockhost-backup.timer", "blockhost-backup-maintain.timer", "blockhost-drill.timer", "blockhost-gc.timer", "blockhost-guard.timer",
          "blockhost-heal.timer", "blockhost-recover.timer",
          "blockhost-throttle.timer"]
ENABLED = {f"/etc/systemd/system/timers.target.wants/{timer}" for timer in TIMERS} | {
    "/etc/systemd/system/multi-user.target.wants/blockhost-boot.service"}
FOLDERS = {
    "cloud-init": "blockhost:blockhost 711", "console": "blockhost:blockhost 711", "journal": "blockhost:blockhost 750",
    "half-kept": "blockhost:blockhost 750", "kept-off": "blockhost:blockhost 750", "metrics": "blockhost:blockhost 750", "replaced": "blockhost:blockhost 750", "suspended": "blockhost:blockhost 750",
    "template-packages": "root:root 755", "templates": "root:root 755", "vms": "blockhost:blockhost 711"}
FOLDERS_WITH_QEMU = FOLDERS | {name: "blockhost:libvirt-qemu 710" for name in ("cloud-init", "vms")}
OF_A_VM = {"vms/web-1.qcow2": "a disk", "cloud-init/web-1/user-data": "a seed", "vms.json": '{"vms": {}}',
           "journal/web-1.journal": "an entry", "suspended/web-1": "{}", "templates/blockhost-base.qcow2": "an image",
           "template-packages/engine.deb": "a package", "metrics/web-1": "a sample", "console/web-1.log": "a log",
           "instance-id": "0123"}

ACCOUNTS = {f"/etc/{name}{kept}" for name in ("passwd", "group", "shadow", "gshadow") for kept in ("", "-")}


def make_vm(root):
    lines = ["cd /var/lib/blockhost", "mkdir -p cloud-init/web-1 console journal metrics suspended template-packages"]
    for path, text in OF_A_VM.items():
        lines += [f"echo -n '{text}' >{path}", f"chown blockhost:blockhost {path}"]
    root.sh("\n".join(lines))


def assert_vm_is_whole(root):
    for path, text in OF_A_VM.items():
        assert root.sh(f"stat -c %U /var/lib/blockhost/{path}; cat /var/lib/blockhost/{path}") == f"blockhost\n{text}"


def enabled(root):
    return {path for path in ENABLED if root.there(path)}


def state(root):
    return root.sh(f"dpkg-query -W -f '${{Status}} ${{Version}}' {PACKAGE}")


# Installed, without libvirt.


def test_it_answers_where_libvirt_is_not_installed(installed):
    assert installed.run("dpkg", "-s", "libvirt0", check=False).returncode != 0
    assert state(installed) == f"install ok installed {VERSION}"
    assert installed.sh("blockhost-libvirt --help").startswith("Usage: blockhost-libvirt <verb>")
    assert installed.sh("blockhost-vm-create --help").startswith("Usage: blockhost-vm-create")
    assert installed.sh("blockhost-libvirt --version").split()[-1] == VERSION
    detect = installed.run("blockhost-provisioner-detect", check=False)
    assert (detect.returncode, detect.stdout, detect.stderr) == (1, "", "")
    assert "missing libvirt client" in installed.run("blockhost-libvirt", "detect", "--explain", check=False).stdout
    assert installed.sh("blockhost-vm-list") == "NAME\tSTATUS\tIP\tCREATED"


def test_a_machine_lives_in_the_simulated_world(installed):
    script = (TREE / "packaging/debian/tests/mock-life-cycle").read_text()
    run = installed.run("setpriv", "--reuid=blockhost", "--regid=blockhost", "--clear-groups", "sh", "-c", script)
    assert run.stdout.endswith("a machine lived and was destroyed\n")


def test_the_state_folders_are_the_blockhost_users(installed):
    assert installed.owners("/var/lib/blockhost") == FOLDERS
    assert installed.sh("stat -c '%U:%G %a' /var/lib/blockhost") == "blockhost:blockhost 750"


def test_the_units_are_enabled_though_systemd_does_not_run(installed):
    assert enabled(installed) == ENABLED


def test_libvirtd_will_find_a_hook_that_lets_a_domain_start(installed):
    assert installed.link(HOOK) == VETO
    run = installed.run(HOOK, "web-1", "prepare", "begin", "-", text="<domain/>")
    assert (run.stdout, run.stderr) == ("", "")


def test_the_manifest_names_programs_that_are_there(installed):
    manifest = json.loads(installed.sh("cat /usr/share/blockhost/provisioner.json"))
    assert manifest["version"] == VERSION
    for name in (*manifest["commands"].values(), manifest["setup"]["detect"]):
        assert installed.link(f"/usr/bin/{name}") == "blockhost-libvirt"
    installed.run("test", "-x", manifest["setup"]["first_boot_hook"])
    assert not installed.there("/usr/bin/blockhost-mint-nft")


def test_the_wizard_page_is_compiled_and_goes_with_the_package(clean, package):
    folder = "/usr/lib/python3/dist-packages/blockhost/provisioner_libvirt"
    clean.install(package)
    assert clean.sh(f"ls {folder}/__pycache__ | cut -d. -f1 | sort").split() == ["__init__", "helpers", "wizard"]
    clean.run("dpkg", "-r", PACKAGE)
    assert not clean.there(folder)


def test_installing_it_again_changes_nothing(installed, package):
    before = installed.snapshot()
    installed.install(package)
    assert installed.snapshot() == before


# What an administrator decided stays.


def test_a_disabled_timer_and_a_deleted_hook_stay_so(clean, package):
    clean.install(package)
    clean.sh(f"rm {HOOK} /etc/systemd/system/timers.target.wants/blockhost-gc.timer")
    clean.install(package)
    assert enabled(clean) == {path for path in ENABLED if "gc" not in path}
    assert not clean.there(HOOK)


@pytest.mark.parametrize("what", ["a file", "a link to nothing"])
def test_a_hook_of_somebody_elses_is_left_alone(clean, package, what):
    clean.sh("mkdir -p /etc/libvirt/hooks/qemu.d")
    if what == "a file":
        clean.write(HOOK, "#!/bin/sh\n# mine\n", "0755")
    else:
        clean.sh(f"ln -s /nowhere {HOOK}")
    before = clean.sh(f"stat -c '%F %s' {HOOK}")
    clean.install(package)
    clean.run("dpkg", "-P", PACKAGE)
    assert clean.sh(f"stat -c '%F %s' {HOOK}") == before


def test_links_in_the_state_folder_are_not_followed(clean, package):
    """The folder is the blockhost user's, who must not make root give anything away."""
    clean.sh("cd /var/lib/blockhost; mkdir -m 0700 /precious; ln -s /precious vms; ln -s /etc/shadow metrics")
    shadow = clean.sh("stat -c '%U:%G %a' /etc/shadow")
    said = clean.install(package).stderr
    assert "vms is left as it is" in said and "metrics is left as it is" in said
    assert clean.sh("stat -c '%U:%G %a' /precious") == "root:root 700"
    assert clean.sh("stat -c '%U:%G %a' /etc/shadow") == shadow


# Hosts of other kinds.


def test_folders_are_qemus_to_walk_through_where_its_group_is(clean, package):
    clean.sh("groupadd --system libvirt-qemu")
    clean.install(package)
    assert clean.owners("/var/lib/blockhost") == FOLDERS_WITH_QEMU


def test_where_systemd_runs_the_timers_are_started_and_libvirtd_is_told_of_the_hook(clean, package):
    clean.fake_systemd()
    clean.install(package)
    asked = clean.asked_of_systemctl()
    assert "reload libvirtd.service" in asked
    assert "--system daemon-reload" in asked
    assert "--quiet --system start " + " ".join(TIMERS) in asked
    assert not [line for line in asked if "start" in line and "boot" in line]
    clean.install(package)
    asked = clean.asked_of_systemctl()
    assert "--quiet --system restart " + " ".join(TIMERS) in asked
    assert not [line for line in asked if "reload libvirtd" in line or "stop" in line]
    clean.run("dpkg", "-r", PACKAGE)
    asked = clean.asked_of_systemctl()
    assert "stop blockhost-boot.service " + " ".join(TIMERS) + " blockhost-agent.service" in asked
    assert asked[-1] == "--system daemon-reload"


def test_another_provisioner_is_not_replaced_in_passing(clean, package, stand_ins):
    clean.install(roots.make_deb(stand_ins, "blockhost-provisioner-other", "1", Provides="blockhost-provisioner"))
    refused = clean.install(package, check=False)
    assert refused.returncode != 0 and "conflict" in refused.stderr
    assert not clean.there(HOOK)


# Over the scripts of 0.2.0, and back.


def test_it_upgrades_the_package_of_scripts(clean, package, stand_ins):
    clean.write("/etc/blockhost/db.yaml", "bridge: br7\n", "0640")
    clean.install(roots.make_old(stand_ins))
    make_vm(clean)
    assert clean.sh("blockhost-vm-create") == "the old one"
    clean.install(package)
    assert state(clean) == f"install ok installed {VERSION}"
    assert clean.link("/usr/bin/blockhost-vm-create") == "blockhost-libvirt"
    assert clean.sh("blockhost-vm-list").startswith("NAME\tSTATUS")
    assert not clean.there("/usr/lib/python3/dist-packages/blockhost/vm_creator.py")
    assert "__root-action" in clean.sh("cat /usr/share/blockhost/root-agent-actions/virsh.py")
    assert enabled(clean) == ENABLED
    assert clean.link(HOOK) == VETO
    folders = clean.owners("/var/lib/blockhost")
    assert {name: folders[name] for name in FOLDERS} == FOLDERS
    assert clean.sh("cat /etc/blockhost/db.yaml; stat -c %a /etc/blockhost/db.yaml") == "bridge: br7\n640"
    assert_vm_is_whole(clean)


def test_going_back_to_the_scripts_leaves_no_hook_that_cannot_run(clean, package, stand_ins):
    clean.install(package)
    clean.install(roots.make_old(stand_ins))
    assert clean.sh("blockhost-vm-create") == "the old one"
    assert not clean.there(HOOK) and not clean.there(VETO)
    clean.install(package)
    assert clean.link(HOOK) == VETO


# Removed and purged.


def test_the_hook_is_gone_before_its_program_is_and_comes_back_with_it(clean, package):
    clean.install(package)
    # Behind prerm dpkg removes the files: what prerm left is what libvirtd meets.
    clean.run("sh", "-c", f"cat >>/var/lib/dpkg/info/{PACKAGE}.prerm", text=f"""
readlink {HOOK} >/root/after-prerm || echo gone >/root/after-prerm
test -x {VETO} && echo program there >>/root/after-prerm
""")
    clean.run("dpkg", "-r", PACKAGE)
    assert clean.sh("cat /root/after-prerm") == "gone\nprogram there"
    assert not clean.there("/usr/bin/blockhost-vm-create")
    clean.install(package)
    assert clean.link(HOOK) == VETO
    assert not clean.there("/var/lib/blockhost-provisioner-libvirt")


def test_a_removal_that_fails_leaves_the_hook_in_place(clean, package):
    clean.install(package)
    clean.sh(f"echo 'exit 1' >>/var/lib/dpkg/info/{PACKAGE}.prerm")
    assert clean.run("dpkg", "-r", PACKAGE, check=False).returncode != 0
    assert clean.link(HOOK) == VETO
    assert state(clean) == f"deinstall ok installed {VERSION}"


def changed_since(before, root):
    """Paths; not of what tells of accounts, which stay: their numbers must become nobody else's."""
    after = root.snapshot()
    return {path for path in before | after if before.get(path) != after.get(path)} - ACCOUNTS


def test_removed_and_purged_it_leaves_nothing_of_its_own(clean, package):
    before = clean.snapshot()
    clean.install(package)
    assert changed_since(before, clean)
    clean.run("dpkg", "-r", PACKAGE)
    clean.run("dpkg", "-P", PACKAGE)
    assert changed_since(before, clean) <= {"/etc"}
    assert clean.sh("getent passwd blockhost-backup; getent group blockhost-backup")


def test_removed_and_purged_it_leaves_all_of_a_machine(clean, package):
    clean.install(package)
    make_vm(clean)
    clean.run("dpkg", "-r", PACKAGE)
    assert_vm_is_whole(clean)
    clean.run("dpkg", "-P", PACKAGE)
    assert_vm_is_whole(clean)
    assert clean.sh("ls /var/lib/blockhost").split() == sorted({path.split("/")[0] for path in OF_A_VM})
    clean.install(package)
    assert_vm_is_whole(clean)
