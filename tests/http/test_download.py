# SPDX-License-Identifier: MIT
"""Downloads over HTTPS from a server that misbehaves: what arrives, what is asked again, and what is said."""

import hashlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import https_server
import pace
import pytest

BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
FETCH = BUILD / "tests/unit/http/http-fetch"
BODY = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(310_000)
STATUS = {"invalid": 3, "not_found": 5, "no_room": 9, "busy": 10, "interrupted": 11, "no_answer": 13, "io": 17,
          "denied": 18}


class Client:
    """http-fetch in a folder of its own."""

    def __init__(self, folder, authority):
        self.folder, self.ca = folder, authority.ca
        self.file, self.partial = folder / "image", folder / "image.partial"
        self.note = folder / "image.partial.json"

    def words(self, url, **options):
        options = {"url": url, "folder": self.folder, "name": "image", "ca_file": self.ca} | options
        named = [(f"--{key.replace('_', '-')}", str(value)) for key, value in options.items() if value is not None]
        return [FETCH, *(word for pair in named for word in pair)]

    def start(self, url, **options):
        env = {"PATH": os.environ["PATH"]} | options.pop("env", {})
        return subprocess.Popen(self.words(url, **options), env=env, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, url, **options):
        return Run(self.start(url, **options))

    def downloads(self, url, body=BODY, **options):
        run = self.run(url, **options)
        assert run.status == 0, run.error
        assert self.file.read_bytes() == body
        assert run.last == {"downloaded": len(body)}
        assert [path.name for path in self.folder.iterdir()] == ["image"]
        return run

    def fails(self, url, code, *sentences, **options):
        run = self.run(url, **options)
        assert (run.status, run.last.get("code")) == (STATUS[code], code), run.last
        assert not self.file.exists() and not self.is_empty_partial_there()
        for sentence in sentences:
            assert sentence in f"{run.last['message']}; {run.last['hint']}"
        return run

    def is_empty_partial_there(self):
        return self.partial.exists() and self.partial.stat().st_size == 0


class Run:
    def __init__(self, process):
        began = time.monotonic()
        out, self.stderr = process.communicate(timeout=pace.PATIENCE)
        self.seconds = time.monotonic() - began
        self.status = process.returncode
        self.lines = [json.loads(line) for line in out.splitlines()]
        self.last = self.lines[-1]
        self.error = self.last, self.stderr
        assert self.stderr == ""

    @property
    def sizes(self):
        return [line["size"] for line in self.lines if "size" in line]

    @property
    def progress(self):
        return [line for line in self.lines if "done" in line]


@pytest.fixture()
def client(tmp_path, authority):
    folder = tmp_path / "downloads"
    folder.mkdir()
    return Client(folder, authority)


def ranges(server):
    return [request.range for request in server.requests]


# Well-behaved servers

def test_a_file_is_downloaded_with_its_size_told_first(server, client):
    server.serve("/image", BODY)
    run = client.downloads(server.url("/image?token=7"))
    assert run.lines[0] == {"size": len(BODY)} and run.sizes == [len(BODY)]
    assert run.progress[-1]["done"] == run.progress[-1]["total"] == len(BODY)
    assert run.progress[-1]["left"] == 0
    assert oct(client.file.stat().st_mode & 0o7777) == "0o644"
    [request] = server.requests
    assert (request.method, request.path, request.range) == ("GET", "/image?token=7", None)
    assert "accept-encoding" not in request.headers
    assert request.headers["user-agent"].startswith("blockhost-libvirt/")


def test_what_had_the_name_is_replaced(server, client):
    server.serve("/image", BODY)
    client.file.write_bytes(b"older")
    client.downloads(server.url("/image"))


def test_an_empty_file_is_downloaded(server, client):
    server.serve("/image", b"")
    client.downloads(server.url("/image"), b"")


def test_a_chunked_file_of_unknown_size_is_downloaded(server, client):
    server.serve("/image", BODY, chunked=True)
    run = client.downloads(server.url("/image"))
    assert run.sizes == []


def test_a_compressed_body_stays_as_it_is_sent(server, client):
    server.serve("/image", b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})
    client.downloads(server.url("/image"), b"\x1f\x8bnot really")


def test_a_server_that_keeps_the_connection_open_is_not_waited_for_long(server, client):
    server.serve("/image", BODY + b"x", stall_after=len(BODY), headers={"Content-Length": len(BODY)})
    client.downloads(server.url("/image"), stall=pace.FOR_EVER)


