# SPDX-License-Identifier: MIT
"""What is said of the cluster and its nodes: versions, resources (which lag), status, indexes, disks, logs."""

from .errors import ApiError, failed, invalid
from .registry import call
from .storage import content_text

VERSION = {"release": "9.2", "version": "9.2.11", "repoid": "14a22df3"}
INDEXES = {
    "/": ("subdir", "version cluster nodes storage access pools"),
    "/nodes/{node}": (
        "name", "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc "
        "migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan "
        "sdn services spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time "
        "version vncshell vzdump wakeonlan"),
    "/nodes/{node}/qemu/{vmid}": ("subdir",
                                  "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd "
                                  "rrddata monitor agent snapshot spiceproxy sendkey firewall mtunnel remote_migrate"),
    "/nodes/{node}/storage/{storage}": ("subdir", "content download-url file-restore import-metadata identity "
                                        "oci-registry-pull prunebackups rrd rrddata status upload"),
    "/nodes/{node}/certificates": ("name", "acme custom info"),
}
"""Inner nodes of the API's tree: the key of each row, and what is below."""


def index(key, names):
    return lambda _request, **_: [{key: name} for name in names.split()]


for _path, (_key, _names) in INDEXES.items():
    call("GET", _path)(index(_key, _names))


@call("GET", "/version")
@call("GET", "/nodes/{node}/version")
def version(_request, **_):
    return VERSION


@call("GET", "/nodes")
def nodes(request):
    return [node_row(request, node) | {"ssl_fingerprint": node.certificates.leaf.fingerprint}
            for node in request.world.nodes.values()]


def node_row(request, node):
    row = {"node": node.name, "id": f"node/{node.name}", "type": "node", "level": "",
           "status": "online" if node.online else "offline"}
    if request.world.access.has(request.who, f"/nodes/{node.name}", "Sys.Audit") and node.online:
        row |= {"maxcpu": node.cpus, "cpu": request.world.noise(True), "maxmem": node.memory, "mem": node.memory_used,
                "maxdisk": node.disk, "disk": node.disk_used,
                "uptime": int(request.world.broadcast_at - request.world.booted)}
    return row


@call("GET", "/cluster/resources")
def resources(request, type=None):
    world, found = request.world, []
    if type in (None, "vm"):
        for guest in world.guests.by_id.values():
            if world.access.has(request.who, f"/vms/{guest.vmid}", "VM.Audit"):
                row = {"id": f"{guest.kind}/{guest.vmid}", "type": guest.kind, "node": guest.node, "vmid": guest.vmid}
                found.append(row | world.broadcast.get((guest.kind, guest.vmid), {"status": "unknown"}))
    if type in (None, "node"):
        found += [node_row(request, node) | ({"cgroup-mode": 1} if node.online else {})
                  for node in world.nodes.values()]
    if type in (None, "storage"):
        for name in world.nodes:
            found += [storage_row(name, storage) for storage in world.storages_on(name)
                      if world.access.has_any(request.who, f"/storage/{storage.name}", "Datastore.Audit",
                                              "Datastore.AllocateSpace")]
    return found


def storage_row(node, storage):
    return {"id": f"storage/{node}/{storage.name}", "type": "storage", "node": node, "storage": storage.name,
            "plugintype": storage.kind, "shared": storage.shared, "content": content_text(storage),
            "status": "available" if storage.enabled else "unknown", "maxdisk": storage.total, "disk": storage.used}


@call("GET", "/cluster/nextid")
def next_id(request, vmid=None):
    if vmid is None:
        return str(request.world.guests.next_id())
    if vmid in request.world.guests.by_id:
        raise invalid(vmid=f"VM {vmid} already exists")
    return str(vmid)


@call("GET", "/cluster/status")
def status(request):
    world = request.world
    rows = [{"type": "node", "id": f"node/{node.name}", "name": node.name, "ip": node.address,
             "online": int(node.online), "local": int(node.name == request.front.name), "level": "",
             "nodeid": number if len(world.nodes) > 1 else 0}
            for number, node in enumerate(world.nodes.values(), 1)]
    if len(rows) > 1:
        rows.append({"type": "cluster", "id": "cluster", "name": world.cluster_name, "nodes": len(rows), "quorate": 1,
                     "version": len(rows)})
    return rows


@call("GET", "/cluster/options")
def options(request):
    tags = {tag for guest in request.world.guests.by_id.values() for tag in guest.config.get("tags", "").split(";")
            if tag}
    return {"description": "", "mac_prefix": "BC:24:11", "allowed-tags": sorted(tags)}


@call("GET", "/cluster/log")
def log(request, max=50):
    everything = request.world.access.has(request.who, "/", "Sys.Syslog")
    rows = [row for row in reversed(request.world.log) if everything or row["user"] == request.who]
    return rows[:max]


@call("GET", "/cluster/backup")
def backup_jobs(request):
    return list(request.world.backup_jobs.values())


@call("POST", "/cluster/backup")
def add_backup_job(request, **_):
    name = request.parameters.get("id") or f"backup-{len(request.world.backup_jobs):08x}-0001"
    request.world.backup_jobs[name] = {"id": name, "type": "vzdump", "enabled": 1} | request.parameters


