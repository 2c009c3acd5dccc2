# SPDX-License-Identifier: MIT
"""Which backups of a real VM stay, the care for their repository, and how it all stands."""

import datetime
import json
import os
import re
import shutil

import pytest
from machine import sh, wait_until

NAME = f"keep-{os.getpid()}"  # libvirt may have another machine's VMs
OTHER = "99999999-2222-4333-8444-555555555555"  # the uuid of a VM that is no more


@pytest.fixture(scope="module")
def vm(whole_module):
    """One VM that is off, its repository, and one whole backup of it, restored into a folder."""
    machine = whole_module
    assert machine.create(NAME).returncode == 0
    assert machine.run("stop", NAME).returncode == 0
    wait_until("the VM is off", 60, lambda: machine.states()[NAME] == "off")
    machine.set_up_backups()
    sh("qemu-io", "-f", "qcow2", "-c", f"write -P 5 {100 << 20} 1M", next((machine.state / "vms").glob(NAME + ".*")))
    machine.first = json.loads(machine.run("backup", NAME, "--json").stdout)
    machine.copy = machine.root / "copy"
    machine.copy.mkdir()
    os.chown(machine.copy, 65534, 65534)
    machine.restic("restore", machine.first["id"], "--target", machine.copy)
    yield machine
    assert machine.run("destroy", NAME).returncode == 0


def days_ago(count):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=count)).replace(microsecond=0)


def plant(machine, at, uuid=None, whole=True, instance=None):
    """A copy of the first backup, as if it was taken then; its id."""
    plant.count = getattr(plant, "count", 0) + 1
    operation = f"{machine.instance()[:8]}{plant.count:08x}"
    path = machine.copy / "manifest.json"
    manifest = json.loads(path.read_text()) | {"operation": operation}
    if uuid:
        manifest["uuid"] = uuid
    path.write_text(json.dumps(manifest))
    chunk = next(each for each in sorted((machine.copy / "vda").rglob("*")) if each.is_file())
    if not whole:
        chunk.rename(machine.copy.parent / "chunk")
    tags = [f"--tag={key}={value}" for key, value in (("vm", NAME), ("uuid", manifest["uuid"]), ("op", operation))]
    out = machine.restic("--json", "backup", "--time", at.astimezone().strftime("%Y-%m-%d %H:%M:%S"), "--host",
                 instance or machine.instance(), *tags, ".", cwd=machine.copy)
    if not whole:
        (machine.copy.parent / "chunk").rename(chunk)
    path.write_text(json.dumps(manifest | {"uuid": manifest["uuid"] if not uuid else json.loads(
        machine.restic("dump", machine.first["id"], "/manifest.json"))["uuid"]}))
    short = json.loads(out.splitlines()[-1])["snapshot_id"]
    return next(each["id"] for each in json.loads(machine.restic("--json", "snapshots")) if each["id"].startswith(short))


def fates(machine, *words):
    run = machine.run("backup", "forget", "--json", "--force-clock", *words)
    assert run.returncode == 0, run.stderr
    return {each["id"]: f"{each['fate']}: {each['why']}" for each in json.loads(run.stdout)}


def listed(machine):
    return {each["id"] for each in json.loads(machine.restic("--json", "snapshots"))}


def settings(machine, **more):
    path = machine.etc / "backup.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key in ("version", "repository", "repository_id", "user")}
    path.write_text(json.dumps(kept | more))


def test_what_no_policy_wants_goes_and_the_rest_can_still_be_restored(vm):
    settings(vm, keep={"last": 1, "daily": 3})
    older = {count: plant(vm, days_ago(count)) for count in (1, 2, 3, 4)}
    broken = plant(vm, days_ago(2) + datetime.timedelta(minutes=1), whole=False)
    theirs = plant(vm, days_ago(9), instance="f" * 32)
    before = listed(vm)
    said = fates(vm, "--dry-run")
    assert said.keys() == before == listed(vm)
    assert said[vm.first["id"]].startswith("stays: last, daily ")
    assert [said[older[count]].split(":")[0] for count in (1, 2, 3, 4)] == ["stays", "stays", "goes", "goes"]
    assert said[broken] == "goes: incomplete" and said[theirs] == "stays: another host's"
    text = vm.run("backup", "forget", "--dry-run").stdout
    assert "goes: no policy wants it" in text and "3 would go, 4 stay; nothing was changed" in text
    assert fates(vm) == said and listed(vm) == before - {older[3], older[4], broken}
    assert vm.run("backup", "prune").returncode == 0
    assert vm.run("backup", "check", "--read-data-subset", "100").returncode == 0
    back = vm.run("backup", "extract", older[2][:8], "--to", vm.root / "back")
    assert back.returncode == 0, back.stderr
    shutil.rmtree(vm.root / "back")
    vm.forget_backup(theirs)


def test_a_vm_that_is_no_more_keeps_its_last_backups_for_as_long_as_was_said(vm):
    settings(vm, keep={"last": 1}, keep_destroyed_days=0)
    gone = plant(vm, days_ago(5), uuid=OTHER)
    assert fates(vm, "--dry-run")[gone] == "stays: last"
    assert fates(vm)[gone] == "stays: last"  # it is noticed now
    assert fates(vm)[gone].startswith("goes: the VM is gone since ")
    assert gone not in listed(vm) and vm.first["id"] in listed(vm)


