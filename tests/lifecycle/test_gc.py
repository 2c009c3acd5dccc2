# SPDX-License-Identifier: MIT
"""gc on the simulated world: who has paid, who wins a race, what a death leaves."""

import json
import shutil
import signal
import threading
import time

import pytest
from simulated import GC, Mock, ago, expired, gc, in_worlds, made, points_of, suspended, thinned


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    made(world)
    return world


# suspending


def test_an_expired_vm_is_shut_down_marked_and_forbidden_to_start(mock):
    mock.expire()
    run = gc(mock)
    assert "Suspend: 1 candidate\n" in run.stdout and "Destroy: 0 candidates\n" in run.stdout
    assert "PHASE 1: SUSPEND EXPIRED VMs" in run.stdout and "PHASE 2: DESTROY PAST-GRACE VMs" in run.stdout
    assert "(1 d 0 h ago)" in run.stdout
    assert "  Processed: 1\n  Errors: 0\n" in run.stdout
    assert mock.domain() == "off"
    record = mock.record()
    assert record["status"] == "suspended" and record["suspended_at"] > ago(1)
    assert mock.files("suspended") == ["vm-1"]
    start = mock.run("start", "vm-1")
    assert start.returncode == 1 and "suspended since" in start.stderr and "unpaid" in start.stderr


def test_a_dry_run_tells_and_changes_nothing(mock):
    mock.expire()
    before = {str(p): p.read_bytes() for p in mock.folder.rglob("*") if p.is_file() and p.name != "lock"}
    run = mock.run("gc")
    assert run.returncode == 0
    assert "[DRY RUN] Would suspend vm-1" in run.stdout and "  Would process: 1\n" in run.stdout
    after = {str(p): p.read_bytes() for p in mock.folder.rglob("*") if p.is_file() and p.name != "lock"}
    assert after == before


def test_the_plan_is_printed_before_anything_is_touched(mock):
    mock.expire()
    run = mock.run(*GC, fault="kill@1")
    assert run.returncode == -signal.SIGKILL
    run = gc(mock)
    assert run.stdout.index("vm-1: expired at") < run.stdout.index("suspend vm-1: done")


def test_a_guest_that_ignores_the_request_is_forced_off(mock):
    mock.behave(shutdown="ignores")
    mock.expire()
    run = gc(mock, "--patience", "1")
    assert "forced off" in run.stderr
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00",
                                  "2026-01-02T03:04:05.123456789+02:00", "2026-01-02", "2026-01-02 03:04:05"])
def test_dates_in_every_spelling_are_understood(mock, text):
    mock.change("vm-1", expires_at=text)
    gc(mock)
    assert mock.record()["status"] == "suspended" and mock.record()["expires_at"] == text


@pytest.mark.parametrize("value", ["rubbish", "", None, 17, "2026-13-01T00:00:00", "0000-00-00"])
def test_a_bad_date_is_reported_and_keeps_nobody_else_from_being_suspended(mock, value):
    assert mock.create("vm-2").returncode == 0
    mock.change("vm-1", expires_at=value)
    mock.expire("vm-2")
    run = gc(mock)
    assert "vm-1: its record has no expires_at that can be read" in run.stdout
    assert mock.record("vm-1")["status"] == "active" and mock.domain("vm-1") == "running"
    assert mock.record("vm-2")["status"] == "suspended"


def test_a_bad_record_is_reported_and_stops_nothing(mock):
    registry = mock.registry()
    registry["vms"]["bad one"] = {"status": "active"}
    registry["vms"]["odd"] = {"status": "frozen"}
    registry["vms"]["text"] = "text"
    mock.write(registry)
    mock.expire()
    run = gc(mock)
    for name in ("bad one", "odd", "text"):
        assert f"{name}: its record cannot be read" in run.stdout
    assert mock.record()["status"] == "suspended"
    assert mock.registry()["vms"]["odd"] == {"status": "frozen"}


