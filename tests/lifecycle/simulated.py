# SPDX-License-Identifier: MIT
"""A simulated world in a folder of its own, with its configuration; and the ways to play many of them."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import invariants  # noqa: E402

TREE = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build")) / "blockhost-libvirt"
WALLET = "0x" + "cd" * 20


def ago(days):
    """That many days before now, as the registry spells it; negative: to come."""
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)).isoformat()


def replace(path, text):
    """At once: a verb that runs meanwhile reads the old text or the new one, never half of it."""
    fresh = path.with_name(path.name + ".fresh")
    fresh.write_text(text)
    os.replace(fresh, path)


def replace_fields(path, **fields):
    """Sets fields of a JSON object in a file, at once."""
    replace(path, json.dumps(json.loads(path.read_text()) | fields))


CONTENT_AT, CONTENT_LENGTH = 4 * 65536, 16
"""Where a simulated disk's content stands in its image, and how many digits tell its length (simulated/disk_content.cpp)."""


def lacking(last, snapshot):
    """What a snapshot lacks of its manifest, and of what is remembered of it; None: nothing."""
    if snapshot is None:
        return "the snapshot"
    for disk in json.loads(snapshot["files"]["manifest.json"])["disks"]:
        wanted = {number for first, count in disk["chunks"] for number in range(first, first + count)}
        there = {int(number): chunk["at"] for number, chunk in snapshot["disks"][disk["name"]]["chunks"].items()}
        timed = {number: at for each in last["disks"] for first, count, at in each["times"] for number in range(first, first + count)}
        if set(there) != wanted or there != timed:
            return f"chunks: it has {there}, the manifest {sorted(wanted)}, remembered are {timed}"
    return None


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

    def environment(self):
        """Of every call; a program that is broken on purpose stays so."""
        broken = {name: value for name, value in os.environ.items() if name == "BLOCKHOST_LEAVE_OUT"}
        return {"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(self.folder / "root")} | broken

    def run(self, *words, fault=None, late=False):
        env = self.environment()
        if fault:
            env["BLOCKHOST_FAULT"] = fault
        if late:
            env["BLOCKHOST_SIM_LATE"] = "1"
        return subprocess.run([BINARY, *words, "--mock"], cwd=self.folder, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def start(self, *words, **more):
        """A call that goes on while the test does."""
        return subprocess.Popen([BINARY, *words, "--mock"], cwd=self.folder, env=self.environment(), text=True,
                                stdin=subprocess.DEVNULL, **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more))

    def create(self, name="vm-1", **more):
        return self.run("create", name, "--owner-wallet", WALLET, "--apply", "--memory", "128", "--disk", "4", **more)

    def registry(self):
        path = self.folder / "mock-db.json"
        return json.loads(path.read_text()) if path.exists() else {"vms": {}, "allocated_ips": [], "allocated_ipv6": []}

    def change(self, name, **fields):
        """Rewrites fields of one record, as another program would; None removes one."""
        registry = self.registry()
        for key, value in fields.items():
            registry["vms"][name].pop(key, None)
            if value is not None:
                registry["vms"][name][key] = value
        self.write(registry)

    def write(self, registry):
        replace(self.folder / "mock-db.json", json.dumps(registry, indent=2))

    def record(self, name="vm-1"):
        return self.registry()["vms"][name]

    def domain(self, name="vm-1"):
        """The state of the domain as the world keeps it; None without one."""
        path = self.folder / f"mock-world/domains/{name}.json"
        return json.loads(path.read_text())["state"] if path.exists() else None

    def set_state(self, state, name="vm-1"):
        """What a guest, an admin with virsh or a reboot of the host did to the domain."""
        path = self.folder / f"mock-world/domains/{name}.json"
        replace_fields(path, state=state)

    def disk(self, name="vm-1"):
        """The image that the domain's definition names."""
        return pathlib.Path(re.search("<source file=\"([^\"]*/vms/[^\"]*)\"", self.text(f"domains/{name}.xml")).group(1))

    @staticmethod
    def content(image):
        """What that image alone holds: a text for each cluster, and the bitmaps that were written to it."""
        with image.open("rb") as file:
            file.seek(CONTENT_AT)
            length = file.read(CONTENT_LENGTH)
            return json.loads(file.read(int(length))) if length else {"clusters": {}, "bitmaps": {}}

    def write_disk(self, cluster, text, name="vm-1"):
        """What its guest, or whoever has the image open while it is off, writes to the disk; QEMU records it."""
        image, domain = self.disk(name), self.folder / f"mock-world/domains/{name}.json"
        content, state = self.content(image), json.loads(domain.read_text())
        bitmaps = content["bitmaps"] if state["state"] == "off" else state.get("bitmaps", {})
        for written in bitmaps.values():
            if written is not None and cluster not in written:
                written.append(cluster)
        content["clusters"][str(cluster)] = text
        whole = json.dumps(content).encode()
        with image.open("r+b") as file:
            file.seek(CONTENT_AT)
            file.write(b"%0*d" % (CONTENT_LENGTH, len(whole)) + whole)
        if bitmaps:
            replace_fields(domain, **{"bitmaps": bitmaps} if state["state"] != "off" else {})

    def last_backup(self, name="vm-1"):
        """What is remembered of it; None where nothing is."""
        text = self.text(f"backup/{name}.json")
        return json.loads(text) if text else None

    def snapshot(self, snapshot):
        """What the repository has of that id; None where it has none."""
        text = self.text(f"repository/{snapshot}.json")
        return json.loads(text) if text else None

    @staticmethod
    def stored(snapshot):
        """The clusters that a snapshot holds, as `content` has them."""
        return {number: text for disk in snapshot["disks"].values() for chunk in disk["chunks"].values()
                for number, text in chunk["content"].items()}

    def unlike_the_disk(self, name="vm-1"):
        """How the last backup differs from the disk as it is, when nobody has written since but the guest itself, which tells in
        the first cluster whether its file systems are frozen: sentences."""
        last = self.last_backup(name)
        snapshot = last and self.snapshot(last["snapshot"])
        if not snapshot:
            return [f"no backup of {name} is remembered" if not last else f"the repository has no {last['snapshot']}"]
        stored = self.stored(snapshot)
        there = self.content(self.disk(name))["clusters"]
        said, says, consistency = stored.pop("0", ""), there.pop("0", ""), json.loads(snapshot["files"]["manifest.json"])["consistency"]
        honest = {"frozen": said.startswith("frozen"), "crash": True, "off": said == says}[consistency]
        return [*([] if stored == there else [f"the backup holds {stored}, the disk {there}"]),
                *([] if honest else [f"in a backup that is {consistency} the file systems are {said!r}, and now {says!r}"])]

    def backups(self):
        """What backups have made of each domain of ours, for invariants.py."""
        found = {}
        for name in (file[:-5] for file in self.files("domains") if file.endswith(".json") and file != "foreign.json"):
            state, last = json.loads(self.text(f"domains/{name}.json")), self.last_backup(name)
            alive = state["state"] != "off"
            found[name] = {
                "held": [what for what, is_so in (("frozen", alive and state.get("frozen")), ("paused", state["state"] == "paused")) if is_so],
                "job": alive and "backup_scratch" in state,
                "checkpoints": state.get("checkpoints", []) if alive else None,
                "remembered": last and last.get("checkpoint"),
                "lacking": last and lacking(last, self.snapshot(last["snapshot"]))}
        return found

    def await_late_calls(self):
        """Until what calls of processes that died are still to do is done."""
        end = time.monotonic() + 10
        while any(name.endswith(".json") for name in self.files("pending")):
            assert self.run("list").returncode == 0 and time.monotonic() < end
            time.sleep(0.05)

    def disown(self, name="vm-1"):
        """Makes the domain another instance's."""
        xml = self.folder / f"mock-world/domains/{name}.xml"
        instance = (self.folder / "mock-world/instance-id").read_text().strip()
        replace(xml, xml.read_text().replace(instance, "f" * 32))

    def behave(self, **knobs):
        path = self.folder / "mock-world/behaviour.json"
        replace_fields(path, **knobs)

    def expire(self, name="vm-1", days=1):
        self.change(name, expires_at=ago(days))

    def files(self, folder):
        path = self.folder / "mock-world" / folder
        return sorted(p.name for p in path.iterdir()) if path.exists() else []

    def text(self, name):
        path = self.folder / "mock-world" / name
        return path.read_text() if path.exists() else None

    def things(self):
        """What there is, for invariants.py."""
        # what stands for the kernel's tables is the simulated world's own matter, its temporary files too
        kernel = [name.split("-", 1)[1] for name in self.files("network") if not name.startswith(".")]
        temporary = [path.relative_to(self.folder) for path in self.folder.rglob(".*") if path.is_file()]
        return invariants.Things(
            registry=self.registry(),
            domains={name[:-4]: self.domain(name[:-4]) for name in self.files("domains")
                     if name.endswith(".xml") and name != "foreign.xml"},
            disks=[name for name in self.files("vms") if name != "foreign.qcow2" and not name.endswith(".scratch")],
            seeds=self.files("cloud-init"),
            notes={folder: self.files(folder) for folder in ("console", "metrics", "suspended", "kept-off", "half-kept", "replaced")},
            addresses=kernel,
            journal=[name for name in self.files("journal") if name != "history"],
            locks=self.files("run"),
            builds=self.files("cache/build"),
            temporary=[path for path in temporary if path.parts[0] != "root" and path.parent.name != "network"],
            backups=self.backups(),
            views=[f"{folder}/{name}" for folder in ("cache/backup-nbd", "cache/backup-copy", "cache/backup-view", "vms")
                   for name in self.files(folder) if folder != "vms" or name.endswith(".scratch")])

    def kept(self, name):
        """What of a VM nothing may change that is not about it."""
        world = self.folder / "mock-world"
        return {"domain": self.text(f"domains/{name}.xml"),
                "seed": sorted(p.name for p in (world / "cloud-init" / name).glob("*")),
                "disks": sorted(p.name for p in (world / "vms").glob(f"{name}.*"))}

    def plant_foreign(self, like):
        """A domain of another instance, with its disk, that resembles one of ours."""
        world = self.folder / "mock-world"
        instance = (world / "instance-id").read_text().strip()
        xml = (world / f"domains/{like}.xml").read_text()
        uuid = re.search("<uuid>(.*?)</uuid>", xml).group(1)
        foreign = xml.replace(like, "foreign").replace(instance, "f" * 32).replace(uuid, "f" * 8 + uuid[8:])
        (world / "domains/foreign.xml").write_text(foreign)
        state = (world / f"domains/{like}.json").read_text().replace(uuid, "f" * 8 + uuid[8:])
        (world / "domains/foreign.json").write_text(state)
        (world / "vms/foreign.qcow2").write_bytes(b"somebody's")

    def kept_foreign(self):
        return {"foreign domain": self.text("domains/foreign.xml"), "foreign disk": self.text("vms/foreign.qcow2")}

    def check(self, survivors):
        """Exactly the survivors' things are there, and recover finds nothing more to do."""
        assert self.run("recover", "--all").returncode == 0
        assert invariants.not_just(self, survivors) == {}
        # the database's goes with its next change, which there may not have been
        assert [path for path in self.things().temporary if path.parts[0] == "mock-world"] == []


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


def thinned(cases):
    """All of them, or every fifth in a sanitizer build, which is slow and looks for something else."""
    return list(cases)[::5 if "ASAN_OPTIONS" in os.environ else 1]


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


GC = ("gc", "--execute", "--jobs", "1")


def gc(world, *more, status=0):
    run = world.run(*GC, *more)
    assert run.returncode == status, run.stdout + run.stderr
    return run


def made(world):
    assert world.create().returncode == 0


def expired(world):
    made(world)
    world.expire()


def suspended(world, days=1):
    """Suspended by gc; for `days` by now, where that is not zero."""
    expired(world)
    gc(world)
    if days:
        world.change("vm-1", suspended_at=ago(days))
