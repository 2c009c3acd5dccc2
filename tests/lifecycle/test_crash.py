"""Kills and failures at every point of the simulated world, then the same verb again, then a look at everything."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build")) / "blockhost-libvirt"
WALLET = "0x" + "cd" * 20


class Mock:
    """One simulated world in a folder of its own, with its configuration."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        etc = self.folder / "root/etc/blockhost/network-modes.enabled"
        etc.mkdir(parents=True)
        (etc / "none.json").write_text("{}")
        (etc.parent / "db.yaml").write_text(
            "bridge: br0\nip_pool: {network: 10.9.9.0/24, start: 10, end: 40, gateway: 10.9.9.1}\n")
        (etc.parent / "broker-allocation.json").write_text('{"prefix": "fd00:9::/120"}')
        (self.folder / "mock-world").mkdir()
        (self.folder / "mock-world/behaviour.json").write_text('{"boot_ms": 0, "shutdown_ms": 0}')

    def run(self, *words, fault=None, late=False):
        env = {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.folder / "root")}
        if fault:
            env["BLOCKHOST_FAULT"] = fault
        if late:
            env["BLOCKHOST_SIM_LATE"] = "1"
        return subprocess.run([BINARY, *words, "--mock"], cwd=self.folder, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def create(self, name="vm-1", **more):
        return self.run("create", name, "--owner-wallet", WALLET, "--apply", "--memory", "128", "--disk", "4", **more)

    def registry(self):
        path = self.folder / "mock-db.json"
        return json.loads(path.read_text()) if path.exists() else {"vms": {}, "allocated_ips": [], "allocated_ipv6": []}

    def files(self, folder):
        path = self.folder / "mock-world" / folder
        return sorted(p.name for p in path.iterdir()) if path.exists() else []

    def check(self, survivors):
        """Exactly the survivors' things are there, and recover finds nothing more to do."""
        assert self.run("recover", "--all").returncode == 0
        registry = self.registry()
        live = {n: r for n, r in registry["vms"].items() if r["status"] != "destroyed"}
        assert sorted(live) == sorted(survivors)
        assert sorted(registry.get("allocated_ips", [])) == sorted(r["ip_address"] for r in live.values())
        assert sorted(registry.get("allocated_ipv6", [])) == sorted(r["ipv6_address"] for r in live.values())
        domains = {name.split(".")[0] for name in self.files("domains") if name.endswith(".xml")}
        assert domains == set(survivors)
        volumes = [v for v in self.files("vms") if v.endswith(".qcow2")]
        assert sorted(v.split(".")[0] for v in volumes) == sorted(survivors), volumes
        assert self.files("cloud-init") == sorted(survivors)
        assert self.files("console") == sorted(s + ".log" for s in survivors)
        assert [f for f in self.files("journal") if f.endswith(".journal")] == []
        hidden = [str(p) for p in self.folder.rglob(".*") if p.is_file() and "mock-world" in str(p) and p.name.count(".") > 2]
        assert hidden == []


@pytest.fixture()
def mock(tmp_path):
    return Mock(tmp_path)


def points_of(verb_words, prepare=None):
    """How many fault points an undisturbed run of that verb passes."""
    with tempfile.TemporaryDirectory() as folder:
        world = Mock(folder)
        if prepare:
            prepare(world)
        count = pathlib.Path(folder) / "count"
        run = world.run(*verb_words, fault=f"count@{count}")
        assert run.returncode == 0, run.stderr
        return int(count.read_text())


CREATE = ("create", "vm-1", "--owner-wallet", WALLET, "--apply", "--memory", "128", "--disk", "4")


def in_worlds(job, cases):
    """Runs job(world, case) for each case in a world of its own, a few at a time; returns what failed."""

    def one(case):
        folder = tempfile.mkdtemp(prefix="blockhost-crash-")
        try:
            job(Mock(folder), case)
        except AssertionError as error:
            return case, str(error)[:2000]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [end for end in pool.map(one, cases) if end]


def test_a_create_killed_at_two_hundred_moments_can_be_repeated():
    """At every point: killed once; with its last call carried out late; and killed again while it recovers."""
    points = points_of(CREATE)
    kills, late_kills = [], []
    moments = [(n, manner) for manner in ("once", "late", "twice") for n in range(1, points + 1)]

    def job(world, case):
        n, manner = case
        killed = world.create(fault=f"kill@{n}", late=manner == "late")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        kills.append(n)
        if manner == "twice":
            world.create(fault=f"kill@{max(1, n // 2)}")
        again = world.create()
        if "already exists" in again.stderr:
            # It died after the commit, with its result handed over: the VM is the caller's.
            late_kills.append(n)
            assert killed.stdout.count('"status": "ok"') == 2
        else:
            assert again.returncode == 0, again.stderr
        world.check(["vm-1"])

    assert in_worlds(job, moments) == []
    assert len(kills) == len(moments) >= 200
    assert all(n > points - 3 for n in late_kills), "only removing the ended journal entry comes after the commit"


def test_a_create_that_fails_at_any_point_leaves_nothing_and_can_be_repeated():
    points = points_of(CREATE)

    def job(world, n):
        failed = world.create(fault=f"fail@{n}")
        if failed.returncode == 0:
            world.check(["vm-1"])
            return
        assert failed.returncode == 1
        assert "ERROR" in failed.stderr.splitlines()[-1]
        again = world.create()
        assert again.returncode == 0, again.stderr
        world.check(["vm-1"])

    assert in_worlds(job, range(1, points + 1)) == []


def prepared(world):
    run = world.create()
    assert run.returncode == 0, run.stderr


def test_a_destroy_killed_at_any_point_is_finished_by_the_next():
    points = points_of(("destroy", "vm-1"), prepared)

    def job(world, case):
        n, finisher = case
        prepared(world)
        killed = world.run("destroy", "vm-1", fault=f"kill@{n}")
        assert killed.returncode in (-signal.SIGKILL, 0)
        run = world.run(*finisher)
        assert run.returncode == 0, run.stderr
        if finisher[0] == "recover" and world.registry()["vms"]["vm-1"]["status"] == "active":
            world.check(["vm-1"])  # it died before its journal entry was begun: nothing was promised
            return
        world.check([])

    cases = [(n, f) for n in range(1, points + 1) for f in (("destroy", "vm-1"), ("recover", "--all"))]
    assert in_worlds(job, cases) == []


def test_recover_undoes_a_killed_create(mock):
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    look = mock.run("recover", "--all", "--dry-run", "--json")
    assert [e["direction"] for e in json.loads(look.stdout)] == ["roll back"]
    assert mock.run("recover", "vm-1").returncode == 0
    mock.check([])
    assert mock.run("recover", "--all").stdout == "Nothing to recover\n"


def test_destroy_finishes_what_a_killed_create_left(mock):
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    assert mock.run("destroy", "vm-1").returncode == 0
    mock.check([])


def test_a_dead_start_is_never_carried_out_later(mock):
    prepared(mock)
    assert mock.run("kill", "vm-1").returncode == 0
    points = points_of(("start", "vm-1"), lambda w: (prepared(w), w.run("kill", "vm-1")))
    for n in range(1, points + 1):
        assert mock.run("start", "vm-1", fault=f"kill@{n}").returncode in (-signal.SIGKILL, 0)
        before = mock.run("status", "vm-1").stdout
        assert mock.run("recover", "--all").returncode == 0
        assert mock.run("status", "vm-1").stdout == before
        assert mock.run("kill", "vm-1").returncode == 0


def test_a_dry_run_changes_nothing_and_names_the_steps(mock):
    run = mock.run("create", "vm-1", "--owner-wallet", WALLET)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["ip"] == "10.9.9.10"
    for step in ("reserve-addresses", "create-volume", "define-domain", "register"):
        assert step in run.stderr
    assert not (mock.folder / "mock-db.json").exists()
    assert mock.files("domains") == [] and mock.files("journal") == []


def test_the_mock_writes_nothing_outside_its_folder(mock):
    before = sorted(str(p) for p in (mock.folder / "root").rglob("*"))
    prepared(mock)
    assert sorted(str(p) for p in (mock.folder / "root").rglob("*")) == before


def test_an_entry_that_cannot_be_read_frees_nothing_and_is_reported(mock):
    """Whose address it notes cannot be known, so none is given back: a failed look is not an empty look."""
    points = points_of(CREATE)
    assert mock.create(fault=f"kill@{points // 2}").returncode == -signal.SIGKILL
    taken = mock.registry()["allocated_ips"]
    (mock.folder / "mock-world/journal/aaa.journal").mkdir()
    run = mock.run("recover", "--all")
    assert run.returncode == 1
    assert "aaa: unreadable entry" in run.stdout and "could not be taken or read" in run.stdout
    assert "vm-1: create" in run.stdout, "the others are looked at all the same"
    assert mock.registry()["allocated_ips"] == taken != []
    (mock.folder / "mock-world/journal/aaa.journal").rmdir()
    mock.check([])
