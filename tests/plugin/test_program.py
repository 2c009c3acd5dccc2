# SPDX-License-Identifier: MIT
"""The page and the last steps with the program itself, in its simulated world."""

import json
import subprocess

import installer
import pytest
from test_page import OF_CI, PAGE, Shown, settings, went_on


@pytest.fixture()
def host(tmp_path, binary, helpers, monkeypatch):
    """A host in a folder, which the program acts on as it would on this one."""
    folder = tmp_path / "host"
    (folder / "root/etc/blockhost/network-modes.enabled").mkdir(parents=True)
    (folder / "root/etc/blockhost/network-modes.enabled/none.json").write_text("{}")
    program = tmp_path / "blockhost-libvirt"
    program.write_text(f"#!/bin/sh\ncd '{folder}' && exec '{binary}' \"$@\" --mock\n")
    program.chmod(0o755)
    monkeypatch.setattr(helpers, "PROGRAM", str(program))
    monkeypatch.setenv("BLOCKHOST_ROOT", str(folder / "root"))
    return folder


def test_what_is_proposed_is_taken(client, host):
    shown = Shown(client.get(PAGE))
    assert "could not be" not in shown.text
    assert shown.fields["ip_network"] == "192.168.1.0/24"
    assert went_on(client.post(PAGE, data=shown.filled_in()))
    assert "192.168.1.200 – 192.168.1.250 (51 machines)" in Shown(client.get("/wizard/summary")).text


def test_each_wrong_field_is_told_of_and_the_post_of_ci_is_taken(client, host):
    wrong = {"storage_pool": "a/b", "storage_path": "vms", "ip_start": "192.168.9.1", "ip_end": "last", "gateway": "none",
             "gc_grace_days": "-1"}
    shown = Shown(client.post(PAGE, data=OF_CI | wrong))
    assert {name: [kind for kind, _ in shown.beside(name)] for name in wrong} == {name: ["error"] for name in wrong}
    assert "--" not in shown.text and settings(client) is None
    assert "error" in dict(Shown(client.post(PAGE, data=OF_CI | {"ip_network": "everywhere"})).beside("ip_network"))
    assert went_on(client.post(PAGE, data=OF_CI | {"storage_path": str(host / "mock-world/vms")}))


def test_a_pool_that_holds_the_gateway_is_confirmed(client, host):
    shown = Shown(client.get(PAGE))
    shown = Shown(client.post(PAGE, data=shown.filled_in(ip_start="1")))
    said = [text for name in ("ip_start", "gateway") for kind, text in shown.beside(name) if kind == "warning"]
    assert any("contains the gateway" in text for text in said) and shown.button == "Continue anyway"
    assert went_on(client.post(PAGE, data=shown.filled_in()))


def test_the_last_steps_make_a_host_that_creates_a_machine(client, wizard, helpers, host):
    shown = Shown(client.get(PAGE))
    client.post(PAGE, data=shown.filled_in(gc_grace_days="9"))
    config, failed = installer.finish(wizard, {"provisioner": settings(client)})
    assert failed is None, failed
    assert config["_step_result_network"]["bridge"] == config["provisioner"]["bridge"] == "br0"
    again, failed = installer.finish(wizard, config)
    assert failed is None
    assert [again[f"_step_result_{name}"]["changed"] for name in ("storage", "network", "db_config")] == [False] * 3
    db = again["_step_result_db_config"]["db"]
    assert (db["gc_grace_days"], db["ip_pool"]["start"]) == (9, 200)


def test_a_step_that_the_program_refuses_says_what_it_says(wizard, host):
    steps = {name: function for name, _, function, *_ in wizard.get_finalization_steps()}
    good, error = steps["db_config"]({"provisioner": {"ip_network": "192.168.1.0/24", "ip_start": "192.168.9.9"}})
    assert good is False and "192.168.9.9" in error and "--" not in error


@pytest.mark.usefixtures("host")
def test_every_finding_of_detect_is_known(helpers, binary):
    detected = json.loads(subprocess.run([binary, "detect", "--json"], capture_output=True, text=True).stdout)
    assert {each["finding"] for each in detected["findings"]} == set(helpers.KNOWN)
    answer = helpers.Answer(good=True, understood=True, document=detected)
    assert all(look.sentence and look.mark in ("good", "note", "doubt", "bad") for look in helpers.looks(answer))


def test_the_words_that_are_looked_for_are_the_programs(helpers, tree):
    """How fast machines are is told from the words of `detect`."""
    assert f'"{helpers.FULL_SPEED}"' in (tree / "src/setup/detect.cpp").read_text()
    assert any(f'"{helpers.NO_CONFIGURATION} ' in path.read_text() for path in (tree / "src/config").glob("*.cpp"))
