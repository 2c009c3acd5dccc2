# SPDX-License-Identifier: MIT
"""The systemd units: systemd accepts them, they order behind the clock, run programs and verbs of ours, and are tight."""

import configparser
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
BACKUPS = ["blockhost-backup.service", "blockhost-backup-maintain.service", "blockhost-drill.service"]
SERVICES = [*BACKUPS, "blockhost-agent.service", "blockhost-boot.service", "blockhost-gc.service", "blockhost-guard.service", "blockhost-heal.service",
            "blockhost-recover.service", "blockhost-throttle.service"]
TIMERS = ["blockhost-backup.timer", "blockhost-backup-maintain.timer", "blockhost-drill.timer", "blockhost-gc.timer", "blockhost-guard.timer",
          "blockhost-heal.timer", "blockhost-recover.timer",
          "blockhost-throttle.timer"]


def read(path):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(path)
    return parser


def unit(name):
    return read(BUILD / "data/systemd" / name) if name.endswith(".service") else read(TREE / "data/systemd" / name)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Every unit in one folder, the programs they run in another."""
    folder = tmp_path_factory.mktemp("units")
    for name in SERVICES:
        text = (BUILD / "data/systemd" / name).read_text()
        (folder / name).write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", text, flags=re.M))
    for name in TIMERS:
        shutil.copy(TREE / "data/systemd" / name, folder)
    return folder


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is missing (package systemd)")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True)


@pytest.mark.parametrize("name", SERVICES + TIMERS)
def test_systemd_accepts_the_unit(installed, name):
    run = analyze("verify", "--man=no", "--recursive-errors=no", installed / name)
    ours = [line for line in run.stderr.splitlines() if "blockhost" in line]
    assert (run.returncode, ours) == (0, []), run.stderr


@pytest.mark.parametrize("name,tenths", [("blockhost-agent.service", 27), ("blockhost-gc.service", 25), ("blockhost-throttle.service", 25),
                                         ("blockhost-boot.service", 40), ("blockhost-guard.service", 40), ("blockhost-heal.service", 40),
                                         ("blockhost-backup-maintain.service", 45), ("blockhost-drill.service", 45), ("blockhost-backup.service", 60)])
def test_the_service_is_sandboxed(installed, name, tenths):
    run = analyze("security", "--offline=true", f"--threshold={tenths}", installed / name)
    assert run.returncode == 0, run.stdout.splitlines()[-3:]


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_waits_for_the_clock_and_writes_only_where_it_may(name):
    found = unit(name)
    assert "time-sync.target" in found["Unit"]["Wants"].split()
    assert {"time-sync.target", "libvirtd.service"} <= set(found["Unit"]["After"].split())
    service = found["Service"]
    assert service["Type"] == ("notify" if name == "blockhost-agent.service" else "oneshot")
    if name in BACKUPS:  # a repository lies where the admin wants it
        assert service["ProtectSystem"] == "full" and "ReadWritePaths" not in service
        return
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"].split() == ["/var/lib/blockhost", "-/run/blockhost"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_can_reach_the_journal(name):
    """Its socket is AF_UNIX below /run; talk goes there when standard error is the journal, which is systemd's default."""
    service = unit(name)["Service"]
    assert "AF_UNIX" in service["RestrictAddressFamilies"].split()
    assert not {"StandardError", "StandardOutput", "LogNamespace", "InaccessiblePaths", "RootDirectory"} & set(service)
    assert service.get("LogLevelMax", "notice") == "notice"  # stages are notices


def test_the_agent_is_watched_and_reads_its_configuration_anew_when_it_is_told_to():
    service = unit("blockhost-agent.service")["Service"]
    assert 60 <= int(service["WatchdogSec"]) <= 600 and service["Restart"] == "on-failure"
    assert service["ExecReload"].split() == ["/bin/kill", "-HUP", "$MAINPID"] and service["NotifyAccess"] == "main"
    assert int(service["TimeoutStopSec"]) > 30  # what runs may end for so long
    assert unit("blockhost-agent.service")["Unit"]["ConditionPathExists"] == "/etc/blockhost/agent.json"
    assert unit("blockhost-agent.service")["Unit"]["StartLimitIntervalSec"] == "0"


def test_only_the_agent_backups_boot_guard_and_heal_run_as_root():
    users = {name: unit(name)["Service"].get("User", "root") for name in SERVICES}
    assert users == dict.fromkeys(BACKUPS, "root") | {"blockhost-agent.service": "root", "blockhost-boot.service": "root", "blockhost-gc.service": "blockhost",
                     "blockhost-guard.service": "root", "blockhost-heal.service": "root",
                     "blockhost-recover.service": "blockhost", "blockhost-throttle.service": "blockhost"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_runs_a_verb_or_a_link_of_ours(name):
    dump = json.loads(subprocess.run([BUILD / "blockhost-libvirt", "__dump"], check=True, capture_output=True).stdout)
    verbs = {row["verb"] for row in dump["verbs"]}
    links = {row["contract_name"] for row in dump["verbs"]}
    program, word = unit(name)["Service"]["ExecStart"].split()[:2]
    called = pathlib.Path(program).name
    assert called in links or (called == "blockhost-libvirt" and word in verbs)
    assert pathlib.Path(program).is_absolute()


def test_the_timers_are_what_the_installer_and_the_limits_need():
    assert dict(unit("blockhost-gc.timer")["Timer"]) == {"OnCalendar": "*-*-* 02:00:00", "RandomizedDelaySec": "1800",
                                                         "Persistent": "true"}
    for name in ("blockhost-backup.timer", "blockhost-backup-maintain.timer"):  # what was missed is made up for
        assert unit(name)["Timer"]["Persistent"] == "true" and unit(name)["Timer"]["OnCalendar"].startswith("*-*-* 0")
    assert dict(unit("blockhost-drill.timer")["Timer"]) == {"OnCalendar": "Sun *-*-* 06:30:00", "RandomizedDelaySec": "1800",
                                                            "Persistent": "true"}
    for name in BACKUPS:
        assert unit(name)["Unit"]["ConditionPathExists"] == "/etc/blockhost/backup.json"
    assert unit("blockhost-throttle.timer")["Timer"]["OnCalendar"] == "*-*-* *:*:00"
    assert unit("blockhost-throttle.service")["Unit"]["ConditionPathExistsGlob"] == "/var/lib/blockhost/journal/*.limits"
    assert unit("blockhost-recover.service")["Unit"]["ConditionPathExistsGlob"] == "/var/lib/blockhost/journal/*.journal"
    assert unit("blockhost-heal.timer")["Timer"]["OnCalendar"] == "*-*-* *:*:30"
    for name in (*TIMERS, "blockhost-agent.service", "blockhost-boot.service"):
        wanted = "multi-user.target" if name.endswith("service") else "timers.target"
        assert unit(name)["Install"]["WantedBy"] == wanted
