# SPDX-License-Identifier: MIT
"""What a guest is: its configuration with pending changes, snapshots, lock, power; and what is said of it in lists."""

import hashlib
import itertools
import random
import re
import uuid

from . import formats, schema
from .clock import Mutex
from .errors import failed

SETTINGS = {"qemu": ("PUT", "/nodes/{node}/qemu/{vmid}/config"), "lxc": ("PUT", "/nodes/{node}/lxc/{vmid}/config")}
NO_SETTINGS = {"delete", "digest", "revert", "force", "skiplock", "node", "vmid", "background_delay",
               "import-working-storage"}
MIB = 1 << 20
LOCK_SECONDS = 10
DISK = re.compile(r"(ide|scsi|virtio|sata)\d+|efidisk0|tpmstate0")
MOUNT = re.compile(r"rootfs|mp\d+")
PRESSURES = ("pressurecpufull", "pressurecpusome", "pressureiofull", "pressureiosome", "pressurememoryfull",
             "pressurememorysome")


class Guest:
    def __init__(self, world, vmid, kind, node, config):
        self.world, self.vmid, self.kind, self.node = world, vmid, kind, node
        self.config = {key: str(value) for key, value in config.items()}
        self.pending, self.pending_delete, self.snapshots = {}, set(), {}
        self.started, self.pid, self.paused, self.running_config = None, None, False, None
        self.reacts = 1.0 if kind == "lxc" else None  # seconds that a shutdown takes; None: it never reacts
        self.agent = None  # a dict of what its guest agent answers
        self.data = 2017280  # bytes that a backup reads
        self.mutex, self.pids = Mutex(), itertools.count(500 + vmid)
        self.mib_per_start = 0

    # -- names

    @property
    def word(self):
        return "VM" if self.kind == "qemu" else "CT"

    @property
    def lock_file(self):
        if self.kind == "qemu":
            return f"/var/lock/qemu-server/lock-{self.vmid}.conf"
        return f"/run/lock/lxc/pve-config-{self.vmid}.lock"

    @property
    def name(self):
        if self.kind == "lxc":
            return self.config.get("hostname", f"CT{self.vmid}")
        return self.config.get("name", f"VM {self.vmid}")

    # -- configuration

    def parameter(self, key):
        return schema.call(*SETTINGS[self.kind]).parameter(key)

    def typed(self, key, text):
        kind = (self.parameter(key) or {}).get("type", "string")
        if kind in ("integer", "boolean"):
            return int(text)
        if kind == "number":
            return float(text) if "." in text else int(text)
        return text

    def typed_all(self, config):
        return {key: int(value) if key == "snaptime" else self.typed(key, value) for key, value in config.items()}

    def text(self):
        """The file, as the digest sees it."""
        sections = [("", self.config), ("PENDING", self.pending | ({"delete": ",".join(sorted(self.pending_delete))}
                                                                   if self.pending_delete else {}))]
        sections += sorted(self.snapshots.items())
        return "".join(f"[{name}]\n" + "".join(f"{key}: {values[key]}\n" for key in sorted(values))
                       for name, values in sections if values or not name)

    def digest(self):
        return hashlib.sha1(self.text().encode("utf-8", "surrogatepass")).hexdigest()

    def coming(self):
        merged = self.config | self.pending
        return {key: value for key, value in merged.items() if key not in self.pending_delete}

    def shown(self, current):
        return self.typed_all(self.config if current else self.coming()) | {"digest": self.digest()}

    def pending_rows(self):
        rows = [{"key": "digest", "value": self.digest()}]
        for key in dict.fromkeys([*self.config, *self.pending]):
            row = {"key": key}
            if key in self.config:
                row["value"] = self.typed(key, self.config[key])
            if key in self.pending:
                row["pending"] = self.typed(key, self.pending[key])
            if key in self.pending_delete:
                row["delete"] = 1
            rows.append(row)
        return rows

    def apply_pending(self):
        self.config = self.coming()
        self.pending, self.pending_delete = {}, set()

    def check_digest(self, digest):
        if digest is not None and digest != self.digest():
            raise failed("checksum mismatch (file change by other user?)" if self.kind == "qemu" else
                         "detected modified configuration - file changed by other user? Try again.")

    def check_lock(self):
        if "lock" in self.config:
            raise failed(f"{self.word} is locked ({self.config['lock']})")

    def take_lock(self, who, task=None):
        """A generator: the file lock, waited for 10 s."""
        waits = self.mutex.holder is not None
        if task and waits:
            task.log("trying to acquire lock...")
        yield from self.mutex.take(self.world.clock, who, LOCK_SECONDS, lambda: failed(
            f"can't lock file '{self.lock_file}' - got timeout"))
        if task and waits:
            task.lines[-1] += " OK"

    def locked(self, who):
        return self.mutex.released_after(who)

    # -- disks

    def disk_keys(self):
        pattern = DISK if self.kind == "qemu" else MOUNT
        return [key for key, value in self.config.items() if pattern.fullmatch(key) and "media=cdrom" not in value]

    def volume_of(self, key):
        return self.config[key].split(",")[0]

    def disk_size(self, key):
        found = re.search(r"(?:^|,)size=([^,]+)", self.config[key])
        return formats.bytes_of(found[1]) or 0 if found else 0

    def max_disk(self):
        if self.kind == "lxc":
            return self.disk_size("rootfs") or 4 << 30 if "rootfs" in self.config else 4 << 30
        order = re.findall(r"[a-z]+\d+", self.config.get("boot", ""))
        disks = self.disk_keys()
        first = next((key for key in [*order, *disks] if key in disks), None)
        return self.disk_size(first) if first else 0

    def add_unused(self, volume):
        number = next(n for n in itertools.count() if f"unused{n}" not in self.config)
        self.config[f"unused{number}"] = volume

    # -- power

    @property
    def running(self):
        return self.started is not None

    def turn_on(self):
        self.apply_pending()
        self.started, self.pid, self.paused = self.world.clock.now(), next(self.pids), False

    def turn_off(self):
        self.started, self.pid, self.paused = None, None, False
        self.apply_pending()

    def uptime(self):
        return int(self.world.clock.now() - self.started) if self.running else 0

    # -- what lists say

    def cpus(self):
        if self.kind == "lxc":
            return int(self.config.get("cores", self.world.nodes[self.node].cpus))
        return int(self.config.get("sockets", 1)) * int(self.config.get("cores", 1))

    def memory(self):
        return int(str(self.config.get("memory", 512)).removeprefix("current=")) * MIB

    def row(self):
        found = {"vmid": self.vmid, "name": self.name, "status": "running" if self.running else "stopped",
                 "cpus": self.cpus(), "cpu": self.world.noise(self.running), "maxmem": self.memory(), "mem": 0,
                 "disk": 0,
                 "maxdisk": self.max_disk(), "netin": 0, "netout": 0, "uptime": self.uptime()}
        if self.kind == "lxc":
            swap = int(self.config.get("swap", 512)) * MIB
            found |= {"type": "lxc", "swap": 0, "maxswap": swap, "diskread": 0, "diskwrite": 0}
        else:
            found["memhost"] = 0
        if self.running:
            found |= dict.fromkeys(PRESSURES, 0) | {"pid": self.pid}
        return found | {key: self.config[key] for key in ("lock", "tags") if key in self.config}

    def current(self):
        found = self.row() | {"ha": {"managed": 0}}
        if self.kind == "qemu":
            found["qmpstatus"] = self.qmp_status()
            if agent_enabled(self.config):
                found["agent"] = 1
        return found

    def qmp_status(self):
        return "stopped" if not self.running else "paused" if self.paused else "running"

    def resource(self):
        """Its numbers of the broadcast."""
        row = self.row()
        found = {key: row[key]
                 for key in ("name", "status", "cpu", "maxmem", "mem", "disk", "maxdisk", "netin", "netout",
                                           "uptime")}
        found |= {"maxcpu": row["cpus"], "diskread": 0, "diskwrite": 0, "template": int(self.config.get("template", 0))}
        return found | {key: row[key] for key in ("tags", "lock") if key in row}


