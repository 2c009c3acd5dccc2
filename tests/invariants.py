# SPDX-License-Identifier: MIT
"""What must hold of an instance when nothing is under way, whatever happened before: one list for every suite, and for the
simulated world (`Mock`) as for a real machine with libvirt and QEMU (`Machine`).

A world tells by `things()` what there is, by `kept(name)` what of one VM must not change, and what is not ours by
`plant_foreign()` and `kept_foreign()`. `problems` judges what there is, by kind; `broken(world)` is a sentence for each thing
that does not hold, `temporary_files` those for what the same verb, once repeated, must have removed, `left_by_backups` what the
next backup must have. `witness` plants what is
not ours, and what is ours and not touched, before something happens; `touched` tells afterwards what of it has changed.
"""

import collections
import dataclasses

OTHER = "other"
"""The VM that nothing of a test is about."""


@dataclasses.dataclass
class Things:
    """What there is of one instance; nothing that is known to be somebody else's."""
    registry: dict
    domains: dict          # name -> "off", or what else it is
    disks: list            # files in the storage pool
    seeds: list            # folders below cloud-init
    notes: dict            # console, metrics, suspended, kept-off -> the files there
    addresses: list        # what the kernel has routes and neighbour entries for
    journal: list          # files beside its history
    locks: list            # files below /run that are no sockets
    builds: list           # what a build of a template left
    temporary: list        # files that were to take another's place
    processes: list = None  # names of the domains that QEMU processes play; None where there are none to see
    ports: list = None      # taps on the bridge
    filtered: list = None   # taps that a filter of ours guards
    backups: dict = None    # name -> what backups have made of a domain: what it is held by (frozen, paused), job (whether one is
                            # under way), checkpoints (of one that runs), remembered (which checkpoint), lacking (what the backup that is remembered
                            # lacks); None where nobody looks
    views: list = None      # what a backup needed while a disk was read: folders, scratch files


def owner(name, known):
    """The VM whose file that is."""
    return next((vm for vm in known if name == vm or name.startswith(vm + ".")), None)


def problems(things):
    """What does not hold: kind -> sentences."""
    found = collections.defaultdict(list)

    def hold(condition, kind, sentence):
        if not condition:
            found[kind].append(sentence)

    registry = things.registry
    live = {name: record for name, record in registry.get("vms", {}).items() if record["status"] != "destroyed"}

    for key, field in (("allocated_ips", "ip_address"), ("allocated_ipv6", "ipv6_address")):
        listed = registry.get(key, [])
        had = [record[field] for record in live.values() if record.get(field)]
        hold(len(set(had)) == len(had), "addresses", f"an address has two VMs: {had}")
        hold(sorted(listed) == sorted(had), "addresses", f"{key} is {sorted(listed)}, live records have {sorted(had)}")

    hold(set(things.domains) == set(live), "domains", f"domains are {sorted(things.domains)}, live records {sorted(live)}")
    for name, record in live.items():
        state, kept_off = things.domains.get(name), name in things.notes["suspended"]
        if record["status"] == "suspended":
            hold(state in (None, "off"), "domains", f"{name} is suspended and its domain {state}")
            hold(kept_off, "notes", f"{name} is suspended and nothing keeps it off")
        else:
            hold(not kept_off, "notes", f"{name} is active and kept off as suspended")

    # what a VM has, and nothing without one
    undoable = [disk for disk in things.disks if ".undo-" in disk]
    whole = [disk for disk in things.disks if disk not in undoable]
    # of one that was restored in place, the disk of before is kept, and a note says so
    owned, replaced = collections.Counter(owner(disk, live) or disk for disk in whole), things.notes.get("replaced", [])
    hold(set(owned) == set(live) and all(count <= 1 + (f"{vm}.json" in replaced) for vm, count in owned.items()), "disks",
         f"disks are {things.disks}, live records {sorted(live)}, notes of disks that were replaced {replaced}")
    owners = [owner(disk, live) for disk in undoable]
    hold(None not in owners and len(set(owners)) == len(owners), "disks", f"undo snapshots are {undoable}, live records {sorted(live)}")
    hold(set(things.seeds) == set(live), "seeds", f"seeds are {things.seeds}, live records {sorted(live)}")
    for what, names in things.notes.items():
        for name in names:
            hold(name.startswith(".") or owner(name, live), "notes", f"{what}/{name} belongs to no live VM")
    addresses = {record.get(field) for record in live.values() for field in ("ip_address", "ipv6_address")}
    for address in things.addresses:
        hold(address in addresses, "addresses", f"the kernel has an entry for {address}, which no live VM has")

    # what runs
    alive = sorted(name for name, state in things.domains.items() if state != "off")
    if things.processes is not None:
        hold(sorted(things.processes) == alive, "processes", f"QEMU plays {sorted(things.processes)}, alive are {alive}")
    if things.ports is not None:
        hold(len(things.ports) == len(alive), "ports", f"the bridge has {things.ports}, alive are {alive}")
        hold(set(things.filtered) == set(things.ports), "ports", f"filters guard {things.filtered} of {things.ports}")

    # what backups leave
    for name, backup in (things.backups or {}).items():
        hold(backup["held"] == [], "backups", f"{name} is held: {', '.join(backup['held'])}")
        hold(not backup["lacking"] or name not in live, "backups", f"the last backup of {name} lacks {backup['lacking']}")

    # what must have ended
    for name in things.journal:
        limits = name.endswith((".limits", ".limits-lock")) and name.rpartition(".")[0] in live
        hold(name.startswith(".") or limits, "journal", f"journal/{name} is left")
    hold(things.locks == [], "locks", f"locks are left: {things.locks}")
    hold(things.builds == [], "builds", f"a build of a template has left {things.builds}")
    return dict(found)


