# SPDX-License-Identifier: MIT
"""guest-exec and update-gecos on real libvirt, QEMU and qemu-ga, with the guest that boots in seconds."""

import json
import subprocess
import time

import pytest
from machine import BINARY, WALLET, Machine, wait_until

NAME = "exec-001"


@pytest.fixture(scope="module")
def host():
    made = Machine("quick")
    try:
        run = made.create(NAME)
        assert run.returncode == 0, run.stderr
        yield made
    finally:
        made.close()


def guest_exec(host, *words, name=NAME):
    return host.run("guest-exec", name, *words)


def in_bytes(host, *words):
    """What guest-exec answers, as bytes."""
    return subprocess.run([BINARY, "guest-exec", NAME, *words], env=host.env, capture_output=True,
                          stdin=subprocess.DEVNULL)


def failed(run, *words):
    assert (run.returncode, run.stdout) == (1, ""), (run.returncode, run.stdout, run.stderr)
    assert run.stderr.startswith("[vm-guest-exec] Guest agent failed: "), run.stderr
    assert run.stderr.count("\n") == 1
    for word in words:
        assert word in run.stderr, run.stderr


@pytest.mark.parametrize("command, code", [("true", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137),
                                           ("/nosuch", 127)])
def test_the_exit_status_is_the_guests(host, command, code):
    run = guest_exec(host, command)
    assert run.returncode == code, run.stderr
    assert run.stdout == "" and (run.stderr == "") == (code != 127)


def test_streams_come_back_apart_and_as_they_were(host):
    run = guest_exec(host, "--", "printf 'no newline'; echo err >&2; cat; echo \"$0\" '  two  '")
    assert (run.returncode, run.stdout, run.stderr) == (0, "no newline/bin/sh   two  \n", "err\n")


def test_every_byte_value_comes_back(host):
    run = in_bytes(host, "".join(["printf '"] + [f"\\{byte:03o}" for byte in range(256)] + ["'"]))
    assert (run.returncode, run.stdout, run.stderr) == (0, bytes(range(256)), b"")
    run = in_bytes(host, "".join(["printf '"] + [f"\\{byte:03o}" for byte in range(256)] + ["' >&2"]))
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", bytes(range(256)))


def test_every_byte_value_but_nul_goes_in(host):
    every = bytes(set(range(1, 256)) - {ord("'")})
    run = in_bytes(host, b"printf %s '" + every + b"'")
    assert (run.returncode, run.stdout) == (0, every), run.stderr
    utf8 = "äöü €𝄞".encode()
    run = in_bytes(host, b"printf %s '" + utf8 + b"'")
    assert (run.returncode, run.stdout) == (0, utf8), run.stderr


@pytest.mark.parametrize("length", [64 * 1024, 70_000, 1024 * 1024])
def test_a_long_command_runs_and_leaves_nothing_in_the_guest(host, length):
    tail = "| wc -c; exit 5"
    words, left = [], length - len("echo ") - len(tail) - 1
    while left > 0:
        words.append("x" * min(left, 100_000))
        left -= len(words[-1]) + 1
    run = guest_exec(host, "echo", *words, tail)
    assert (run.returncode, run.stdout.strip()) == (5, str(len(" ".join(words)) + 1)), run.stderr
    assert guest_exec(host, "ls -d /run/blockhost-exec.* /tmp/*").stdout == ""


def test_a_command_of_control_characters_gets_through_too(host):
    run = guest_exec(host, "printf %s '" + "\x01" * 60_000 + "' | wc -c")
    assert (run.returncode, run.stdout) == (0, "60000\n"), run.stderr


def test_output_beyond_the_bound_ends_with_a_reason_and_the_agent_lives_on(host):
    assert len(in_bytes(host, "head -c 3000000 /dev/zero").stdout) == 3_000_000
    failed(guest_exec(host, "head -c 3000001 /dev/zero"), "stdout is longer than 3000000 bytes")
    failed(guest_exec(host, "yes >&2"), "stderr is longer than 3000000 bytes")
    # little more than libvirt passes on: a reply that takes longer than the wait for one is lost
    both = guest_exec(host, "head -c 1600000 /dev/zero; head -c 1600000 /dev/zero >&2")
    failed(both, "larger than libvirt takes")
    assert guest_exec(host, "echo still here").stdout == "still here\n"


