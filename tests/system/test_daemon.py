# SPDX-License-Identifier: MIT
"""Bad days of libvirtd: stopped, dead, back again. It is a libvirtd of our own, in namespaces of its own."""

import concurrent.futures
import contextlib
import json
import signal
import time

import pytest
from daemon import Daemon
from machine import Machine, wait_until


@pytest.fixture(scope="module")
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture(scope="module")
def machine(daemon):
    made = Machine("quick", prefix=daemon.prefix)
    run = made.create("bad-days")
    assert run.returncode == 0, run.stderr
    yield made
    daemon.send(signal.SIGCONT)
    made.close()


def state_of(machine):
    files = {}
    for folder in ("vms", "cloud-init", "console", "journal"):
        for path in sorted((machine.state / folder).rglob("*")):
            files[str(path)] = path.stat().st_size if folder != "vms" else "disk"
    return files, (machine.state / "vms.json").read_bytes()


def each_verb_refuses(machine, seconds, words):
    """All at once but those that would wait for each other on the one VM."""
    before = state_of(machine)

    def refused(*command):
        began = time.monotonic()
        run = machine.run(*command)
        assert time.monotonic() - began < seconds, command
        assert words in run.stderr, (command, run.stderr)
        return run

    def changing():
        return [refused(verb, "bad-days").returncode for verb in ("start", "stop", "kill", "destroy")]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        created = pool.submit(refused, *machine.create_words("another"))
        status = pool.submit(refused, "status", "bad-days")
        listed = pool.submit(refused, "list", "--json")
        in_guest = [pool.submit(refused, "guest-exec", "bad-days", "true"),
                    pool.submit(refused, "update-gecos", "bad-days", "0x" + "ab" * 20, "--nft-id", "1")]
        assert changing() == [1, 1, 1, 1]
    assert [each.result().returncode for each in in_guest] == [1, 1]
    assert created.result().returncode == 1
    assert (status.result().returncode, status.result().stdout) == (0, "unknown\n")
    assert json.loads(listed.result().stdout)[0]["status"] == "active"
    assert state_of(machine) == before


EBTABLES = """#!/bin/bash
left=$(cat {left})
if [[ " $* " == *" -A libvirt-J-"* ]] && [ "$left" -gt 0 ]; then
    echo $((left - 1)) >{left}
    echo "ebtables v1.8.9 (nf_tables):  RULE_DELETE failed (No such file or directory): rule in chain libvirt-J-vnet0" >&2
    exit 4
fi
exec -a "${{0##*/}}" {real} "$@"
"""


@contextlib.contextmanager
def colliding_ebtables(daemon, machine, times):
    """What ebtables over nftables does while another program changes the host's rules, so many times. Yields how many are left."""
    left, wrapper, real = (machine.root / name for name in ("left", "ebtables", "real-ebtables"))
    left.write_text(str(times))
    daemon.run("cp", "-L", "/usr/sbin/ebtables", real)
    wrapper.write_text(EBTABLES.format(left=left, real=real))
    wrapper.chmod(0o755)
    daemon.run("mount", "--bind", wrapper, "/usr/sbin/ebtables")
    try:
        yield lambda: int(left.read_text())
    finally:
        daemon.run("umount", "/usr/sbin/ebtables")


def test_a_stopped_daemon_is_given_up_by_every_verb_within_ten_seconds(daemon, machine):
    daemon.send(signal.SIGSTOP)
    try:
        each_verb_refuses(machine, 12, "does not answer")
    finally:
        daemon.send(signal.SIGCONT)
    assert machine.run("status", "bad-days").stdout == "active\n"


def test_a_dead_daemon_is_said_at_once_and_nothing_is_concluded(daemon, machine):
    daemon.send(signal.SIGKILL)
    wait_until("the daemon's end", 5, daemon.gone)
    try:
        each_verb_refuses(machine, 4, "cannot be reached")
    finally:
        daemon.restart()
    wait_until("the restarted daemon", 20, lambda: machine.run("status", "bad-days").stdout == "active\n")


def test_a_start_outlives_another_programs_changes_of_the_hosts_rules(daemon, machine):
    machine.run("kill", "bad-days")
    with colliding_ebtables(daemon, machine, 3) as left:
        run = machine.run("start", "bad-days")
        assert (run.returncode, left()) == (0, 0), run.stderr
    assert machine.run("status", "bad-days").stdout == "active\n"


def test_rules_that_cannot_be_made_refuse_a_start_in_libvirts_words(daemon, machine):
    machine.run("kill", "bad-days")
    with colliding_ebtables(daemon, machine, 1000):
        run = machine.run("start", "bad-days")
        assert run.returncode == 1 and "Failed to apply firewall rules" in run.stderr, run.stderr
        assert machine.run("status", "bad-days").stdout == "suspended\n"
    assert machine.run("start", "bad-days").returncode == 0


def test_a_create_whose_daemon_dies_is_undone_later(daemon, machine):
    run = machine.start(*machine.create_words("orphan-to-be"))
    wait_until("the domain", 30, lambda: "orphan-to-be" in machine.domains())
    daemon.send(signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "could not be undone completely" in err and "recover orphan-to-be" in err
    daemon.restart()
    wait_until("the restarted daemon", 20, lambda: machine.run("status", "bad-days").stdout == "active\n")
    recovered = machine.run("recover", "--all")
    assert recovered.returncode == 0, recovered.stderr
    assert machine.leftovers(survivors=["bad-days"]) == {}
    assert machine.run("destroy", "bad-days").returncode == 0
    assert machine.leftovers() == {}
