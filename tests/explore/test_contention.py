# SPDX-License-Identifier: MIT
"""Our program and others on one VM database, at once: those that keep to the protocol, and those that don't."""

import concurrent.futures
import datetime
import json
import pathlib
import random
import re
import subprocess
import sys
import threading
import time

import pytest
import explore  # noqa: F401  finds the modules of the suites beside
import invariants
import other_program
from simulated import CREATE, GC, Mock, gc

HERE = pathlib.Path(__file__).resolve().parent
OURS, OTHERS = 4, 4
ROUNDS = 60
"""Calls of our program, by each of those that call it."""
LEAST = 500
"""Changes, by each of the other programs."""
SHARED = ("shared-1", "shared-2", "shared-3")
FOREIGN = {"ratio": 0.1, "big": 2 ** 70, "text": "\u2713 \"quoted\"", "list": [1, None, True, {}], "empty": []}


@pytest.fixture()
def world(tmp_path):
    made = Mock(tmp_path)
    yaml = made.folder / "root/etc/blockhost/db.yaml"
    yaml.write_text("bridge: br0\nmemory_overcommit: 100\ndisk_overcommit: 100\n"
                    "ip_pool: {network: 10.9.0.0/24, start: 10, end: 249, gateway: 10.9.0.1}\n")
    return made


def create_words(name):
    return ("create", name, *CREATE[2:])


def database(world):
    return str(world.folder / "mock-db.json")


class Caller:
    """Calls our program as an engine does, and counts what said that it succeeded."""

    def __init__(self, world, number):
        self.world, self.number, self.chance = world, number, random.Random(number)
        self.days, self.live, self.gone, self.failed = {}, {}, [], []

    def call(self, *words):
        run = self.world.run(*words)
        if run.returncode != 0:
            self.failed.append(f"{words}: {run.stderr[-500:]}")
        return run if run.returncode == 0 else None

    def extend(self):
        vm, days = self.chance.choice(SHARED), self.chance.randint(1, 3)
        if self.call("extend", vm, "--days", str(days)):
            self.days[vm] = self.days.get(vm, 0) + days

    def create(self, number):
        name = f"own-{self.number}-{number}"
        run = self.call(*create_words(name))
        if run:
            self.live[name] = json.loads(run.stdout.splitlines()[-1])

    def destroy(self):
        name, _ = self.live.popitem()
        if self.call("destroy", name):
            self.gone.append(name)

    def work(self):
        for number in range(ROUNDS):
            kind = self.chance.random()
            if kind < 0.7:
                self.extend()
            elif kind < 0.85 and len(self.live) < 6:
                self.create(number)
            elif self.live:
                self.destroy()


class Reader(threading.Thread):
    """Reads the file all the time; keeps what no reader should ever see."""

    def __init__(self, world, pause=0.002):
        super().__init__(daemon=True)
        self.world, self.pause = world, pause
        self.reads, self.wrong, self.seen, self.done = 0, [], {}, threading.Event()

    def run(self):
        while not self.done.wait(self.pause):
            try:
                self.look(other_program.read(database(self.world)))
            except (ValueError, OSError) as error:
                self.wrong.append(f"read {self.reads}: {error}")
            self.reads += 1

    def look(self, registry):
        live = [record for record in registry["vms"].values() if record["status"] != "destroyed"]
        for field in ("ip_address", "ipv6_address"):
            had = [record[field] for record in live if record[field]]
            if len(set(had)) != len(had):
                self.wrong.append(f"read {self.reads}: an address has two VMs: {sorted(had)}")
        for name, noted in registry["programs"].items():
            if len(noted) < self.seen.get(name, 0):
                self.wrong.append(f"read {self.reads}: changes of {name} are gone again")
            self.seen[name] = len(noted)

    def end(self):
        self.done.set()
        self.join()
        return self.wrong


def expiry(record):
    return datetime.datetime.fromisoformat(record["expires_at"])