def broken(world):
    try:
        things = world.things()
    except (ValueError, OSError) as error:
        return [f"the VM database cannot be read: {error}"]
    return [sentence for sentences in problems(things).values() for sentence in sentences]


def not_just(world, survivors):
    """The problems of a world in which exactly these VMs should live; empty when all is well."""
    things = world.things()
    found = problems(things)
    live = {name for name, record in things.registry["vms"].items() if record["status"] != "destroyed"}
    if live != set(survivors):
        found["records"] = [f"live records are {sorted(live)}, not {sorted(survivors)}"]
    return found


def temporary_files(world):
    """What a process that died was about to put in place of something; the next that replaces it removes it."""
    return [f"the temporary file {path} is left" for path in world.things().temporary]


def left_by_backups(world):
    """What a backup that failed to tidy up leaves for the next one; one that died leaves nothing to it, as long as the VM runs on."""
    things = world.things()
    found = [f"of the reading of disks {things.views} is left"] if things.views else []
    for name, backup in things.backups.items():
        if backup["job"]:
            found.append(f"a backup of {name} is under way")
        if backup["checkpoints"] is not None and backup["checkpoints"] != [each for each in [backup["remembered"]] if each]:
            found.append(f"{name} has the checkpoints {backup['checkpoints']}, and {backup['remembered']} is remembered")
    return found


def witness(world):
    """A VM beside, keys of other programs in the database, a foreign domain with its disk."""
    run = world.create(OTHER)
    assert run.returncode == 0, run.stderr
    registry = world.registry()
    registry["other_program"] = {"ratio": 0.10, "list": [1, None, True]}
    registry["vms"][OTHER]["panel_note"] = "kept ✓"
    world.write(registry)
    world.plant_foreign(OTHER)
    return kept(world)


def kept(world):
    registry = world.registry()
    return {"record": registry["vms"].get(OTHER), "foreign keys": registry.get("other_program"), **world.kept(OTHER),
            **world.kept_foreign()}


def touched(world, before):
    after = kept(world)
    return [f"{what} of what was not to be touched has changed: {before[what]!r} is {after[what]!r}"
            for what in before if before[what] != after[what]]
