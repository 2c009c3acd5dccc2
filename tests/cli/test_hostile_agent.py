# SPDX-License-Identifier: MIT
"""A guest agent whose errors are meant for the operator's terminal, in the simulated world: they are quoted everywhere."""

import subprocess

import pytest
from host import BINARY, WALLET, Host

SAID = rb"\x1b[2J\xc2\x9b31m\xe2\x80\xae\x0d\x0a[vm-create] ERROR: forged\x07"
OBEYED = [b"\x1b", b"\xc2\x9b", b"\xe2\x80\xae", b"\r", b"\x07"]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Host(tmp_path_factory.mktemp("host"))
    run = made.create()
    assert run.returncode == 0, run.stderr
    return made


def run_of(host, *words):
    """What a verb writes, as bytes, none of which a terminal obeys; and no line of the guest's making."""
    run = subprocess.run([BINARY, *words], env=host.env, cwd=host.folder, capture_output=True, stdin=subprocess.DEVNULL)
    for written in (run.stdout, run.stderr):
        assert not any(code in written for code in OBEYED), written
        assert b"[vm-create] ERROR: forged" not in written.splitlines()
        written.decode()
    return run


@pytest.mark.parametrize("at", ["guest-ping", "guest-exec", "guest-exec-status"])
def test_guest_exec_quotes_an_agents_error(host, at):
    host.behave(agent="escapes", agent_at=at)
    run = run_of(host, "guest-exec", "--mock", "vm-1", "true")
    assert (run.returncode, run.stdout) == (1, b"")
    assert SAID in run.stderr and run.stderr.count(b"\n") == 1


def test_update_gecos_quotes_an_agents_error(host):
    host.behave(agent="escapes", agent_at="guest-exec")
    run = run_of(host, "update-gecos", "vm-1", WALLET, "--nft-id", "1", "--mock")
    assert run.returncode == 1 and SAID in run.stderr


@pytest.mark.parametrize("words", [("vm-1",), ("--all",), ("--all", "--format", "prometheus")])
@pytest.mark.parametrize("how", ["escapes", "garbage", "half", "deep", "wrong", "huge"])
def test_metrics_shows_none_of_what_an_agent_makes_up(host, words, how):
    host.behave(agent=how)
    run = run_of(host, "metrics", *words, "--mock")
    assert run.returncode == 0 and b"forged" not in run.stdout


def test_a_create_whose_agent_answers_with_escapes_fails_in_lines_of_our_own(host):
    host.behave(agent="escapes")
    run = run_of(host, "create", "vm-2", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock", "--apply",
                 "--ready-timeout", "2")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(b"[vm-create] ERROR: vm-2: ")
