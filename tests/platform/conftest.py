# SPDX-License-Identifier: MIT
"""One world for each platform: its guests, other hands at them, and the program that speaks to it."""

import json
import pathlib
import sys
import time

import pytest

PVE = pathlib.Path(__file__).resolve().parent.parent / "pve"
sys.path.insert(0, str(PVE))

sys.path.insert(0, str(PVE.parent / "lifecycle"))

from node import StandIn  # noqa: E402
from platform_process import Failed, Platform  # noqa: E402
from simulated import Mock  # noqa: E402

pytest.register_assert_rewrite("conformance")


def loses(world, wanted, note):
    """The answer gets lost on the way, which the program tells as such."""
    with pytest.raises(Failed) as failed:
        world.platform.do("begin", **wanted, note=note)
    assert failed.value.code == "no_answer" and "not known" in failed.value.message


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def local_node(root, name="pve1"):
    """The node's own file system, with a USB disk that has the file system 1A2B-3C4D; programs note their calls."""
    for folder in ("etc/pve", "mnt", "proc/self", "dev/disk/by-uuid", "sys/class/block"):
        (root / folder).mkdir(parents=True)
    (root / f"etc/pve/nodes/{name}").mkdir(parents=True)
    (root / "etc/pve/local").symlink_to(f"nodes/{name}")
    mounts = root / "proc/self/mountinfo"
    (root / "etc/fstab").write_text("proc /proc proc defaults 0 0\n")
    mounts.write_text("22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/pve/root rw\n")
    (root / "dev/disk/by-uuid/1A2B-3C4D").symlink_to("../../sdb1")
    (root / "sys/class/block/sdb1").symlink_to("../../devices/pci0000:00/usb2/2-1/host6/block/sdb/sdb1")
    script(root / "usr/bin/mount", f'echo "40 22 8:17 / $4 rw - ext4 /dev/sdb1 rw" >>{mounts}\n')
    script(root / "usr/bin/umount", f'grep -v " $1 " {mounts} >{mounts}.new; mv {mounts}.new {mounts}\n')
    script(root / "usr/sbin/pct", f'echo "$@" >>{root}/pct-calls\n')
    return root


class Proxmox:
    """A stand-in node, a hundred times as fast."""

    name = "proxmox"
    id, other, lacks = 100, 101, frozenset()

    def __init__(self, folder):
        self.standin = StandIn(scale=100)
        self.standin.__enter__()
        self.standin.front.idle = 1 << 20
        self.standin.add_template()
        self.root = local_node(folder / "node")
        self.secrets = folder / "secrets"
        self.platform = self.reopened()

    def reopened(self, **settings):
        return Platform(self.standin, self.secrets, patience_ms=2000, local_root=str(self.root), **settings)

    def add(self, number):
        self.standin.add_vm(number, name=f"vm-{number}", cores=1, memory=512, disks={"scsi0": 1})

    def edit(self, number):
        self.standin.knobs.edit(number, memory=333)

    def replace(self, number):
        self.standin.knobs.replace(number, disks={"scsi0": 1})

    def lock(self, number):
        self.standin.knobs.set_lock(number, "backup")
        return "backup"

    def lose(self, wanted, note, after):
        self.standin.knobs.next("lose_after" if after else "lose_before", "/status/")
        loses(self, wanted, note)

    def making(self, kind):
        assert self.platform.carry_out(self.id, "backup", repository="local")["phase"] == "done"
        volume = max(row["id"] for row in self.platform.do("backups"))
        return {"source" if kind == "create" else "backup": volume}

    def deafen(self, number):
        self.standin.guests.by_id[number].reacts = None

    def hide(self):
        self.standin.knobs.withdraw("agent@pve!main")

    def vanish(self, handle):
        self.standin.knobs.vanish(handle.split(" ")[0])

    def close(self):
        self.platform.close()
        self.standin.close()


