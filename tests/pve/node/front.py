# SPDX-License-Identifier: MIT
"""The HTTPS front end of one node: connections, requests as bytes, answers as bytes."""

import contextlib
import email.utils
import gzip
import json
import random
import socket
import ssl
import struct
import threading
import traceback
import urllib.parse

from . import api
from .errors import ApiError, Dropped, FrontError

METHODS = ("GET", "POST", "PUT", "DELETE")
MOST_BODY, MOST_HEADER, MOST_LINES, MOST_REQUESTS = 512 << 10, 8 << 10, 64, 100
IDLE = 5
JSON_TYPE = "application/json;charset=UTF-8"
PERL = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line"


class Connection:
    def __init__(self, front, plain):
        self.front, self.plain, self.socket = front, plain, None
        self.rest, self.requests, self.idle = b"", 0, None

    def serve(self):
        try:
            self.plain.settimeout(60)
            self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = self.front.context().wrap_socket(self.plain, server_side=True)
            self.wait_for_next()
            while self.one():
                pass
            with contextlib.suppress(OSError, ValueError):
                self.socket.settimeout(1)
                self.socket.unwrap()
        except (OSError, ValueError, Dropped):
            pass
        finally:
            for each in (self.socket, self.plain):
                with contextlib.suppress(OSError):
                    if each is not None:
                        each.close()
            self.front.connections.discard(self)

    def cut(self):
        """Ends it from outside or in the middle."""
        with contextlib.suppress(OSError):
            self.plain.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            if self.socket is not None:
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def reset(self):
        """The end that comes is none in order."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for_next(self):
        """Seconds of real time where time runs faster: a client does not hurry."""
        clock = self.front.world.clock
        self.idle = clock.call_in(self.front.idle * (1 if clock.manual else clock.scale), self.cut)

    def more(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise Dropped
        self.rest += piece

    def read_head(self):
        clock = self.front.world.clock
        try:
            while b"\r\n\r\n" not in self.rest:
                self.more()
        finally:
            self.idle.cancel()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        if sum(len(line) + 2 for line in lines) > MOST_HEADER or len(lines) > MOST_LINES:
            clock.perform(iter_sleep(IDLE))
            raise Dropped
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return first, headers

    def read_body(self, length):
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return body

    def one(self):
        """One request and its answer; whether another may follow."""
        first, headers = self.read_head()
        self.requests += 1
        method, target, version = (first.split(" ") + ["", ""])[:3]
        wants = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
        keeps = wants and self.requests < MOST_REQUESTS
        rule = self.front.world.knobs.rule_for(method, target)
        asked = [method, target, 0]
        self.front.world.requests.append(asked)
        try:
            answer = rule.act(self, method, target, headers) if rule else self.answer(method, target, headers)
        except FrontError as error:
            answer = Answer(error.status, error.reason, error.body.encode(), None)
        asked[2] = answer.status
        keeps = keeps and answer.status < 400
        self.send(answer, keeps)
        return keeps

    def answer(self, method, target, headers):
        if method not in METHODS:
            raise FrontError(501, f"method '{method}' not available")
        path, _, query = target.partition("?")
        form, path = split_path(urllib.parse.unquote(path))
        length = int(headers.get("content-length") or 0)
        request = api.Request(self.front.world, self.front, method, path, {}, headers.get("authorization"),
                              "gzip" in headers.get("accept-encoding", ""))
        if length and method not in ("POST", "PUT"):
            self.refuse(f"Unexpected content for method '{method}'", length)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            raise FrontError(501, "chunked transfer encoding not supported", "chunked transfer encoding not supported")
        if length > MOST_BODY:
            self.refuse("for data too large", length)
        given = decoded(query)
        given |= self.body_parameters(headers.get("content-type", ""), self.read_body(length))
        request.given = given
        if form not in ("json", "extjs"):
            raise FrontError(501, f"no formatter for uri {path}, {form}", f"no formatter for uri {path}, {form}")
        return self.formatted(request, form)

    def refuse(self, text, length):
        """The body is read all the same, lest the answer gets lost in a reset."""
        with contextlib.suppress(OSError, Dropped):
            self.read_body(min(length, MOST_BODY * 4))
        raise FrontError(501, text, text)

    @staticmethod
    def body_parameters(content_type, body):
        kind = content_type.split(";")[0].strip().lower()
        if not body:
            return {}
        if kind in ("", "application/x-www-form-urlencoded"):
            return decoded(body.decode("latin-1"))
        if kind != "application/json":
            text = f"upload 'Content-Type '{content_type}' not implemented"
            raise FrontError(506, text, text)
        try:
            found = json.loads(body)
        except ValueError as error:
            at = getattr(error, "pos", 0)
            rest = body.decode(errors="replace")[at:] or "(end of string)"
            text = ("malformed JSON string, neither tag, array, object, number, string or atom, at character offset "
                    f'{at} (before "{rest}") {PERL} 934.')
            raise FrontError(500, text, text + "\n") from error
        if not isinstance(found, dict):
            text = f"Not a HASH reference {PERL} 978."
            raise FrontError(500, text, text + "\n")
        return found

    def formatted(self, request, form):
        try:
            data = self.front.world.clock.perform(api.answer(request))
        except ApiError as error:
            body = {"data": None, "message": error.text} | ({"errors": error.errors} if error.errors else {})
            if form == "extjs":
                return Answer(200, "OK", encoded(body | {"success": 0, "status": error.status}))
            return Answer(error.status, error.text.split("\n")[0], encoded(body))
        except (FrontError, Dropped):
            raise
        except Exception as error:  # noqa: BLE001 a fault of the stand-in, which a test shall not take for silence
            traceback.print_exc()
            return Answer(500, "fault of the stand-in", encoded({"data": None, "message": f"{error!r}\n"}))
        if request.plain_text is not None:
            return Answer(200, "OK", request.plain_text.encode(), "text/plain")
        body = {"data": data} | ({} if request.total is None else {"total": request.total})
        answer = Answer(200, "OK", encoded(body | ({"success": 1} if form == "extjs" else {})))
        answer.packed = request.accepts_gzip
        return answer

    def head(self, answer, keeps):
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", "Cache-Control: max-age=0",
                 f"Connection: {'Keep-Alive' if keeps else 'close'}",
                 "Date: " + email.utils.formatdate(self.front.world.clock.shown(), usegmt=True), "Pragma: no-cache",
                 "Server: " + answer.server, f"Content-Length: {len(answer.body)}",
                 "Expires: " + email.utils.formatdate(self.front.world.clock.shown(), usegmt=True)]
        lines += [f"Content-Type: {answer.kind}"] if answer.kind else []
        lines += ["Content-Encoding: gzip"] if answer.packed else []
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")

    def send(self, answer, keeps):
        if answer.packed:
            answer.body = gzip.compress(answer.body, 1)
        if keeps:
            self.wait_for_next()
        self.socket.sendall((answer.head or self.head(answer, keeps)) + answer.body)


class Answer:
    def __init__(self, status, reason, body, kind=JSON_TYPE):
        self.status, self.reason, self.body, self.kind = status, reason, body, kind
        self.packed, self.server = False, "pve-api-daemon/3.0"
        self.head = None  # these bytes, instead of what is written of it


def iter_sleep(seconds):
    yield seconds


def split_path(path):
    """(format, rest) of /api2/FORMAT/rest; slashes may be doubled or stand at the end."""
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2 or parts[0] != "api2":
        raise FrontError(501, f"no such uri {path}")
    return parts[1], "/" + "/".join(parts[2:])


def decoded(text):
    """A form as this server reads it: a value ends at its first raw `=`, a repeated key is a list."""
    found = {}
    for part in text.split("&"):
        if part:
            key, value = (part.split("=") + [""])[:2]
            key, value = (urllib.parse.unquote_plus(each, errors="replace") for each in (key, value))
            if key in found:
                found[key] = [*(found[key] if isinstance(found[key], list) else [found[key]]), value]
            else:
                found[key] = value
    return found


def shuffled(value):
    """Perl's order of keys is that of chance."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}
    if isinstance(value, list):
        return [shuffled(each) for each in value]
    return value


def encoded(body):
    return json.dumps(shuffled(body), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Front:
    def __init__(self, world, name):
        self.world, self.name, self.idle = world, name, IDLE
        self.connections = set()
        self._lock, self._closing = threading.Lock(), False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def context(self):
        with self._lock:
            return self.world.nodes[self.name].certificates.context()

    def _accept(self):
        while not self._closing:
            try:
                plain, _ = self.listener.accept()
            except (OSError, ssl.SSLError):
                return
            connection = Connection(self, plain)
            self.connections.add(connection)
            threading.Thread(target=connection.serve, daemon=True).start()

    def close(self):
        self._closing = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join()
        for connection in list(self.connections):
            connection.cut()


