# SPDX-License-Identifier: MIT
"""The first-boot hook on a clean root, with apt-get played: it installs stand-in packages, or fails as told."""

import pytest
import root as roots

HOOK = "/usr/share/blockhost/provisioner-hooks/first-boot.sh"
NEEDED = ["libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils", "libcurl4", "libisofs6"]
USEFUL = ["libvirt-daemon-config-nwfilter", "ebtables", "guestfs-tools", "mmdebstrap", "python3-ecdsa", "jq"]
MARKERS = ["/var/lib/blockhost/.step-kvm-check", "/var/lib/blockhost/.step-libvirt"]

# Each line of /root/failures is one call that finds apt locked.
APT_GET = """#!/bin/bash
echo "$*" >>/root/apt-get
if [ -s /root/failures ]; then
    sed -i 1d /root/failures
    echo 'E: Could not get lock' >&2
    exit 100
fi
packages=()
for word; do
    case $word in
        install) installing=yes ;;
        update) exit 0 ;;
        -*) ;;
        *) [ -z "${installing:-}" ] || packages+=("/root/archive/$word.deb") ;;
    esac
done
for deb in "${packages[@]}"; do
    [ -e "$deb" ] || { echo "E: Unable to locate package $deb" >&2; exit 100; }
done
dpkg -i "${packages[@]}"
"""


@pytest.fixture()
def host(clean, package, stand_ins):
    clean.install(package)
    clean.write("/usr/local/sbin/apt-get", APT_GET, "0755")
    clean.sh("mkdir /root/archive; : >/root/failures; : >/root/apt-get")
    groups = "groupadd -f --system libvirt; groupadd -f --system libvirt-qemu\n"
    for name in NEEDED + USEFUL:
        scripts = {"postinst": groups} if name == "libvirt-daemon-system" else {}
        place, = clean.put(roots.make_deb(stand_ins, name, "9", scripts=scripts))
        clean.sh(f"mv {place} /root/archive/{name}.deb")
    return clean


def boot(host, check=True, before="", **environment):
    return host.run("bash", "-c", f"{before}\nexec {HOOK}", check=check, STATE_DIR="/var/lib/blockhost",
                    BLOCKHOST_APT_PAUSE="0", **environment)


def installed(host, *names):
    return [name for name in names
            if host.run("dpkg-query", "-W", "-f", "${db:Status-Status}", name, check=False).stdout == "installed"]


def groups(host):
    return set(host.sh("id -nG blockhost").split())


def test_it_waits_for_apt_installs_and_lets_the_blockhost_user_in(host):
    host.sh("printf 'x\\nx\\nx\\nx\\n' >/root/failures")
    said = boot(host).stdout
    assert said.count("something else uses apt; waiting for it") == 4 and "failed" not in said
    asked = [line.split("Timeout=300 ")[1].split()[0] for line in host.sh("cat /root/apt-get").splitlines()]
    assert asked == ["update"] * 5 + ["install"]
    assert installed(host, *NEEDED, *USEFUL) == NEEDED + USEFUL
    assert {"libvirt", "libvirt-qemu"} <= groups(host)
    assert all(host.there(marker) for marker in MARKERS)
    assert host.owners("/var/lib/blockhost")["vms"] == "blockhost:libvirt-qemu 710"
    assert "-o DPkg::Lock::Timeout=" in host.sh("cat /root/apt-get")
    assert not host.there("/etc/blockhost/bridge-managed")
    before = host.snapshot()
    host.sh(": >/root/apt-get")
    boot(host)
    assert host.snapshot() == before and host.sh("cat /root/apt-get") == ""


def test_what_nothing_stands_on_may_be_missing(host):
    host.sh("rm /root/archive/guestfs-tools.deb")
    run = boot(host)
    assert "guestfs-tools could not be installed" in run.stderr
    assert installed(host, *NEEDED, *USEFUL) == [name for name in NEEDED + USEFUL if name != "guestfs-tools"]
    assert all(host.there(marker) for marker in MARKERS)


def test_without_the_hypervisor_it_fails_and_the_next_run_goes_on(host):
    host.sh("mv /root/archive/qemu-utils.deb /root/kept")
    run = boot(host, check=False)
    assert run.returncode == 1 and "not installed:" in run.stderr
    assert not any(host.there(marker) for marker in MARKERS)
    host.sh("mv /root/kept /root/archive/qemu-utils.deb")
    boot(host)
    assert installed(host, *NEEDED) == NEEDED and all(host.there(marker) for marker in MARKERS)


def test_a_user_who_comes_late_joins_the_groups_all_the_same(host):
    host.sh("userdel blockhost")
    assert "no blockhost user yet" in boot(host).stderr
    host.sh("useradd --system blockhost")
    boot(host)
    assert {"libvirt", "libvirt-qemu"} <= groups(host)
    assert host.owners("/var/lib/blockhost")["vms"] == "blockhost:libvirt-qemu 710"


def test_only_a_service_that_lacks_the_new_groups_is_restarted(host):
    host.fake_systemd()
    host.write("/usr/bin/systemctl", """#!/bin/sh
echo "$*" >>/root/systemctl
case "$*" in
    list-units*) printf '%s.service loaded active running it\\n' blockhost-monitor ssh ;;
    *"=User "*monitor*) echo blockhost ;;
    *"=MainPID "*monitor*) cat /root/pid ;;
    *"=MainPID "*) echo 1 ;;
esac
""", "0755")
    as_before = ("setpriv --reuid=blockhost --regid=blockhost --clear-groups sleep 99 & echo $! >/root/pid\n"
                 "until grep -q sleep /proc/$!/comm; do sleep 0.05; done")
    boot(host, before=as_before)
    asked = host.asked_of_systemctl()
    assert [line for line in asked if "restart" in line] == ["try-restart blockhost-monitor.service"]
    assert "enable libvirtd.service" in asked and "start libvirtd.service" in asked
    boot(host, before=as_before.replace("--clear-groups", "--init-groups"))
    assert not [line for line in host.asked_of_systemctl() if "restart" in line]