class Simulated:
    """A folder."""

    name = "simulated"
    id, other, lacks = 100, 101, frozenset()

    def __init__(self, folder):
        self.folder = folder / "world"
        self.folder.mkdir()
        self.world({"guests": {}})
        self.platform = Platform(None, folder / "secrets", platform="simulated", folder=str(self.folder))

    def world(self, document):
        path = self.folder / "platform.json"
        path.with_suffix(".new").write_text(json.dumps(document))
        path.with_suffix(".new").rename(path)

    def read(self):
        return json.loads((self.folder / "platform.json").read_text())

    def change(self, number, **members):
        document = self.read()
        document["guests"].setdefault(str(number), {}).update(members)
        self.world(document)

    def add(self, number):
        self.change(number, power="stopped", incarnation=f"made:{number}",
                    config={"name": f"vm-{number}", "cpus": 1, "memory_mib": 512, "disk_mib": 1024})

    def edit(self, number):
        document = self.read()
        document["guests"][str(number)]["config"]["memory_mib"] = 333
        self.world(document)

    def replace(self, number):
        self.add(number)
        self.change(number, incarnation="made:later")

    def lock(self, number):
        self.change(number, lock="backup")
        return "backup"

    def faults(self, **faults):
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def lose(self, wanted, note, after):
        self.faults(**{"lose_after" if after else "lose_before": 1})
        loses(self, wanted, note)

    def making(self, kind):
        if kind == "create":
            return {}
        assert self.platform.carry_out(self.id, "backup", repository="local")["phase"] == "done"
        return {"backup": next(iter(self.read()["backups"]))}

    def deafen(self, number):
        self.change(number, deaf=True)

    def hide(self):
        self.faults(hidden=True)

    def vanish(self, handle):
        document = self.read()
        del document["actions"][handle]
        self.world(document)

    def close(self):
        self.platform.close()


class MockedLibvirt:
    """This program's operations in their simulated world."""

    name = "libvirt, simulated"
    id, other = "vm-1", "vm-2"
    lacks = frozenset({"snapshot", "rollback", "delete-snapshot", "backup", "restore", "delete-backup",
                       "set-features", "mount", "unmount"})

    def __init__(self, folder):
        self.mock = Mock(folder)
        self.platform = self.opened()

    def opened(self):
        return Platform(None, None, platform="mock", env=self.mock.environment(), cwd=self.mock.folder)

    def done(self, run):
        assert run.returncode == 0, run.stderr

    def add(self, name):
        self.done(self.mock.run("create", name, "--owner-wallet", "0x" + "cd" * 20, "--apply", "--memory", "512", "--cpu", "1",
                                "--disk", "4"))
        self.done(self.mock.run("kill", name))

    def edit(self, name):
        xml = self.mock.folder / f"mock-world/domains/{name}.xml"
        text = xml.read_text()
        assert ">512</memory>" in text
        xml.write_text(text.replace(">512</memory>", ">333</memory>"))

    def replace(self, name):
        self.done(self.mock.run("destroy", name))
        self.add(name)

    def lock(self, name):
        self.mock.expire(name)
        self.done(self.mock.run("gc", "--execute", "--force-clock", "--suspend-only"))
        return "suspended"

    def lose(self, wanted, note, after):
        """The process dies: before it began, or once the guest runs."""
        if after:
            self.platform.do("begin", **wanted, note=note)
            while self.mock.domain(wanted["guest"]) != "running":
                time.sleep(0.01)
        self.platform.process.kill()
        self.platform = self.opened()

    def making(self, _kind):
        return {"owner_wallet": "0x" + "cd" * 20, "cores": 1, "memory": 512}

    def deafen(self, _name):
        self.mock.behave(shutdown="ignores")

    def hide(self):
        registry = self.mock.registry()
        registry["vms"]["no name"] = {}
        self.mock.write(registry)

    def vanish(self, _handle):
        """A later process knows of no action that ended."""
        self.platform.close()
        self.platform = self.opened()

    def close(self):
        self.platform.close()


@pytest.fixture(params=[Proxmox, Simulated, MockedLibvirt], ids=lambda kind: kind.name)
def world(request, tmp_path):
    made = request.param(tmp_path)
    made.add(made.id)
    yield made
    made.close()
