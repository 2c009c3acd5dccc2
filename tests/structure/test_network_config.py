# SPDX-License-Identifier: MIT
"""What cloud-init itself makes of our network-config and fallback user-data: its own renderers convert the file, and
netplan's generator, systemd-networkd and ifupdown bring an interface up with the result, in namespaces of their own."""

import functools
import json
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
PRINT = BUILD / "tests/unit/guest/print-cloud-init"
NETWORKD = pathlib.Path("/usr/lib/systemd/systemd-networkd")

MAC, IP, GATEWAY = "52:54:00:12:34:56", "192.168.122.5", "192.168.122.1"
IPV6, GATEWAY6 = "2a11:6c7:f04:276::202", "2a11:6c7:f04:276::1"

# A private interface id0 with our MAC and a carrier, brought up; then, once the default routes are there or after 20 s,
# all addresses and routes as one line of JSON. Nothing of it outlives the namespaces.
NAMESPACE = """
set -e
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add id0 address {mac} type veth peer name far
ip link set far up
{bring_up}
for i in $(seq 200); do
    [ -n "$(ip -4 route show default)" ] && {{ [ {family} = 4 ] || [ -n "$(ip -6 route show default)" ]; }} && break
    sleep 0.1
done
echo "{{\\"addresses\\": $(ip -j addr show dev id0), \\"routes\\": $(ip -j -4 route), \\"routes6\\": $(ip -j -6 route)}}"
"""

RUN_NETWORKD = """
mkdir -p /run/systemd/network /run/systemd/netif
chown systemd-network:systemd-network /run/systemd/netif
cp {folder}/*.network /run/systemd/network/
sed -i s/^PermanentMACAddress=/MACAddress=/ /run/systemd/network/*.network # a veth has no permanent one
chmod -R a+rX /run/systemd
SYSTEMD_LOG_TARGET=console {networkd} >&2 &
"""

RUN_IFUP = """
mkdir -p /run/network
{hide_net_tools}
{root}/sbin/ifup -v --force --no-scripts --interfaces={folder}/50-cloud-init id0 >&2
"""


@functools.cache
def unpacked():
    """The folder with cloud-init's modules; skips with the reason where it cannot be had."""
    made = subprocess.run([TREE / "tests/tools/cloud-init-modules.sh"], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("cloud-init's modules cannot be had: " + made.stderr.strip())
    return pathlib.Path(made.stdout.strip())


def cloud_init(module, *words):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(unpacked() / "usr/lib/python3/dist-packages"),
           "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(["/usr/bin/python3", "-m", module, *map(str, words)], capture_output=True, text=True, env=env)


def network_config(folder, with_ipv6):
    words = [PRINT, "network", MAC, IP + "/24", GATEWAY] + ([IPV6, GATEWAY6] if with_ipv6 else [])
    path = folder / "network-config"
    path.write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
    return path


def render(folder, renderer, with_ipv6):
    """cloud-init's files for that renderer, below the returned folder."""
    out = folder / renderer
    done = cloud_init("cloudinit.cmd.devel.net_convert", "-k", "yaml", "-p", network_config(folder, with_ipv6),
                      "-D", "debian", "-O", renderer, "-d", out, "-m", "id0," + MAC)
    assert done.returncode == 0, done.stderr
    return out


def bring_up(script, with_ipv6):
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    whole = NAMESPACE.format(mac=MAC, bring_up=script, family=6 if with_ipv6 else 4)
    done = subprocess.run(["unshare", "-mnp", "--fork", "--kill-child", "--mount-proc", "sh", "-c", whole],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def networkd():
    """Skips where systemd-networkd or its user is not installed; cloud-init's renderer needs the user too."""
    if not NETWORKD.exists():
        pytest.skip("this host has no systemd-networkd")
    try:
        pwd.getpwnam("systemd-network")
    except KeyError:
        pytest.skip("this host has no user systemd-network")


def bring_up_networkd(folder, with_ipv6):
    return bring_up(RUN_NETWORKD.format(folder=folder, networkd=NETWORKD), with_ipv6)


def assert_up(found, log, with_ipv6):
    addresses = {f"{a['local']}/{a['prefixlen']}" for a in found["addresses"][0]["addr_info"] if a["scope"] == "global"}
    assert addresses == ({IP + "/24", IPV6 + "/128"} if with_ipv6 else {IP + "/24"}), log
    defaults = {(r["dst"], r["gateway"], r["dev"]) for r in found["routes"] + found["routes6"] if r["dst"] == "default"}
    wanted = {("default", GATEWAY, "id0")} | ({("default", GATEWAY6, "id0")} if with_ipv6 else set())
    assert defaults == wanted, log
    strange = [r for r in found["routes6"] if r["dst"] not in ("default", GATEWAY6, IPV6, "fe80::/64")]
    assert not strange, log


families = pytest.mark.parametrize("with_ipv6", [True, False], ids=["both families", "IPv4 alone"])


@families
@pytest.mark.usefixtures("networkd")
def test_networkd_brings_it_up(tmp_path, with_ipv6):
    files = render(tmp_path, "networkd", with_ipv6) / "etc/systemd/network"
    assert_up(*bring_up_networkd(files, with_ipv6), with_ipv6)


@families
@pytest.mark.usefixtures("networkd")
def test_netplan_brings_it_up(tmp_path, with_ipv6):
    root, files = unpacked(), render(tmp_path, "netplan", with_ipv6)
    libraries = ":".join(str(root / folder / "x86_64-linux-gnu") for folder in ("usr/lib", "lib"))
    generated = subprocess.run([root / "usr/libexec/netplan/generate", "--root-dir", files], capture_output=True,
                               text=True, env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries})
    assert generated.returncode == 0, generated.stderr
    assert_up(*bring_up_networkd(files / "run/systemd/network", with_ipv6), with_ipv6)


@families
@pytest.mark.parametrize("net_tools", ["with net-tools", "without net-tools"])
def test_ifupdown_brings_it_up(tmp_path, with_ipv6, net_tools):
    route = shutil.which("route", path="/usr/sbin:/sbin")
    hide = ""
    if net_tools == "with net-tools" and not route:
        pytest.skip("this host has no net-tools")
    if net_tools == "without net-tools" and route:
        hide = f"touch /run/nothing; mount --bind /run/nothing {os.path.realpath(route)}"
    folder = render(tmp_path, "eni", with_ipv6) / "etc/network/interfaces.d"
    script = RUN_IFUP.format(root=unpacked(), folder=folder, hide_net_tools=hide)
    assert_up(*bring_up(script, with_ipv6), with_ipv6)


@pytest.mark.parametrize("name", ["blockhost-001", "0"])
@pytest.mark.parametrize("key", [[], ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlA me@home"]], ids=["no key", "a key"])
def test_the_fallback_user_data_is_valid_cloud_config(tmp_path, name, key):
    path = tmp_path / "user-data"
    path.write_bytes(subprocess.run([PRINT, "user-data", "/nonexistent", name, *key], check=True,
                                    capture_output=True).stdout)
    done = cloud_init("cloudinit.cmd.main", "schema", "--config-file", path)
    assert done.returncode == 0 and "Valid" in done.stdout, done.stdout + done.stderr
    import yaml
    user = yaml.safe_load(path.read_text())["users"][0]
    assert user.get("ssh_authorized_keys", []) == key
    assert user["gecos"] == "wallet=0xabc,nft=" and user["lock_passwd"] is True
