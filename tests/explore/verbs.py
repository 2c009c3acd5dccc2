# SPDX-License-Identifier: MIT
"""The verbs that change something, each in a situation where it has work to do."""

import json

from explore import Verb
from simulated import CREATE, GC, ago, expired, gc, made, suspended


def vm(state, status="active"):
    """vm-1 is there, so."""
    def settled(world):
        found = world.registry()["vms"].get("vm-1", {}).get("status"), world.domain()
        return [] if found == (status, state) else [f"record and domain are {found}, not {(status, state)}"]
    return settled


def extended(world):
    return vm("running")(world) or ([] if world.record()["expires_at"] > ago(-33) else ["the new expiry is lost"])


def limits_shown(*words):
    def settled(world):
        shown = world.run("throttle", "vm-1", "--show").stdout
        return vm("running")(world) + [f"{word!r} is not shown: {shown!r}" for word in words if word not in shown]
    return settled


def grace_is_set(world):
    text = (world.folder / "mock-world/db.yaml").read_text()
    return [] if "gc_grace_days: 9" in text else [f"db.yaml is {text!r}"]


def configured(world):
    run = world.run("guests", "vm-1", "--json")
    config = json.loads(run.stdout)["guests"][0]["config"] if run.returncode == 0 else {}
    wanted = {"cpus": 2, "memory_mib": 256, "disk_mib": 6144, "description": "mine", "tags": ["a", "b"]}
    return vm("running")(world) + [f"{key} is {config.get(key)}" for key in wanted if config.get(key) != wanted[key]]


def gone(world):
    status = world.registry()["vms"].get("vm-1", {}).get("status")
    return [] if status in (None, "destroyed") and world.domain() is None else [f"vm-1 is {status}, {world.domain()}"]


def nothing(_world):
    return []


def stopped(world):
    made(world)
    assert world.run("stop", "vm-1").returncode == 0


def paid_again(world):
    suspended(world)
    assert world.run("extend", "vm-1", "--days", "30").returncode == 0


def half_made(world):
    assert world.run(*CREATE, fault="kill@75").returncode < 0  # all is there, and its guest waited for


def rebooted(world):
    made(world)
    world.set_state("off")


def limited(world):
    made(world)
    assert world.run("throttle", "vm-1", "--cpu-quota", "25", "--for", "1h").returncode == 0


def with_snapshot(world):
    made(world)
    assert world.run("snapshot", "take", "vm-1").returncode == 0


def snapshots(number, state="running"):
    """So many of vm-1, whose definition names a disk that is there."""
    def settled(world):
        disks, xml = world.files("vms"), world.text("domains/vm-1.xml")
        listed = json.loads(world.run("snapshot", "list", "vm-1", "--json").stdout)
        mine = [disk for disk in disks if disk.startswith("vm-1.")]
        right = len(listed) == number and len(mine) == 1 + number and any(f"/{disk}" in xml for disk in mine)
        return vm(state)(world) + ([] if right else [f"{len(listed)} snapshots, disks {mine}, definition {xml}"])
    return settled


def written_since(world):
    """The guest goes on writing: in a chunk where it always writes, in one of its last time, and in one where it never did."""
    number = world.counted = getattr(world, "counted", 0) + 1
    for cluster in (5, 40 * number, 40 * (number + 1)):
        world.write_disk(cluster, f"as of {number}")


def written(world):
    made(world)
    written_since(world)


def backed_up_before(world):
    written(world)
    assert world.run("backup", "vm-1").returncode == 0
    written_since(world)


def off_since(world):
    backed_up_before(world)
    assert world.run("stop", "vm-1").returncode == 0


def backup_died(world):
    backed_up_before(world)
    assert world.run("backup", "vm-1", fault="kill@30").returncode < 0
    assert "backup_scratch" in world.text("domains/vm-1.json")


def backup_and_guest_died(world):
    backup_died(world)
    world.set_state("off")


def backed_up(state="running"):
    """The last backup holds vm-1's disk as it is."""
    return lambda world: vm(state)(world) + world.unlike_the_disk()


