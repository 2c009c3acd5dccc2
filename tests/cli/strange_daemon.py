# SPDX-License-Identifier: MIT
"""A libvirt daemon on a socket of its own that speaks the RPC protocol, until it is told not to.

Knows one running domain, "web". A strangeness is a function of the daemon's talk that runs instead of one answer.
"""

import socket
import struct
import threading

REMOTE, QEMU, KEEPALIVE = 0x20008086, 0x20008087, 0x6b656570
AUTH_LIST, OPEN, CLOSE = (REMOTE, 66), (REMOTE, 1), (REMOTE, 2)
LOOK_UP, STATE, INFO, XML, PERSISTENT, ACTIVE, SAVED, METADATA = ((REMOTE, n) for n in (23, 212, 16, 14, 151, 150, 183, 265))
LIST, ALL_STATS, GREETING, AGENT = (REMOTE, 273), (REMOTE, 344), (REMOTE, 420), (QEMU, 3)
REPLY, MESSAGE = 1, 2
UUID = bytes(range(16))


def text(value):
    data = value.encode()
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


def present(value):
    return struct.pack(">I", 1) + text(value)


def error(code, words):
    return struct.pack(">ii", code, 10) + present(words) + struct.pack(">iI", 2, 0) + struct.pack(">III", 0, 0, 0) + \
        struct.pack(">iiI", -1, -1, 0)


def packet(program, procedure, kind, serial, status, payload=b""):
    return struct.pack(">IIIiIII", 28 + len(payload), program, 1, procedure, kind, serial, status) + payload


TRANSIENT = 8
"""VIR_CONNECT_LIST_DOMAINS_TRANSIENT, of which this daemon has none."""
NO_DOMAINS = struct.pack(">II", 0, 0)
DOMAIN = text("web") + UUID + struct.pack(">i", 1)
ANSWERS = {
    AUTH_LIST: struct.pack(">Ii", 1, 0),
    OPEN: b"",
    CLOSE: b"",
    LOOK_UP: DOMAIN,
    STATE: struct.pack(">ii", 1, 1),
    PERSISTENT: struct.pack(">i", 1),
    ACTIVE: struct.pack(">i", 0),
    SAVED: struct.pack(">i", 0),
    INFO: struct.pack(">iQQiQ", 1, 4096, 4096, 1, 0),
    METADATA: text("<vm/>"),
    LIST: struct.pack(">I", 1) + DOMAIN + struct.pack(">I", 1),
    XML: text("<domain type='qemu'><name>web</name></domain>"),
    GREETING: struct.pack(">i", 0),
    AGENT: present('{"return":{}}'),
    ALL_STATS: struct.pack(">I", 1) + DOMAIN + struct.pack(">I", 1) + text("state.state") + struct.pack(">ii", 1, 1),
}


class Talk:
    """One caller, and the call it made."""

    def __init__(self, connection, program, procedure, serial):
        self.connection, self.program, self.procedure, self.serial = connection, program, procedure, serial

    def send(self, data):
        self.connection.sendall(data)

    def answer(self, payload, status=0, kind=REPLY, program=None, procedure=None, serial=None):
        self.send(packet(self.program if program is None else program,
                         self.procedure if procedure is None else procedure, kind,
                         self.serial if serial is None else serial, status, payload))


class Daemon:
    """`strange` maps calls to what happens instead; `callers` is how many connected, `calls` what they asked for. Only
    the first caller meets the strangeness; later ones are hung up on, or handed to `later`."""

    def __init__(self, path, strange=None, later=None):
        self.path, self.strange, self.later = path, strange or {}, later
        self.callers, self.calls = 0, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.callers += 1
            serve = self.serve if self.callers == 1 else self.later or socket.socket.close
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as words:
            try:
                while head := words.read(28):
                    length, program, _, procedure, _, serial, _ = struct.unpack(">IIIiIII", head)
                    payload = words.read(length - 28)
                    call = (program, procedure)
                    self.calls.append(call)
                    talk = Talk(connection, program, procedure, serial)
                    if call in self.strange:
                        if self.strange[call](talk) == "hang up":
                            return
                    elif call == LIST and payload.endswith(struct.pack(">I", TRANSIENT)):
                        talk.answer(NO_DOMAINS)
                    else:
                        talk.answer(ANSWERS[call])
            except (OSError, struct.error):
                return

    def close(self):
        self.listener.close()
