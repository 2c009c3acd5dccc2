# SPDX-License-Identifier: MIT
"""guest-exec in the simulated world: what reaches the guest, what comes back, and agents on their bad days."""

import re
import subprocess

import pytest
from host import BAD_NAMES, BINARY, BUILD, Host, refused

NAME = "vm-1"


@pytest.fixture()
def host(tmp_path):
    made = Host(tmp_path)
    run = made.create(NAME)
    assert run.returncode == 0, run.stderr
    return made


def guest_exec(host, *words, name=NAME, **env):
    return host.run("guest-exec", "--mock", name, *words, **env)


def in_bytes(host, command):
    """What guest-exec writes to stdout, as bytes."""
    return subprocess.run([BINARY, "guest-exec", "--mock", NAME, command], env=host.env, cwd=host.folder,
                          capture_output=True, stdin=subprocess.DEVNULL).stdout


def failed(run, *words):
    """A failure on the host's side: one line, exit 1, nothing on stdout."""
    assert (run.returncode, run.stdout) == (1, ""), (run.returncode, run.stdout, run.stderr)
    assert re.fullmatch(r"\[vm-guest-exec\] Guest agent failed: [^\n]+\n", run.stderr), run.stderr
    for word in words:
        assert word in run.stderr, run.stderr


@pytest.mark.parametrize("command, code", [("true", 0), ("false", 1), ("exit 7", 7), ("exit 255", 255),
                                           ("kill -TERM $$", 143), ("kill -9 $$", 137), ("nosuch", 127)])
def test_the_exit_status_is_the_guests(host, command, code):
    run = guest_exec(host, command)
    assert run.returncode == code, run.stderr
    assert run.stdout == "" and "vm-guest-exec" not in run.stderr


def test_output_comes_back_on_the_stream_it_was_written_to_and_nothing_is_added(host):
    run = guest_exec(host, "echo out; echo err >&2; printf 'no newline'")
    assert (run.returncode, run.stdout, run.stderr) == (0, "out\nno newline", "err\n")


def test_every_byte_value_comes_back(host):
    escapes = "".join(f"\\{byte:03o}" for byte in range(256))
    assert in_bytes(host, f"printf '{escapes}'") == bytes(range(256))


@pytest.mark.parametrize("words, said", [
    (("echo", "a", "b"), "a b\n"), (("echo a", "b; echo", "c"), "a b\nc\n"), (("echo '  a'", ""), "  a\n"),
    (("--", "echo", "x"), "x\n"), (("--", "echo", "--", "x"), "-- x\n"), (("echo", "--mock", "-h"), "--mock -h\n"),
    (("echo", "--", "--help"), "-- --help\n"),
])
def test_words_are_joined_by_single_blanks_and_one_leading_dashes_are_dropped(host, words, said):
    run = guest_exec(host, *words)
    assert (run.returncode, run.stdout) == (0, said), run.stderr


def test_our_options_count_before_the_name_only(host):
    assert "Usage" in host.run("guest-exec", "--help").stdout
    run = guest_exec(host, "--help")
    assert run.returncode == 127 and "--help: not found" in run.stderr


@pytest.mark.parametrize("words", [(), ("--",)])
def test_a_missing_command_is_malformed_usage(host, words):
    run = guest_exec(host, *words)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("Usage: ") and "missing" in run.stderr


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(host, name):
    refused(host, host.run("guest-exec", "--mock", "--", name, "true"), "Invalid VM name")


def test_the_four_troubles_have_four_messages(host):
    failed(guest_exec(host, "true", name="absent"), "there is no VM named absent")
    host.behave(agent="absent")
    failed(guest_exec(host, "true"), "is not connected")
    host.behave(agent="silent")
    failed(guest_exec(host, "true"), "does not answer")
    host.behave()
    state = host.folder / f"mock-world/domains/{NAME}.json"
    state.write_text(state.read_text().replace('"state":"running"', '"state":"paused"'))
    failed(guest_exec(host, "true"), f"{NAME} is paused; let it go on with start {NAME}")
    assert host.run("kill", NAME, "--mock").returncode == 0
    failed(guest_exec(host, "true"), f"{NAME} is not running")


def test_a_libvirt_that_is_down_is_said_to_be(host):
    host.behave(down=True)
    failed(guest_exec(host, "true"), "cannot be reached")


@pytest.mark.parametrize("how, words", [("garbage", "not JSON"), ("half", "ends in the middle"), ("deep", "too deep"),
                                        ("wrong", "makes no sense"), ("huge", "larger than")])
@pytest.mark.parametrize("at", ["guest-exec", "guest-exec-status"])
def test_an_agent_that_answers_nonsense_is_refused_with_the_reason(host, how, words, at):
    host.behave(agent=how, agent_at=at)
    run, seconds = host.timed("guest-exec", "--mock", NAME, "echo x")
    failed(run, f"reply to {at} ", words)
    assert seconds < 10


def test_an_agent_that_answers_a_ping_with_nonsense_is_given_up(host):
    host.behave(agent="garbage")
    failed(guest_exec(host, "true"), "reply to guest-ping", "not JSON")


def test_an_agent_that_is_slower_than_the_greeting_is_given_up(host):
    host.behave(agent="slow", agent_ms=60000)
    run, seconds = host.timed("guest-exec", "--mock", NAME, "true")
    failed(run, "does not answer")
    assert seconds < 20


def test_an_agent_that_is_slow_is_waited_for(host):
    host.behave(agent="slow", agent_ms=300)
    assert guest_exec(host, "echo x").stdout == "x\n"


def test_an_agent_that_stops_answering_while_the_command_runs_is_told_apart(host):
    host.behave(agent="silent", agent_at="guest-exec-status")
    failed(guest_exec(host, "sleep 1"), "stopped answering while the command ran")


def test_a_command_that_sleeps_is_waited_for(host):
    assert guest_exec(host, "sleep 1; echo late").stdout == "late\n"


@pytest.mark.parametrize("length", [65536, 65537, 70000, 1024 * 1024])
def test_a_long_command_runs_all_the_same(host, length):
    # a single word of a command line is bounded by the kernel
    words, left = [], length - len("echo")
    while left:
        take = min(left, 100_001)
        words.append("x" * (take - 1))
        left -= take
    run = guest_exec(host, "echo", *words)
    assert run.returncode == 0, run.stderr
    assert run.stdout == " ".join(words) + "\n"


def test_a_command_beyond_one_mebibyte_is_refused(host):
    failed(guest_exec(host, *["x" * 100_000] * 11), "longer than 1 MiB")


def test_a_command_that_is_not_utf8_arrives_as_it_is(host):
    assert in_bytes(host, b"echo \xff\xfe") == b"\xff\xfe\n"


def test_output_beyond_the_bound_ends_with_a_reason(host):
    run = guest_exec(host, "head -c 3000000 /dev/zero")
    assert (run.returncode, len(run.stdout)) == (0, 3_000_000)
    failed(guest_exec(host, "head -c 3000001 /dev/zero"), "longer than 3000000 bytes")
    failed(guest_exec(host, "head -c 20000000 /dev/zero"), "longer than 3000000 bytes")


def test_it_neither_waits_for_the_vms_lock_nor_needs_configuration(host):
    (host.etc / "db.yaml").unlink()
    (host.folder / "mock-db.json").unlink()
    assert guest_exec(host, "echo x").stdout == "x\n"


def test_the_contract_name_does_the_same(host):
    run = host.run("--mock", NAME, "exit 9", program=BUILD / "symlinks/blockhost-vm-guest-exec")
    assert run.returncode == 9
