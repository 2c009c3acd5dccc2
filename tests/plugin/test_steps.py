# SPDX-License-Identifier: MIT
"""The installer's last steps: what they call, what they say, and that they may run again."""

import json
import os
import signal
import time

import installer
import pytest

CHOSEN = {"storage_pool": "blockhost", "storage_path": "/var/lib/blockhost/vms", "ip_network": "192.168.122.0/24",
          "ip_start": "2", "ip_end": 254, "gateway": "192.168.122.1", "gc_grace_days": 7, "warnings": []}
ALL = ("storage", "network", "db_config", "template")


def steps(wizard):
    return {name: function for name, _label, function, *_ in wizard.get_finalization_steps()}


def test_the_steps_are_those_of_the_manifest(wizard, loaded):
    assert loaded[0]["setup"]["finalization_steps"] == [*ALL] == [*steps(wizard)]
    listed = wizard.get_finalization_steps()
    assert all(len(step) == 4 and step[1] and callable(step[2]) for step in listed)
    assert listed[-1][3] == "(this may take several minutes)"


def test_each_step_is_one_call_of_the_program(wizard, program):
    config, failed = installer.finish(wizard, {"provisioner": dict(CHOSEN), "_engine": {}})
    assert failed is None
    assert program.calls() == [
        ["setup", "storage", "--pool=blockhost", "--path=/var/lib/blockhost/vms", "--json"],
        ["setup", "network", "--json"],
        ["setup", "db-config", "--ip-network=192.168.122.0/24", "--ip-start=2", "--ip-end=254",
         "--gateway=192.168.122.1", "--pool=blockhost", "--path=/var/lib/blockhost/vms", "--gc-grace-days=7",
         "--bridge=br0", "--json"],
        ["setup", "template", "--json"]]
    assert config["provisioner"]["bridge"] == "br0"
    assert config["_step_result_network"] == {"step": "network", "changed": False, "bridge": "br0",
                                              "address": "192.168.1.5/24"}
    assert all(config[f"_step_result_{name}"] for name in ALL)


def test_a_step_that_failed_says_why_and_the_next_run_goes_on_from_the_copy(wizard, program):
    config, _ = installer.finish(wizard, {"provisioner": dict(CHOSEN)})
    program.refuses(name="db-config", message="the pool has 1 address", hint="take more")
    config, failed = installer.finish(wizard, config)
    assert failed == ("db_config", "The pool has 1 address; take more")
    assert "_step_result_db_config" not in config
    program.answers("db-config", {"step": "db-config", "changed": True})
    config, failed = installer.finish(wizard, config, done=("storage", "network"))
    assert failed is None and "--bridge=br0" in program.calls()[-2]


def test_all_that_is_wrong_with_fields_is_said(wizard, program):
    program.refuses(("ip_start", "--ip-start takes an address", "such as 7"), ("gateway", "y is no address"),
                    name="db-config", message="both", hint="such as 7")
    assert steps(wizard)["db_config"]({"provisioner": dict(CHOSEN)}) == (
        False, "“First address” takes an address; such as 7. y is no address")


@pytest.mark.parametrize("config", [{}, {"provisioner": None}, {"provisioner": []}, {"provisioner": {}},
                                    {"provisioner": {"ip_start": "", "storage_pool": None}}])
def test_what_was_not_chosen_is_left_to_the_program(wizard, program, config):
    config, failed = installer.finish(wizard, config)
    assert failed is None and config["provisioner"]["bridge"] == "br0"
    assert program.calls() == [["setup", "storage", "--json"], ["setup", "network", "--json"],
                               ["setup", "db-config", "--bridge=br0", "--json"], ["setup", "template", "--json"]]


@pytest.mark.parametrize("garbage", [["2"], {"a": 1}, "a\0b", "x" * 300, True],
                         ids=["a list", "a dict", "nul", "long", "yes"])
def test_a_choice_that_is_no_text_is_refused_and_not_passed_over(wizard, program, garbage):
    for step, name, label in (("db_config", "ip_start", "First address"), ("storage", "storage_pool", "Storage pool")):
        good, error = steps(wizard)[step]({"provisioner": CHOSEN | {name: garbage}})
        assert (good, error) == (False, f"The setting “{label}” cannot be used; open the wizard's page again.")
    assert program.calls() == []


@pytest.mark.parametrize("name", ALL)
def test_a_missing_program_is_an_error_in_words(wizard, helpers, monkeypatch, tmp_path, name):
    monkeypatch.setattr(helpers, "PROGRAM", str(tmp_path / "none"))
    assert steps(wizard)[name]({"provisioner": dict(CHOSEN)}) == (False, f"The program {tmp_path}/none is not installed.")


