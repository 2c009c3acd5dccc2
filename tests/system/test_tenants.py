# SPDX-License-Identifier: MIT
"""Untrusted neighbours: tenants whose guests send crafted frames, and what of that comes past their own ports.

Frames are put on the guests' network cards by a program inside of them (send_frames.c), so they meet what a tenant's
frames meet. Ears on the sender's tap prove that a frame left the guest; ears on the bridge and on the neighbour's tap
tell how far it came. Behind each attack goes a frame that must pass: once it is heard, the attack has had its chance.
"""

import base64
import lzma
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree as ET

import pytest
from frames import (ARP, BROADCAST, DESTINATION, ECHO, FRAGMENT, HOP_BY_HOP, ICMPV6, IPV4, IPV6, IPV6_IN_IPV4, LLDP,
                    NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, PPPOE, QINQ, RARP, REDIRECT, REPLY, REQUEST,
                    ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, SOURCE_LINK, TARGET_LINK, UDP, VLAN, Ears, arp, ethernet,
                    extension, fragment, icmpv6, ip, ipv4, ipv6, link_local, mac_bytes, option, udp)
from machine import Machine, sh, wait_until

PROGRAM = pathlib.Path(__file__).with_name("send_frames.c")
OUT_OF_THE_GUEST, BRIDGE, NEIGHBOUR = "out of the guest", "bridge", "neighbour"
STOPPED, PASSED = {OUT_OF_THE_GUEST}, {OUT_OF_THE_GUEST, BRIDGE}
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"
BPDU = "01:80:c2:00:00:00"
RESERVED = [f"01:80:c2:00:00:{last:02x}" for last in range(16)]
SOME_RESERVED = [RESERVED[last] for last in (0, 1, 2, 3, 14, 15)]  # each treated in another way, and two that are not


class Tenant:
    def __init__(self, machine, name, result):
        self.name, self.ip, self.ip6 = name, result["ip"], result["ipv6"]
        interface = ET.fromstring(machine.virsh("dumpxml", name)).find("devices/interface")
        self.mac = interface.find("mac").get("address")
        self.tap = interface.find("target").get("dev")
        self.link_local = link_local(self.mac)


