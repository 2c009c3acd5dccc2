"""gc, resume, extend and boot on the simulated world: who has paid, who wins a race, what a death leaves."""

import json
import os
import shutil
import signal
import threading
import time

import pytest
from simulated import CREATE, Mock, ago, in_worlds, points_of

GC = ("gc", "--execute", "--jobs", "1")


@pytest.fixture()
def mock(tmp_path):
    world = Mock(tmp_path)
    assert world.create().returncode == 0
    return world


def made(world):
    assert world.create().returncode == 0


def expired(world):
    made(world)
    world.expire()


def suspended(world, days=1):
    expired(world)
    run = world.run(*GC)
    assert run.returncode == 0, run.stdout + run.stderr
    if days:
        world.change("vm-1", suspended_at=ago(days))


def gc(world, *more, status=0):
    run = world.run(*GC, *more)
    assert run.returncode == status, run.stdout + run.stderr
    return run


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
    path = mock.folder / "mock-world/domains/vm-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "running"}))
    run = gc(mock)
    assert "Hold off: 1 candidate\n" in run.stdout
    assert mock.domain() == "off" and mock.record()["suspended_at"] == since


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
    clone(world, 200)
    stop, torn = threading.Event(), []

    def reader():
        while not stop.is_set():
            try:
                assert len(json.loads((tmp_path / "mock-db.json").read_text())["vms"]) == 200
            except (ValueError, AssertionError) as error:
                torn.append(error)

    watcher = threading.Thread(target=reader)
    watcher.start()
    try:
        run = world.run("gc", "--execute", "--jobs", "8")
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert "  Processed: 200\n  Errors: 0\n" in run.stdout
        assert {r["status"] for r in world.registry()["vms"].values()} == {"suspended"}
        registry = world.registry()
        for record in registry["vms"].values():
            record["suspended_at"] = ago(9)
        world.write(registry)
        run = world.run("gc", "--execute", "--jobs", "8")
        assert run.returncode == 0 and "  Processed: 200\n" in run.stdout, run.stdout[-2000:]
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


# what was lost


def test_a_record_that_vanished_is_written_again_from_the_domain(mock):
    before = mock.record()
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    registry["allocated_ips"] = []
    registry["allocated_ipv6"] = []
    mock.write(registry)
    dry = mock.run("gc")
    assert "Adopt: 1 candidate\n" in dry.stdout and "[DRY RUN] Would write a record for vm-1" in dry.stdout
    run = gc(mock)
    assert "adopt vm-1: done" in run.stdout and "look at its expiry" in run.stderr
    assert mock.record() == before
    mock.check(["vm-1"])


def test_an_adopted_vm_gets_at_least_the_grace(mock):
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    expires = mock.record()["expires_at"]
    xml.write_text(xml.read_text().replace(expires, ago(100)))
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    mock.write(registry)
    gc(mock)
    assert ago(-6.9) < mock.record()["expires_at"] < ago(-7.1)


def test_a_vm_whose_address_is_anothers_is_not_adopted(mock):
    registry = mock.registry()
    registry["vms"]["vm-2"] = registry["vms"].pop("vm-1") | {"vm_name": "vm-2"}
    mock.write(registry)
    run = gc(mock, status=1)
    assert "adopt vm-1: FAILED: an address of vm-1 was given to another VM" in run.stdout
    assert "vm-2: its record says active, but libvirt has no such domain" in run.stdout
    assert list(mock.registry()["vms"]) == ["vm-2"]


def test_a_foreign_domain_without_a_record_is_not_even_mentioned(mock):
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    instance = (mock.folder / "mock-world/instance-id").read_text().strip()
    xml.write_text(xml.read_text().replace(instance, "f" * 32))
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    registry["allocated_ips"] = []
    mock.write(registry)
    run = gc(mock)
    assert "vm-1" not in run.stdout
    assert mock.domain() == "running" and mock.registry()["vms"] == {}


def test_an_expired_record_with_a_foreign_domain_is_an_error_and_touches_nothing(mock):
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    instance = (mock.folder / "mock-world/instance-id").read_text().strip()
    xml.write_text(xml.read_text().replace(instance, "f" * 32))
    mock.expire()
    run = gc(mock, status=1)
    assert "did not make" in run.stdout
    assert mock.domain() == "running" and mock.record()["status"] == "active"