def test_a_step_that_is_late_is_ended_with_all_that_it_started(wizard, program, helpers, monkeypatch):
    program.answers("template", {}, script=f"sleep 3600 &\necho $! >{program.folder}/child\necho downloading >&2\nwait\n")
    for seconds in (0.3, 3, 30):  # until it has said its word, which takes a moment on a host that is busy
        monkeypatch.setattr(helpers, "TEMPLATE_SECONDS", seconds)
        good, error = steps(wizard)["template"]({})
        assert not good and error.startswith(f"blockhost-libvirt setup was not done within {seconds} seconds")
        if error.endswith(": downloading"):
            break
    assert error.endswith(": downloading")
    deadline = time.monotonic() + 60
    child = (program.folder / "child").read_text().strip()
    # Whoever reaps orphans may take a moment.
    while os.path.exists(f"/proc/{child}") and " Z " not in open(f"/proc/{child}/stat").read():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_does_not_end_kindly_is_killed(wizard, program, helpers, monkeypatch):
    monkeypatch.setattr(helpers, "STEP_SECONDS", 0.3)
    monkeypatch.setattr(helpers, "_MERCY_SECONDS", 0.3)
    program.answers("network", {}, script=f"trap '' TERM\necho $$ >{program.folder}/child\nwhile :; do sleep 1; done\n")
    assert steps(wizard)["network"]({})[0] is False
    child = program.folder / "child"  # none, where the time was up before it had begun
    assert not child.exists() or not os.path.exists("/proc/" + child.read_text().strip())


def test_what_a_childs_child_holds_open_is_not_waited_for(wizard, program):
    program.answers("network", {"bridge": "br7"}, script=f"sleep 3600 &\necho $! >{program.folder}/child\n")
    config = {}
    try:
        assert steps(wizard)["network"](config) == (True, None)  # not within the step's time otherwise
        assert config["provisioner"]["bridge"] == "br7"
    finally:
        os.kill(int((program.folder / "child").read_text()), signal.SIGKILL)


def test_of_endless_talk_the_end_is_kept(wizard, program, helpers):
    program.answers("template", b"", status=1, script="head -c 3000000 /dev/zero | tr '\\0' x >&2\necho >&2\n",
                    talk="and that was why\n")
    assert steps(wizard)["template"]({})[1] == (
        "blockhost-libvirt setup ended with status 1 and no answer: and that was why")
    assert len(helpers.run(["setup", "template"], 20).talk) == 65536


def test_an_endless_answer_is_none(wizard, program):
    program.answers("template", b"", script="head -c 3000000 /dev/zero | tr '\\0' ' '\n")
    assert steps(wizard)["template"]({})[0] is False


def test_the_program_gets_a_clean_environment(wizard, program, monkeypatch):
    for name, value in (("LC_ALL", "de_DE.UTF-8"), ("LD_PRELOAD", ""), ("SECRET", "x"), ("BLOCKHOST_ROOT", "/srv/other"),
                        ("BLOCKHOST_LIBVIRT_URI", "test:///default"), ("PYTHONPATH", "/x")):
        monkeypatch.setenv(name, value)
    steps(wizard)["network"]({})
    environment = program.environment()
    assert {name: environment.get(name) for name in ("LC_ALL", "BLOCKHOST_ROOT", "BLOCKHOST_LIBVIRT_URI")} == {
        "LC_ALL": "C.UTF-8", "BLOCKHOST_ROOT": "/srv/other", "BLOCKHOST_LIBVIRT_URI": "test:///default"}
    assert set(environment) <= {"LC_ALL", "HOME", "PATH", "PWD", "_", "BLOCKHOST_ROOT", "BLOCKHOST_LIBVIRT_URI"}


def test_the_program_reads_nothing_of_the_installers(wizard, program):
    program.answers("network", {"bridge": "br0"}, script=f"readlink /proc/$$/fd/0 >{program.folder}/reads\n")
    reads, writes = os.pipe()
    before = os.dup(0)
    os.dup2(reads, 0)
    try:
        steps(wizard)["network"]({})
    finally:
        os.dup2(before, 0)
        for each in (reads, writes, before):
            os.close(each)
    assert (program.folder / "reads").read_text() == "/dev/null\n"


def test_the_program_is_the_installed_one(loaded):
    assert loaded[1].helpers.PROGRAM == "/usr/bin/blockhost-libvirt"


def test_deadlines_are_the_installers(helpers):
    assert (helpers.STEP_SECONDS, helpers.TEMPLATE_SECONDS) == (120, 1800)


def test_results_can_be_kept_as_json(wizard, program):
    program.answers("network", b'{"bridge": "\\ud800", "x": "\\ud800"}')
    config = {}
    assert steps(wizard)["network"](config)[0] is True
    json.dumps(config).encode("utf-8")
