# SPDX-License-Identifier: MIT
"""A node that only repeats what a real one said: the answers of one recorded scenario, for the client.

A step of a test names the exchanges that it is about. Each of them has to be asked for, with the recorded parameters, by
the recorded token; nothing else may be. A read is answered as often as it is asked, until the next one of its path.
"""

import contextlib
import copy
import functools
import gzip
import json
import re
import urllib.parse

import pytest
import replay
from node import StandIn
from node.errors import Dropped
from node.front import Answer
from platform_process import Failed, Platform

API = "/api2/json"
recording = functools.cache(replay.exchanges)
ALWAYS = ("Cache-Control: max-age=0", "Pragma: no-cache", "Server: pve-api-daemon/3.0")
MAIN = "agent@pve!main"
ASKED_PATHS = ("/vms", "/storage/local", "/", "/nodes/pve1", "/sdn/zones/localnetwork")
ABSENT = ("lists-and-rights", 23)
"""What a node says of a VM that it does not have: GET /nodes/pve1/qemu/111/config."""


def token_of(header):
    """ "USER@REALM!TOKENID", whatever its secret is."""
    return header.rpartition("=")[0].removeprefix("PVEAPIToken=")


def pairs(text):
    return sorted(urllib.parse.parse_qsl(text, keep_blank_values=True))


def asked_for(method, target, body):
    """(method, path, parameters): two requests with the same ones ask for the same."""
    path, _, query = target.partition("?")
    given = query if method in ("GET", "DELETE") else body
    return method, urllib.parse.unquote(path).removeprefix(API), pairs(given or "")


class Exchange:
    """One that was recorded."""

    def __init__(self, scenario, number):
        self.name, self.number = f"{scenario}[{number}]", number
        self.told = recording(scenario)[number]
        self.method, self.path, self.parameters = asked_for(
            self.told["method"], replay.expanded(self.told["path"]), replay.expanded(self.told["request_body"]))
        self.token = token_of(self.told["request_headers"].get("Authorization", ""))

    @property
    def data(self):
        return json.loads(self.told["response_body"])["data"]

    def bytes(self):
        """(head, body) as they were sent; a length is that of the body as it is recorded."""
        headers, body = self.told["response_headers"], self.told["response_body"].encode()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.compress(body)
        sent = [f"{name}: {len(body) if name == 'Content-Length' else value}" for name, value in headers.items()]
        return "\r\n".join([f"HTTP/1.1 {self.told['status']} {self.told['reason']}", *ALWAYS, *sent, "", ""]).encode(), body


class RecordedNode:
    """Stands in front of a stand-in, whose connections and certificate it uses, and answers in its place."""

    def __init__(self):
        self.standin = StandIn(manual=True)
        self.standin.front.idle = 1 << 20
        self.standin.knobs.rules.append(self)
        self.expected, self.differs, self.answered, self.strays = [], (), [], []

    def close(self):
        self.standin.close()

    def expect(self, exchanges, differs):
        self.expected, self.differs, self.answered, self.strays = list(exchanges), set(differs), [], []

    # -- a rule of the stand-in's, which meets everything

    def matches(self, *_):
        return True

    def act(self, connection, method, target, headers):
        body = connection.read_body(int(headers.get("content-length") or 0)).decode()
        asked = asked_for(method, target, body)
        found = self.found(asked, token_of(headers.get("authorization", "")))
        if found is None:
            self.strays.append(f"{method} {target} {body}")
            return Answer(500, "this was not recorded", b'{"data":null}')
        self.answered.append(found)
        if not found.told["status"]:
            raise Dropped
        head, text = found.bytes()
        answer = Answer(found.told["status"], found.told["reason"], text)
        answer.head = head
        return answer

    def found(self, asked, token):
        fitting = [each for each in self.expected if each.token == token and self.same(each, asked)]
        first = next((each for each in fitting if each not in self.answered), None)
        return first or (fitting[-1] if fitting and asked[0] == "GET" else None)

    def same(self, recorded, asked):
        left_out = self.differs | ({"limit"} if recorded.path.endswith("/log") and not recorded.parameters else set())
        parameters = [[pair for pair in each if pair[0] not in left_out] for each in (recorded.parameters, asked[2])]
        return (recorded.method, recorded.path) == asked[:2] and parameters[0] == parameters[1]


def absent(number):
    """That there is no VM of that number, in the words of the one time when this was recorded."""
    exchange = Exchange(*ABSENT)
    exchange.path = exchange.path.replace("111", str(number))
    exchange.told = exchange.told | {
        key: exchange.told[key].replace("111", str(number)) for key in ("reason", "response_body")}
    return exchange


def of_one_path(rights, path):
    """What a node says of one path whose list of rights was recorded: those of the nearest path above it in the list."""
    at = path
    while at not in rights.data and at != "/":
        at = at.rpartition("/")[0] or "/"
    exchange = copy.copy(rights)
    exchange.name, exchange.parameters = f"{rights.name} {path}", [("path", path)]
    exchange.told = rights.told | {"response_body": json.dumps({"data": {path: rights.data.get(at, {})}})}
    return exchange


