# SPDX-License-Identifier: MIT
"""configure: what is given changes, at once or at the next start, and nothing else; what no VM can be is refused."""

import json

import pytest
from host import Host


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    assert made.create("vm-1").returncode == 0
    return made


def config(host):
    run = host.run("guests", "vm-1", "--json", "--mock")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["guests"][0]["config"]


def configure(host, *words, **env):
    return host.run("configure", "vm-1", *words, "--mock", **env)


def said(run):
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_each_field_changes_by_itself(host):
    before = config(host)
    assert said(configure(host, "--description", "the shop's")) == "VM configured: vm-1\n"
    assert config(host) == before | {"description": "the shop's"}
    assert said(configure(host, "--tags", "Paid,db,paid")) == "VM configured: vm-1\n"
    assert config(host) == before | {"description": "the shop's", "tags": ["db", "paid"]}
    assert said(configure(host, "--disk", "5")) == "VM configured: vm-1\n"
    assert config(host)["disk_mib"] == 5120
    assert "from its next start on" in said(configure(host, "--cpu", "2", "--memory", "256"))
    assert (config(host)["cpus"], config(host)["memory_mib"]) == (2, 256)
    assert said(configure(host, "--description", "", "--tags", "")) == "VM configured: vm-1\n"
    assert config(host) == before | {"cpus": 2, "memory_mib": 256, "disk_mib": 5120}


def test_one_that_is_off_has_it_all_at_once_and_a_repeat_finds_nothing_to_do(host):
    assert host.run("kill", "vm-1", "--mock").returncode == 0
    words = ("--cpu", "2", "--disk", "6", "--tags", "a")
    assert said(configure(host, *words)) == "VM configured: vm-1\n"
    assert said(configure(host, *words)) == "vm-1 is so already\n"


REFUSED = {
    "a smaller disk": (("--disk", "3"), "a disk never becomes smaller"),
    "more processors than the host has": (("--cpu", "17"), "is more than this host's 16"),
    "more memory than the host has": (("--memory", "70000"), "is more than this host's"),
    "no tag": (("--tags", "a b"), '"a b" is no tag'),
    "a description that no definition holds": (("--description", "bell\a"), "no definition can hold"),
    "nothing": ((), "nothing is said of what is to change"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_changes(host, what):
    words, sentence = REFUSED[what]
    before = host.everything()
    run = configure(host, *words)
    assert run.returncode != 0 and run.stdout == "" and sentence in run.stderr, run.stderr
    assert host.everything() == before


def test_there_has_to_be_room_for_what_it_gets(host):
    host.behave(host_memory_mib=2000, pool_available=1 << 30)
    for words, sentence in ((("--memory", "1900"), "not enough memory for vm-1"), (("--disk", "64"), "not enough room in pool")):
        run = configure(host, *words)
        assert run.returncode != 0 and sentence in run.stderr, run.stderr
    assert said(configure(host, "--memory", "900", "--disk", "6"))


@pytest.mark.parametrize("name, sentence", [("vm-9", "there is no vm named vm-9"), ("../x", "invalid vm name")])
def test_who_is_not_there_is_not_configured(host, name, sentence):
    run = host.run("configure", name, "--cpu", "2", "--mock")
    assert run.returncode != 0 and sentence in run.stderr.lower(), run.stderr


def test_a_call_that_died_is_finished_by_whoever_comes_next(host):
    """Killed before it did anything, between its steps, and when all is done but the journal's end."""
    dead = 0
    for point in range(1, 60):
        memory = 128 + point
        died = configure(host, "--memory", str(memory), "--disk", str(4 + point), BLOCKHOST_FAULT=f"kill@{point}").returncode < 0
        entry = host.folder / "mock-world/journal/vm-1.journal"
        is_open = entry.exists() and '"configure"' in entry.read_text()
        assert host.run("recover", "--all", "--mock").returncode == 0
        now = config(host)["memory_mib"], config(host)["disk_mib"]
        if died and not is_open:
            continue
        assert now == (memory, (4 + point) * 1024), point
        dead += died
        if not died:
            break
    assert not died and dead >= 4