def test_an_expired_vm_whose_domain_is_off_or_gone_is_suspended_too(mock):
    assert mock.create("vm-2").returncode == 0
    assert mock.run("kill", "vm-1").returncode == 0
    for suffix in (".json", ".xml"):
        (mock.folder / f"mock-world/domains/vm-2{suffix}").unlink()
    mock.expire("vm-1")
    mock.expire("vm-2")
    gc(mock)
    assert {mock.record(n)["status"] for n in ("vm-1", "vm-2")} == {"suspended"}


def test_a_suspended_vm_that_runs_is_shut_down_again_and_keeps_its_date(mock):
    mock.expire()
    gc(mock)
    since = mock.record()["suspended_at"]
    mock.set_state("running")
    run = gc(mock)
    assert "Hold off: 1 candidate\n" in run.stdout
    assert mock.domain() == "off" and mock.record()["suspended_at"] == since


def test_a_suspended_vm_that_nothing_keeps_off_is_held_off_again(mock):
    mock.expire()
    gc(mock)
    (mock.folder / "mock-world/suspended/vm-1").unlink()
    assert "nothing keeps it off" in gc(mock).stdout
    assert mock.files("suspended") == ["vm-1"]


# destroying


def test_after_the_grace_it_is_destroyed_with_all_it_had(mock):
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=ago(6.9))
    gc(mock)
    assert mock.record()["status"] == "suspended"
    mock.change("vm-1", suspended_at=ago(7.1))
    run = gc(mock)
    assert "vm-1: suspended at" in run.stdout and "(7 d 2 h ago)" in run.stdout
    mock.check([])
    assert mock.files("suspended") == []


def test_the_grace_is_the_options_else_the_files(mock):
    suspended_for = ago(3)
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=suspended_for)
    assert "[DRY RUN] Would destroy" not in mock.run("gc").stdout
    assert "[DRY RUN] Would destroy" in mock.run("gc", "--grace-days", "2").stdout
    db = mock.folder / "root/etc/blockhost/db.yaml"
    db.write_text(db.read_text() + "gc_grace_days: 1\n")
    assert "[DRY RUN] Would destroy" in mock.run("gc").stdout
    assert "[DRY RUN] Would destroy" not in mock.run("gc", "--grace-days", "5").stdout
    assert "[DRY RUN] Would destroy" not in mock.run("gc", "--suspend-only").stdout


def test_a_suspended_vm_that_was_extended_is_never_destroyed(mock):
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=ago(30), expires_at=ago(-5))
    run = gc(mock)
    assert "waits to be resumed" in run.stdout
    assert mock.record()["status"] == "suspended" and mock.files("domains") != []


def test_without_a_date_of_suspension_it_is_reported_and_kept(mock):
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=None)
    run = gc(mock)
    assert "not since when" in run.stdout
    assert mock.record()["status"] == "suspended"


@pytest.mark.parametrize("words,status,sentence", [
    (("--suspend-only", "--destroy-only"), 1, "exclude each other"), (("--grace-days", "-1"), 1, "-1"),
    (("--grace-days", "1e3"), 1, "1e3"), (("--jobs", "0"), 1, "0"), (("vm-1",), 2, "vm-1"),
    (("--grace-days",), 2, "grace-days")])
def test_bad_calls_are_refused_and_change_nothing(mock, words, status, sentence):
    mock.expire()
    run = mock.run(*GC, *words)
    assert run.returncode == status and sentence in run.stderr
    assert mock.record()["status"] == "active" and mock.domain() == "running"


def test_a_suspended_vm_whose_expiry_cannot_be_read_is_reported_and_kept(mock):
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=ago(99), expires_at="2026-99-99")
    run = gc(mock)
    assert "vm-1: its record has no expires_at that can be read" in run.stdout
    assert mock.record()["status"] == "suspended" and mock.files("domains") != []


# who wins