class Guests:
    """All guests of the cluster: VMs and containers share the ids."""

    def __init__(self, world):
        self.world, self.by_id = world, {}

    def find(self, node, kind, vmid):
        found = self.by_id.get(vmid)
        if found is None or (found.node, found.kind) != (node, kind):
            folder = "qemu-server" if kind == "qemu" else "lxc"
            raise failed(f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
        return found

    def check_free(self, vmid, prefix=""):
        taken = self.by_id.get(vmid)
        if taken:
            raise failed(f"{prefix}{taken.word} {vmid} already exists on node '{taken.node}'")

    def add(self, vmid, kind, node, config):
        made = self.by_id[vmid] = Guest(self.world, vmid, kind, node, config)
        return made

    def remove(self, guest):
        if self.by_id.get(guest.vmid) is guest:
            del self.by_id[guest.vmid]

    def on(self, node, kind):
        return [guest for guest in self.by_id.values() if (guest.node, guest.kind) == (node, kind)]

    def next_id(self):
        return next(number for number in itertools.count(100) if number not in self.by_id)


def agent_enabled(config):
    text = config.get("agent", "0")
    return text.split(",")[0].removeprefix("enabled=") == "1"


def new_mac():
    return "BC:24:11:" + ":".join(f"{random.randrange(256):02X}" for _ in range(3))


def new_uuid():
    return str(uuid.uuid4())