def test_an_address_is_released_only_with_proof(mock):
    """Reserved by hand: reported. Taken by a create that was rolled back, and back by a stale rewrite: released."""
    points = points_of(CREATE)
    failed = mock.create("vm-2", fault=f"fail@{points - 8}")
    assert failed.returncode == 1
    taken = json.loads((mock.folder / "mock-world/journal/history").read_text().splitlines()[-1])["ip"]
    registry = mock.registry()
    registry["allocated_ips"] += [taken, "10.9.9.39"]
    registry["allocated_ipv6"] += ["fd00:9::1", "fd00:9::2"]
    mock.write(registry)
    run = gc(mock)
    assert f"{taken}: allocated, but no record has it" in run.stdout, "it may still be on its way"
    history = mock.folder / "mock-world/journal/history"
    line = json.loads(history.read_text().splitlines()[-1])
    history.write_text(json.dumps(line | {"at": ago(0.5)}, separators=(",", ":")) + "\n")
    run = gc(mock)
    assert f"release {taken}: done" in run.stdout
    assert "10.9.9.39: allocated, but no record has it" in run.stdout
    after = mock.registry()
    assert taken not in after["allocated_ips"] and "10.9.9.39" in after["allocated_ips"]
    assert after["allocated_ipv6"] == registry["allocated_ipv6"], "IPv6 is never swept"


def test_what_was_interrupted_is_finished_first(mock):
    points = points_of(CREATE)
    assert mock.create("vm-2", fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    assert "Recover: 1 candidate\n" in mock.run("gc").stdout
    run = gc(mock)
    assert "recover vm-2: done" in run.stdout
    mock.check(["vm-1"])


def test_the_json_document_has_everything(mock):
    mock.expire()
    document = json.loads(gc(mock, "--json").stdout)
    assert document["executed"] is True and document["processed"] == 1 and document["errors"] == 0
    (item,) = [i for i in document["items"] if i["action"] != "report"]
    assert item["object"] == "vm-1" and item["action"] == "suspend" and item["end"] == "done"
    assert 86400 <= item["age_seconds"] < 86500


# the clock


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


def test_a_registry_file_from_the_future_is_refused(mock):
    mock.expire()
    path = mock.folder / "mock-db.json"
    os.utime(path, (path.stat().st_mtime + 3600, path.stat().st_mtime + 3600))
    refused(mock, "the VM database was written at")


# resume and extend


@pytest.mark.parametrize("expires,words,low,high", [
    (3, (), -29.9, -30.1), (-9, (), -8.9, -9.1), (-9, ("--extend-days", "2"), -1.9, -2.1),
    (3, ("--extend-days", "5"), -4.9, -5.1), ("rubbish", (), -29.9, -30.1)])
def test_resume_keeps_an_expiry_that_is_to_come(mock, expires, words, low, high):
    mock.expire()
    gc(mock)
    mock.change("vm-1", expires_at=expires if isinstance(expires, str) else ago(expires))
    plan = mock.run("resume", "vm-1", "--dry-run", *words)
    assert plan.returncode == 0 and "start-domain" in plan.stderr
    assert mock.domain() == "off" and mock.record()["status"] == "suspended"
    run = mock.run("resume", "vm-1", *words)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "VM 'vm-1' resumed successfully"
    record = mock.record()
    assert record["status"] == "active" and "suspended_at" not in record
    assert ago(low) < record["expires_at"] < ago(high)
    assert mock.domain() == "running" and mock.files("suspended") == []
    again = mock.run("resume", "vm-1", *words)
    assert again.returncode == 1 and "vm-1 is not suspended (status: active)" in again.stderr


def test_a_suspended_vm_that_runs_already_is_only_marked(mock):
    for state in ("running", "paused"):
        mock.expire()
        gc(mock)
        path = mock.folder / "mock-world/domains/vm-1.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": state}))
        assert mock.run("resume", "vm-1").returncode == 0
        assert mock.record()["status"] == "active" and mock.domain() == "running"


@pytest.mark.parametrize("words,status,sentence", [
    (("vm-9",), 1, "VM not found: vm-9"), (("vm-1", "--extend-days", "0"), 1, "0"), ((), 2, "NAME"),
    (("vm-1", "--extend-days", "x"), 1, "x"), (("../x",), 1, "Invalid VM name")])
def test_a_bad_resume_is_refused(mock, words, status, sentence):
    mock.expire()
    gc(mock)
    run = mock.run("resume", *words)
    assert run.returncode == status and sentence.lower() in run.stderr.lower(), run.stderr
    assert mock.record()["status"] == "suspended" and mock.files("suspended") == ["vm-1"]


