# SPDX-License-Identifier: MIT
"""gc and the clock: one that is not to be trusted suspends and destroys nobody."""

import json
import os
import pathlib
import re
import time

import pytest
from simulated import GC, Mock, ago, gc, made


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def refused(world, sentence):
    for words in (GC, (*GC, "--json")):
        run = world.run(*words)
        assert run.returncode == 20, run.stdout + run.stderr
        assert "the clock is not to be trusted" in run.stderr and sentence in run.stderr
        assert "--force-clock" in run.stderr
    assert json.loads(run.stdout)["code"] == "clock"
    assert world.record()["status"] == "active" and world.domain() == "running"


def test_an_unsynchronised_clock_is_refused_and_can_be_forced(mock):
    mock.expire()
    (mock.folder / "mock-world/clock-unsynchronised").touch()
    refused(mock, "not synchronised")
    run = gc(mock, "--force-clock")
    assert "not synchronised" in run.stderr
    assert mock.record()["status"] == "suspended"


@pytest.mark.parametrize("field", ["created_at", "nft_minted_at", "destroyed_at"])
def test_a_clock_behind_what_the_registry_knows_is_refused(mock, field):
    mock.expire()
    mock.change("vm-1", **{field: ago(-1)})
    refused(mock, f"{field} of vm-1 is")


def test_a_clock_behind_or_far_beyond_the_last_run_is_refused(mock):
    gc(mock)
    memory = mock.folder / "mock-world/gc.json"
    assert json.loads(memory.read_text())["last_run"] > ago(0.1)
    mock.expire()
    memory.write_text(json.dumps({"last_run": ago(-0.01)}))
    refused(mock, "gc ran last at")
    memory.write_text(json.dumps({"last_run": ago(35.1)}))
    refused(mock, "more than 35 days")
    memory.write_text(json.dumps({"last_run": ago(34.9)}))
    gc(mock)
    assert mock.record()["status"] == "suspended"


def test_no_vm_is_made_by_a_clock_that_nobody_keeps_and_that_lies_behind_what_was_written(mock):
    """It would be suspended as soon as the clock is right."""
    mock.change("vm-1", created_at=ago(-1))
    (mock.folder / "mock-world/clock-unsynchronised").touch()
    before = mock.registry()
    run = mock.create("vm-2")
    assert run.returncode == 1 and "the clock is not to be trusted" in run.stderr and "--force-clock" in run.stderr
    assert json.loads(run.stdout)["status"] == "error" and "created_at of vm-1 is" in run.stderr
    assert mock.registry() == before and mock.domain("vm-2") is None and mock.files("journal") in ([], ["history"])
    dry = mock.run("create", "vm-2", "--owner-wallet", "0x" + "cd" * 20)
    assert dry.returncode == 1 and "the clock is not to be trusted" in dry.stderr
    run = mock.run("create", "vm-2", "--owner-wallet", "0x" + "cd" * 20, "--apply", "--memory", "128", "--disk", "4",
                   "--force-clock")
    assert run.returncode == 0 and "gc will not believe" in run.stderr, run.stderr


def test_a_clock_that_is_in_doubt_alone_turns_no_buyer_away(mock):
    (mock.folder / "mock-world/clock-unsynchronised").touch()
    run = mock.create("vm-2")
    assert run.returncode == 0 and "not synchronised" in run.stderr, run.stderr
    (mock.folder / "mock-world/clock-unsynchronised").unlink()
    mock.change("vm-1", created_at=ago(-1))  # the kernel vouches for the clock: what was written is wrong
    run = mock.create("vm-3")
    assert run.returncode == 0 and "created_at of vm-1 is" in run.stderr, run.stderr


def dead_start(mock, **more):
    """The entry of a start that died while libvirt was asked, as if written then."""
    operation = re.search('operation="([^"]+)"', mock.text("domains/vm-1.xml")).group(1)
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    header = {"operation": operation, "verb": "start", "name": "vm-1", "pid": 1, "since": ago(0), "boot": boot,
              "up": int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000), "parameters": {}} | more
    step = {"start": "start-domain", "at": header["since"], "up": header["up"]}
    if header["up"] is None:
        del header["up"], header["boot"], step["up"]
    mock.set_state("off")
    (mock.folder / "mock-world/journal").mkdir(exist_ok=True)
    (mock.folder / "mock-world/journal/vm-1.journal").write_text(
        f"give-up 0\n{json.dumps(header)}\n{json.dumps(step)}\n")


def seconds_of_recovery(mock):
    began = time.monotonic()
    run = mock.run("recover", "--all")
    assert run.returncode == 0 and mock.files("journal") in ([], ["history"]), run.stderr
    return time.monotonic() - began


@pytest.mark.parametrize("more", [{"since": ago(-3000), "up": None}, {"since": ago(-3000)}, {"since": ago(3000)},
                                  {"up": 1 << 60}])
def test_a_journal_from_a_wrong_clock_keeps_nobody_waiting(mock, more):
    """What a dead process asked for may still come, for two seconds here; no clock makes more of them."""
    dead_start(mock, **more)
    assert seconds_of_recovery(mock) < 30


def test_nothing_is_late_of_an_earlier_run_of_the_host(mock):
    def seconds(**more):
        dead_start(mock, **more)
        return seconds_of_recovery(mock)

    assert min(seconds(boot="00000000-0000-0000-0000-000000000000") for _ in range(3)) < seconds()


def test_a_registry_file_from_the_future_is_refused(mock):
    mock.expire()
    path = mock.folder / "mock-db.json"
    os.utime(path, (path.stat().st_mtime + 3600, path.stat().st_mtime + 3600))
    refused(mock, "the VM database was written at")