def test_whoever_may_not_remove_is_told_who_can(vm):
    settings(vm, append_only=True)
    for what in ("forget", "prune"):
        run = vm.run("backup", what)
        assert run.returncode == 18 and "append-only" in run.stderr and "its keeper" in run.stderr
    assert vm.run("backup", "forget", "--dry-run").returncode == 0
    kept = vm.run("backup", "maintain").stdout  # whether the repository is whole is looked at all the same
    assert "forget" not in kept and "prune" not in kept and "of its data was read" in kept
    settings(vm)


def test_a_clock_that_is_behind_forgets_nothing(vm):
    plant(vm, days_ago(30))
    before = listed(vm)
    os.utime(vm.state / "instance-id", (4_000_000_000, 4_000_000_000))
    try:
        run = vm.run("backup", "forget")
        assert run.returncode == 20 and "the clock is not to be trusted" in run.stderr and listed(vm) == before
        assert vm.run("backup", "forget", "--dry-run").returncode == 0
    finally:
        os.utime(vm.state / "instance-id")


def test_status_tells_how_it_stands_and_due_ones_alone_are_taken(vm):
    settings(vm)
    made = json.loads(vm.run("backup", NAME, "--json").stdout)
    status = json.loads(vm.run("backup", "status", "--json").stdout)
    one, = status["vms"]
    assert (one["name"], one["policy"], one["last_backup"]) == (NAME, "daily", made["id"])
    assert one["age_seconds"] >= 0 and one["duration_seconds"] >= 0 and one["stored_bytes"] == made["stored_bytes"]
    assert one["last_error"] == "" and one["due"] is False and one["overdue"] is False
    assert one["drill"] is None and re.search(rf"never +{NAME}$", vm.run("backup", "status").stdout, re.M)
    drills = vm.state / "backup/drills"
    drills.mkdir(mode=0o700)
    (drills / f"{NAME}.json").write_text(json.dumps({"format": 1, "snapshot": made["id"], "taken_at": "2026-11-01T00:00:00+00:00",
                                                     "at": "2026-11-02T00:00:00+00:00", "passed": False, "reason": "it did not come up",
                                                     "restore_s": 1, "boot_s": 2, "check_s": 3}))
    one, = json.loads(vm.run("backup", "status", "--json").stdout)["vms"]
    assert one["drill"] == {"at": "2026-11-02T00:00:00+00:00", "backup": made["id"], "passed": False, "reason": "it did not come up"}
    assert re.search(rf"FAILED +{NAME}$", vm.run("backup", "status").stdout, re.M)
    (drills / f"{NAME}.json").write_text("{")
    torn = vm.run("backup", "status", "--json")
    assert json.loads(torn.stdout)["vms"][0]["drill"] is None and "the last drill of" in torn.stderr
    (drills / f"{NAME}.json").unlink()
    assert status["repository"]["check"]["last_error"] == ""
    assert vm.run("backup", "--all", "--due").stdout == "There is no VM to back up\n"
    assert vm.run("backup", "--all", "--policy", "weekly").stdout == "There is no VM to back up\n"
    assert vm.run("backup", "--all", "--policy", "hourly").returncode == 5
    vm.forget_backup(made["id"])  # somebody took it away: it is taken anew
    again, = vm.run("backup", "--all", "--due", "--json").stdout.splitlines()
    assert json.loads(again)["name"] == NAME
    assert "ok" in vm.run("backup", "status").stdout


def test_a_failed_attempt_and_a_failed_check_are_shown_until_they_went_well(vm):
    assert vm.run("start", NAME).returncode == 0
    (vm.root / "repository/index").rename(vm.root / "index")
    (vm.root / "repository/index").mkdir()
    os.chown(vm.root / "repository/index", 65534, 65534)
    try:
        assert vm.run("backup", "check").returncode != 0
    finally:
        (vm.root / "repository/index").rmdir()
        (vm.root / "index").rename(vm.root / "repository/index")
        assert vm.run("kill", NAME).returncode == 0
    status = json.loads(vm.run("backup", "status", "--json").stdout)
    assert status["repository"]["check"]["last_error"] and status["repository"]["check"]["last_good_at"]
    line, = [each for each in vm.run("detect", "--explain").stdout.splitlines() if "backups" in each]
    assert line.startswith("missing") and "the last check failed" in line
    assert vm.run("backup", "check").returncode == 0
    line, = [each for each in vm.run("detect", "--explain").stdout.splitlines() if "backups" in each]
    assert line.startswith("ok")


def test_maintain_does_what_is_due_once_and_a_lost_ledger_costs_a_repeat(vm):
    for each in (vm.state / "backup").glob("ledger.db*"):
        each.unlink()
    first = vm.run("backup", "maintain", "--force-clock")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "forget: " in first.stdout and "prune: " in first.stdout
    assert vm.run("backup", "maintain").stdout == "Nothing is due\n"
    again, = vm.run("backup", "--all", "--due", "--json").stdout.splitlines()
    assert json.loads(again)["name"] == NAME
