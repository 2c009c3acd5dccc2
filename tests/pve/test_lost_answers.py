# SPDX-License-Identifier: MIT
"""No lost answer leads to a second execution: at every write of every action the answer is lost in every way there is, and the
action is found again, by the same process or by a later one that knows the note alone."""

import threading
import time

import pytest
from node.access import AGENT_ROLE
from platform_process import Failed, Platform

VM, CONTAINER, NEW, TEMPLATE = 100, 200, 300, 400


class Case:
    """An action with its beginning, and what is true once it is done."""

    def __init__(self, kind, number, begin=None, done=None, target=None, **action):
        self.kind, self.number, self.action = kind, number, action
        self.before, self.done, self.target = begin or (lambda world: {}), done, target or number

    def __str__(self):
        return f"{self.kind} of {'the VM' if self.number == VM else 'the container'}"


class World:
    def __init__(self, standin, folder):
        self.standin, self.folder = standin, folder
        standin.storage("local").snapshots = True
        standin.add_vm(VM, name="one", cores=1, memory=512, disks={"scsi0": 1})
        standin.add_container(CONTAINER, network=True)
        self.platforms = []
        self.platform = self.opened()

    def opened(self):
        self.platforms.append(Platform(self.standin, self.folder / f"secrets-{len(self.platforms)}", patience_ms=1500))
        return self.platforms[-1]

    def guest(self, number):
        return self.platform.guest(number)

    def running(self, number):
        assert self.platform.carry_out(number, "start")["phase"] == "done"
        return {}

    def with_snapshot(self, number):
        assert self.platform.carry_out(number, "snapshot", snapshot="before")["phase"] == "done"
        return {}

    def digest(self, number):
        return {"digest": self.guest(number)["digest"]}

    def with_backup(self, number):
        assert self.platform.carry_out(number, "backup", repository="local")["phase"] == "done"
        [volume] = self.backups(number)
        return {"backup": volume}

    def backups(self, number):
        rows = self.platform.get("/nodes/pve1/storage/local/content", content="backup")
        return [row["volid"] for row in rows if int(row["vmid"]) == number]

    def snapshots(self, number, family):
        return [row["name"] for row in self.platform.get(f"/nodes/pve1/{family}/{number}/snapshot") if row["name"] != "current"]

    def close(self):
        for each in self.platforms:
            each.close()


def is_running(world, number):
    return world.guest(number)["power"] == "running"


def is_stopped(world, number):
    return world.guest(number)["power"] == "stopped"


def with_template(world):
    world.standin.access.add_role("Agent16", {*AGENT_ROLE, "VM.Clone"})
    world.standin.add_vm(TEMPLATE, disks={"scsi0": 1}, template=1)
    return {}


def cases():
    for number, family in ((VM, "qemu"), (CONTAINER, "lxc")):
        def of(function, number=number):
            return lambda world: function(world, number)

        yield Case("start", number, done=of(is_running))
        yield Case("stop", number, of(World.running), of(is_stopped), patience=0, force=True)
        yield Case("stop", number, of(World.running), of(is_stopped), patience=60)
        yield Case("set-config", number, of(World.digest),
                   lambda world, number=number: world.guest(number)["config"]["description"] == "new", description="new")
        yield Case("snapshot", number, done=lambda world, number=number, family=family:
                   world.snapshots(number, family) == ["before"], snapshot="before")
        yield Case("rollback", number, of(World.with_snapshot), lambda world: True, snapshot="before")
        yield Case("delete-snapshot", number, of(World.with_snapshot), lambda world, number=number, family=family:
                   world.snapshots(number, family) == [], snapshot="before")
        yield Case("backup", number, done=lambda world, number=number: len(world.backups(number)) == 1, repository="local")
        yield Case("delete-backup", number, of(World.with_backup),
                   lambda world, number=number: world.backups(number) == [])
        yield Case("restore", number, of(World.with_backup), lambda world: is_stopped(world, NEW), target=NEW)
        yield Case("create", number, lambda world, number=number: {"source": world.with_backup(number)["backup"]},
                   lambda world: is_stopped(world, NEW) and world.guest(NEW)["config"]["name"] == "made", target=NEW,
                   **({"name": "made"} if number == VM else {"hostname": "made", "name": "made"}))
        yield Case("destroy", number, done=lambda world, number=number: world.guest(number) is None)
    yield Case("create", VM, with_template, lambda world: is_stopped(world, NEW) and world.guest(NEW)["config"]["name"] == "made",
               target=NEW, source=str(TEMPLATE), name="made")
    yield Case("grow", VM, done=lambda world: world.guest(VM)["config"]["disk_mib"] == 2048, disk_mib=2048)


CASES = list(cases())


@pytest.fixture()
def world(standin, tmp_path):
    made = World(standin, tmp_path)
    yield made
    made.close()