def test_eight_at_once_on_one_vm_all_get_their_own_answer(host):
    runs = [host.start("guest-exec", NAME, f"sleep 1; echo {number}; exit {number}") for number in range(8)]
    assert [(run.communicate(timeout=60)[0], run.returncode) for run in runs] == [(f"{n}\n", n) for n in range(8)]


def test_sigterm_ends_the_wait(host):
    run = host.start("guest-exec", NAME, "sleep 5")
    time.sleep(1)
    run.terminate()
    assert run.communicate(timeout=20)[0] == "" and run.returncode == 143
    # a long one's folder goes with it, although the command itself goes on
    run = host.start("guest-exec", NAME, "sleep 5 #" + "x" * 70_000)
    wait_until("the folder", 30, lambda: guest_exec(host, "ls -d /run/blockhost-exec.*").returncode == 0)
    time.sleep(1)
    run.terminate()
    assert run.communicate(timeout=20)[0] == "" and run.returncode == 143
    assert guest_exec(host, "ls -d /run/blockhost-exec.*").stdout == ""


def test_update_gecos_changes_the_guests_user_database(host):
    run = host.run("update-gecos", NAME, WALLET, "--nft-id", "ab12")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert guest_exec(host, "grep ^admin: /etc/passwd").stdout == f"admin:x:1000:1000:wallet={WALLET},nft=ab12:/home/admin:/bin/sh\n"


def test_absent_vms_are_said_to_be(host):
    failed(guest_exec(host, "true", name="exec-absent"), "there is no VM named exec-absent")
    run = host.run("update-gecos", "exec-absent", WALLET, "--nft-id", "1")
    assert run.returncode == 1 and "there is no VM named exec-absent" in run.stderr


def seconds(call):
    began = time.monotonic()
    run = call()
    return run, time.monotonic() - began


def libvirts_own_greeting(host):
    """How long libvirt greets a silent agent for somebody else, and what that one is told."""
    ask = json.dumps({"execute": "guest-ping"})
    run, took = seconds(lambda: subprocess.run(
        ["virsh", "-c", host.uri, "qemu-agent-command", NAME, ask], capture_output=True, text=True))
    assert run.returncode != 0
    return took


def test_a_wedged_agent_fails_soon_and_the_setting_for_that_does_not_stay(host):
    wedge = "(sleep 1; kill -STOP $(pidof qemu-ga)) >/dev/null 2>&1 </dev/null & echo $!"
    assert guest_exec(host, wedge).returncode == 0
    wait_until("the agent stands still", 60, lambda: guest_exec(host, "true").returncode != 0)
    for _ in range(3):
        run, took = seconds(lambda: guest_exec(host, "true"))
        failed(run, f"the guest agent of {NAME} does not answer")
        assert took < 4.5
    run, took = seconds(lambda: host.run("update-gecos", NAME, WALLET, "--nft-id", "1"))
    assert run.returncode == 1 and f"the guest agent of {NAME} does not answer" in run.stderr
    assert took < 4.5
    assert libvirts_own_greeting(host) > 4.5


def test_a_vm_that_goes_off_while_the_command_runs_ends_the_wait(host):
    assert host.run("kill", NAME).returncode == 0 and host.run("start", NAME).returncode == 0
    wait_until("the guest agent", 120, lambda: guest_exec(host, "true").returncode == 0)
    run = host.start("guest-exec", NAME, "sleep 60")
    time.sleep(1)
    assert host.run("kill", NAME).returncode == 0
    out, err = run.communicate(timeout=20)
    assert (run.returncode, out) == (1, "") and f"{NAME} is not running" in err, err


def test_a_vm_that_is_off_fails_at_once(host):
    failed(guest_exec(host, "true"), f"{NAME} is not running")
    run = host.run("update-gecos", NAME, WALLET, "--nft-id", "1")
    assert run.returncode == 1 and f"{NAME} is not running" in run.stderr
    assert host.run("start", NAME).returncode == 0
    failed(guest_exec(host, "true"), "is not connected")
