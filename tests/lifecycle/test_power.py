# SPDX-License-Identifier: MIT
"""The power verbs on the simulated world: each ends with what is, and says why it is so."""

import json
import time

import pytest
from simulated import Mock, ago, gc, made, replace_fields


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


def edit(mock, name="vm-1", **fields):
    """What a guest, an admin with virsh or a fault made of the domain."""
    replace_fields(mock.folder / f"mock-world/domains/{name}.json", **fields)


def persistent(mock, name="vm-1"):
    path = mock.folder / f"mock-world/domains/{name}.json"
    return path.exists() and json.loads(path.read_text())["persistent"]


def going_down(mock, seconds):
    """Somebody pressed its power button; its guest takes so long to obey."""
    edit(mock, ends=int((time.monotonic() + seconds) * 1000))


def full(mock):
    mock.behave(disk="full")
    edit(mock, state="paused", reason="I/O error")


def test_a_start_waits_for_a_guest_that_goes_down_and_starts_it_again(mock):
    going_down(mock, 0.5)
    run = mock.run("start", "vm-1")
    assert (run.returncode, run.stdout) == (0, "VM started: vm-1\n"), run.stderr
    time.sleep(0.7)
    assert mock.run("status", "vm-1").stdout == "active\n"


def test_a_start_of_a_vm_whose_agent_never_answered_says_so(mock):
    mock.behave(agent="absent")
    run = mock.run("start", "vm-1")
    assert run.returncode == 0 and "its guest agent does not answer" in run.stderr, run.stderr


def test_a_start_waits_for_a_domain_that_libvirt_shuts_down_or_is_at_work_on(mock):
    for state, reason in (("stopping", ""), ("paused", "saving")):
        edit(mock, state=state, reason=reason)
        waiting = mock.start("start", "vm-1")
        time.sleep(0.5)
        assert waiting.poll() is None, waiting.communicate()
        edit(mock, state="off", reason="saved")
        assert waiting.wait() == 0, waiting.stderr.read()
        assert mock.domain() == "running"


def test_a_vm_that_stopped_for_lack_of_space_is_not_said_to_be_started(mock):
    full(mock)
    run = mock.run("start", "vm-1")
    assert run.returncode == 1 and run.stdout == ""
    assert "vm-1 is paused: I/O error (no space left for vda)" in run.stderr and "make room in" in run.stderr
    mock.behave(disk="ok")
    assert mock.run("start", "vm-1").returncode == 0
    assert mock.domain() == "running"


def test_a_vm_that_fails_as_soon_as_it_is_started_is_not_said_to_be_started(mock):
    assert mock.run("kill", "vm-1").returncode == 0
    mock.behave(disk="full")
    run = mock.run("start", "vm-1")
    assert run.returncode == 1 and "I/O error (no space left for vda)" in run.stderr, run.stderr


@pytest.mark.parametrize("reason", ["user", "suspended to memory", ""])
def test_a_stop_lets_a_paused_guest_run_on_so_that_it_hears_of_it(mock, reason):
    edit(mock, state="paused", reason=reason)
    run = mock.run("stop", "vm-1")
    assert (run.returncode, run.stdout) == (0, "Shutdown signal sent: vm-1\n"), run.stderr
    assert mock.domain() == "off"


def test_a_stop_of_a_vm_that_an_error_holds_says_why_and_what_to_do(mock):
    full(mock)
    run = mock.run("stop", "vm-1")
    assert run.returncode == 1 and run.stdout == ""
    assert "vm-1 is paused: I/O error (no space left for vda); its guest cannot shut down" in run.stderr
    assert "libvirt cannot" not in run.stderr and "blockhost-libvirt kill vm-1" in run.stderr
    assert mock.domain() == "paused" and mock.files("kept-off") == []
    assert mock.run("kill", "vm-1").returncode == 0
    assert mock.domain() == "off"


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_crashed_and_is_kept_holds_its_memory_until_it_is_forced_off(mock, verb):
    edit(mock, state="crashed", reason="panicked")
    run = mock.run(verb, "vm-1")
    assert run.returncode == 0, run.stderr
    assert mock.domain() == "off"
    edit(mock, state="crashed", reason="panicked")
    assert mock.run("start", "vm-1").returncode == 0
    assert mock.domain() == "running"


def test_a_suspension_ends_a_crashed_domain_too(mock):
    mock.expire()
    edit(mock, state="crashed", reason="panicked")
    gc(mock)
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"


