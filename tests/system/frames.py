# SPDX-License-Identifier: MIT
"""Ethernet frames made by hand, and ears that tell where one came by."""

import socket
import struct
import time

BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP, IPV4, IPV6, VLAN, QINQ, RARP, LLDP, PPPOE = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8, 0x8035, 0x88CC, 0x8864
REQUEST, REPLY = 1, 2
HOP_BY_HOP, UDP, IPV6_IN_IPV4, FRAGMENT, ICMPV6, DESTINATION = 0, 17, 41, 44, 58, 60
ECHO, ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, REDIRECT = \
    128, 133, 134, 135, 136, 137
SOURCE_LINK, TARGET_LINK = 1, 2


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ip(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def link_local(mac):
    """The address that a kernel makes of its hardware address (RFC 4291, appendix A)."""
    m = bytearray(mac_bytes(mac))
    m[0] ^= 2
    return socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + bytes(m[:3]) + b"\xff\xfe" + bytes(m[3:]))


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, kind, payload):
    """`kind` below 1536 is a length, as LLC has it."""
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind) + payload


def arp(operation, sender_mac, sender_ip, target_mac, target_ip):
    return (struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + mac_bytes(sender_mac) + ip(sender_ip) +
            mac_bytes(target_mac) + ip(target_ip))


def ipv4(source, destination, protocol, payload):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + ip(source) + ip(destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, destination, protocol, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + ip(source) + ip(destination) + payload


def with_sum(source, destination, protocol, payload, at):
    """The payload of TCP/IP with its checksum, which covers the addresses too, filled in at that offset."""
    pseudo = ip(source) + ip(destination) + struct.pack("!IHBB", len(payload), 0, 0, protocol)
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload)) + payload[at + 2:]


def udp(source, destination, source_port, destination_port, payload):
    head = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0)
    return with_sum(source, destination, UDP, head + payload, 6)


def icmpv6(source, destination, kind, body):
    return with_sum(source, destination, ICMPV6, struct.pack("!BBH", kind, 0, 0) + body, 2)


def option(kind, content):
    """An option of neighbour discovery (RFC 4861, section 4.6); one that nobody knows is passed over."""
    size = (2 + len(content) + 7) // 8
    return (struct.pack("!BB", kind, size) + content).ljust(8 * size, b"\0")


def extension(following, kind=None):
    """An extension header of eight bytes that says nothing: padding, or a fragment header."""
    return struct.pack("!BB", following, 0) + (b"\x01\x04" + bytes(4) if kind != FRAGMENT else bytes(6))


def fragment(following, offset, more, identification=0x7E57):
    """`offset` in bytes, a multiple of eight."""
    return struct.pack("!BBHI", following, 0, offset | more, identification)


class Ears:
    """Packet sockets. `places`: a name for each pair of interface and direction ("in": what comes from there)."""

    def __init__(self, places):
        self.sockets = {}
        for name, (interface, direction) in places.items():
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            ear.bind((interface, 3))
            # PACKET_ADD_MEMBERSHIP of PACKET_MR_PROMISC: a bridge shows what it forwards, to whomever
            ear.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex(interface), 1, 0, b""))
            ear.setblocking(False)
            self.sockets[name] = ear, direction

    def heard(self):
        """What has come since the last call: pairs of place and frame."""
        frames = []
        for name, (ear, direction) in self.sockets.items():
            while True:
                try:
                    frame, origin = ear.recvfrom(2048)
                except BlockingIOError:
                    break
                if (origin[2] == socket.PACKET_OUTGOING) == (direction == "out"):
                    frames.append((name, frame))
        return frames

    def listen(self, seconds, enough):
        """The frames until `enough(frames)`."""
        frames, end = [], time.monotonic() + seconds
        while True:
            frames += self.heard()
            if enough(frames) or time.monotonic() > end:
                return frames
            time.sleep(0.01)

    def close(self):
        for ear, _ in self.sockets.values():
            ear.close()
