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
            disks=[name for name in self.files("vms") if name != "foreign.qcow2"],
            seeds=self.files("cloud-init"),
            notes={folder: self.files(folder) for folder in ("console", "metrics", "suspended", "kept-off", "half-kept", "replaced")},
            addresses=kernel,
            journal=[name for name in self.files("journal") if name != "history"],
            locks=self.files("run"),
            builds=self.files("cache/build"),
            temporary=[path for path in temporary if path.parts[0] != "root" and path.parent.name != "network"])

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