def test_a_resume_killed_at_any_point_is_finished():
    def paid(world):
        suspended(world)
        world.change("vm-1", expires_at=ago(-9))

    points = points_of(("resume", "vm-1"), paid)

    def job(world, case):
        n, late = case
        paid(world)
        assert world.run("resume", "vm-1", fault=f"kill@{n}", late=late).returncode in (-signal.SIGKILL, 0)
        again = world.run("resume", "vm-1")
        assert again.returncode == 0 or "is not suspended (status: active)" in again.stderr, again.stderr
        assert world.record()["status"] == "active" and ago(-8.9) < world.record()["expires_at"] < ago(-9.1)
        assert world.domain() == "running" and world.files("suspended") == []
        world.check(["vm-1"])

    assert in_worlds(job, [(n, late) for n in range(1, points + 1) for late in (False, True)]) == []


def test_a_resume_that_fails_at_any_point_can_be_repeated():
    points = points_of(("resume", "vm-1"), suspended)

    def job(world, n):
        suspended(world)
        failed = world.run("resume", "vm-1", fault=f"fail@{n}")
        if failed.returncode != 0:
            assert "ERROR" in failed.stderr
            if world.domain() == "off":
                assert world.files("suspended") == ["vm-1"] or world.files("journal") != []
        again = world.run("resume", "vm-1")
        assert again.returncode == 0 or "status: active" in again.stderr
        assert world.record()["status"] == "active" and world.domain() == "running"

    assert in_worlds(job, range(1, points + 1)) == []


def test_extend_counts_from_the_expiry_and_says_when_that_does_not_help(mock):
    mock.change("vm-1", expires_at="2026-01-02T03:04:05+00:00", gecos_synced=True)
    run = mock.run("extend", "vm-1", "--days", "1")
    assert run.returncode == 0 and run.stdout == "vm-1 expires at 2026-01-03T03:04:05+00:00\n"
    assert "expired all the same" in run.stderr
    assert mock.record()["gecos_synced"] is True
    run = mock.run("extend", "vm-1", "--days", "3", "--from-now")
    assert run.returncode == 0 and run.stderr == ""
    assert ago(-2.9) < mock.record()["expires_at"] < ago(-3.1)


@pytest.mark.parametrize("words,status,sentence", [
    (("vm-9", "--days", "1"), 5, "not found"), (("vm-1",), 2, "days"), (("vm-1", "--days", "0"), 3, "0"),
    (("vm-1", "--days", "99999"), 3, "99999")])
def test_a_bad_extend_is_refused(mock, words, status, sentence):
    before = mock.registry()
    run = mock.run("extend", *words)
    assert run.returncode == status and sentence in run.stderr.lower(), run.stderr
    assert mock.registry() == before


# boot


