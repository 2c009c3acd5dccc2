# SPDX-License-Identifier: MIT
"""Beside blockhost-common's package, which is in no archive: without it, after it, before it."""

import pytest
import root as roots
from root import PACKAGE, VERSION
from test_install import FOLDERS, HOOK, assert_vm_is_whole, changed_since, make_vm, state

PLUGIN = "blockhost.provisioner_libvirt"


@pytest.fixture()
def bare(make_root):
    """A root with nothing of BlockHost's."""
    return make_root()


def apt(root, *words):
    return root.sh("apt-get -q -y " + " ".join(words) + " 2>&1")


def made(root):
    """User, group and folders, but for their numbers."""
    return {"user": root.sh("getent passwd blockhost | cut -d: -f 1,5-"),
            "password": root.sh("getent shadow blockhost | cut -d: -f 2,4-"),
            "groups": root.sh("id -nG blockhost"), "group": root.sh("getent group blockhost | cut -d: -f 1,2,4"),
            "system": root.sh("[ $(id -u blockhost) -lt 1000 ] && [ $(id -g blockhost) -lt 1000 ] && echo yes"),
            "config": root.sh("stat -c '%U:%G %a' /etc/blockhost"),
            "state": root.sh("stat -c '%U:%G %a' /var/lib/blockhost"), **root.owners("/var/lib/blockhost")}


def test_apt_installs_it_where_no_other_package_of_blockhosts_can_be_had(bare, package):
    place, = bare.put(package)
    apt(bare, "install", place)
    assert state(bare) == f"install ok installed {VERSION}"
    assert "0 upgraded, 0 newly installed, 0 to remove" in apt(bare, "--fix-broken", "install")
    assert bare.link(HOOK)
    assert made(bare) == {
        "user": "blockhost::/var/lib/blockhost:/usr/sbin/nologin", "password": "!::::::", "groups": "blockhost",
        "group": "blockhost:x:", "system": "yes",
        "config": "root:blockhost 750", "state": "blockhost:blockhost 750", **FOLDERS}


def test_it_finds_and_leaves_the_same_whichever_of_the_two_comes_first(make_root, stand_ins, package):
    common = roots.make_common(stand_ins)
    alone, after, before = make_root(), make_root(), make_root()
    alone.install(package)
    after.install(common)
    after.install(package)
    before.install(package)
    numbers = before.sh("id blockhost")
    make_vm(before)
    before.install(common)
    assert before.sh("id blockhost") == numbers
    assert_vm_is_whole(before)
    before.sh("cd /var/lib/blockhost; rm -r vms.json instance-id")
    assert made(alone) == made(after) == made(before)
    for root in (after, before):
        assert root.sh("dpkg --audit") == "" and "0 to remove" in apt(root, "--fix-broken", "install")


def test_what_is_there_already_is_somebodys_decision(bare, package):
    bare.sh("groupadd blockhost; useradd --gid blockhost --home-dir /srv/bh --shell /bin/bash blockhost\n"
            "mkdir -m 0755 /etc/blockhost; mkdir -m 0711 /var/lib/blockhost; chown blockhost: /var/lib/blockhost")
    entry = bare.sh("getent passwd blockhost")
    bare.install(package)
    assert bare.sh("getent passwd blockhost") == entry
    assert bare.sh("stat -c '%U:%G %a' /etc/blockhost /var/lib/blockhost").splitlines() == [
        "root:root 755", "blockhost:blockhost 711"]
    assert bare.owners("/var/lib/blockhost") == FOLDERS


def test_the_wizards_page_lies_still_until_the_installers_packages_are_there(bare, package, stand_ins):
    bare.install(package)
    assert bare.run("python3", "-c", f"import {PLUGIN}", check=False).returncode == 0
    run = bare.run("python3", "-c", f"import {PLUGIN}.wizard", check=False)
    assert "No module named 'flask'" in run.stderr
    bare.install(roots.make_common(stand_ins))
    bare.sh(f"python3 -c 'import blockhost, {PLUGIN}; assert blockhost.COMMON'")
    bare.run("dpkg", "-r", PACKAGE)
    bare.sh("python3 -c 'import blockhost; assert blockhost.COMMON'")


def test_blockhost_common_may_leave_before_it(clean, package):
    clean.install(package)
    make_vm(clean)
    clean.run("dpkg", "-r", "blockhost-common")
    assert_vm_is_whole(clean)
    assert state(clean) == f"install ok installed {VERSION}"
    assert clean.sh("blockhost-vm-list").startswith("NAME\tSTATUS")


def test_it_upgrades_the_package_of_scripts_by_apt(clean, package, stand_ins):
    clean.install(roots.make_old(stand_ins))
    place, = clean.put(package)
    apt(clean, "install", place)
    assert state(clean) == f"install ok installed {VERSION}"
    assert clean.link("/usr/bin/blockhost-vm-create") == "blockhost-libvirt"
    clean.run("dpkg", "-r", "blockhost-common")
    assert state(clean) == f"install ok installed {VERSION}"


def test_purged_where_it_was_alone_it_leaves_the_user_and_nothing_else(bare, package):
    before = bare.snapshot()
    bare.install(package)
    bare.run("dpkg", "-P", PACKAGE)
    assert changed_since(before, bare) <= {"/etc"}
    assert bare.sh("getent passwd blockhost; getent group blockhost")


def test_purged_it_leaves_the_folders_that_are_blockhost_commons(clean, package):
    before = clean.snapshot()
    clean.install(package)
    clean.run("dpkg", "-P", PACKAGE)
    assert changed_since(before, clean) <= {"/etc"}


def test_purged_where_it_was_alone_it_leaves_all_of_a_machine(bare, package):
    bare.install(package)
    make_vm(bare)
    bare.run("dpkg", "-P", PACKAGE)
    assert_vm_is_whole(bare)
