# SPDX-License-Identifier: MIT
"""Plays a recorded scenario against a fresh stand-in: its requests at their own moments, in time that a test moves."""

import http.client
import json
import math
import pathlib
import re
import ssl
import threading
import time
import urllib.parse

from comparison import Exchange
from node import StandIn
from node.certificates import Certificate

FOLDER = pathlib.Path(__file__).resolve().parent
TRANSCRIPTS = FOLDER / "transcripts"
SECRETS = {"<wrong secret>": "0" * 32}
GRACE = 0.005
FOREIGN = 0.001
SLOW = 900
"""Milliseconds from which on an answer waited for something, and is expected no earlier."""


def names():
    return sorted(path.stem for path in TRANSCRIPTS.glob("*.json"))


def exchanges(name):
    return json.loads((TRANSCRIPTS / f"{name}.json").read_text())["exchanges"]


def epoch_of(recorded):
    """The scenario's first moment: what all times that begin a task agree on."""
    low, high = -math.inf, math.inf
    for each in recorded:
        found = re.fullmatch(r'\{"data":"UPID:[^:]+:[^:]+:[^:]+:([0-9A-F]{8}):.*', each["response_body"] or "")
        clock = re.search(r'"localtime":(\d+)', each["response_body"] or "")
        if found or clock:
            start = int(found[1], 16) if found else int(clock[1])
            low = max(low, start - (each["at_ms"] + each["elapsed_ms"]) / 1000)
            high = min(high, start + 1 - each["at_ms"] / 1000)
    if low == -math.inf:
        moments = [int(text) for each in recorded
                   for text in re.findall(r'"ctime":(\d+)|ctime=(\d+)', each["response_body"] or "")
                   for text in text if text]
        return max(moments, default=1795881000) + 1.0
    return min(max(low + 0.01, high - 0.02), (low + high) / 2) if low < high else (low + high) / 2


def work_seconds(recorded, number):
    """How long the worker that an exchange began has to run: as long as it was seen running, and no longer."""
    found = re.search(r'"data":"(UPID:[^"]+)"', recorded[number]["response_body"] or "")
    if not found:
        return GRACE
    polled = [each for each in recorded[number + 1:] if found[1] in urllib.parse.unquote(each["path"])
              and "/status" in each["path"]]
    if not polled:
        return None
    running = [each["at_ms"] for each in polled if '"status":"running"' in each["response_body"]]
    return (max(running) - recorded[number]["at_ms"]) / 1000 + GRACE if running else GRACE


def expanded(text):
    """The long values that a recording shortens."""
    found = re.search(r"^(.*?)\.\.\. \(shortened: (\d+) (bytes|letters)(?: \w)?\)$", text or "", re.S)
    if not found:
        return text
    head, number = found[1], int(found[2])
    if found[3] == "letters":
        return head.rstrip(head[-1]) + head[-1] * number
    key, _, value = head.partition("=")
    unit = re.match(r"((?:%\w\w)+?)\1|(.)\2", value)
    unit = unit[1] or unit[2]
    return key + "=" + unit * ((number - len(key) - 1) // len(unit))


class Client:
    """Sends what was sent; connections are kept only where the recording kept them."""

    def __init__(self, standin):
        self.standin, self.kept = standin, None
        self.context = ssl._create_unverified_context()

    def close(self):
        if self.kept:
            self.kept.close()

    def connection(self, same):
        if not same or self.kept is None:
            self.close()
            self.kept = http.client.HTTPSConnection("127.0.0.1", self.standin.front.port, context=self.context,
                                                    timeout=120)
            self.kept.connect()
        return self.kept

    def send(self, method, path, headers, body, same):
        try:
            connection = self.connection(same)
            leaf = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(True))
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            if body:
                connection.send(body)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self.kept = None
            return {"status": 0, "reason": type(error).__name__, "headers": {}, "body": None, "leaf": None}
        if answer.headers.get("Content-Encoding") == "gzip":
            import gzip
            text = gzip.decompress(text)
        return {"status": answer.status, "reason": answer.reason, "headers": dict(answer.headers),
                "body": text.decode(),
                "leaf": Certificate("", leaf).fingerprint}