class Story:
    """One scenario, step by step, as the client goes through it. `used` are the exchanges that it met."""

    def __init__(self, name, folder):
        self.name, self.folder, self.node = name, folder, RecordedNode()
        self.used, self.platforms, self.last, self.looked = set(), {}, {}, {}

    def close(self):
        for platform in self.platforms.values():
            platform.close()
        self.node.close()

    def exchange(self, number):
        return Exchange(*number) if isinstance(number, tuple) else Exchange(self.name, number)

    def platform(self, token):
        if token not in self.platforms:
            self.platforms[token] = Platform(self.node.standin, self.folder / str(len(self.platforms)),
                                             token_text=f"{token}=secret", patience_ms=600_000)
        return self.platforms[token]

    # -- steps

    @contextlib.contextmanager
    def asking(self, numbers, differs=(), token=None):
        """The platform whose requests are answered by these exchanges, each of which it has to ask for."""
        exchanges = [each if isinstance(each, Exchange) else self.exchange(each) for each in numbers]
        self.node.expect(exchanges, differs)
        yield self.platform(token or exchanges[0].token)
        self.settle(numbers)

    def settle(self, numbers):
        """What was asked for is what was expected."""
        assert not self.node.strays, f"asked for something else: {self.node.strays}"
        unasked = [each.name for each in self.node.expected if each not in self.node.answered]
        assert not unasked, f"never asked for: {unasked}"
        self.used |= {number for number in numbers if isinstance(number, int)}

    def do(self, wish, *numbers, differs=(), token=None, **command):
        with self.asking(numbers, differs, token) as platform:
            return platform.do(wish, **command)

    def send(self, number):
        """The call as it was recorded; its data, as the client read it."""
        exchange = self.exchange(number)
        parameters = {}
        for key, value in exchange.parameters:
            parameters.setdefault(key, []).append(value)
        wish = "get" if exchange.method == "GET" else "change"
        return self.do(wish, number, method=exchange.method, path=urllib.parse.quote(exchange.path), parameters=parameters)

    def told(self, *numbers):
        """Calls whose data arrives as it was sent."""
        for number in numbers:
            assert self.send(number) == self.exchange(number).data, number

    def refused(self, expected):
        """number -> kind of the refusal, and what its message or hint tells."""
        for number, (kind, *parts) in expected.items():
            with pytest.raises(Failed) as failed:
                self.send(number)
            self.settle([number])
            told = failed.value
            assert (told.refusal or {"kind": "lost" if told.lost else told.code})["kind"] == kind, (number, told)
            for part in parts:
                assert part in str(told), (number, part)

    def guest_in(self, number):
        """(kind, id) of the guest that a call's path names."""
        family, ident = re.match(r"/nodes/pve1/(qemu|lxc)/(\d+)", self.exchange(number).path).groups()
        return {"kind": "vm" if family == "qemu" else "container", "guest": ident}

    def config(self, number):
        """A guest's configuration in normal form, with its incarnation, digest, and lock."""
        guest = self.guest_in(number)
        current = dict(self.exchange(number).parameters).get("current")
        read = self.do("running-config" if current else "config", number, **guest)
        if not current:
            self.last[guest["guest"]] = number, read
        return read

    def power(self, number):
        guest = self.guest_in(number)
        self.looked[guest["guest"]] = number
        return self.do("power", number, **guest)

    def snapshots(self, number):
        return self.do("snapshots", number, **self.guest_in(number))

    def backups(self, number):
        """Whose list was recorded for one guest is asked for all of them."""
        return self.do("backups", number, differs=("vmid",))

    def task(self, number, *looks):
        """A call that begins a task, and how it stands at each recorded look; the last state."""
        upid = self.send(number)
        assert upid == self.exchange(number).data and upid.startswith("UPID:")
        return self.looks(f"{upid} 0", *looks)

    def looks(self, handle, *numbers):
        """One look for each recorded status. A log that no look needs is read by itself."""
        logs = [number for number in numbers if self.exchange(number).path.endswith("/log")]
        states = []
        for number in (each for each in numbers if each not in logs):
            exchange = self.exchange(number)
            ended = exchange.data["status"] == "stopped" and exchange.data["exitstatus"]
            needs_log = exchange.data["type"] == "vzdump" or ended not in (
                False, "OK", "unexpected status", "received interrupt")
            states.append(self.do("look", number, *(logs if needs_log else ()), handle=handle))
            assert states[-1]["phase"] == "running" or ended, number
        self.told(*(number for number in logs if number not in self.used))
        return states[-1] if states else self.platform(MAIN).do("look", handle=handle)

    def begin(self, number, kind, differs=(), **action):
        """Begins the action that the recorded call began, on the guest as it was read last; the handle."""
        guest = self.guest_in(number)
        known, read = self.last[guest["guest"]]
        missing = [absent(guest["guest"])] if guest["kind"] == "container" else []
        looked = [self.looked[guest["guest"]]] if kind in ("start", "stop") else []
        with self.asking([known, *missing, *looked, number], differs) as platform:
            # without a note, whose looks nobody recorded
            return platform.do("begin", **platform.wanted(guest["guest"], kind, read["incarnation"], **action))

    def preflight(self, number):
        """What lacks a token whose rights are those of a recorded list."""
        rights = self.exchange(number)
        version = Exchange("version-and-auth", 0)
        version.token = rights.token
        return self.do("preflight", version, rights, *(of_one_path(rights, path) for path in ASKED_PATHS))


def ended(state, *parts):
    """The phase that a task ended with; its sentences tell each part."""
    words = " ".join([state.get("error", {}).get("message", ""), state["detail"], *state["warnings"]])
    for part in parts:
        assert part in words, (part, state)
    return state["phase"]
