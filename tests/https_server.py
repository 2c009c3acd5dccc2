# SPDX-License-Identifier: MIT
"""An HTTPS server that misbehaves as told, for tests: in this process, on 127.0.0.1, with a CA of its own.

    authority = Authority(folder)
    with Server(authority) as server:
        server.serve("/image", b"...", stall_after=1000)
        url = server.url("/image")
        ...
        assert server.requests[0].path == "/image"

`authority.ca` is the file that clients shall trust.
"""

import contextlib
import dataclasses
import email.utils
import http.server
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading

import pytest

FOREVER = 1 << 30


class Authority:
    """A CA, and certificates that it signed, made by the openssl program."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        self._openssl("req", "-x509", *self._new_key(self._key), "-subj", "/CN=blockhost test CA", "-days", "30", "-out",
                      self.ca, "-addext", "keyUsage=critical,keyCertSign")
        self._context = None

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, stdin=subprocess.DEVNULL)

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path

    def certificate(self, name="IP:127.0.0.1", subject="/CN=test"):
        """Files of a certificate for that subjectAltName and of its key."""
        stem = self.folder / re.sub(r"\W", "-", name)
        request, made, key = (stem.with_suffix(suffix) for suffix in (".csr", ".pem", ".key"))
        if not made.exists():
            extensions = stem.with_suffix(".ext")
            extensions.write_text(f"subjectAltName={name}\n")
            self._openssl("req", *self._new_key(key), "-subj", subject, "-out", request)
            self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days",
                          "30", "-extfile", extensions, "-out", made)
        return made, key

    def context(self, name="IP:127.0.0.1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate(name))
        return context


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes = b""

    @property
    def range(self):
        return self.headers.get("range")

    @property
    def if_range(self):
        return self.headers.get("if-range")


@dataclasses.dataclass
class Behaviour:
    """How a path answers. Counts (`times`) are of requests for that path; `-1` is always."""

    body: bytes = b""
    etag: str = '"one"'               # empty: none is sent
    last_modified: str = "Mon, 01 Jan 2024 00:00:00 GMT"
    ranges: bool = True               # whether Range is looked at
    status: int = 200                 # other than 200: a short text with that status ...
    times: int = -1                   # ... for so many requests; then as if it were 200
    location: str = ""                # of a redirect
    headers: dict = dataclasses.field(default_factory=dict)  # besides, or instead of, what is sent anyway
    chunked: bool = False
    close_delimited: bool = False     # neither length nor chunks
    truncate_after: int = FOREVER     # bytes of one response, then the connection ends ...
    truncate_times: int = -1
    reset: bool = False               # ... by a reset
    stall_after: int = FOREVER        # bytes of one response, then nothing comes ...
    stall_times: int = -1
    stall_seconds: float = 20
    answers: bool = True              # False: the request is read and nothing comes
    bytes_per_second: int = 0         # 0: as fast as it goes
    then: "Behaviour" = None          # takes over ...
    then_after: int = 1               # ... after so many requests
    seen: int = 0


class Server:
    """`certificate` names the subjectAltName; a `context` of one's own may replace it (None: no TLS)."""

    def __init__(self, authority, certificate="IP:127.0.0.1", context=None, plain=False):
        self.behaviours, self.requests = {}, []
        self.folder = None
        self.ended = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            server_of_test = outer

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, _request, _address):
                pass  # clients break off on purpose

            def finish_request(self, request, address):
                """TLS greets in the connection's own thread, so that one silent client holds nobody up."""
                if outer.context is not None:
                    request.settimeout(20)
                    request = outer.context.wrap_socket(request, server_side=True)
                try:
                    super().finish_request(request, address)
                finally:
                    with contextlib.suppress(OSError):
                        request.close()

        self.context = None if plain else context or authority.context(certificate)
        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._listener.shutdown()
        self._listener.server_close()

    def url(self, path, host="127.0.0.1", scheme="https"):
        return f"{scheme}://{host}:{self.port}{path}"

    def serve(self, path, body=b"", **behaviour):
        """Answers `path` with `body`, behaving as the fields of Behaviour say."""
        self.behaviours[path] = made = Behaviour(body=body, **behaviour)
        return made

    def serve_folder(self, folder):
        """Answers every other path with the file of that name in `folder`."""
        self.folder = pathlib.Path(folder)

    def behaviour_for(self, path):
        with self._lock:
            found = self.behaviours.get(path.split("?")[0]) or self._file(path)
            if found is None:
                return Behaviour(body=b"no such path", status=404), 0
            found.seen += 1
            number = found.seen
        while found.then and number > found.then_after:
            number -= found.then_after
            found = found.then
        return found, number

    def _file(self, path):
        if self.folder is None:
            return None
        file = (self.folder / path.split("?")[0].lstrip("/")).resolve()
        if self.folder.resolve() not in file.parents or not file.is_file():
            return None
        known = file.stat()
        return Behaviour(body=file.read_bytes(), etag=f'"{known.st_mtime_ns:x}-{known.st_size:x}"',
                         last_modified=email.utils.formatdate(known.st_mtime, usegmt=True))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_test = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server_of_test
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        server.requests.append(Request(self.command, self.path, headers, body))
        how, number = server.behaviour_for(self.path)
        self.close_connection = True
        if not how.answers:
            server.ended.wait(how.stall_seconds)
        elif how.status != 200 and (how.times < 0 or number <= how.times):
            self._refuse(how)
        else:
            self._answer(how, number)

    do_HEAD = do_POST = do_CONNECT = do_GET

    def _send_head(self, status, headers):
        self.send_response_only(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _refuse(self, how):
        body = how.body or b"no\n"
        headers = {"Content-Length": len(body), "Connection": "close"}
        if how.location:
            headers["Location"] = how.location
        self._send_head(how.status, headers | how.headers)
        self.wfile.write(body)

    def _wanted(self, how):
        """The first byte to send, and whether as a range: (0, False), (first, True), or None for 416."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not how.ranges or not asked:
            return 0, False
        if self.headers.get("If-Range", how.etag) not in (how.etag, how.last_modified):
            return 0, False
        return (int(asked[1]), True) if int(asked[1]) < len(how.body) else None

    def _answer(self, how, number):
        wanted = self._wanted(how)
        headers = {"ETag": how.etag or None, "Last-Modified": how.last_modified or None, "Connection": "close"}
        if wanted is None:
            self._send_head(416, headers | {"Content-Range": f"bytes */{len(how.body)}", "Content-Length": 0})
            return
        first, partly = wanted
        body = how.body[first:]
        if how.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not how.close_delimited:
            headers["Content-Length"] = len(body)
        if partly:
            headers["Content-Range"] = f"bytes {first}-{len(how.body) - 1}/{len(how.body)}"
        self._send_head(206 if partly else 200, headers | how.headers)
        self._send_body(how, number, body)

    def _send_body(self, how, number, body):
        truncated = how.truncate_after if how.truncate_times < 0 or number <= how.truncate_times else FOREVER
        stalled = how.stall_after if how.stall_times < 0 or number <= how.stall_times else FOREVER
        sent = body[:min(truncated, stalled)]
        piece = max(1, how.bytes_per_second // 20) if how.bytes_per_second else 1 << 16
        for at in range(0, len(sent), piece):
            self._send_piece(how, sent[at:at + piece])
            if how.bytes_per_second and self.server_of_test.ended.wait(0.05):
                return
        self.wfile.flush()
        if stalled < len(body):
            self.server_of_test.ended.wait(how.stall_seconds)
        elif truncated < len(body):
            if how.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self._end_well(how)

    def _send_piece(self, how, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if how.chunked else piece)

    def _end_well(self, how):
        if how.chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if isinstance(self.connection, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.connection.settimeout(1)
                self.connection.unwrap()  # says that this is the end, not an accident


# Fixtures: a conftest.py imports those that its tests ask for.


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture()
def server(authority):
    with Server(authority) as made:
        yield made