def test_the_reason_is_told_by_status_list_and_metrics(mock):
    full(mock)
    words = "I/O error (no space left for vda)"
    assert mock.run("status", "vm-1").stdout == "suspended\n"
    told = json.loads(mock.run("status", "vm-1", "--json").stdout)
    assert told == {"name": "vm-1", "status": "suspended", "state": "paused", "reason": words, "defined": True, "error": ""}
    metrics = json.loads(mock.run("metrics", "vm-1").stdout)
    assert (metrics["state"], metrics["state_reason"]) == ("paused", words)
    assert f'blockhost_vm_state_reason{{name="vm-1",reason="{words}"}} 1' in \
        mock.run("metrics", "--all", "--format", "prometheus").stdout
    run = mock.run("list")
    assert run.stdout.splitlines()[0] == "NAME\tSTATUS\tIP\tCREATED" and f"vm-1 is paused: {words}" in run.stderr
    assert list(json.loads(mock.run("list", "--json").stdout)[0]) == ["name", "status", "ip", "created"]
    header, line = mock.run("list", "--long").stdout.splitlines()
    assert header == "NAME\tSTATUS\tIP\tCREATED\tSTATE\tREASON" and line.endswith(f"\tpaused\t{words}")
    assert json.loads(mock.run("list", "--long", "--json").stdout)[0]["reason"] == words


def test_status_in_json_always_answers(mock):
    def told(*words):
        run = mock.run("status", *words, "--json")
        assert run.returncode == 0
        return json.loads(run.stdout)

    assert told("vm-1") == {"name": "vm-1", "status": "active", "state": "running", "reason": "booted", "defined": True,
                            "error": ""}
    assert (told("nobody")["status"], told("nobody")["state"]) == ("destroyed", "absent")
    assert told("no name")["status"] == "unknown" and "no name" in told("no name")["error"]
    assert told()["status"] == "unknown"
    mock.behave(down=True)
    assert told("vm-1")["status"] == "unknown" and "libvirt" in told("vm-1")["error"]


# A running domain that somebody undefined


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_was_undefined_while_it_runs_is_defined_again_before_it_is_ended(mock, verb):
    edit(mock, persistent=False)
    run = mock.run(verb, "vm-1")
    assert run.returncode == 0 and "ran without a definition" in run.stderr, run.stderr
    assert mock.domain() == "off" and persistent(mock)
    assert mock.run("start", "vm-1").returncode == 0
    assert mock.domain() == "running"


def test_a_start_of_an_undefined_running_vm_gives_it_its_definition_back(mock):
    edit(mock, persistent=False)
    assert mock.run("start", "vm-1").returncode == 0
    assert persistent(mock) and mock.domain() == "running"


def test_gc_defines_again_what_it_suspends(mock):
    mock.expire()
    edit(mock, persistent=False)
    gc(mock)
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"
    run = mock.run("resume", "vm-1")
    assert run.returncode == 0, run.stderr
    assert mock.domain() == "running"


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_cannot_be_defined_again_is_not_ended(mock, verb):
    edit(mock, persistent=False)
    mock.behave(redefine="refused")
    run = mock.run(verb, "vm-1")
    assert run.returncode == 1 and "would be lost" in run.stderr and "destroy vm-1" in run.stderr
    assert mock.domain() == "running" and mock.files("kept-off") == []
    assert mock.run("destroy", "vm-1").returncode == 0
    mock.check([])


def test_a_vm_without_a_definition_is_told_of(mock):
    edit(mock, persistent=False)
    assert json.loads(mock.run("status", "vm-1", "--json").stdout)["defined"] is False
    assert "vm-1 runs without a definition" in mock.run("list").stderr
    assert mock.run("list", "--long").stdout.splitlines()[1].endswith("(no definition)")
    found = {each["finding"]: each for each in json.loads(mock.run("detect", "--json").stdout)["findings"]}
    assert found["definitions"]["ok"] is False and "vm-1" in found["definitions"]["found"]
    assert mock.run("start", "vm-1").returncode == 0
    found = {each["finding"]: each for each in json.loads(mock.run("detect", "--json").stdout)["findings"]}
    assert found["definitions"]["ok"] is True


def test_a_destroy_of_an_undefined_running_vm_leaves_nothing(mock):
    edit(mock, persistent=False)
    assert mock.run("destroy", "vm-1").returncode == 0
    mock.check([])


def test_an_expired_vm_that_goes_down_by_itself_is_suspended_all_the_same(mock):
    mock.change("vm-1", expires_at=ago(1))
    going_down(mock, 1)
    gc(mock)
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"