def test_an_extend_while_the_guest_shuts_down_wins(mock):
    """gc is in the middle of suspending when the engine extends: the VM runs on, allowed to start."""
    mock.behave(shutdown_ms=1500)
    mock.expire()
    process = mock.start(*GC)
    for line in process.stderr:
        if "shut down" in line:
            break
    assert mock.run("extend", "vm-1", "--days", "40").returncode == 0
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert "it was extended meanwhile" in out
    assert mock.record()["status"] == "active" and "suspended_at" not in mock.record()
    assert mock.domain() == "running" and mock.files("suspended") == []


def test_an_extend_after_gcs_death_wins_over_its_recovery(mock):
    """Killed at any point of a suspension; then the owner pays: recovery gives the VM back."""
    points = points_of(GC, expired)

    def job(world, n):
        expired(world)
        assert world.run(*GC, fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        if world.record()["status"] == "suspended":
            return  # marked: from here on it is resume's
        world.change("vm-1", expires_at=ago(-30))
        assert world.run("recover", "--all").returncode == 0
        assert world.record()["status"] == "active"
        assert world.domain() == "running"
        assert world.files("suspended") == []
        world.check(["vm-1"])

    assert in_worlds(job, range(1, points + 1)) == []


def test_an_extend_after_gcs_death_wins_over_destruction_while_there_is_a_domain(mock):
    points = points_of(GC, lambda world: suspended(world, 8))

    def job(world, n):
        suspended(world, 8)
        assert world.run(*GC, fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        there = world.domain() is not None
        if world.record()["status"] == "destroyed":
            return
        world.change("vm-1", expires_at=ago(-30))
        resume = world.run("resume", "vm-1")
        if there:
            assert resume.returncode == 0, resume.stderr
            assert world.record()["status"] == "active" and world.domain() == "running"
            world.check(["vm-1"])
        else:
            world.check([])

    assert in_worlds(job, range(1, points + 1)) == []


def test_a_payment_after_a_kill_waits_for_the_guest_to_be_off_and_starts_it(mock):
    """The request to shut down was sent before gc died: the guest goes off later, and nobody else would start it."""
    mock.behave(shutdown_ms=2500)
    mock.expire()
    process = mock.start(*GC)
    for line in process.stderr:
        if "shut down" in line:
            break
    time.sleep(0.5)
    process.kill()
    process.communicate()
    mock.change("vm-1", expires_at=ago(-30))
    assert mock.run("recover", "--all").returncode == 0
    time.sleep(3)
    assert mock.run("status", "vm-1").stdout == "active\n"
    assert mock.record()["status"] == "active" and mock.files("suspended") == []


# deaths


@pytest.mark.parametrize("prepare,survivors", [(expired, ["vm-1"]), (lambda world: suspended(world, 8), [])])
def test_gc_killed_at_any_point_is_finished_by_the_next(prepare, survivors):
    points = points_of(GC, prepare)

    def job(world, n):
        prepare(world)
        assert world.run(*GC, fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        run = world.run(*GC)
        assert run.returncode == 0, run.stdout + run.stderr
        assert world.record()["status"] == ("suspended" if survivors else "destroyed")
        assert world.domain() == ("off" if survivors else None)
        world.check(survivors)

    assert in_worlds(job, range(1, points + 1)) == []


@pytest.mark.parametrize("prepare", [expired, lambda world: suspended(world, 8)])
def test_gc_that_fails_at_any_point_says_so_and_the_next_finishes(prepare):
    points = points_of(GC, prepare)

    def job(world, n):
        prepare(world)
        failed = world.run(*GC, fault=f"fail@{n}")
        assert failed.returncode in (0, 1)
        if failed.returncode == 1:
            assert "FAILED" in failed.stdout or "ERROR" in failed.stderr
        assert world.run(*GC).returncode == 0
        assert world.record()["status"] in ("suspended", "destroyed")

    assert in_worlds(job, range(1, points + 1)) == []


def test_two_hundred_expired_vms_need_one_pass_and_a_reader_never_sees_a_torn_file(tmp_path):
    world = Mock(tmp_path)
    etc = tmp_path / "root/etc/blockhost/db.yaml"
    etc.write_text("bridge: br0\nip_pool: {network: 10.9.0.0/16, start: 10.9.1.1, end: 10.9.3.250, gateway: 10.9.0.1}\n")
    made(world)
    count = len(thinned(range(200)))
    clone(world, count)
    stop, torn = threading.Event(), []

    def reader():
        while not stop.is_set():
            try:
                assert len(json.loads((tmp_path / "mock-db.json").read_text())["vms"]) == count
            except (ValueError, AssertionError) as error:
                torn.append(error)
            time.sleep(0.001)  # what is watched needs the processor, too

    watcher = threading.Thread(target=reader)
    watcher.start()
    try:
        run = world.run("gc", "--execute", "--jobs", "8")
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert f"  Processed: {count}\n  Errors: 0\n" in run.stdout
        assert {r["status"] for r in world.registry()["vms"].values()} == {"suspended"}
        registry = world.registry()
        for record in registry["vms"].values():
            record["suspended_at"] = ago(9)
        world.write(registry)
        run = world.run("gc", "--execute", "--jobs", "8")
        assert run.returncode == 0 and f"  Processed: {count}\n" in run.stdout, run.stdout[-2000:] + run.stderr[-2000:]
    finally:
        stop.set()
        watcher.join()
    assert torn == []
    world.check([])


def clone(world, count):
    """`count` expired VMs like vm-1, made by copying what the world keeps of it."""
    registry = world.registry()
    first = registry["vms"].pop("vm-1")
    folder = world.folder / "mock-world"
    state = json.loads((folder / "domains/vm-1.json").read_text())
    xml = (folder / "domains/vm-1.xml").read_text()
    disk = next(p for p in (folder / "vms").iterdir() if p.name.startswith("vm-1."))
    registry["allocated_ips"] = []
    for i in range(count):
        name, uuid = f"vm-{i:03d}", f"{i:08x}" + state["uuid"][8:]
        operation = disk.name.split(".")[1]
        own = operation[:8] + f"{i:08x}"
        ip = f"10.9.1.{i + 1}" if i < 250 else f"10.9.2.{i - 249}"
        registry["vms"][name] = first | {"vm_name": name, "ip_address": ip, "ipv6_address": "", "expires_at": ago(1)}
        registry["allocated_ips"].append(ip)
        (folder / f"domains/{name}.xml").write_text(
            xml.replace("vm-1", name).replace(state["uuid"], uuid).replace(operation, own).replace(first["ip_address"], ip))
        (folder / f"domains/{name}.json").write_text(json.dumps(state | {"uuid": uuid}))
        shutil.copy(disk, disk.with_name(f"{name}.{own}.qcow2"))
        shutil.copytree(folder / "cloud-init/vm-1", folder / f"cloud-init/{name}")
        shutil.copy(folder / "console/vm-1.log", folder / f"console/{name}.log")
    registry["allocated_ipv6"] = []
    world.write(registry)
    for leftover in (folder / "domains/vm-1.xml", folder / "domains/vm-1.json", disk, folder / "console/vm-1.log"):
        leftover.unlink()
    shutil.rmtree(folder / "cloud-init/vm-1")


def test_libvirt_that_is_down_changes_nothing(mock):
    mock.expire()
    mock.behave(down=True)
    run = gc(mock, status=1)
    assert "ERROR" in run.stderr
    assert mock.record()["status"] == "active"
    mock.behave(down=False)
    assert mock.domain() == "running"


def test_gcs_at_once_do_not_disturb_each_other(mock):
    mock.expire()
    for _ in range(5):
        runs = [mock.start(*GC, "--json") for _ in range(8)]
        for run in runs:
            out, err = run.communicate(timeout=120)
            assert run.returncode == 0, out + err
            assert json.loads(out)["errors"] == 0
            assert "WARNING" not in err, "each remembers that it ran"
    assert mock.record()["status"] == "suspended"