class Replay:
    def __init__(self, name, scenario):
        self.name, self.scenario, self.recorded = name, scenario, exchanges(name)
        self.epoch = epoch_of(self.recorded)
        self.exchange, self.unrecorded = Exchange(), list(scenario.unrecorded)

    def run(self):
        """number -> what differs, in words, of each exchange that differs."""
        found = {}
        with StandIn(manual=True, epoch=self.epoch, keys=self.scenario.keys) as self.standin:
            self.scenario.arrange(self.standin)
            self.client, last = Client(self.standin), 0
            try:
                for number in self.scenario.order(len(self.recorded)):
                    each = self.recorded[number]
                    last = max(last, self.other_hands(each["at_ms"]))
                    if each.get("before"):
                        self.standin.clock.advance(self.epoch + last / 1000 + FOREIGN)
                        self.scenario.before(self.standin, each["before"])
                    problems = self.one(number, each)
                    if problems:
                        found[number] = problems
                    last = each["at_ms"] + each["elapsed_ms"]
            finally:
                self.client.close()
        return found

    def other_hands(self, until):
        """What happened on the node although no word of the recording says so, but its answers do."""
        done = 0
        while self.unrecorded and self.unrecorded[0][0] < until:
            done, method = self.unrecorded.pop(0)
            self.standin.clock.advance(self.epoch + done / 1000)
            getattr(self.scenario, method)(self.standin, self.standin.knobs)
        return done

    def one(self, number, each):
        clock, box = self.standin.clock, []
        clock.advance(self.epoch + each["at_ms"] / 1000)
        self.standin.tasks.next_seconds = work_seconds(self.recorded, number)
        request = self.request(each)
        same = number in self.scenario.same_connection
        sender = threading.Thread(target=lambda: box.append(self.client.send(*request, same)))
        sender.start()
        deadline, slow, early = time.monotonic() + 120, each["elapsed_ms"] > SLOW, each["elapsed_ms"] > SLOW
        while sender.is_alive() and time.monotonic() < deadline:
            sender.join(0.002)
            if sender.is_alive() and clock.asleep:
                if slow and early:
                    clock.advance(self.epoch + (each["at_ms"] + each["elapsed_ms"] * 0.9) / 1000)
                    sender.join(0.03)
                    early = not sender.is_alive()
                clock.advance(self.epoch + (each["at_ms"] + each["elapsed_ms"]) / 1000 + GRACE)
        assert box, f"{self.name}[{number}]: no answer, and none to be expected"
        self.standin.tasks.next_seconds = None
        recorded = {"status": each["status"], "reason": each["reason"], "headers": each["response_headers"],
                    "body": each["response_body"]}
        if "tls_leaf_sha256" in each:
            recorded["leaf"] = each["tls_leaf_sha256"]
        found = self.exchange.differences(recorded, box[0])
        return [*found, f"comes too early: recorded after {each['elapsed_ms']} ms"] if early else found

    def request(self, each):
        def quoted(text):
            return urllib.parse.quote(text, safe="")
        path = self.exchange.translated(self.exchange.translated(expanded(each["path"])), quoted)
        body = expanded(each["request_body"])
        if body is not None:
            body = self.exchange.translated(self.exchange.translated(body), quoted).encode()
        headers = {}
        for name, value in each["request_headers"].items():
            many = re.fullmatch(r"(.+-)(\d+) \.\.\. \1(\d+)", name)
            if many:
                headers |= {f"{many[1]}{count}": value for count in range(int(many[2]), int(many[3]) + 1)}
            elif name != "Content-Length":
                headers[name] = expanded(self.secret(value))
        if body is not None or each["request_headers"].get("Content-Length"):
            headers["Content-Length"] = str(len(body or b""))
        return each["method"], path, headers, body

    def secret(self, value):
        token = re.search(r"PVEAPIToken[= ]([^=]+)=<secret>", value)
        if token:
            value = value.replace("<secret>", self.scenario.secret(self.standin, token[1]))
        return value.replace("<wrong secret>", SECRETS["<wrong secret>"]).replace("<secret>", "x")
