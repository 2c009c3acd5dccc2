# SPDX-License-Identifier: MIT
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


# What a blockhost user who means ill could prepare.


def world(actions, *parts):
    return actions.host.folder.joinpath("mock-world", *parts)


def half_made(actions, name="vm-9"):
    """A create that waits for its guest; its process, the definition as it was rendered, and its operation."""
    actions.host.behave(boot_ms=60000)
    words = [BINARY, "create", name, "--owner-wallet", "0x" + "ef" * 20, "--memory", "128", "--disk", "4", "--mock", "--apply"]
    process = subprocess.Popen(words, env=actions.host.env, cwd=actions.host.folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not world(actions, "domains", f"{name}.xml").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return process, world(actions, "domains", f"{name}.xml").read_text()


def test_a_definition_replaces_no_domain_that_is_not_the_creates_own(actions):
    process, xml = half_made(actions)
    try:
        definition = world(actions, "cloud-init/vm-9/domain.xml")
        definition.write_text(xml)
        define = {"xml_path": str(definition)}
        assert actions.ACTIONS["virsh-define"](define)["ok"], "the create's own, once more"
        domain = world(actions, "domains/vm-9.xml")
        domain.write_text(xml.replace(world(actions, "instance-id").read_text().strip(), "f" * 32))
        foreign = domain.read_text()
        reply = actions.ACTIONS["virsh-define"](define)
        assert (reply["ok"], reply["code"]) == (False, "foreign") and domain.read_text() == foreign
        domain.write_text(xml)
        for change in (("<memory unit=\"MiB\">128<", "<memory unit=\"MiB\">64000000<"), ("vm-9.log", "vm-1.log"),
                       ("mock-world/vms/vm-9.", "mock-world/vms/vm-1."), ("<source bridge=\"br0\"", "<source bridge=\"lo\""),
                       ("isolated=\"yes\"", "isolated=\"no\"")):
            assert change[0] in xml
            definition.write_text(xml.replace(*change))
            assert actions.ACTIONS["virsh-define"](define)["code"] == "denied", change
        assert domain.read_text() == xml
    finally:
        process.kill()
        process.wait()
    definition.write_text(xml)
    assert actions.ACTIONS["virsh-define"](define)["code"] == "denied", "nobody holds the create any more"


def test_folders_that_are_anothers_links_are_not_walked_through(actions):
    if os.geteuid() != 0:
        pytest.skip("making another user's link needs root")
    actions.ACTIONS["virsh-destroy"]({"domain": "vm-1"})
    disk = next(world(actions, "vms").glob("vm-1.*.qcow2"))
    delete = {"name": "vm-1", "operation": "", "step": "delete-volume", "with": {"file": disk.name}}
    for folder in ("vms", "templates", "console", "cloud-init"):
        real = world(actions, folder)
        away = actions.host.folder / f"away-{folder}"
        real.rename(away)
        real.symlink_to(away)
        os.chown(real, 65534, 65534, follow_symlinks=False)
        reply = actions.ACTIONS["virsh-start"]({"domain": "vm-1"})
        assert (reply["ok"], reply["code"]) == (False, "denied") and "is a link" in reply["error"], (folder, reply)
        if folder == "vms":
            assert "is a link" in actions.ACTIONS["vm-step"](delete)["error"]
        os.chown(real, 0, 0, follow_symlinks=False)  # an administrator's
        assert actions.ACTIONS["virsh-start"]({"domain": "vm-1"})["ok"], folder
        actions.ACTIONS["virsh-destroy"]({"domain": "vm-1"})
        real.unlink()
        away.rename(real)


def test_another_instances_id_makes_its_domains_no_more_ours(actions):
    domain = world(actions, "domains/vm-1.xml")
    identity = world(actions, "instance-id")
    domain.write_text(domain.read_text().replace(identity.read_text().strip(), "f" * 32)
                      .replace(f'state="{world(actions)}"', 'state="/srv/other/var/lib/blockhost"'))
    identity.write_text("f" * 32 + "\n")
    for action in ("virsh-destroy", "virsh-shutdown", "virsh-undefine", "virsh-start"):
        assert actions.ACTIONS[action]({"domain": "vm-1"})["code"] == "foreign", action


def test_a_disk_without_an_operations_id_goes_only_in_a_destroy_that_noted_it(actions):
    world(actions, "vms/admin.qcow2").write_bytes(b"somebody's")
    for name in ("admin", "vm-1"):
        reply = actions.ACTIONS["vm-step"]({"name": name, "operation": "", "step": "delete-volume",
                                            "with": {"file": f"{name}.qcow2"}})
        assert reply["code"] == "invalid"
    assert world(actions, "vms/admin.qcow2").exists()


def test_a_console_log_that_was_deleted_keeps_no_vm_off(actions):
    actions.ACTIONS["virsh-destroy"]({"domain": "vm-1"})
    world(actions, "console/vm-1.log").unlink()
    assert actions.ACTIONS["virsh-start"]({"domain": "vm-1"})["ok"]


def test_what_is_taken_up_after_its_caller_gave_up_is_not_carried_out(actions):
    reply = actions.ACTIONS["virsh-destroy"]({"domain": "vm-1", "not_after": 1})
    assert (reply["ok"], reply["code"]) == (False, "no_answer")
    assert actions.host.run("status", "vm-1", "--mock").stdout == "active\n"
    assert actions.ACTIONS["virsh-destroy"]({"domain": "vm-1", "not_after": int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
                                             + 60000})["ok"]


def test_an_address_outside_of_the_pool_is_not_set_whoever_names_it(actions):
    record = json.loads((actions.host.folder / "mock-db.json").read_text())["vms"]["vm-1"]
    (actions.host.etc / "db.yaml").write_text((actions.host.etc / "db.yaml").read_text()
                                              .replace("10.9.9.0/24, start: 10, end: 12, gateway: 10.9.9.1",
                                                       "10.8.8.0/24, start: 10, end: 12, gateway: 10.8.8.1"))
    place = {"name": "vm-1", "operation": "", "step": "place",
             "with": {"bridge": "br0", "mac": "52:54:00:00:00:01", "ip": record["ip_address"], "ipv6": ""}}
    assert record["ip_address"] in world(actions, "domains/vm-1.xml").read_text()
    assert "is not an address for VMs" in actions.ACTIONS["vm-step"](place)["problems"][0]