def prepared(world, case):
    action = case.before(world) | case.action
    incarnation = "" if case.target == NEW else world.guest(case.number)["incarnation"]
    wanted = world.platform.wanted(case.target, case.kind, incarnation, **action)
    return wanted, world.platform.do("note", **wanted)


def writes(world):
    return [each for each in world.standin.requests if each[0] != "GET"]


def found_once(world, platform, case, wanted, note, before):
    """What is recovered is done, and was asked for once."""
    end = platform.do("recover", **wanted, note=note)
    assert end["phase"] == "done", end
    assert len(writes(world)) == before + 1
    assert case.done(world)
    assert platform.do("recover", **wanted, note=note)["phase"] == "done", "whoever looks again finds it again"


@pytest.mark.parametrize("case, kind", [*((case, kind) for case in CASES for kind in ("lose_after", "late")),
                                        *((case, kind) for case in CASES[:2] for kind in ("silent", "truncate"))], ids=str)
def test_an_answer_that_is_lost_is_found_again(world, case, kind):
    wanted, note = prepared(world, case)
    before = len(writes(world))
    world.standin.knobs.next(kind, ".", method="write", **({"seconds": 1} if kind == "late" else {}))
    with pytest.raises(Failed) as failed:
        world.platform.do("begin", **wanted, note=note)
    assert failed.value.lost and failed.value.code == "no_answer"
    found_once(world, world.platform, case, wanted, note, before)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_process_that_dies_before_it_wrote_the_answer_down_leaves_it_to_be_found(world, case):
    wanted, note = prepared(world, case)
    before = len(writes(world))
    world.standin.knobs.next("silent", ".", method="write")
    dying = world.opened()

    def begin():
        try:
            dying.do("begin", **wanted, note=note)
        except (OSError, ValueError, Failed):
            pass

    thread = threading.Thread(target=begin)
    thread.start()
    while not (writes(world)[before:] and case.done(world)):
        time.sleep(0.05)
    dying.process.kill()
    thread.join()
    found_once(world, world.opened(), case, wanted, note, before)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_never_arrived_is_not_taken_for_done_and_not_sent_again(world, case):
    wanted, note = prepared(world, case)
    before = len(writes(world))
    world.standin.knobs.next("lose_before", ".", method="write")
    with pytest.raises(Failed) as failed:
        world.platform.do("begin", **wanted, note=note)
    assert failed.value.lost
    end = world.platform.do("recover", **wanted, note=note, ms=500)
    assert end["phase"] == "unknown" and end["detail"]
    assert len(writes(world)) == before + 1


@pytest.mark.parametrize("number", [VM, CONTAINER])
def test_an_older_action_of_the_same_kind_is_not_taken_for_this_one(world, number):
    world.running(number)
    world.platform.carry_out(number, "stop", patience=0, force=True)
    wanted = world.platform.wanted(number, "start")
    note = world.platform.do("note", **wanted)
    assert world.platform.do("recover", **wanted, note=note, ms=300)["phase"] == "unknown"


def test_what_another_token_began_is_not_taken_for_this_one(world):
    wanted = world.platform.wanted(VM, "backup", repository="local", notes="ours")
    note = world.platform.do("note", **wanted)
    other = Platform(world.standin, world.folder / "other", token="other@pve!main")
    world.platforms.append(other)
    begun = other.begin(VM, "backup", repository="local")
    assert world.platform.do("recover", **wanted, note=note, ms=0)["phase"] == "unknown"
    other.do("await", handle=begun)
    assert world.platform.do("recover", **wanted, note=note, ms=0)["phase"] == "unknown"


def test_a_backup_whose_task_the_node_forgot_is_known_by_its_notes(world):
    wanted = world.platform.wanted(VM, "backup", repository="local", notes="ours\nfor 7 days")
    note = world.platform.do("note", **wanted)
    handle = world.platform.do("begin", **wanted, note=note)
    world.platform.do("await", handle=handle)
    world.standin.knobs.vanish(handle.split(" ")[0])
    assert world.platform.do("recover", **wanted, note=note, ms=300)["phase"] == "done"


def test_a_task_that_the_node_forgot_is_inferred_from_the_guest(world):
    wanted, note = prepared(world, CASES[0])
    handle = world.platform.do("begin", **wanted, note=note)
    assert world.platform.do("await", handle=handle)["phase"] == "done"
    world.standin.knobs.vanish(handle.split(" ")[0])
    end = world.platform.do("recover", **wanted, note=note)
    assert end["phase"] == "done" and "not seen" in end["warnings"][0]


def test_a_rollback_that_the_node_forgot_is_not_guessed(world):
    world.with_snapshot(VM)
    wanted = world.platform.wanted(VM, "rollback", snapshot="before")
    note = world.platform.do("note", **wanted)
    handle = world.platform.do("begin", **wanted, note=note)
    world.platform.do("await", handle=handle)
    world.standin.knobs.vanish(handle.split(" ")[0])
    assert world.platform.do("recover", **wanted, note=note, ms=300)["phase"] == "unknown"