def test_nothing_is_lost_doubled_or_torn_between_eight_processes_that_keep_to_the_protocol(world, capsys):
    for name in SHARED:
        assert world.run(*create_words(name)).returncode == 0
    registry = world.registry() | {"other_program": FOREIGN, "programs": {}}
    world.write(registry)
    before = {name: expiry(registry["vms"][name]) for name in SHARED}
    until = world.folder / "until"
    began = time.monotonic()
    reader = Reader(world)
    reader.start()
    others = [subprocess.Popen([sys.executable, HERE / "other_program.py", database(world), f"program{i}", str(i), until, str(LEAST)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in range(OTHERS)]
    callers = [Caller(world, number) for number in range(OURS)]
    try:
        with concurrent.futures.ThreadPoolExecutor(OURS) as pool:
            for ended in [pool.submit(caller.work) for caller in callers]:
                ended.result()
    finally:
        until.touch()
        ends = [other.communicate(timeout=300) for other in others]
        wrong = reader.end()
    seconds = time.monotonic() - began
    assert [err for _, err in ends] == [""] * OTHERS
    assert [failure for caller in callers for failure in caller.failed] == []
    assert wrong == []
    did = [json.loads(out) for out, _ in ends]
    with capsys.disabled():
        print(f"\nNOTE: contention: {sum(each['changes'] for each in did)} changes by {OTHERS} other programs, "
              f"{OURS * ROUNDS} calls by {OURS} of ours, {reader.reads} reads in {seconds:.0f} s", flush=True)

    after = world.registry()
    assert after["programs"] == {f"program{i}": list(range(each["changes"])) for i, each in enumerate(did)}
    for name in SHARED:
        days = sum(each["days"].get(name, 0) for each in did) + sum(caller.days.get(name, 0) for caller in callers)
        assert (expiry(after["vms"][name]) - before[name]).days == days, name
        for i, each in enumerate(did):
            assert after["vms"][name].get(f"of_program{i}") == each["fields"].get(name)
    for caller in callers:
        for name, result in caller.live.items():
            record = after["vms"][name]
            assert (record["status"], record["ip_address"], record["ipv6_address"]) == ("active", result["ip"], result["ipv6"])
    gone = [name for caller in callers for name in caller.gone] + [name for each in did for name in each["gone"]]
    assert all(after["vms"][name]["status"] == "destroyed" for name in gone)
    assert len(after["vms"]) == len(SHARED) + len(gone) + sum(len(caller.live) for caller in callers)
    text = (world.folder / "mock-db.json").read_text()
    assert json.dumps(FOREIGN, indent=2).replace("\n", "\n  ") in text, "other programs' keys, byte for byte"
    assert invariants.broken(world) == [] and invariants.temporary_files(world) == []


# Programs that don't keep to it


def addresses_of_domains(world):
    """Every address that a domain of ours says it has, as often as one does."""
    found = []
    for path in (world.folder / "mock-world/domains").glob("*.xml"):
        found += re.findall(r"<blockhost:ip(?:v6)?>(.*?)</blockhost:ip", path.read_text())
    return sorted(found)


def unique(things):
    return len(set(things)) == len(things)


def rewrite_stale(world, stale):
    """As an engine that read the database long ago, and now writes all of it, without any lock."""
    fresh = world.folder / "mock-db.json.tmp"
    fresh.write_text(json.dumps(stale, indent=2))
    fresh.rename(world.folder / "mock-db.json")


def test_what_a_stale_rewrite_dropped_comes_back_and_its_addresses_go_to_nobody_else(world):
    assert world.run(*create_words("first")).returncode == 0
    stale = world.registry()
    assert world.run(*create_words("dropped")).returncode == 0
    had = world.record("dropped")
    rewrite_stale(world, stale)
    assert "dropped" not in world.registry()["vms"]
    assert world.run(*create_words("next")).returncode == 0
    assert unique(addresses_of_domains(world)), "the address of a VM that runs was given to another"
    assert "adopt dropped: done" in gc(world).stdout
    assert world.record("dropped") == had
    assert invariants.broken(world) == []


def test_a_vm_that_was_destroyed_and_comes_back_by_a_stale_rewrite_can_be_destroyed_again(world):
    for name in ("first", "second"):
        assert world.run(*create_words(name)).returncode == 0
    stale = world.registry()
    assert world.run("destroy", "second").returncode == 0
    assert world.run(*create_words("third")).returncode == 0
    assert world.record("third")["ip_address"] == stale["vms"]["second"]["ip_address"]
    rewrite_stale(world, stale)
    assert "second: its record says active, but libvirt has no such domain" in gc(world, status=1).stdout
    placed = world.things().addresses
    assert world.run("destroy", "second").returncode == 0
    assert world.things().addresses == placed, "the third's routes went with the second"
    assert "adopt third: done" in gc(world).stdout
    assert world.record("third")["status"] == "active" and world.domain("third") == "running"
    assert invariants.broken(world) == []


def test_creates_and_destroys_among_stale_rewrites_lose_no_vm_and_share_no_address(world):
    """Two programs that rewrite what they read a while ago, as fast as ours work; then gc sets things right."""
    assert world.run(*create_words("first")).returncode == 0
    registry = world.registry() | {"other_program": FOREIGN}
    world.write(registry)
    done = threading.Event()

    def rewriting(number):
        chance = random.Random(number)
        while not done.is_set():
            stale = other_program.read(database(world))
            done.wait(chance.uniform(0, 0.3))
            path = world.folder / f"mock-db.json.{number}.tmp"
            path.write_text(json.dumps(stale, indent=2))
            path.rename(world.folder / "mock-db.json")

    def calling(number):
        chance, live, gone = random.Random(number), [], []
        for attempt in range(10):
            if live and chance.random() < 0.3:
                name = live.pop()
                run = world.run("destroy", name)
                (gone if run.returncode == 0 else live).append(name)
            else:
                name = f"own-{number}-{attempt}"
                run = world.run(*create_words(name))
                if run.returncode == 0:
                    live.append(name)
            if run.returncode != 0:
                assert "given to another VM meanwhile" in run.stderr, run.stderr
        return live, gone

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        rewriters = [pool.submit(rewriting, number) for number in range(2)]
        try:
            ends = [call.result() for call in [pool.submit(calling, number) for number in range(3)]]
        finally:
            done.set()
        for rewriter in rewriters:
            rewriter.result()
    live = {"first", *(name for names, _ in ends for name in names)}
    assert unique(addresses_of_domains(world))
    assert {name: world.domain(name) for name in live} == dict.fromkeys(live, "running")
    gc_run = world.run(*GC)
    for name in set(world.registry()["vms"]) - live:  # destroyed, and back by a stale rewrite
        assert world.run("destroy", name).returncode == 0, name
    if gc_run.returncode != 0:
        gc(world)
    registry = world.registry()
    records = {name for name, record in registry["vms"].items() if record["status"] == "active"}
    assert records == live
    assert registry["other_program"] == FOREIGN
    # Addresses that a rewrite brought back belong to nobody; gc reports them and frees what it can prove.
    leaked = {key: sorted(set(registry[key]) - {registry["vms"][name][field] for name in live})
              for key, field in (("allocated_ips", "ip_address"), ("allocated_ipv6", "ipv6_address"))}
    for address in leaked["allocated_ips"]:
        assert f"{address}: allocated, but no record has it" in world.run("gc").stdout
    for key, addresses in leaked.items():
        registry[key] = [address for address in registry[key] if address not in addresses]
    world.write(registry)
    assert invariants.broken(world) == []


def test_a_database_that_is_written_in_place_is_waited_for_and_a_torn_one_is_never_replaced(world):
    """`open("w")`: empty at first, then half of it; once whole while we wait, once never."""
    assert world.run(*create_words("first")).returncode == 0
    path = world.folder / "mock-db.json"
    text = path.read_text()
    for torn in ("", text[:len(text) // 2], text[:-1]):
        with open(path, "w") as file:
            file.write(torn)
        refused = world.run("extend", "first", "--days", "5")
        assert refused.returncode != 0 and "nothing was changed" in refused.stderr, refused.stderr
        for words in (create_words("second"), ("destroy", "first"), GC, ("recover", "--all")):
            assert world.run(*words).returncode in (0, 1, *range(3, 40))
            assert path.read_text() == torn, words
        assert world.domain("first") == "running"
    path.write_text(text)
    assert invariants.broken(world) == []


def test_verbs_beside_a_program_that_writes_in_place_do_what_they_say_or_refuse(world):
    """Whatever the other program's copy undoes: nothing torn is read as something, no VM is lost, no address shared."""
    assert world.run(*create_words("first")).returncode == 0
    registry = world.registry() | {"other_program": FOREIGN}
    world.write(registry)
    done = threading.Event()

    def in_place():
        chance = random.Random(1)
        while not done.is_set():
            try:
                text = json.dumps(other_program.read(database(world)), indent=2)
            except ValueError:
                continue
            with open(database(world), "w") as file:
                for at in range(0, len(text), 1000):
                    file.write(text[at:at + 1000])
                    file.flush()
                    time.sleep(0.002)
            done.wait(chance.uniform(0.05, 0.15))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        writer = pool.submit(in_place)

        def creating(number):
            return [name for name in (f"own-{number}-{i}" for i in range(8)) if created(name)]

        def created(name):
            run = world.run(*create_words(name))
            assert run.returncode == 0 or "VM database" in run.stderr or "given to another VM" in run.stderr, run.stderr
            return run.returncode == 0

        try:
            made = [name for call in [pool.submit(creating, number) for number in range(2)] for name in call.result()]
        finally:
            done.set()
        writer.result()
    assert world.run("recover", "--all").returncode == 0
    gc(world)
    registry = world.registry()
    assert registry["other_program"] == FOREIGN
    assert {name for name, record in registry["vms"].items() if record["status"] == "active"} == {"first", *made}
    assert unique(addresses_of_domains(world))


# A backup beside other verbs


def being_stored(world, span):
    """vm-1, and its backup, which is stored for so many milliseconds and has begun to be."""
    assert world.run(*create_words("vm-1")).returncode == 0
    world.write_disk(7, "before")
    world.behave(store_ms=span)
    backup = world.start("backup", "vm-1")
    end = time.monotonic() + 60
    while '"store"' not in (world.text("journal/vm-1.journal") or ""):
        assert backup.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    return backup


@pytest.mark.parametrize("words, state", [(("destroy", "vm-1"), None), (("kill", "vm-1"), "off")], ids=["destroy", "kill"])
def test_a_backup_is_given_up_for_what_makes_it_pointless(world, words, state):
    backup = being_stored(world, 600_000)
    run = world.run(*words)
    _out, said = backup.communicate(timeout=60)
    assert run.returncode == 0, run.stderr
    assert backup.returncode == 11 and "asked this one to give up" in said
    assert world.domain() == state
    assert invariants.broken(world) + invariants.left_by_backups(world) + invariants.temporary_files(world) == []
    assert world.files("repository") == [] and world.last_backup() is None


@pytest.mark.parametrize("words, state", [(("stop", "vm-1"), "off"), (("backup", "vm-1"), "running"),
                                          (("snapshot", "take", "vm-1"), "running"), (("recover", "--all"), "running"),
                                          (("throttle", "vm-1", "--cpu-quota", "50", "--for", "1h"), "running")],
                         ids=lambda word: word[0] if isinstance(word, tuple) else "")
def test_whatever_else_waits_for_a_backup_or_goes_on_beside_it(world, words, state):
    backup = being_stored(world, 1500)
    run = world.run(*words)
    _out, said = backup.communicate(timeout=60)
    assert (run.returncode, backup.returncode) == (0, 0), run.stderr + said
    assert world.domain() == state
    assert invariants.broken(world) + invariants.left_by_backups(world) + invariants.temporary_files(world) == []
    assert world.backups()["vm-1"]["lacking"] is None


def test_a_backup_whose_guest_goes_off_fails_and_its_next_one_is_whole(world):
    backup = being_stored(world, 600_000)
    world.set_state("off")
    _out, said = backup.communicate(timeout=60)
    assert backup.returncode != 0 and "went off while it was backed up" in said
    world.behave(store_ms=0)
    assert world.run("start", "vm-1").returncode == 0
    assert world.run("backup", "vm-1").returncode == 0
    assert invariants.broken(world) + invariants.left_by_backups(world) == []
    assert world.backups()["vm-1"]["lacking"] is None