def backed_up_and_gone(world):
    backed_up_before(world)
    assert world.run("destroy", "vm-1").returncode == 0


def restored(name="vm-1"):
    """That VM runs with the disk of vm-1's last backup."""
    def settled(world):
        found = world.registry()["vms"].get(name, {}).get("status"), world.domain(name)
        if found != ("active", "running"):
            return [f"record and domain of {name} are {found}"]
        snapshot = world.snapshot(world.last_backup()["snapshot"])
        stored, there = world.stored(snapshot), world.content(world.disk(name))["clusters"]
        return [] if stored == there else [f"the backup holds {stored}, the disk of {name} {there}"]
    return settled


VERBS = [
    Verb("create", CREATE, lambda world: None, vm("running"), again="already exists"),
    Verb("destroy", ("destroy", "vm-1"), made, gone),
    Verb("start", ("start", "vm-1"), stopped, vm("running")),
    Verb("stop", ("stop", "vm-1"), made, vm("off")),
    Verb("kill", ("kill", "vm-1"), made, vm("off")),
    Verb("gc that suspends", GC, expired, vm("off", "suspended")),
    Verb("gc that destroys", GC, lambda world: suspended(world, days=30), gone),
    Verb("resume", ("resume", "vm-1"), paid_again, vm("running"), again="is not suspended"),
    Verb("extend", ("extend", "vm-1", "--days", "5"), made, extended),
    Verb("configure", ("configure", "vm-1", "--cpu", "2", "--memory", "256", "--disk", "6", "--description", "mine", "--tags", "b,a"),
         made, configured),
    Verb("snapshot take", ("snapshot", "take", "vm-1"), made, snapshots(1), again="has an undo snapshot already"),
    Verb("snapshot undo", ("snapshot", "undo", "vm-1"), with_snapshot, snapshots(0), again="has no undo snapshot"),
    Verb("snapshot keep", ("snapshot", "keep", "vm-1"), with_snapshot, snapshots(0), again="has no undo snapshot"),
    Verb("destroy of a VM with a snapshot", ("destroy", "vm-1"), with_snapshot, gone),
    Verb("throttle", ("throttle", "vm-1", "--cpu-quota", "50", "--persist"), made, limits_shown("50")),
    Verb("throttle for a while", ("throttle", "vm-1", "--cpu-quota", "50", "--for", "1h"), made, vm("running")),
    Verb("throttle reset", ("throttle", "vm-1", "--reset"), limited, vm("running")),
    Verb("update-gecos", ("update-gecos", "vm-1", "0x" + "ef" * 20, "--nft-id", "7"), made, vm("running")),
    Verb("backup", ("backup", "vm-1"), written, backed_up(), between=written_since),
    Verb("backup of what was written since", ("backup", "vm-1"), backed_up_before, backed_up(), between=written_since),
    Verb("backup of a VM that is off", ("backup", "vm-1"), off_since, backed_up("off"), between=written_since),
    Verb("destroy of a VM whose backup died", ("destroy", "vm-1"), backup_died, gone, familiar=True),
    Verb("start of a VM that went off in a backup that died", ("start", "vm-1"), backup_and_guest_died, vm("running"),
         went_off=True, familiar=True),
    Verb("recover of a backup", ("recover", "--all"), backup_died, vm("running")),
    Verb("restore", ("restore", "vm-1@latest"), backed_up_and_gone, restored(), again="already exists",
         went_off=True, familiar=True),
    Verb("restore of a copy", ("restore", "vm-1@latest", "--as", "vm-2"), backed_up_before, restored("vm-2"),
         again="already exists", familiar=True),
    Verb("restore in place", ("restore", "vm-1@latest", "--in-place"), backed_up_before, restored(),
         again="has an undo snapshot already", went_off=True),
    Verb("recover", ("recover", "--all"), half_made, gone),
    Verb("boot", ("boot", "--jobs", "1"), rebooted, vm("running")),
    Verb("setup storage", ("setup", "storage"), lambda world: None, nothing),
    Verb("setup db-config", ("setup", "db-config", "--gc-grace-days", "9"), lambda world: None, grace_is_set),
]
