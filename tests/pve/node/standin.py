# SPDX-License-Identifier: MIT
"""The stand-in as a whole: its world, its front ends, its knobs."""

import collections
import random

from . import power
from .access import AGENT_ROLE, Access
from .api import Daemon
from .certificates import Certificates
from .clock import Clock, Mutex
from .errors import failed
from .front import Front
from .guests import Guests, new_mac, new_uuid
from .knobs import Knobs
from .tasks import Tasks
from .volumes import VOLUME, Storage, Volume

BROADCAST = 10
LEAST_REAL = 0.05
LOGGED = 500


class Node:
    """One machine of the cluster."""

    def __init__(self, name, address, key_kind):
        self.name, self.address, self.online = name, address, True
        self.cpus, self.memory, self.memory_used = 2, 25325268992, 3363328000
        self.disk, self.disk_used = 270553174016, 25094545408
        self.kernel, self.cpu_model, self.cpu_flags = "7.0.2-1-pve", "Intel(R) Xeon(R) Processor", "fpu vme"
        self.disks, self.vzdump_lock = [], Mutex()
        self.bridges = [{"iface": "vmbr0", "type": "bridge", "method": "static", "method6": "manual", "active": 1,
                         "autostart": 1, "address": address, "netmask": "24", "cidr": f"{address}/24",
                         "bridge_ports": "",
                         "bridge_stp": "off", "bridge_fd": 0, "families": ["inet"], "priority": 3}]
        self.certificates = Certificates(name, address, key_kind)


