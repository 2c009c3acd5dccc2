"""What the root agent's plugin and the program behind it answer to requests, good and bad, in the simulated world."""

import importlib.util
import json
import os
import pathlib
import subprocess
import time

import pytest
from host import BINARY, Host

PLUGIN = pathlib.Path(__file__).resolve().parents[2] / "data/root-agent-actions/virsh.py"
SIX = ["virsh-start", "virsh-destroy", "virsh-shutdown", "virsh-define", "virsh-undefine", "virsh-guest-exec"]


@pytest.fixture
def actions(tmp_path, monkeypatch):
    """The plugin's ACTIONS, whose program works in the simulated world of a host with one VM."""
    host = Host(tmp_path)
    made = host.create()
    assert made.returncode == 0, made.stderr
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ncd {host.folder} && exec {BINARY} "$@" --mock\n')
    program.chmod(0o755)
    monkeypatch.setenv("BLOCKHOST_ROOT", host.env["BLOCKHOST_ROOT"])
    spec = importlib.util.spec_from_file_location("virsh", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PROGRAM = str(program)
    module.host = host
    return module


def test_the_plugin_offers_the_six_actions_and_ours(actions):
    assert sorted(actions.ACTIONS) == sorted([*SIX, "vm-step"])


def test_a_vm_is_stopped_started_and_asked(actions):
    do = actions.ACTIONS
    assert do["virsh-destroy"]({"domain": "vm-1"}) == {"ok": True, "output": "Domain 'vm-1' destroyed"}
    assert do["virsh-destroy"]({"domain": "vm-1"})["ok"]
    assert do["virsh-start"]({"domain": "vm-1"})["ok"]
    assert actions.host.run("status", "vm-1", "--mock").stdout == "active\n"
    end = time.monotonic() + 20
    command = {"domain": "vm-1", "command": "echo out; echo err >&2; exit 7"}
    while not (reply := do["virsh-guest-exec"](command))["ok"] and time.monotonic() < end:
        assert "not connected" in reply["error"]  # it boots
    assert reply == {"ok": True, "exitcode": 7, "stdout": "out\n", "stderr": "err\n"}


@pytest.mark.parametrize("name", ["", "-x", "a/b", "../x", "web\n", "x" * 65, "x;id", "ä", "web 1"])
def test_a_name_that_is_none_is_refused_in_the_words_that_callers_know(actions, name):
    for action in set(SIX) - {"virsh-define"}:
        reply = actions.ACTIONS[action]({"domain": name, "command": "true", "remove_storage": True})
        assert reply["ok"] is False and reply["error"].startswith("Invalid domain name: '"), (action, reply)
    assert actions.ACTIONS["vm-step"]({"name": name, "operation": "", "step": "unpause", "with": {}})["ok"] is False


@pytest.mark.parametrize("params", [{}, {"domain": None}, {"domain": 7}, {"domain": ["vm-1"]}, [], "text", None])
def test_parameters_of_another_form_are_refused(actions, params):
    for action in [*SIX, "vm-step"]:
        reply = actions.ACTIONS[action](params)
        assert reply["ok"] is False and reply["code"] in ("invalid", "config"), (action, reply)


def test_what_is_not_there_is_said_or_fine(actions):
    do = actions.ACTIONS
    assert do["virsh-start"]({"domain": "nobody"})["code"] == "not_found"
    assert do["virsh-shutdown"]({"domain": "nobody"})["code"] == "not_found"
    assert do["virsh-destroy"]({"domain": "nobody"})["ok"]
    assert do["virsh-undefine"]({"domain": "nobody", "remove_storage": False})["ok"]
    assert do["vm-step"]({"name": "vm-1", "operation": "", "step": "format-disk", "with": {}})["code"] == "invalid"


def test_one_that_runs_is_not_undefined_and_its_disk_goes_only_when_asked(actions):
    do = actions.ACTIONS
    assert do["virsh-undefine"]({"domain": "vm-1", "remove_storage": True})["code"] == "wrong_state"
    do["virsh-destroy"]({"domain": "vm-1"})
    disks = sorted((actions.host.folder / "mock-world").rglob("vm-1.*.qcow2"))
    assert disks
    assert do["virsh-undefine"]({"domain": "vm-1", "remove_storage": True})["ok"]
    assert sorted((actions.host.folder / "mock-world").rglob("vm-1.*.qcow2")) == []


def test_a_disk_is_made_only_for_a_create_that_is_under_way(actions):
    base = next((actions.host.folder / "mock-world/templates").glob("*.qcow2")).resolve()
    reply = actions.ACTIONS["vm-step"]({"name": "vm-1", "operation": "0" * 16, "step": "create-volume",
                                        "with": {"capacity_bytes": 1 << 30, "backing": str(base)}})
    assert (reply["ok"], reply["code"]) == (False, "invalid") and "no create of vm-1" in reply["error"]


def test_a_disk_that_a_domain_stands_on_stays(actions):
    disk = next((actions.host.folder / "mock-world").rglob("vm-1.*.qcow2"))
    step = {"name": "vm-1", "operation": "", "step": "delete-volume"}
    reply = actions.ACTIONS["vm-step"]({**step, "with": {"file": disk.name}})
    assert reply["ok"] is False and "stands on the disk" in reply["error"] and disk.exists()
    for other in ("vm-2.qcow2", "../vm-1.qcow2", "/etc/passwd", disk.name.replace("vm-1", "vm-2")):
        assert actions.ACTIONS["vm-step"]({**step, "with": {"file": other}})["code"] == "invalid"


def test_what_a_guest_writes_arrives_whatever_bytes_it_has(actions):
    reply = actions.ACTIONS["virsh-guest-exec"]({"domain": "vm-1", "command": "printf 'a\\377b'"})
    assert reply["stdout"] == "a\ufffdb"
    assert actions.ACTIONS["virsh-guest-exec"]({"domain": "vm-1", "command": "x" * 4001})["code"] == "invalid"
    assert actions.ACTIONS["virsh-guest-exec"]({"domain": "vm-1", "command": ""})["code"] == "invalid"


def test_a_program_that_is_missing_hangs_or_says_nonsense_is_a_refusal(actions, tmp_path):
    for script, words in (("echo no >&2; exit 3", "no"), ("echo [1]", "status 0"), ("exit 1", "status 1")):
        (tmp_path / "other").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "other").chmod(0o755)
        actions.PROGRAM = str(tmp_path / "other")
        reply = actions.ACTIONS["virsh-start"]({"domain": "vm-1"})
        assert reply["ok"] is False and words in reply["error"]
    actions.PROGRAM = str(tmp_path / "none")
    assert "cannot be run" in actions.ACTIONS["virsh-start"]({"domain": "vm-1"})["error"]


def test_only_root_carries_out_actions(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    run = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c",
                          f"exec {BINARY} __root-action virsh-start"], input="{}", capture_output=True, text=True)
    if run.returncode == 126:
        pytest.skip("another user cannot reach the build folder")
    assert json.loads(run.stdout)["code"] == "denied"
