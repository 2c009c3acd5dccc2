# SPDX-License-Identifier: MIT
"""Bad days: what a test does to the stand-in. Plainly no part of the API; the control socket reaches each method."""

import json
import re
import threading
import time

from . import snapshots
from .errors import Dropped, FrontError
from .front import Answer
from .retention import backups_of

ARRANGING = ("token", "add_vm", "add_container", "add_template")
"""What the control socket may ask of the stand-in itself."""
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


class Rule:
    """Meets the next requests that match; `skip` lets so many pass first, `times` is how many it meets."""

    def __init__(self, knobs, kind, pattern, method, times, skip, options):
        self.knobs, self.kind, self.options = knobs, kind, options
        self.pattern, self.method, self.times, self.skip, self.met = re.compile(pattern), method, times, skip, 0

    def matches(self, method, target):
        wanted = method in ("POST", "PUT", "DELETE") if self.method == "write" else self.method in (None, method)
        if not wanted or not self.pattern.search(target) or self.met >= self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.met += 1
        return True

    def act(self, connection, *request):
        return getattr(self, "_" + self.kind)(connection, *request)

    def _lose_before(self, connection, *_):
        connection.reset()
        raise Dropped

    def _lose_after(self, connection, *request):
        connection.answer(*request)
        connection.reset()
        raise Dropped

    def _silent(self, connection, *request):
        connection.answer(*request)
        connection.front.world.clock.perform(sleeping(self.options.get("seconds", 3600)))
        raise Dropped

    def _late(self, connection, method, target, headers):
        """596 at once or after `answer_after`, the work after `seconds` more."""
        clock = connection.front.world.clock
        body = connection.read_body(int(headers.get("content-length") or 0))

        def later():
            connection.rest = body
            try:
                connection.answer(method, target, headers)
            except (FrontError, Dropped):
                pass
        clock.perform(sleeping(self.options.get("answer_after", 0)))
        in_a_thread(clock, self.options.get("seconds", 1), later)
        raise FrontError(596, "Connection timed out")

    def _truncate(self, connection, *request):
        answer = connection.answer(*request)
        head = connection.head(answer, False)
        connection.socket.sendall(head + answer.body[:self.options.get("bytes", len(answer.body) // 2)])
        if self.options.get("reset"):
            connection.reset()
        raise Dropped

    def _drip(self, connection, *request):
        """`seconds` of real time between pieces of `bytes`."""
        answer = connection.answer(*request)
        text, size = connection.head(answer, False) + answer.body, self.options.get("bytes", 1)
        for at in range(0, len(text), size):
            connection.socket.sendall(text[at:at + size])
            time.sleep(self.options.get("seconds", 0.01))
        raise Dropped

    def _html(self, connection, *request):
        if self.options.get("done", False):
            connection.answer(*request)
        else:
            passed_over(connection, request)
        answer = Answer(self.options.get("status", 502), self.options.get("reason", "Bad Gateway"), HTML, "text/html")
        answer.server = "nginx"
        return answer

    def _huge(self, connection, *request):
        passed_over(connection, request)
        size = self.options.get("bytes", 10 << 20)
        row = b'{"vmid":100,"name":"' + b"x" * 100 + b'"}'
        return Answer(200, "OK", b'{"data":[' + b",".join([row] * (size // (len(row) + 1) + 1)) + b"]}")

    def _status(self, connection, *request):
        passed_over(connection, request)
        raise FrontError(self.options["status"], self.options.get("reason", "Trouble"))


def passed_over(connection, request):
    """Reads the body of a request that nobody carries out, lest it is taken for the next one."""
    connection.read_body(int(request[2].get("content-length") or 0))


def sleeping(seconds):
    yield seconds


def in_a_thread(clock, seconds, act):
    """After so many seconds, in a thread of its own: the scheduler's must not wait."""
    clock.call_in(seconds, lambda: threading.Thread(target=act, daemon=True).start())


class Knobs:
    KINDS = ("lose_before", "lose_after", "silent", "late", "truncate", "drip", "html", "huge", "status")

    def __init__(self, world):
        self.world, self.rules, self.held_snapshots = world, [], {}

    # -- the wire

    def next(self, kind, pattern=".", method="write", times=1, skip=0, **options):
        """`kind` is one of KINDS: what happens to the next request whose method and path match."""
        if kind not in self.KINDS:
            raise ValueError(f"no such bad day: {kind}")
        self.rules.append(Rule(self, kind, pattern, None if method == "any" else method, times, skip, options))

    def rule_for(self, method, target):
        with self.world.clock.lock:
            return next((rule for rule in self.rules if rule.matches(method, target)), None)

    def asked(self):
        """What was asked so far, as JSON: [method, path, status] each, 0 where the answer was lost."""
        return json.dumps([list(each) for each in self.world.requests])

    def clear(self):
        """No rule is left."""
        self.rules.clear()

    def daemon(self, state):
        """works, hangs or dead."""
        with self.world.clock.lock:
            self.world.daemon.set(state)

    def cut_connections(self):
        for front in self.world.fronts.values():
            for connection in list(front.connections):
                connection.cut()

    # -- time

    def time_scale(self, scale):
        self.world.clock.rescale(scale)

    def wrong_clock(self, seconds):
        """The node's clock is so far off."""
        self.world.clock.offset = seconds

    def advance(self, seconds):
        """Of a stand-in whose time is moved by hand."""
        self.world.clock.advance(self.world.clock.now() + seconds)

    def long_uptime(self, days=600):
        """So long that the process start times of UPIDs have nine digits."""
        self.world.booted -= days * 86400

    def next_task_takes(self, seconds):
        self.world.tasks.next_seconds = seconds

    # -- rights

    def withdraw(self, who, path=None):
        with self.world.clock.lock:
            self.world.access.withdraw(who, path)

    def grant(self, who, role, path="/", propagate=1):
        with self.world.clock.lock:
            self.world.access.grant(who, role, path, propagate)

    def expire(self, token, at=1000):
        with self.world.clock.lock:
            self.world.access.token(token).expire = at

    def enable_user(self, user, enable=1):
        with self.world.clock.lock:
            self.world.access.users[user].enable = enable

    # -- tasks

    def _task(self, upid):
        if upid in self.world.tasks.by_upid:
            return self.world.tasks.by_upid[upid]
        found = self.world.tasks.running(upid)  # a type
        if not found:
            raise ValueError(f"no such task: {upid}")
        return found[-1]

    def kill_worker(self, upid):
        """By its UPID, or the last that runs of that type: unexpected status. What it had done stays."""
        with self.world.clock.lock:
            self.world.tasks.kill(self._task(upid))

    def vanish(self, upid):
        with self.world.clock.lock:
            self.world.tasks.vanish(upid)

    # -- other hands

    def guest(self, vmid):
        return self.world.guests.by_id[vmid]

    def edit(self, vmid, delete=(), **options):
        """As an editor would: nothing is checked."""
        with self.world.clock.lock:
            config = self.guest(vmid).config
            config |= {key.replace("__", "-"): str(value) for key, value in options.items()}
            for key in delete:
                config.pop(key, None)

    def set_lock(self, vmid, flag=None):
        self.edit(vmid, **({"lock": flag} if flag else {"delete": ("lock",)}))

    def hold_file_lock(self, vmid, seconds):
        """Another process has the guest's lock file."""
        def holding():
            guest, who = self.guest(vmid), object()
            yield from guest.mutex.take(self.world.clock, who, 3600, RuntimeError)
            yield seconds
            guest.mutex.release(who)
        self.world.clock.spawn(holding(), lambda *_: None)

    def power(self, vmid, on):
        with self.world.clock.lock:
            guest = self.guest(vmid)
            guest.turn_on() if on else guest.turn_off()

    def destroy(self, vmid):
        with self.world.clock.lock:
            self.world.destroy(self.guest(vmid))

    def replace(self, vmid, kind=None, **options):
        """The guest is destroyed, and another one made under its id."""
        with self.world.clock.lock:
            old = self.guest(vmid)
            self.world.destroy(old)
            add = self.world.add_vm if (kind or old.kind) == "qemu" else self.world.add_container
            return add(vmid, node=old.node, **options)

    def move(self, vmid, node):
        with self.world.clock.lock:
            self.guest(vmid).node = node

    def take_snapshot(self, vmid, name, description=""):
        with self.world.clock.lock:
            snapshots.take(self.guest(vmid), name, description)

    def hold_snapshot(self, vmid, name):
        """It is in use: neither rolled back to nor deleted."""
        self.held_snapshots.setdefault(vmid, set()).add(name)

    def break_archive(self, volid=None):
        """A restore finds out half-way. Without a name: the newest backup."""
        with self.world.clock.lock:
            found = [volume for storage in self.world.storages.values() for volume in backups_of(storage)]
            volume = self.world.volume(volid) if volid else max(found, key=lambda each: each.ctime)
            volume.broken = True
            return volume.volid

    # -- nodes

    def rename_node(self, old, new):
        """The node comes back under another name; its guests are where they were, under the new name."""
        with self.world.clock.lock:
            self.world.rename(old, new)

    def node_online(self, node, online):
        with self.world.clock.lock:
            self.world.nodes[node].online = bool(online)

    def renew_certificate(self, node=None, same_key=True, days=730):
        """On disk only, until `reload_certificate`."""
        self._certificates(node).renew(same_key, days)

    def custom_certificate(self, node=None):
        self._certificates(node).install_custom()

    def reload_certificate(self, node=None, old_for=0):
        self._certificates(node).reload(old_for)

    def _certificates(self, node):
        return self.world.nodes[node or next(iter(self.world.nodes))].certificates

    def broadcast(self):
        """Now, not at the next ten seconds."""
        with self.world.clock.lock:
            self.world.send_broadcast()

    def call(self, line):
        """One line of the control socket: {"do": NAME, ...} -> {"ok": true} or {"error": TEXT}."""
        try:
            asked = json.loads(line)
            name = asked.pop("do")
            owner = self.world if name in ARRANGING else self
            hidden = name.startswith("_") or name in ("call", "rule_for", "guest")
            if hidden or not callable(getattr(owner, name, None)):
                raise ValueError(f"no such knob: {name}")
            result = getattr(owner, name)(*asked.pop("args", []), **asked)
            return {"ok": True, "result": result if isinstance(result, str) else None}
        except Exception as error:  # noqa: BLE001 the other side is told
            return {"error": f"{type(error).__name__}: {error}"}