def test_boot_starts_what_should_run_once(mock):
    for n in (2, 3, 4, 5):
        assert mock.create(f"vm-{n}").returncode == 0
    assert mock.run("kill", "vm-2").returncode == 0
    mock.expire("vm-3")
    gc(mock)
    for name in ("vm-1", "vm-4"):
        path = mock.folder / f"mock-world/domains/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "off"}))
    run = mock.run("boot", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert sorted(run.stdout.splitlines()) == ["vm-1: started", "vm-2: kept off: it was stopped by an admin",
                                               "vm-4: started", "vm-5: runs already"]
    assert [mock.domain(f"vm-{n}") for n in (1, 2, 3, 4)] == ["running", "off", "off", "running"]
    assert mock.run("boot").stdout == "Nothing to do\n"
    assert mock.run("start", "vm-2").returncode == 0
    assert "vm-2: runs already" in mock.run("boot", "--again").stdout


def test_boot_tries_again_what_failed(mock):
    path = mock.folder / "mock-world/domains/vm-1.json"
    xml = mock.folder / "mock-world/domains/vm-1.xml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "off"}))
    kept, state = xml.read_text(), path.read_text()
    xml.unlink(), path.unlink()
    run = mock.run("boot")
    assert run.returncode == 1 and "vm-1: FAILED: the domain of vm-1 is gone from libvirt" in run.stdout
    xml.write_text(kept), path.write_text(state)
    assert mock.run("boot").stdout == "vm-1: started\n"


def test_a_stop_of_a_vm_that_is_off_keeps_it_off(mock):
    path = mock.folder / "mock-world/domains/vm-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "off"}))
    assert mock.run("stop", "vm-1").returncode == 0
    assert "kept off" in mock.run("boot").stdout and mock.domain() == "off"
    assert mock.run("destroy", "vm-1").returncode == 0
    assert mock.files("kept-off") == []


# what others found


def test_a_stale_rewrite_over_a_suspension_ends_in_no_dead_end(mock):
    """Another program writes the record back as active: start and boot forget the veto that the suspension left."""
    stale = mock.registry()
    mock.expire()
    gc(mock)
    stale["vms"]["vm-1"]["expires_at"] = ago(-20)
    mock.write(stale)
    assert mock.run("start", "vm-1").returncode == 0
    assert mock.domain() == "running" and mock.files("suspended") == []


def test_a_suspended_vm_that_lost_its_record_is_adopted_as_suspended(mock):
    mock.expire()
    gc(mock)
    registry = mock.registry()
    del registry["vms"]["vm-1"]
    mock.write(registry)
    gc(mock)
    assert mock.record()["status"] == "suspended" and mock.domain() == "off"
    assert mock.run("resume", "vm-1").returncode == 0
    assert mock.domain() == "running"


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


def test_a_suspended_vm_whose_expiry_cannot_be_read_is_reported_and_kept(mock):
    mock.expire()
    gc(mock)
    mock.change("vm-1", suspended_at=ago(99), expires_at="2026-99-99")
    run = gc(mock)
    assert "vm-1: its record has no expires_at that can be read" in run.stdout
    assert mock.record()["status"] == "suspended" and mock.files("domains") != []


def test_a_suspended_vm_that_nothing_keeps_off_is_held_off_again(mock):
    mock.expire()
    gc(mock)
    (mock.folder / "mock-world/suspended/vm-1").unlink()
    assert "nothing keeps it off" in gc(mock).stdout
    assert mock.files("suspended") == ["vm-1"]


def test_the_address_of_a_domain_of_ours_is_never_released(mock):
    points = points_of(CREATE)
    assert mock.create("vm-2", fault=f"fail@{points - 8}").returncode == 1
    history = mock.folder / "mock-world/journal/history"
    line = json.loads(history.read_text().splitlines()[-1])
    history.write_text(json.dumps(line | {"at": ago(0.5)}, separators=(",", ":")) + "\n")
    assert mock.create("vm-3").returncode == 0
    registry = mock.registry()
    assert registry["vms"].pop("vm-3")["ip_address"] == line["ip"]
    xml = mock.folder / "mock-world/domains/vm-3.xml"
    xml.write_text(xml.read_text().replace("<blockhost:username>", "<blockhost:username>No "))
    mock.write(registry)
    run = gc(mock, status=1)
    assert "adopt vm-3: FAILED" in run.stdout
    assert line["ip"] in mock.registry()["allocated_ips"]


def test_a_journal_entry_that_cannot_be_read_stops_only_its_own_vm(mock):
    assert mock.create("vm-2").returncode == 0
    mock.expire("vm-1")
    (mock.folder / "mock-world/journal/vm-2.journal").mkdir()
    run = gc(mock)
    assert "vm-2: its journal entry cannot be read" in run.stdout
    assert mock.record("vm-1")["status"] == "suspended"


def test_gcs_at_once_do_not_disturb_each_other(mock):
    mock.expire()
    runs = [mock.start(*GC, "--json") for _ in range(6)]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
        assert json.loads(out)["errors"] == 0
    assert mock.record()["status"] == "suspended"


@pytest.mark.parametrize("verb", [("boot", "--again"), ("boot", "--again", "--jobs", "1")])
def test_a_reader_that_is_gone_keeps_no_vm_off(mock, verb):
    names = [f"vm-{n}" for n in range(1, 5)]
    for name in names:
        if name != "vm-1":
            assert mock.create(name).returncode == 0
        path = mock.folder / f"mock-world/domains/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "off"}))
    with open("/dev/full", "w") as full:
        run = mock.start(*verb, stdout=full)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 17, err
    assert {mock.domain(name) for name in names} == {"running"}


def test_an_extension_past_the_year_9999_or_of_a_vm_half_gone_is_refused(mock):
    mock.change("vm-1", expires_at="9999-12-30T00:00:00+00:00")
    run = mock.run("extend", "vm-1", "--days", "30")
    assert run.returncode == 3 and "9999" in run.stderr
    assert mock.record()["expires_at"] == "9999-12-30T00:00:00+00:00"
    points = points_of(("destroy", "vm-1"), made)
    for n in range(points, 0, -1):
        if mock.run("destroy", "vm-1", fault=f"kill@{n}").returncode == -signal.SIGKILL and mock.domain() is None:
            break
    if mock.record()["status"] != "destroyed":
        run = mock.run("extend", "vm-1", "--days", "30", "--from-now")
        assert run.returncode == 8 and "being destroyed" in run.stderr


def test_an_old_mark_of_a_vm_that_runs_goes(mock):
    path = mock.folder / "mock-world/kept-off"
    path.mkdir(exist_ok=True)
    (path / "vm-1").write_text("")
    assert "vm-1: runs already" in mock.run("boot", "--again").stdout
    assert mock.files("kept-off") == []