class Street:
    """The attacker `a`, its neighbour `b` with IPv4 and IPv6, and `c`, whose guest has no IPv6, on one bridge."""

    def __init__(self, machine, program):
        self.machine = machine
        self.gateway, self.gateway6 = f"10.213.{machine.subnet}.1", f"fd00:b10c:{machine.subnet:x}::1"
        self.nobody, self.nobody6 = f"10.213.{machine.subnet}.77", f"fd00:b10c:{machine.subnet:x}::77"
        self.bridge_mac = pathlib.Path(f"/sys/class/net/{machine.bridge}/address").read_text().strip()
        sh("ip", "addr", "add", f"{self.gateway6}/128", "dev", machine.bridge, "nodad")
        self.a, self.b = self.make("tenant-a", "tenant-b")
        (machine.etc / "broker-allocation.json").unlink()
        self.c, = self.make("tenant-c")
        self.deliver(program)
        self.ears = {t.name: Ears({OUT_OF_THE_GUEST: (t.tap, "in"), BRIDGE: (machine.bridge, "in"),
                                   NEIGHBOUR: (self.b.tap, "out")}) for t in (self.a, self.c)}
        self.mark = b""
        self.beliefs_before = self.beliefs()

    def make(self, *names):
        runs = [self.machine.start(*self.machine.create_words(name)) for name in names]
        made = []
        for name, run in zip(names, runs):
            run.stdout, out, err = run.stdout, *run.communicate()
            assert run.returncode == 0, err
            done = subprocess.CompletedProcess(run.args, 0, out, err)
            made.append(Tenant(self.machine, name, self.machine.result(done)))
        return made

    def inside(self, tenant, *words):
        run = self.machine.run("guest-exec", tenant.name, "--", *words)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def deliver(self, program):
        text = base64.b64encode(lzma.compress(program.read_bytes(), check=lzma.CHECK_CRC32)).decode()
        words = [text[i:i + 100_000] for i in range(0, len(text), 100_000)]
        for tenant in (self.a, self.c):
            self.inside(tenant, "printf %s '", *words, "' | tr -d ' ' | base64 -d | unxz >/root/send_frames;"
                        "chmod 755 /root/send_frames")

    def send(self, tenant, *frames):
        self.inside(tenant, "/root/send_frames eth0", *(frame.hex() for frame in frames))

    def ordinary(self, tenant, mark):
        """A datagram of that tenant's own, to the gateway's discard port."""
        return ethernet(self.bridge_mac, tenant.mac, IPV4,
                        ipv4(tenant.ip, self.gateway, UDP, udp(tenant.ip, self.gateway, 9, 9, mark)))

    def attack(self, make, tenant=None):
        """Sends what `make(self)` makes, a frame or several that hold self.mark; the places where it was heard."""
        tenant = tenant or self.a
        ears = self.ears[tenant.name]
        self.mark, last = os.urandom(8), os.urandom(8)
        made = make(self)
        ears.heard()
        self.send(tenant, *(made if isinstance(made, list) else [made]), self.ordinary(tenant, last))
        frames = ears.listen(5, lambda frames: any(place == BRIDGE and last in frame for place, frame in frames))
        assert any(place == BRIDGE and last in frame for place, frame in frames), "the tenant's own frames do not pass"
        assert not any(place == NEIGHBOUR and last in frame for place, frame in frames)
        return {place for place, frame in frames if self.mark in frame}

    def beliefs(self):
        """What the host holds for true of this bridge: who has which address, and what lies behind which router."""
        known = {self.gateway, self.gateway6, *(t.ip for t in (self.a, self.b, self.c)), self.a.ip6, self.b.ip6}
        lines = sh("ip", "neigh", "show", "dev", self.machine.bridge).stdout.splitlines()
        routes = sh("ip", "-6", "route", "show").stdout + sh("ip", "-4", "route", "show").stdout
        return {"neighbours": sorted(line for line in map(str.strip, lines) if line.split()[0] in known),
                "routes": sorted(line.split(" metric")[0] for line in routes.splitlines()
                                 if " ra " in line or self.machine.bridge in line or "default" in line)}

    def port_of(self, tenant):
        """Where the bridge would send a frame for that tenant."""
        words = sh("bridge", "fdb", "get", tenant.mac, "br", self.machine.bridge).stdout.split()
        return words[words.index("dev") + 1]

    def hear_from(self, tenant):
        """Makes the tenant say something, so that the bridge knows its port."""
        sh("ping", "-c", "1", "-W", "5", tenant.ip)

    def close(self):
        for ears in self.ears.values():
            ears.close()

    # frames of the attacker's

    def of_a(self, kind, payload, to=None):
        return ethernet(to or self.bridge_mac, self.a.mac, kind, payload)

    def datagram(self, source, source_port=9, port=9, **more):
        return self.of_a(IPV4, ipv4(source, self.gateway, UDP, udp(source, self.gateway, source_port, port, self.mark)),
                         **more)

    def datagram6(self, source, destination, source_port=9, port=9, **more):
        return self.of_a(IPV6, ipv6(source, destination, UDP, udp(source, destination, source_port, port, self.mark)),
                         **more)

    def arp(self, operation, sender_mac, sender_ip, target_ip, to=BROADCAST):
        """The mark stands behind the message, where Ethernet's padding is."""
        return self.of_a(ARP, arp(operation, sender_mac, sender_ip, "00:00:00:00:00:00", target_ip) + self.mark, to=to)

    def message(self, source, destination, kind, body, to=None):
        """A message of ICMPv6; the mark is an option that no receiver knows."""
        return self.of_a(IPV6, ipv6(source, destination, ICMPV6,
                                    icmpv6(source, destination, kind, body + option(253, self.mark))), to=to)

    def echo(self, source, destination=None):
        return self.message(source, destination or self.gateway6, ECHO, b"\0\1\0\1")

    def advertises(self, source, address, flags=0x60, destination=None, to=None, says=None):
        """A neighbour advertisement; flags: 0x40 an answer, 0x20 overrides what is known."""
        body = struct.pack("!I", flags << 24) + ip(address) + option(TARGET_LINK, mac_bytes(says or self.a.mac))
        return self.message(source, destination or self.gateway6, NEIGHBOUR_ADVERTISEMENT, body, to=to)

    def solicits(self, source, address, says=None, destination=None):
        body = bytes(4) + ip(address) + (option(SOURCE_LINK, mac_bytes(says)) if says else b"")
        return self.message(source, destination or self.gateway6, NEIGHBOUR_SOLICITATION, body)

    def router(self):
        """A router advertisement's message: a default route, and a prefix to take an address from."""
        prefix = struct.pack("!BBIII", 64, 0xC0, 86400, 86400, 0) + ip("fd00:bad::")
        body = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + option(SOURCE_LINK, mac_bytes(self.a.mac)) + option(3, prefix)
        return icmpv6(self.a.link_local, ALL_NODES, ROUTER_ADVERTISEMENT, body + option(253, self.mark))

    def routes(self, source=None, to=ALL_NODES_MAC):
        source = source or self.a.link_local
        body = self.router()[4:]
        return self.of_a(IPV6, ipv6(source, ALL_NODES, ICMPV6, icmpv6(source, ALL_NODES, ROUTER_ADVERTISEMENT, body)),
                         to=to)

    def routes_behind(self, *kinds):
        """A router advertisement behind extension headers."""
        payload, following = self.router(), ICMPV6
        for kind in reversed(kinds):
            payload, following = extension(following, kind) + payload, kind
        return self.of_a(IPV6, ipv6(self.a.link_local, ALL_NODES, following, payload), to=ALL_NODES_MAC)

    def routes_in_pieces(self, source=None):
        """A router advertisement whose first fragment ends before the message begins."""
        source = source or self.a.link_local
        first = fragment(DESTINATION, 0, 1) + extension(ICMPV6)
        second = fragment(DESTINATION, 8, 0) + icmpv6(source, ALL_NODES, ROUTER_ADVERTISEMENT, self.router()[4:])
        return [self.of_a(IPV6, ipv6(source, ALL_NODES, FRAGMENT, piece), to=ALL_NODES_MAC) for piece in (first, second)]

    def redirects(self, source):
        body = bytes(4) + ip(self.a.link_local) + ip("fd00:b10c::1") + option(TARGET_LINK, mac_bytes(self.a.mac))
        return self.message(source, self.gateway6, REDIRECT, body)

    def tagged(self, kind, inner_kind, inner, tenant=None):
        return ethernet(BROADCAST, (tenant or self.a).mac, kind, struct.pack("!HH", 1, inner_kind) + inner)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make the guests' program with")
    made = tmp_path_factory.mktemp("program") / "send_frames"
    run = sh("gcc", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-o", made, PROGRAM, check=False)
    if run.returncode != 0 and "cannot find -lc" in run.stderr:
        pytest.skip("no static C library to make the guests' program with")
    assert run.returncode == 0, run.stderr
    return made


@pytest.fixture(scope="module")
def street(program):
    if (run := sh("ebtables", "-t", "nat", "-L", check=False)).returncode != 0:
        pytest.skip(f"this kernel filters no frames: {run.stderr.strip()}")
    machine = Machine("quick")
    made = None
    try:
        made = Street(machine, program)
        yield made
    finally:
        if made:
            made.close()
        machine.close()


def as_cases(table):
    return pytest.mark.parametrize("make", table.values(), ids=table.keys())


# What must pass, so that the other tests mean something.

@as_cases({
    "a datagram": lambda s: s.datagram(s.a.ip),
    "a broadcast": lambda s: s.datagram(s.a.ip, to=BROADCAST),
    "an ARP request": lambda s: s.arp(REQUEST, s.a.mac, s.a.ip, s.gateway),
    "an ARP reply": lambda s: s.arp(REPLY, s.a.mac, s.a.ip, s.gateway, to=s.bridge_mac),
    "an IPv6 datagram": lambda s: s.datagram6(s.a.ip6, s.gateway6),
    "an echo request": lambda s: s.echo(s.a.ip6),
    "a neighbour solicitation": lambda s: s.solicits(s.a.ip6, s.gateway6, says=s.a.mac),
    "an advertisement of its own address": lambda s: s.advertises(s.a.link_local, s.a.ip6),
    "a router solicitation": lambda s: s.message(s.a.link_local, "ff02::2", ROUTER_SOLICITATION, bytes(4)),
})
def test_a_tenants_own_talk_passes(street, make):
    assert street.attack(make) == PASSED


def test_the_neighbours_port_is_listened_at(street):
    mark = os.urandom(8)
    street.ears["tenant-a"].heard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(mark, (street.b.ip, 9))
    frames = street.ears["tenant-a"].listen(5, lambda frames: any(mark in frame for _, frame in frames))
    heard = {place for place, frame in frames if mark in frame}
    assert NEIGHBOUR in heard and OUT_OF_THE_GUEST not in heard  # the neighbour's refusal, which quotes it, may be heard already


# What its own port must stop.

@as_cases({
    "its neighbour's MAC": lambda s: ethernet(s.bridge_mac, s.b.mac, IPV4, s.datagram(s.a.ip)[14:]),
    "its neighbour's MAC in front of ARP": lambda s: ethernet(BROADCAST, s.b.mac, ARP,
                                                              s.arp(REQUEST, s.a.mac, s.a.ip, s.gateway)[14:]),
    "its neighbour's MAC in front of IPv6": lambda s: ethernet(s.bridge_mac, s.b.mac, IPV6, s.echo(s.a.ip6)[14:]),
    "the bridge's MAC": lambda s: ethernet(BROADCAST, s.bridge_mac, IPV4, s.datagram(s.a.ip)[14:]),
    "a MAC of nobody's": lambda s: ethernet(s.bridge_mac, "52:54:00:00:00:01", IPV4, s.datagram(s.a.ip)[14:]),
    "its neighbour's IPv4 address": lambda s: s.datagram(s.b.ip),
    "the gateway's IPv4 address": lambda s: s.datagram(s.gateway),
    "an IPv4 address that nobody has": lambda s: s.datagram(s.nobody),
    "an IPv4 address of the internet": lambda s: s.datagram("192.0.2.99"),
    "the loopback address": lambda s: s.datagram("127.0.0.1"),
    "no IPv4 address": lambda s: s.datagram("0.0.0.0"),
    "its neighbour's IPv6 address": lambda s: s.echo(s.b.ip6),
    "its neighbour's IPv6 address in a datagram": lambda s: s.datagram6(s.b.ip6, s.gateway6),
    "the gateway's IPv6 address": lambda s: s.echo(s.gateway6),
    "an IPv6 address that nobody has": lambda s: s.echo(s.nobody6),
    "an IPv6 address of the internet": lambda s: s.echo("2001:db8::1"),
    "IPv6's loopback address": lambda s: s.echo("::1"),
    "its neighbour's link-local address": lambda s: s.echo(s.b.link_local),
    "its neighbour's IPv4 address in IPv6": lambda s: s.echo(f"::ffff:{s.b.ip}"),
    "its neighbour's IPv6 address behind an extension header": lambda s: s.of_a(IPV6, ipv6(
        s.b.ip6, s.gateway6, DESTINATION, extension(UDP) + udp(s.b.ip6, s.gateway6, 9, 9, s.mark))),
})
def test_a_tenant_cannot_speak_in_anothers_name(street, make):
    assert street.attack(make) == STOPPED
    assert street.beliefs() == street.beliefs_before


@as_cases({
    "a reply for its neighbour's address": lambda s: s.arp(REPLY, s.a.mac, s.b.ip, s.gateway, to=s.bridge_mac),
    "a broadcast reply for its neighbour's address": lambda s: s.arp(REPLY, s.a.mac, s.b.ip, s.gateway),
    "a reply for the gateway's address": lambda s: s.arp(REPLY, s.a.mac, s.gateway, s.b.ip, to=s.b.mac),
    "a reply for an address that nobody has": lambda s: s.arp(REPLY, s.a.mac, s.nobody, s.gateway, to=s.bridge_mac),
    "an announcement of its neighbour's address": lambda s: s.arp(REQUEST, s.a.mac, s.b.ip, s.b.ip),
    "an announcement of the gateway's address": lambda s: s.arp(REQUEST, s.a.mac, s.gateway, s.gateway),
    "a request in its neighbour's name": lambda s: s.arp(REQUEST, s.a.mac, s.b.ip, s.gateway),
    "a request that gives its neighbour's MAC": lambda s: s.arp(REQUEST, s.b.mac, s.a.ip, s.gateway),
    "a reply that gives its neighbour's MAC": lambda s: s.arp(REPLY, s.b.mac, s.a.ip, s.gateway, to=s.bridge_mac),
    "a reply for everything of its neighbour's": lambda s: s.arp(REPLY, s.b.mac, s.b.ip, s.gateway, to=s.bridge_mac),
    "a probe without a sender": lambda s: s.arp(REQUEST, s.a.mac, "0.0.0.0", s.b.ip),
    "addresses of other lengths": lambda s: s.of_a(ARP, struct.pack("!HHBBH", 1, IPV4, 8, 4, REPLY) + mac_bytes(s.a.mac) +
                                                   bytes(2) + ip(s.b.ip) + bytes(8) + ip(s.gateway) + s.mark),
    "reverse ARP": lambda s: s.of_a(RARP, arp(3, s.a.mac, "0.0.0.0", s.a.mac, "0.0.0.0") + s.mark, to=BROADCAST),
})
def test_a_tenant_cannot_answer_arp_for_what_is_not_its_own(street, make):
    assert street.attack(make) == STOPPED
    assert street.beliefs() == street.beliefs_before


@as_cases({
    "a router advertisement": lambda s: s.routes(),
    "a router advertisement to the host alone": lambda s: s.routes(to=s.bridge_mac),
    "a router advertisement from its own address": lambda s: s.routes(source=s.a.ip6),
    "a router advertisement from its neighbour's link-local address": lambda s: s.routes(source=s.b.link_local),
    "a router advertisement from no address": lambda s: s.routes(source="::"),
    "a router advertisement behind hop-by-hop options": lambda s: s.routes_behind(HOP_BY_HOP),
    "a router advertisement behind destination options": lambda s: s.routes_behind(DESTINATION),
    "a router advertisement behind six headers": lambda s: s.routes_behind(HOP_BY_HOP, *[DESTINATION] * 5),
    "a router advertisement behind a fragment header": lambda s: s.routes_behind(FRAGMENT),
    "a router advertisement behind options and a fragment header": lambda s: s.routes_behind(DESTINATION, FRAGMENT),
    "a router advertisement that begins in the second fragment": lambda s: s.routes_in_pieces(),
    "a redirect": lambda s: s.redirects(s.a.link_local),
    "a redirect from its own address": lambda s: s.redirects(s.a.ip6),
    "a redirect in the gateway's name": lambda s: s.redirects(s.gateway6),
    "a multicast listener query": lambda s: s.message(s.a.link_local, ALL_NODES, 130, bytes(20)),
    "an answer of a DHCP server": lambda s: s.datagram(s.a.ip, 67, 68, to=BROADCAST),
    "an answer of a DHCP server from another port": lambda s: s.datagram(s.a.ip, 6767, 68, to=BROADCAST),
    "an answer of a DHCP server to a relay": lambda s: s.datagram(s.a.ip, 67, 67),
    "an answer of a DHCPv6 server": lambda s: s.datagram6(s.a.link_local, ALL_NODES, 547, 546, to=ALL_NODES_MAC),
    "an answer of a DHCPv6 server from its own address": lambda s: s.datagram6(s.a.ip6, s.gateway6, 547, 546),
    "an answer of a DHCPv6 server from another port": lambda s: s.datagram6(s.a.ip6, s.gateway6, 5470, 546),
})
def test_a_tenant_cannot_make_itself_router_or_server(street, make):
    assert street.attack(make) == STOPPED
    assert street.beliefs() == street.beliefs_before


@as_cases({
    "a spanning tree message": lambda s: s.of_a(39, bytes.fromhex("424203") + bytes(35) + s.mark, to=BPDU),
    "a spanning tree message to the bridge itself": lambda s: s.of_a(39, bytes.fromhex("424203") + bytes(35) + s.mark),
    "LLDP": lambda s: s.of_a(LLDP, s.mark, to="01:80:c2:00:00:0e"),
    "LLDP by broadcast": lambda s: s.of_a(LLDP, s.mark, to=BROADCAST),
    "Cisco's discovery": lambda s: s.of_a(16, bytes.fromhex("aaaa0300000c2000") + s.mark, to="01:00:0c:cc:cc:cc"),
    "a log-in to the switch": lambda s: s.of_a(0x888E, s.mark, to="01:80:c2:00:00:03"),
    "a tagged frame": lambda s: s.tagged(VLAN, IPV4, s.datagram(s.a.ip)[14:]),
    "a tagged ARP reply": lambda s: s.tagged(VLAN, ARP, s.arp(REPLY, s.a.mac, s.b.ip, s.gateway)[14:]),
    "a tagged router advertisement": lambda s: s.tagged(VLAN, IPV6, s.routes()[14:]),
    "a frame tagged with no network": lambda s: ethernet(BROADCAST, s.a.mac, VLAN, struct.pack("!HH", 0, IPV4) +
                                                         s.datagram(s.a.ip)[14:]),
    "a frame tagged twice": lambda s: s.tagged(QINQ, VLAN, struct.pack("!HH", 1, IPV4) + s.datagram(s.a.ip)[14:]),
    "IPv4 in 802.2": lambda s: s.of_a(8 + 20 + 8 + 8, bytes.fromhex("aaaa030000000800") + s.datagram(s.a.ip)[14:]),
    "PPPoE": lambda s: s.of_a(PPPOE, struct.pack("!BBHHH", 0x11, 0, 1, 10, 0x21) + s.mark, to=BROADCAST),
    "a protocol that nobody knows": lambda s: s.of_a(0x88B5, s.mark, to=BROADCAST),
})
def test_nothing_but_arp_and_ip_leaves_a_tenants_port(street, make):
    assert street.attack(make) == STOPPED


# What passes the port, for it is the tenant's own, and must not reach the neighbour.

@as_cases({
    "a datagram to its neighbour's MAC": lambda s: s.datagram(s.a.ip, to=s.b.mac),
    "an IPv6 datagram to its neighbour's MAC": lambda s: s.datagram6(s.a.ip6, s.b.ip6, to=s.b.mac),
    "an ARP request for its neighbour's address": lambda s: s.arp(REQUEST, s.a.mac, s.a.ip, s.b.ip),
    "an ARP request to its neighbour's MAC": lambda s: s.arp(REQUEST, s.a.mac, s.a.ip, s.b.ip, to=s.b.mac),
    "an ARP reply to its neighbour's MAC": lambda s: s.arp(REPLY, s.a.mac, s.a.ip, s.b.ip, to=s.b.mac),
    "a neighbour solicitation for its neighbour's address": lambda s: s.of_a(
        IPV6, s.solicits(s.a.ip6, s.b.ip6, says=s.a.mac)[14:], to="33:33:ff" + s.b.mac[8:]),
    "an advertisement of the gateway's address": lambda s: s.advertises(s.a.ip6, s.gateway6, to=s.b.mac),
    "an advertisement of the gateway's address to all": lambda s: s.advertises(
        s.a.link_local, s.gateway6, destination=ALL_NODES, to=ALL_NODES_MAC),
    "a broadcast": lambda s: s.datagram(s.a.ip, to=BROADCAST),
    "an IPv4 multicast": lambda s: s.datagram(s.a.ip, to="01:00:5e:00:00:01"),
    "an IPv6 multicast": lambda s: s.datagram6(s.a.ip6, ALL_NODES, to=ALL_NODES_MAC),
    "a frame to a MAC of nobody's": lambda s: s.datagram(s.a.ip, to="52:54:00:00:00:01"),
})
def test_a_tenant_does_not_reach_its_neighbour(street, make):
    street.hear_from(street.b)
    assert street.attack(make) == PASSED
    assert street.beliefs() == street.beliefs_before


# What no filter can tell from honest talk, and the host must not believe.

@as_cases({
    "an answer for its neighbour's address": lambda s: s.advertises(s.a.ip6, s.b.ip6),
    "an answer for its neighbour's address from a link-local one": lambda s: s.advertises(s.a.link_local, s.b.ip6),
    "an announcement of its neighbour's address": lambda s: s.advertises(
        s.a.link_local, s.b.ip6, flags=0x20, destination=ALL_NODES, to=ALL_NODES_MAC),
    "an answer of a router for its neighbour's address": lambda s: s.advertises(s.a.ip6, s.b.ip6, flags=0xE0),
    "an answer for its own address with its neighbour's MAC": lambda s: s.advertises(s.a.ip6, s.a.ip6, says=s.b.mac),
    "an answer for the gateway's address": lambda s: s.advertises(s.a.ip6, s.gateway6),
    "a question that gives its neighbour's MAC": lambda s: s.solicits(s.a.ip6, s.gateway6, says=s.b.mac),
    "a question whether its neighbour's address is free": lambda s: s.solicits(
        "::", s.b.ip6, destination=f"ff02::1:ff00:{int(s.b.ip6.rsplit(':', 1)[1], 16):x}"),
    "a router advertisement in pieces from its own address": lambda s: s.routes_in_pieces(source=s.a.ip6),
})
def test_the_host_keeps_its_own_mind(street, make):
    assert street.attack(make) == PASSED
    time.sleep(0.05)
    assert street.beliefs() == street.beliefs_before


def test_the_host_would_believe_a_forged_advertisement_but_for_its_permanent_entries(street):
    known = ("neigh", "replace", street.nobody6, "lladdr", "52:54:00:00:00:01", "dev", street.machine.bridge, "nud")
    sh("ip", *known, "stale")
    assert street.attack(lambda s: s.advertises(s.a.ip6, s.nobody6)) == PASSED

    def entry():
        return sh("ip", "neigh", "show", "to", street.nobody6, "dev", street.machine.bridge).stdout
    wait_until("the forged advertisement to be believed", 5, lambda: street.a.mac in entry())
    sh("ip", *known, "permanent")
    assert street.attack(lambda s: s.advertises(s.a.ip6, s.nobody6)) == PASSED
    time.sleep(0.1)
    assert "52:54:00:00:00:01 PERMANENT" in entry()
    sh("ip", "neigh", "del", street.nobody6, "dev", street.machine.bridge)


# Frames to 01:80:c2:00:00:0X are a bridge's own business: the kernel neither forwards nor filters them, learns from their
# sender and hands what is in them to the host, unless the port is told to treat them like any other.

@pytest.mark.parametrize("to", RESERVED)
def test_the_bridge_does_not_learn_its_neighbours_mac_from_a_frame_to_a_reserved_address(street, to):
    street.hear_from(street.b)
    assert street.port_of(street.b) == street.b.tap
    assert street.attack(lambda s: ethernet(to, s.b.mac, LLDP, s.mark)) == STOPPED
    assert street.port_of(street.b) == street.b.tap


@pytest.mark.parametrize("to", SOME_RESERVED)
def test_the_host_takes_no_datagram_in_its_neighbours_name_from_a_reserved_address(street, to):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((street.gateway, 0))
        ear.setblocking(False)
        port = ear.getsockname()[1]
        assert street.attack(lambda s: s.datagram(s.b.ip, port=port, to=to)) == STOPPED
        time.sleep(0.02)
        with pytest.raises(BlockingIOError):
            ear.recvfrom(100)


@pytest.mark.parametrize("to", SOME_RESERVED)
def test_the_host_takes_no_router_from_a_reserved_address(street, to):
    assert street.attack(lambda s: s.routes(to=to)) == STOPPED
    time.sleep(0.05)
    assert street.beliefs() == street.beliefs_before
    assert "fd00:bad:" not in sh("ip", "-6", "addr", "show").stdout


# A VM without IPv6.

@as_cases({
    "an echo request": lambda s, m: ethernet(s.bridge_mac, m, IPV6, s.echo(s.c.link_local)[14:]),
    "an echo request from its neighbour's address": lambda s, m: ethernet(s.bridge_mac, m, IPV6, s.echo(s.b.ip6)[14:]),
    "an IPv6 datagram to all": lambda s, m: ethernet(ALL_NODES_MAC, m, IPV6,
                                                     s.datagram6(s.c.link_local, ALL_NODES)[14:]),
    "a neighbour solicitation": lambda s, m: ethernet(s.bridge_mac, m, IPV6,
                                                      s.solicits(s.c.link_local, s.gateway6, says=m)[14:]),
    "a neighbour advertisement": lambda s, m: ethernet(s.bridge_mac, m, IPV6,
                                                       s.advertises(s.c.link_local, s.b.ip6, says=m)[14:]),
    "a router advertisement": lambda s, m: ethernet(ALL_NODES_MAC, m, IPV6, s.routes(source=s.c.link_local)[14:]),
    "tagged IPv6": lambda s, m: s.tagged(VLAN, IPV6, s.echo(s.c.link_local)[14:], s.c),
    "IPv6 tagged twice": lambda s, m: s.tagged(QINQ, VLAN, struct.pack("!HH", 1, IPV6) + s.echo(s.c.link_local)[14:],
                                               s.c),
    "IPv6 in 802.2": lambda s, m: ethernet(s.bridge_mac, m, 8 + 68, bytes.fromhex("aaaa0300000086dd") +
                                           s.echo(s.c.link_local)[14:]),
    "IPv6 in PPPoE": lambda s, m: ethernet(BROADCAST, m, PPPOE, struct.pack("!BBHHH", 0x11, 0, 1, 70, 0x57) +
                                           s.echo(s.c.link_local)[14:]),
    "IPv6 that calls itself ARP": lambda s, m: ethernet(s.bridge_mac, m, ARP, s.echo(s.c.link_local)[14:]),
    "IPv6 that calls itself IPv4": lambda s, m: ethernet(s.bridge_mac, m, IPV4, s.echo(s.c.link_local)[14:]),
    "IPv6 in its neighbour's IPv4": lambda s, m: ethernet(s.bridge_mac, m, IPV4, ipv4(
        s.b.ip, s.gateway, IPV6_IN_IPV4, s.echo(s.b.ip6)[14:])),
    "its neighbour's IPv4 address": lambda s, m: ethernet(s.bridge_mac, m, IPV4, s.datagram(s.b.ip)[14:]),
    "an ARP reply for its neighbour's address": lambda s, m: ethernet(s.bridge_mac, m, ARP, s.arp(
        REPLY, m, s.b.ip, s.gateway)[14:]),
})
def test_a_vm_without_ipv6_sends_none_and_is_bound_to_its_address(street, make):
    assert street.c.ip6 == ""
    assert street.attack(lambda s: make(s, s.c.mac), street.c) == STOPPED
    assert street.beliefs() == street.beliefs_before


# Last: all of that changed nothing.

def test_afterwards_every_entry_is_as_it_was_and_all_guests_are_reached(street):
    assert street.beliefs() == street.beliefs_before
    entries = street.beliefs()["neighbours"]
    for tenant in (street.a, street.b, street.c):
        for address in filter(None, (tenant.ip, tenant.ip6)):
            assert f"{address} lladdr {tenant.mac} PERMANENT" in entries
            sh("ping", "-c", "1", "-W", "5", address)
        assert street.port_of(tenant) == tenant.tap


def test_the_port_of_a_vm_that_is_started_again_is_guarded_too(street):
    assert street.machine.run("kill", "tenant-c").returncode == 0
    run = street.machine.run("start", "tenant-c")
    assert run.returncode == 0 and "WARNING" not in run.stderr, run.stderr
    tap = ET.fromstring(street.machine.virsh("dumpxml", "tenant-c")).find("devices/interface/target").get("dev")
    assert pathlib.Path(f"/sys/class/net/{tap}/brport/group_fwd_mask").read_text() == "0xfffd\n"