class StandIn:
    """`with StandIn() as node: node.url("/version")`; `node.token()` is a token of the agent's role.

    `node.knobs` are the bad days, `node.requests` is what was asked. Time runs `scale` times as fast as real time, or
    by hand (`manual`, `node.clock.advance`). Several `nodes` are one cluster; each has a front end of its own."""

    def __init__(self, nodes=("pve1",), scale=1.0, manual=False, epoch=None, keys="ec"):
        self.clock = Clock(epoch, scale, manual)
        self.booted = self.clock.now() - 5000
        self.cluster_name = "stand-in"
        self.nodes = {name: Node(name, f"10.99.0.{number}", keys) for number, name in enumerate(nodes, 1)}
        self.access, self.guests, self.tasks = Access(self.clock), Guests(self), Tasks(self)
        self.daemon, self.knobs = Daemon(self.clock), Knobs(self)
        self.storages = {"local": Storage("local", "/var/lib/vz")}
        self.pools, self.backup_jobs, self.log = set(), {}, []
        self.requests = collections.deque(maxlen=LOGGED * 20)  # (method, path, status); 0: no answer
        self.broadcast, self.broadcast_at = {}, self.clock.now()
        self._secrets, self._logged = {}, 0
        self.access.add_role("Agent16", AGENT_ROLE)
        self.fronts = {name: Front(self, name) for name in nodes}
        self._schedule_broadcast()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for front in self.fronts.values():
            front.close()
        self.clock.close()

    # -- for clients

    @property
    def front(self):
        return next(iter(self.fronts.values()))

    @property
    def address(self):
        return f"127.0.0.1:{self.front.port}"

    @property
    def fingerprint(self):
        return next(iter(self.nodes.values())).certificates.served.fingerprint

    def url(self, path, node=None):
        return f"https://127.0.0.1:{(self.fronts[node] if node else self.front).port}/api2/json{path}"

    def token(self, full="agent@pve!main", role="Agent16"):
        """USER@REALM!ID=SECRET; made, with that role on /, when it is new."""
        with self.clock.lock:
            if full not in self._secrets:
                self._secrets[full] = self.access.add_token(full)
                user = full.partition("!")[0]
                if user != "root@pam":
                    for who in (user, full):
                        if role and not any((entry.who, entry.path) == (who, "/") for entry in self.access.acl):
                            self.access.grant(who, role)
            return f"{full}={self._secrets[full]}"

    # -- the world

    def storage(self, name):
        if name not in self.storages:
            raise failed(f"storage '{name}' does not exist")
        return self.storages[name]

    def storages_on(self, node):
        return [each for each in self.storages.values() if each.nodes is None or node in each.nodes]

    def volume_name(self, volid):
        return VOLUME.fullmatch(volid)

    def volume(self, volid):
        storage = self.storages.get(volid.partition(":")[0])
        return storage.volumes.get(volid) if storage else None

    def known_volume(self, volid):
        found = self.volume(volid)
        if found is None:
            raise failed(f"volume '{volid}' does not exist")
        return found

    def volumes_of(self, vmid):
        return [volume for storage in self.storages.values() for volume in storage.volumes.values()
                if volume.vmid == vmid and volume.content in ("images", "rootdir")]

    def remove_volume(self, volid):
        storage = self.storages.get(volid.partition(":")[0])
        if storage:
            storage.volumes.pop(volid.split(",")[0], None)

    def check_volume_access(self, who, volume, vmid=None):
        """`vmid`: whom it is for, which may be its owner."""
        where = f"/storage/{volume.storage}"
        if volume.vmid != vmid and not self.access.has(who, where, "Datastore.Allocate"):
            self.access.need(who, where, "Datastore.AllocateSpace")
            self.access.need(who, f"/vms/{volume.vmid}", "VM.Backup")

    def destroy(self, guest, unreferenced=1):
        named = {value.split(",")[0] for value in guest.config.values()}
        for volume in self.volumes_of(guest.vmid):
            if unreferenced or volume.volid in named:
                self.remove_volume(volume.volid)
        guest.started = None
        self.guests.remove(guest)

    def wait_for_task(self, upid, seconds):
        return power.wait_for_task(self, upid, seconds)

    def journal(self, node, who, text):
        self.log = self.log[-LOGGED:]
        self._logged += 1
        number = self._logged
        self.log.append({"uid": str(number), "id": f"{number}:{node}", "node": node, "user": who, "tag": "pvedaemon",
                         "pid": 59,
                         "pri": 3 if text.startswith("end task") and not text.endswith(" OK") else 6, "msg": text,
                         "time": int(self.clock.shown())})

    def noise(self, busy):
        return round(random.uniform(0.01, 0.2), 15) if busy else 0

    def rename(self, old, new):
        self.nodes = {new if name == old else name: node for name, node in self.nodes.items()}
        self.fronts = {new if name == old else name: front for name, front in self.fronts.items()}
        self.nodes[new].name = self.fronts[new].name = new
        for guest in self.guests.by_id.values():
            guest.node = new if guest.node == old else guest.node
        self.send_broadcast()

    # -- the broadcast that /cluster/resources tells

    def _schedule_broadcast(self):
        """Every ten seconds; where time runs very fast, not more often than bears it."""
        now = self.clock.now()
        least = 0 if self.clock.manual else now + LEAST_REAL * self.clock.scale
        self.clock.call_at(max((now // BROADCAST + 1) * BROADCAST, least), self._broadcast_due)

    def _broadcast_due(self):
        self.send_broadcast()
        self._schedule_broadcast()

    def send_broadcast(self):
        self.broadcast_at = self.clock.now()
        self.broadcast = {(guest.kind, guest.vmid): guest.resource() for guest in self.guests.by_id.values()
                          if self.nodes[guest.node].online}

    # -- what a test arranges

    def add_volume(self, volid, size, content=None, form=None, vmid=None, archive=None, ctime=None):
        content = content or volid.partition(":")[2].partition("/")[0]
        ending = volid.rpartition(".tar")[2] if ".tar" in volid else ""
        form = form or ("t" + ending.removeprefix(".") if content == "vztmpl" else volid.rpartition(".")[2])
        made = Volume(volid, content, form, size, int(ctime or self.clock.shown()), vmid, archive=archive)
        self.storage(made.storage).volumes[volid] = made
        return made

    def add_template(self, name="tiny_2_amd64.tar.zst", size=1078178, unpacked=1996800, ctime=None):
        return self.add_volume(f"local:vztmpl/{name}", size, archive=unpacked, ctime=ctime)

    def add_vm(self, vmid, node=None, running=False, disks=None, reacts=1.0, agent=None, ctime=None, **config):
        """`disks`: key -> GiB, as qcow2 on local."""
        with self.clock.lock:
            made = self.guests.add(vmid, "qemu", node or next(iter(self.nodes)), {
                "memory": "64", "boot": " ", "meta": f"creation-qemu=10.0.13,ctime={int(ctime or self.clock.shown())}",
                "smbios1": f"uuid={new_uuid()}", "vmgenid": new_uuid()})
            for number, (key, size) in enumerate((disks or {}).items()):
                volid = f"local:{vmid}/vm-{vmid}-disk-{number}.qcow2"
                self.add_volume(volid, size << 30, "images", "qcow2", vmid, ctime=ctime).used = 331776
                made.config[key] = f"{volid},size={size}G"
                made.config["boot"] = f"order={key}"
            return self._set_up(made, running, reacts, agent, config)

    def add_container(self, vmid, node=None, running=False, reacts=1.0, ctime=None, network=False, **config):
        with self.clock.lock:
            made = self.guests.add(vmid, "lxc", node or next(iter(self.nodes)), {
                "arch": "amd64", "features": "nesting=1", "hostname": f"ct{vmid}", "memory": "128",
                "ostype": "unmanaged",
                "swap": "512", "unprivileged": "1"})
            volid = f"local:{vmid}/subvol-{vmid}-disk-0.subvol"
            self.add_volume(volid, 0, "rootdir", "subvol", vmid, ctime=ctime).used = 0
            made.config["rootfs"] = f"{volid},size=0T"
            if network:
                made.config["net0"] = f"name=eth0,bridge=vmbr0,hwaddr={new_mac()},type=veth"
            return self._set_up(made, running, reacts, None, config)

    def _set_up(self, made, running, reacts, agent, config):
        for key, value in config.items():
            if value is None:
                made.config.pop(key, None)
            else:
                made.config[key] = str(value)
        made.reacts, made.agent = reacts, agent
        if running:
            made.turn_on()
            made.started = self.clock.now() - (0 if running is True else running)
        return made


