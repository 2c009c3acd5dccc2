# SPDX-License-Identifier: MIT
"""JSON that is posted: what the server sees, what comes back, what is said of failures."""

import json
import os
import pathlib
import subprocess

import https_server
import pytest

BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
FETCH = BUILD / "tests/unit/http/http-fetch"
QUESTION = json.dumps({"question": "ä" * 100})


def post(url, authority, body=QUESTION, **env):
    run = subprocess.run([FETCH, "--url", url, "--post", body, "--ca-file", authority.ca], capture_output=True, text=True,
                         env={"PATH": os.environ["PATH"]} | env)
    assert run.stderr == ""
    return json.loads(run.stdout.splitlines()[-1])


def test_the_server_gets_the_question_and_its_answer_comes_back(server, authority):
    server.serve("/rpc", b'{"answer": 42}')
    assert post(server.url("/rpc"), authority) == {"text": '{"answer": 42}'}
    [request] = server.requests
    assert (request.method, request.path, request.body.decode()) == ("POST", "/rpc", QUESTION)
    assert request.headers["content-type"] == "application/json" and "expect" not in request.headers


def test_a_long_question(server, authority):
    server.serve("/rpc", b"{}")
    long = json.dumps("x" * 100_000)
    assert post(server.url("/rpc"), authority, long) == {"text": "{}"}
    assert server.requests[0].body.decode() == long


def test_plain_http_is_spoken_too(authority):
    with https_server.Server(authority, plain=True) as server:
        server.serve("/rpc", b"{}", chunked=True)
        assert post(server.url("/rpc", scheme="http"), authority) == {"text": "{}"}


def test_a_question_is_asked_again_after_what_may_pass(server, authority):
    server.serve("/rpc", b"{}", status=503, times=2)
    assert post(server.url("/rpc"), authority)["text"] == "{}"
    assert [request.body.decode() for request in server.requests] == [QUESTION] * 3


@pytest.mark.parametrize("behaviour, code, sentence", [
    ({"status": 429}, "no_answer", "refused the request: it answered 429 (3 attempts)"),
    ({"status": 401}, "denied", "refused the request: it answered 401 (1 attempt)"),
    ({"status": 307, "location": "/elsewhere"}, "io", "redirects to https://127.0.0.1"),
    ({"body": b"x" * 1001}, "io", "is larger than 1000 bytes"),
    ({"truncate_after": 1}, "no_answer", "broke off"),
    ({"answers": False, "stall_seconds": 3}, "no_answer", "stalled"),
], ids=["429", "401", "redirect", "large", "truncated", "silent"])
def test_failures_name_the_server_and_not_the_path(server, authority, behaviour, code, sentence):
    server.serve("/secret", **({"body": b"{}"} | behaviour))
    failed = post(server.url("/secret?key=secret"), authority)
    assert failed["code"] == code and sentence in failed["message"]
    assert "secret" not in failed["message"] + failed["hint"]


@pytest.mark.parametrize("length", [13, None, 99], ids=["sized", "until-the-end", "torn"])
def test_what_comes_with_a_status_is_handed_on(server, authority, length):
    server.serve("/rpc", b'{"error": {}}', status=400, headers={"Content-Length": length})
    failed = post(server.url("/rpc"), authority)
    assert failed["code"] == "io" and failed["body"] == '{"error": {}}' and "error" not in failed["message"]


def test_what_comes_with_a_status_has_a_bound(server, authority):
    server.serve("/rpc", b"x" * 100_000, status=500)
    assert len(post(server.url("/rpc"), authority)["body"]) == 64 << 10


def test_this_host_is_asked_past_every_proxy(authority):
    with https_server.Server(authority, plain=True) as server:
        server.serve("/rpc", b"{}")
        url = server.url("/rpc", scheme="http")
        for name in ("http_proxy", "all_proxy"):
            assert post(url, authority, **{name: "http://127.0.0.1:1"}) == {"text": "{}"}
    assert post("http://127.evil.invalid/", authority, http_proxy="http://127.0.0.1:1")["code"] == "no_answer"


@pytest.mark.parametrize("url", ["ftp://h/secret", "https://user:secret@h/", "secret"])
def test_urls_that_are_not_asked(authority, url):
    assert post(url, authority)["code"] == "invalid"