@call("GET", "/pools")
def pools(request, **_):
    return [{"poolid": name} for name in sorted(request.world.pools)
            if request.world.access.has(request.who, f"/pool/{name}", "Pool.Audit")]


@call("POST", "/pools")
def add_pool(request, poolid, **_):
    if poolid in request.world.pools:
        raise failed(f"create pool failed: pool '{poolid}' already exists")
    request.world.pools.add(poolid)


@call("GET", "/nodes/{node}/status")
def node_status(request, node):
    of, world = request.world.nodes[node], request.world
    return {
        "uptime": int(world.clock.now() - world.booted), "cpu": world.noise(True), "wait": 0, "idle": 0,
        "loadavg": ["0.10", "0.20", "0.15"], "ksm": {"shared": 0}, "swap": {"total": 0, "used": 0, "free": 0},
        "memory": {"total": of.memory, "used": of.memory_used, "free": of.memory - of.memory_used,
                   "available": of.memory - of.memory_used},
        "rootfs": {"total": of.disk, "used": of.disk_used, "free": of.disk - of.disk_used,
                   "avail": of.disk - of.disk_used},
        "pveversion": f"pve-manager/{VERSION['version']}/{VERSION['repoid']}", "boot-info": {"mode": "legacy-bios"},
        "kversion": f"Linux {of.kernel} #1 SMP PREEMPT_DYNAMIC @0",
        "current-kernel": {"sysname": "Linux", "release": of.kernel, "version": "#1 SMP PREEMPT_DYNAMIC @0",
                           "machine": "x86_64"},
        "cpuinfo": {"cpus": of.cpus, "cores": of.cpus, "sockets": 1, "mhz": "2100.000", "model": of.cpu_model,
                    "hvm": "",
                    "family": "6", "vendor": "GenuineIntel", "user_hz": 100, "flags": of.cpu_flags}}


@call("GET", "/nodes/{node}/time")
def time(request, node):
    now = int(request.world.clock.shown())
    return {"time": now, "localtime": now, "timezone": "Etc/UTC"}


@call("GET", "/nodes/{node}/network")
def network(request, node, type=None):
    return [bridge for bridge in request.world.nodes[node].bridges
            if type in (None, "bridge", "any_bridge", "any_local_bridge")]


@call("GET", "/nodes/{node}/rrddata")
@call("GET", "/nodes/{node}/qemu/{vmid}/rrddata")
@call("GET", "/nodes/{node}/lxc/{vmid}/rrddata")
def metrics(request, node, vmid=None, **_):
    """Seventy equal minutes."""
    if vmid is not None:
        kind = "lxc" if "/lxc/" in request.path else "qemu"
        row = request.world.guests.find(node, kind, vmid).row()
        point = {key: row[key]
                 for key in ("maxmem", "mem", "maxdisk", "disk", "netin", "netout")} | {"maxcpu": row["cpus"]}
    else:
        of = request.world.nodes[node]
        point = {"maxcpu": of.cpus, "memtotal": of.memory, "memused": of.memory_used, "loadavg": 0.1}
    last = int(request.world.clock.shown()) // 60 * 60
    return [{"time": last - 60 * ago, "cpu": request.world.noise(True)} | point for ago in range(69, -1, -1)]


@call("GET", "/nodes/{node}/disks/list")
def disks(request, node, **_):
    return request.world.nodes[node].disks


@call("GET", "/nodes/{node}/disks/smart")
def smart(request, node, disk, **_):
    found = next((each for each in request.world.nodes[node].disks if each["devpath"] == disk), None)
    if found is None:
        raise failed("not a valid block device")
    return {"health": found.get("health", "UNKNOWN"), "type": "ata", "attributes": []}


@call("GET", "/nodes/{node}/disks/zfs")
def zfs(_request, **_):
    raise failed("zfsutils-linux not installed")


@call("GET", "/nodes/{node}/disks/lvm")
def lvm(_request, **_):
    return {"leaf": 0, "children": []}


@call("GET", "/nodes/{node}/disks/directory")
def directories(_request, **_):
    return []


@call("GET", "/nodes/{node}/certificates/info")
def certificates(request, node):
    return [certificate.described() for certificate in request.world.nodes[node].certificates.on_disk()]


UNSERVED = [
    ("POST", "/nodes/{node}/certificates/custom"), ("POST", "/nodes/{node}/execute"),
    ("GET", "/nodes/{node}/hardware/usb"),
    ("GET", "/nodes/{node}/journal"), ("GET", "/nodes/{node}/syslog"), ("GET", "/nodes/{node}/apt/update"),
    ("POST", "/nodes/{node}/status"),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate"), ("POST", "/nodes/{node}/lxc/{vmid}/clone"),
    ("POST", "/nodes/{node}/lxc/{vmid}/migrate"), ("POST", "/nodes/{node}/qemu/{vmid}/vncproxy"),
]
"""Known as far as rights and parameters go; behind them there is nothing."""


def unserved(request, **_):
    raise ApiError(501, f"{request.method} {request.path} is not served by this stand-in\n")


for _method, _path in UNSERVED:
    call(_method, _path)(unserved)
