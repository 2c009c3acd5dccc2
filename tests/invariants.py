"""What must hold of a simulated world when nothing is under way, whatever happened before: one list for every suite.

`broken(world)` returns a sentence for each thing that does not hold, `temporary_files` those for what the same verb, once
repeated, must have removed. `witness` plants what is not ours, and what is ours
and not touched, before something happens; `touched` tells afterwards what of it has changed.
"""

import json
import re

OTHER = "other"
"""The VM that nothing of a test is about."""


def text(path):
    return path.read_text() if path.exists() else None


def witness(world):
    """A VM beside, keys of other programs in the database, a foreign domain with its disk."""
    assert world.create(OTHER).returncode == 0
    registry = world.registry()
    registry["other_program"] = {"ratio": 0.10, "list": [1, None, True]}
    registry["vms"][OTHER]["panel_note"] = "kept ✓"
    world.write(registry)
    folder = world.folder / "mock-world"
    instance = (folder / "instance-id").read_text().strip()
    xml = (folder / f"domains/{OTHER}.xml").read_text()
    uuid = re.search("<uuid>(.*?)</uuid>", xml).group(1)
    foreign = xml.replace(OTHER, "foreign").replace(instance, "f" * 32).replace(uuid, "f" * 8 + uuid[8:])
    (folder / "domains/foreign.xml").write_text(foreign)
    state = (folder / f"domains/{OTHER}.json").read_text().replace(uuid, "f" * 8 + uuid[8:])
    (folder / "domains/foreign.json").write_text(state)
    (folder / "vms/foreign.qcow2").write_bytes(b"somebody's")
    return kept(world)


def kept(world):
    folder = world.folder / "mock-world"
    registry = world.registry()
    return {"record": registry["vms"].get(OTHER), "foreign keys": registry.get("other_program"),
            "domain": text(folder / f"domains/{OTHER}.xml"), "foreign domain": text(folder / "domains/foreign.xml"),
            "foreign disk": text(folder / "vms/foreign.qcow2"),
            "seed": sorted(p.name for p in (folder / "cloud-init" / OTHER).glob("*")),
            "disks": sorted(p.name for p in (folder / "vms").glob(f"{OTHER}.*"))}


def touched(world, before):
    after = kept(world)
    return [f"{what} of what was not to be touched has changed: {before[what]!r} is {after[what]!r}"
            for what in before if before[what] != after[what]]


def owner(name, known):
    """The VM whose file that is."""
    return next((vm for vm in known if name == vm or name.startswith(vm + ".")), None)


def temporary_files(world):
    """What a process that died was about to put in place of something; the next that replaces it removes it."""
    found = [path.relative_to(world.folder) for path in world.folder.rglob(".*") if path.is_file()]
    # what stands for the kernel's tables is the simulated world's own matter
    return [f"the temporary file {path} is left" for path in found if path.parts[0] != "root" and path.parent.name != "network"]


def broken(world):
    folder = world.folder / "mock-world"
    problems = []

    def hold(condition, sentence):
        if not condition:
            problems.append(sentence)

    try:
        registry = world.registry()
    except (ValueError, OSError) as error:
        return [f"the VM database cannot be read: {error}"]
    vms = registry.get("vms", {})
    live = {name: record for name, record in vms.items() if record["status"] != "destroyed"}
    domains = {name[:-4] for name in world.files("domains") if name.endswith(".xml")} - {"foreign"}

    # addresses
    for key, field in (("allocated_ips", "ip_address"), ("allocated_ipv6", "ipv6_address")):
        listed = registry.get(key, [])
        had = [record[field] for record in live.values() if record.get(field)]
        hold(len(set(had)) == len(had), f"an address has two VMs: {had}")
        hold(sorted(listed) == sorted(had), f"{key} is {sorted(listed)}, live records have {sorted(had)}")

    # records and domains
    hold(domains == set(live), f"domains are {sorted(domains)}, live records {sorted(live)}")
    for name, record in live.items():
        state = world.domain(name)
        if record["status"] == "suspended":
            hold(state in (None, "off"), f"{name} is suspended and its domain {state}")
            hold(name in world.files("suspended"), f"{name} is suspended and nothing keeps it off")
        else:
            hold(name not in world.files("suspended"), f"{name} is active and kept off as suspended")

    # what a VM has, and nothing without one
    disks = [name for name in world.files("vms") if name != "foreign.qcow2"]
    hold(sorted(owner(d, live) or d for d in disks) == sorted(live), f"disks are {disks}, live records {sorted(live)}")
    hold(set(world.files("cloud-init")) == set(live), f"seeds are {world.files('cloud-init')}")
    for what in ("console", "metrics", "suspended", "kept-off"):
        for name in world.files(what):
            hold(name.startswith(".") or owner(name, live), f"{what}/{name} belongs to no live VM")
    addresses = {record.get(field) for record in live.values() for field in ("ip_address", "ipv6_address")}
    for name in world.files("network"):  # the kernel's; a temporary file there is the simulated world's own matter
        hold(name.startswith(".") or name.split("-", 1)[1] in addresses, f"network/{name} belongs to no live VM")

    # what must have ended
    for name in world.files("journal"):
        limits = name.endswith((".limits", ".limits-lock")) and name.rpartition(".")[0] in live
        hold(name == "history" or name.startswith(".") or limits, f"journal/{name} is left")
    hold(world.files("run") == [], f"locks are left: {world.files('run')}")
    return problems