def test_progress_is_told_a_few_times_a_second(server, client):
    server.serve("/image", BODY, bytes_per_second=300_000)
    run = client.downloads(server.url("/image"), stall=5)
    done = [line["done"] for line in run.progress]
    assert done == sorted(done) and 3 <= len(done) <= 8
    assert 100_000 < run.progress[-2]["speed"] < 1_000_000
    assert run.progress[-2]["left"] in (0, 1)


def test_a_file_is_served_from_a_folder(server, client, tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    server.serve_folder(tmp_path)
    client.downloads(server.url("/file"))


# Small texts

def test_a_text_is_fetched_and_nothing_is_written(server, client):
    server.serve("/list", b"one\ntwo\n", status=503, times=1)
    run = client.run(server.url("/list"), get=100)
    assert run.status == 0 and run.last == {"text": "one\ntwo\n"}
    assert not list(client.folder.iterdir())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_text_that_is_too_large_is_refused(server, client, chunked):
    server.serve("/list", b"x" * 101, chunked=chunked)
    client.fails(server.url("/list"), "io", "larger than 100 bytes", server.url("/list"), get=100)
    assert len(server.requests) == 1


def test_a_text_that_broke_off_begins_anew(server, client):
    server.serve("/list", b"one\ntwo\n", truncate_after=4, truncate_times=1)
    assert client.run(server.url("/list"), get=100).last == {"text": "one\ntwo\n"}
    assert ranges(server) == [None, None]


# Going on

@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_broke_is_gone_on_with(server, client, reset):
    server.serve("/image", BODY, truncate_after=100_000, truncate_times=1, reset=reset)
    run = client.downloads(server.url("/image"))
    assert run.sizes == [len(BODY)]
    first, second = server.requests
    assert first.range is None
    at = int(re.fullmatch(r"bytes=(\d+)-", second.range)[1])
    assert at == 100_000 if not reset else 0 < at <= 100_000
    assert second.if_range == '"one"'


def test_each_attempt_goes_on_from_the_last(server, client):
    server.serve("/image", BODY, truncate_after=120_000)
    client.downloads(server.url("/image"))
    assert ranges(server) == [None, "bytes=120000-", "bytes=240000-"]


@pytest.mark.parametrize("etag", ["", 'W/"one"'])
def test_without_a_strong_etag_the_date_tells_the_file(server, client, etag):
    server.serve("/image", BODY, etag=etag, truncate_after=100_000, truncate_times=1)
    client.downloads(server.url("/image"))
    assert server.requests[1].if_range == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert server.requests[1].range == "bytes=100000-"


def test_without_a_validator_everything_is_asked_again(server, client):
    server.serve("/image", BODY, etag="", last_modified="", truncate_after=100_000, truncate_times=1)
    client.downloads(server.url("/image"))
    assert ranges(server) == [None, None]


def test_a_server_without_ranges_sends_everything_again(server, client):
    server.serve("/image", BODY, ranges=False, truncate_after=100_000, truncate_times=1)
    client.downloads(server.url("/image"))
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_stall_is_ended_and_gone_on_with(server, client):
    server.serve("/image", BODY, stall_after=100_000, stall_times=1)
    client.downloads(server.url("/image"))
    assert ranges(server) == [None, "bytes=100000-"]


def test_truncated_chunks_are_a_truncation(server, client):
    server.serve("/image", BODY, chunked=True, truncate_after=100_000, truncate_times=1)
    client.downloads(server.url("/image"))
    assert len(server.requests) == 2


def test_a_body_that_only_the_connection_ends_is_not_taken(server, client):
    server.serve("/image", BODY, close_delimited=True)
    client.fails(server.url("/image"), "io", "does not tell where the file ends", "(1 attempt)")


def test_a_later_call_goes_on_with_what_is_here(server, client):
    server.serve("/image", BODY, truncate_after=100_000, truncate_times=1)
    client.fails(server.url("/image"), "no_answer", "100000 of 300000 bytes", attempts=1)
    assert client.partial.read_bytes() == BODY[:100_000]
    assert json.loads(client.note.read_text()) == {"url": server.url("/image"), "etag": '"one"', "total": len(BODY),
                                                   "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    run = client.downloads(server.url("/image"))
    assert run.sizes == [len(BODY)]
    assert ranges(server) == [None, "bytes=100000-"]


def partial_of(server, client, body, **note):
    client.partial.write_bytes(body)
    client.note.write_text(json.dumps({"url": server.url("/image"), "etag": '"one"', "last_modified": "",
                                       "total": len(BODY)} | note))


def test_a_file_that_is_here_as_a_whole_is_only_compared(server, client):
    server.serve("/image", BODY)
    partial_of(server, client, BODY)
    client.downloads(server.url("/image"))
    assert ranges(server) == [f"bytes={len(BODY) - 1}-"]


@pytest.mark.parametrize("left", ["another URL's", "too much", "without a note", "with a torn note"])
def test_a_partial_that_is_not_of_this_file_begins_anew(server, client, left):
    server.serve("/image", BODY)
    partial_of(server, client, OTHER[:100_000])
    if left == "another URL's":
        partial_of(server, client, OTHER[:100_000], url=server.url("/other"))
    elif left == "too much":
        client.partial.write_bytes(OTHER)
    elif left == "without a note":
        client.note.unlink()
    else:
        client.note.write_text(client.note.read_text()[:20])
    client.downloads(server.url("/image"))
    assert ranges(server) == [None]


# Servers whose file is another one, and servers that lie about ranges

def test_a_file_that_changed_meanwhile_is_fetched_as_a_whole(server, client):
    changed = https_server.Behaviour(OTHER, etag='"two"')
    server.serve("/image", BODY, truncate_after=100_000, then=changed)
    run = client.downloads(server.url("/image"), OTHER)
    assert run.sizes == [len(BODY), len(OTHER)]
    assert ranges(server) == [None, "bytes=100000-"]


@pytest.mark.parametrize("lie", [
    {"Content-Range": "bytes 0-299999/300000"}, {"Content-Range": "bytes 99999-299998/300000"},
    {"Content-Range": "bytes 100000-299999/300001"}, {"Content-Range": None}, {"Content-Range": "nonsense"},
    {"ETag": '"two"'}, {"Content-Length": 7}])
def test_a_range_that_does_not_fit_is_not_appended(server, client, lie):
    liar = https_server.Behaviour(BODY, headers=lie, then=https_server.Behaviour(BODY))
    server.serve("/image", BODY, truncate_after=100_000, then=liar)
    client.downloads(server.url("/image"), attempts=2)
    assert ranges(server) == [None, "bytes=100000-", None]


def test_after_a_lie_about_a_range_none_is_asked_for(server, client):
    honest = https_server.Behaviour(BODY, truncate_after=50_000, truncate_times=1)
    liar = https_server.Behaviour(OTHER, headers={"Content-Range": "bytes 7-8/9"}, then=honest)
    server.serve("/image", BODY, truncate_after=100_000, then=liar)
    client.downloads(server.url("/image"))
    assert ranges(server) == [None, "bytes=100000-", None, None]


def test_a_range_that_is_not_there_begins_anew(server, client):
    short = https_server.Behaviour(BODY[:50_000])
    server.serve("/image", BODY, truncate_after=100_000, then=short)
    client.downloads(server.url("/image"), BODY[:50_000])
    assert ranges(server) == [None, "bytes=100000-", None]


def test_a_server_that_announces_more_than_it_has_never_satisfies(server, client):
    server.serve("/image", BODY, headers={"Content-Length": 400_000})
    client.fails(server.url("/image"), "no_answer", "300000 of 400000 bytes", "(3 attempts)")


def test_a_body_beyond_its_announced_length_is_an_error_and_nothing_of_it_is_kept(server, client):
    server.serve("/image", BODY, headers={"Content-Length": 200_000})
    client.fails(server.url("/image"), "io", "larger than its server announced", server.url("/image"))
    assert len(server.requests) == 1
    assert not list(client.folder.iterdir())


@pytest.mark.parametrize("length", ["-5", "99999999999999999999", "abc", "5, 6"])
def test_an_absurd_length_is_an_error(server, client, length):
    server.serve("/image", BODY, headers={"Content-Length": length})
    client.fails(server.url("/image"), "io", "Content-Length", length)
    assert len(server.requests) == 1


def test_a_size_beyond_all_disks_is_asked_about_before_bytes_come(server, client):
    server.serve("/image", BODY, headers={"Content-Length": 9223372036854775807})
    run = client.fails(server.url("/image"), "no_room", room=10**12)
    assert run.sizes == [9223372036854775807]
    assert not list(client.folder.iterdir())


def test_a_header_without_end_is_an_error(server, client):
    server.serve("/image", BODY, headers={f"X-{number}": "x" * 400 for number in range(200)})
    client.fails(server.url("/image"), "io", "no end")


# Statuses

@pytest.mark.parametrize("status, code", [(404, "not_found"), (410, "not_found"), (401, "denied"), (403, "denied"),
                                          (400, "io"), (416, "io"), (204, "io"), (304, "io")])
def test_a_refusal_is_not_asked_again(server, client, status, code):
    server.serve("/image", b"" if status in (204, 304) else b"no", status=status)
    client.fails(server.url("/image?secret"), code, f"{server.url('/image')} was not given: the server answered {status} (1 a")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_asked_again(server, client, status):
    server.serve("/image", BODY, status=status, times=2)
    client.downloads(server.url("/image"))
    assert len(server.requests) == 3


def test_attempts_end(server, client):
    server.serve("/image", status=500)
    client.fails(server.url("/image"), "no_answer", "answered 500", "(3 attempts)")
    assert len(server.requests) == 3


def test_pauses_lie_between_attempts(server, client):
    server.serve("/image", status=500)
    assert client.fails(server.url("/image"), "no_answer", attempts=3, pause=300).seconds >= 0.9


# Redirects

def redirect(server, path, to, status=302):
    server.serve(path, status=status, location=to)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_ranges_with_them(server, client, status):
    server.serve("/far/image", BODY, truncate_after=100_000, truncate_times=1)
    redirect(server, "/image", "/other", status)
    redirect(server, "/other", server.url("/far/image?signed"), status)
    client.downloads(server.url("/image"))
    assert [request.path for request in server.requests] == ["/image", "/other", "/far/image?signed"] * 2
    assert server.requests[-1].range == "bytes=100000-"


@pytest.mark.parametrize("to, reason", [
    ("http://127.0.0.1/b?secret", "http://127.0.0.1/b, which is not https"),
    ("file:///etc/passwd", "file:///etc/passwd, which is not https"),
    ("https://user:secret@127.0.0.1/b", "https://127.0.0.1/b, which has a user name or password in it"),
    ("", "nowhere")])
def test_a_redirect_to_where_we_do_not_go_is_refused(server, client, to, reason):
    redirect(server, "/image", to)
    run = client.fails(server.url("/image"), "io", f"{server.url('/image')} redirects to {reason}")
    assert len(server.requests) == 1 and "secret" not in json.dumps(run.last)


def test_a_redirect_loop_ends(server, client):
    redirect(server, "/image", "/image")
    client.fails(server.url("/image"), "io", "redirects more than 10 times")
    assert len(server.requests) == 11


# URLs and trust

@pytest.mark.parametrize("url", ["http://127.0.0.1/image", "file:///etc/passwd", "https://user:secret@127.0.0.1/image",
                                 "https://127.0.0.1/a b"])
def test_only_plain_https_urls_are_fetched(client, url):
    run = client.fails(url, "invalid")
    assert "secret" not in json.dumps(run.last)
    assert not list(client.folder.iterdir())


def test_a_server_that_an_unknown_authority_vouches_for_is_not_trusted(server, client):
    server.serve("/image", BODY)
    client.fails(server.url("/image"), "io", "is not trusted", "--ca-file", server.url("/image"), "(1 attempt)", ca_file=None)
    assert not server.requests


def test_a_certificate_for_another_host_is_not_trusted(authority, client):
    with https_server.Server(authority, certificate="DNS:example.org") as server:
        server.serve("/image", BODY)
        client.fails(server.url("/image"), "io", "is not trusted", "127.0.0.1", "(1 attempt)")
        assert not server.requests


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_an_error(server, client, tmp_path, content):
    bad = tmp_path / "bad.pem"
    if content:
        bad.write_text(content)
    client.fails(server.url("/image"), "io", str(bad), "--ca-file", "(1 attempt)", ca_file=bad)


WEAK_OPENSSL = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_older_than_1_2_is_not_spoken_even_where_openssl_would(authority, client, tmp_path):
    (tmp_path / "openssl.cnf").write_text(WEAK_OPENSSL)
    old = authority.context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with https_server.Server(authority, context=old) as server:
        client.fails(server.url("/image"), "io", "TLS", "(1 attempt)", env={"OPENSSL_CONF": str(tmp_path / "openssl.cnf")})


def test_a_server_without_tls_is_an_error(authority, client):
    with https_server.Server(authority, plain=True) as server:
        client.fails(server.url("/image"), "io", "TLS", "(1 attempt)")


# Nobody there, and nobody who answers

def test_a_refused_connection_is_tried_again(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}/image"
        client.fails(url, "no_answer", f"{url} cannot be reached", "(3 attempts)")


def test_a_server_that_does_not_greet_is_given_up(client):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/image"
        client.fails(url, "no_answer", "cannot be reached", connect=1, stall=pace.FOR_EVER, attempts=1)


def test_a_server_that_never_answers_is_a_stall(server, client):
    server.serve("/image", answers=False)
    client.fails(server.url("/image"), "no_answer", "less than 1 KiB/s arrived for 1 s", "(2 attempts)", attempts=2)


def test_too_slow_is_a_stall(server, client):
    server.serve("/image", BODY, bytes_per_second=400)
    client.fails(server.url("/image"), "no_answer", "less than 1 KiB/s", attempts=1)


def test_the_deadline_ends_an_attempt(server, client):
    server.serve("/image", BODY, bytes_per_second=1100)  # not too slow, and all of it would take minutes
    client.fails(server.url("/image"), "no_answer", "within 1 s", deadline=1, stall=pace.FOR_EVER)


def test_no_pause_goes_beyond_the_deadline(server, client):
    server.serve("/image", status=500)
    run = client.fails(server.url("/image"), "no_answer", "answered 500", "(1 attempt)", deadline=55, pause=60_000)
    assert run.seconds < 50  # it does not wait for the deadline either


def test_the_proxy_comes_from_the_environment(server, client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = {"https_proxy": f"http://127.0.0.1:{free.getsockname()[1]}"}
        server.serve("/image", BODY)
        client.fails(server.url("/image"), "no_answer", "https_proxy", env=proxy)
        client.downloads(server.url("/image"), env=proxy | {"no_proxy": "127.0.0.1"})


def test_a_proxy_that_refuses_is_not_asked_again(authority, client):
    with https_server.Server(authority, plain=True) as proxy:
        env = {"https_proxy": proxy.url("", scheme="http")}
        client.fails("https://127.0.0.1:9/image", "io", "the proxy answered 404", "(1 attempt)", env=env)


# This side

@pytest.mark.parametrize("moment", ["in a body", "before an answer", "in a pause", "before a greeting"])
def test_a_signal_ends_it_at_once_and_what_is_here_stays(server, client, moment):
    mute = socket.socket()
    mute.bind(("127.0.0.1", 0))
    mute.listen()
    url = server.url("/image")
    if moment == "in a body":
        server.serve("/image", BODY, stall_after=100_000)
    elif moment == "before an answer":
        server.serve("/image", answers=False)
    elif moment == "in a pause":
        server.serve("/image", BODY, truncate_after=100_000)
    else:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/image"
    # Each wait would take longer than the test has patience, but the pause, which is 60 s at most.
    with mute, client.start(url, stall=pace.FOR_EVER, deadline=pace.FOR_EVER, pause=60_000,
                            connect=pace.FOR_EVER) as process:
        expected = 100_000 if moment in ("in a body", "in a pause") else 0
        if moment == "before an answer":
            assert pace.until(lambda: server.requests)
        elif moment == "before a greeting":
            greeted, _ = mute.accept()
        else:
            assert pace.until(lambda: client.partial.exists() and client.partial.stat().st_size == expected)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        run = Run(process)
        assert run.seconds < 55
    assert (run.status, run.last["code"]) == (11, "interrupted")
    assert (client.partial.stat().st_size if client.partial.exists() else 0) == expected
    if expected:
        server.serve("/image", BODY)
        client.downloads(server.url("/image"))
        assert server.requests[-1].range == "bytes=100000-"


def test_what_check_throws_ends_it_soon(server, client, tmp_path):
    server.serve("/image", answers=False)
    wish = tmp_path / "wish"
    with client.start(server.url("/image"), stall=pace.FOR_EVER, give_up=wish) as process:
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.3)
        wish.touch()
        run = Run(process)
    assert (run.status, run.last["message"]) == (11, "asked to give up")


def test_two_processes_do_not_download_the_same(server, client):
    server.serve("/image", BODY, stall_after=100_000, stall_times=1)
    with client.start(server.url("/image"), stall=6) as first:
        while not client.note.exists():
            time.sleep(0.01)
        client.fails(server.url("/image"), "busy", "image.partial")
        assert Run(first).status == 0
    assert client.file.read_bytes() == BODY


def test_no_room_says_so_before_bytes_are_written(server, client):
    server.serve("/image", BODY)
    run = client.fails(server.url("/image"), "no_room", "too large for the test", room=1000)
    assert run.sizes == [len(BODY)]
    assert not list(client.folder.iterdir())


def test_a_full_disk_is_an_error_with_its_folder_and_is_not_tried_again(server, client, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small]).returncode != 0:
        pytest.skip("a small file system needs root")
    try:
        server.serve("/image", BODY)
        client.fails(server.url("/image"), "io", f"cannot write {small}/image.partial: No space left on device",
                     "free some space", folder=small)
        assert len(server.requests) == 1
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_large_file_arrives_whole(server, client):
    body = random.Random(9).randbytes(1 << 20) * 40
    server.serve("/image", body, truncate_after=25 << 20, truncate_times=1)
    client.run(server.url("/image"), stall=10)
    assert hashlib.sha256(client.file.read_bytes()).digest() == hashlib.sha256(body).digest()
