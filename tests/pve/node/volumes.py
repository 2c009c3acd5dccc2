# SPDX-License-Identifier: MIT
"""Storages and the volumes in them, as things; node/storage.py has the calls."""

import dataclasses
import itertools
import re

from .errors import failed
from .guests import new_uuid

VOLUME = re.compile(r"(?P<storage>[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):(?P<name>.+)")
LARGEST = 16 << 40
FOLDERS = {"backup": "dump", "vztmpl": "template/cache", "iso": "template/iso", "snippets": "snippets"}


@dataclasses.dataclass
class Volume:
    volid: str
    content: str
    format: str
    size: int
    ctime: int
    vmid: int = None
    used: int = None
    parent: str = None
    notes: str = ""
    protected: bool = False
    verification: str = None  # of a Backup Server's: ok, failed; nothing: it did not look
    archive: object = None   # of a backup: what is in it; of a template: how much
    broken: bool = False     # of a backup: a restore finds that out half-way

    @property
    def storage(self):
        return self.volid.partition(":")[0]

    @property
    def name(self):
        return self.volid.partition(":")[2]


@dataclasses.dataclass
class Archive:
    """What a backup holds."""
    kind: str
    config: dict
    data: int
    reacts: object = None
    agent: object = None


class Storage:
    def __init__(self, name, path, content=("backup", "images", "iso", "rootdir", "snippets", "vztmpl"), kind="dir",
                 nodes=None, shared=0):
        self.name, self.path, self.content, self.kind = name, path, set(content), kind
        self.nodes, self.shared, self.enabled, self.snapshots = nodes, shared, 1, False
        self.prune = "keep-all=1"
        self.reached = True
        self.total, self.avail, self.used = 270553174016, 77650735104, 25094545408
        self.volumes = {}

    def check_reached(self):
        if not self.reached:
            raise failed(f"unable to activate storage '{self.name}' - directory '{self.path}' does not exist or is "
                         "unreachable")

    def path_of(self, volume):
        kind, _, rest = volume.name.partition("/")
        if kind in FOLDERS:
            return f"{self.path}/{FOLDERS[kind]}/{rest}"
        return f"{self.path}/images/{volume.name}"


def blocks(size, unit):
    return -(-size // unit) * unit


def amount(size):
    """As tar says it: rounded up."""
    return f"{-(-size * 10 // (1 << 20)) / 10:.1f}MiB"


def allocate(world, guest, storage_name, gigabytes, form, task=None):
    """A new empty disk."""
    storage = world.storage(storage_name)
    size = int(gigabytes * (1 << 30))
    folder = guest.kind == "lxc" and size == 0
    prefix, form = ("subvol", "subvol") if folder else ("vm", form)
    number = next(n for n in itertools.count() if not any(
        re.search(rf"/(vm|subvol)-{guest.vmid}-disk-{n}\.", volid) for volid in storage.volumes))
    volid = f"{storage.name}:{guest.vmid}/{prefix}-{guest.vmid}-disk-{number}.{form}"
    volume = Volume(volid, "rootdir" if guest.kind == "lxc" else "images", form, size, int(world.clock.shown()),
                    guest.vmid,
                    0 if folder else 331776)
    path = storage.path_of(volume)
    if task and form == "qcow2":
        task.log(f"Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata "
                 f"compression_type=zlib size={size} lazy_refcounts=off refcount_bits=16")
    elif task and not folder:
        task.log(f"Formatting '{path}', fmt={form} size={size} preallocation=off")
    if size > LARGEST:
        raise failed(f"unable to create image: qemu-img: {path}: The image size is too large for file format '{form}'")
    if task and guest.kind == "lxc" and not folder:
        make_filesystem(task, size)
    storage.volumes[volid] = volume
    return volume


def make_filesystem(task, size):
    """What mke2fs says."""
    count = size // 4096
    task.log(f"Creating filesystem with {count} 4k blocks and {count // 4} inodes")
    task.log(f"Filesystem UUID: {new_uuid()}")
    powers = sorted({base ** exponent for base in (3, 5, 7) for exponent in range(20)})
    copies = [32768 * power for power in powers if 32768 * power < count]
    task.log("Superblock backups stored on blocks: \n\t" + ", ".join(map(str, copies)))
