# SPDX-License-Identifier: MIT
"""Containers: lists, configuration, creation, removal."""

from . import backup, settings
from .errors import ApiError, denied, failed, invalid_parameters
from .registry import call
from .starting import begin_container_start
from .vm import changing, visible
from .volumes import amount

NOT_SAVED = {"ostemplate", "restore", "force", "start", "storage", "unique", "pool", "bwlimit", "ha-managed",
             "password",
             "ssh-public-keys", "ignore-unpack-errors"}


def find(request, node, vmid):
    return request.world.guests.find(node, "lxc", vmid)


@call("GET", "/nodes/{node}/lxc")
def containers(request, node):
    return [guest.row() for guest in visible(request, node, "lxc")]


@call("GET", "/nodes/{node}/lxc/{vmid}/config")
def config(request, node, vmid, current=0, snapshot=None):
    guest = find(request, node, vmid)
    if snapshot is not None:
        if snapshot not in guest.snapshots:
            raise failed(f"snapshot '{snapshot}' does not exist")
        return guest.typed_all(guest.snapshots[snapshot]) | {"digest": guest.digest()}
    return guest.shown(current)


@call("GET", "/nodes/{node}/lxc/{vmid}/pending")
def pending(request, node, vmid):
    return find(request, node, vmid).pending_rows()


@call("GET", "/nodes/{node}/lxc/{vmid}/status/current")
def current(request, node, vmid):
    return find(request, node, vmid).current()


@call("GET", "/nodes/{node}/lxc/{vmid}/interfaces")
def interfaces(request, node, vmid):
    guest = find(request, node, vmid)
    if not guest.running:
        return []
    found = [("lo", "00:00:00:00:00:00")]
    for key in sorted(key for key in guest.config if key.startswith("net")):
        values = dict(part.partition("=")[::2] for part in guest.config[key].split(","))
        found.append((values["name"], values["hwaddr"].lower()))
    return [{"name": name, "hwaddr": mac, "hardware-address": mac, "ip-addresses": []} for name, mac in found]


@call("GET", "/nodes/{node}/lxc/{vmid}/feature")
@call("GET", "/nodes/{node}/qemu/{vmid}/feature")
def feature(request, node, vmid, feature, **_):
    kind = "lxc" if "/lxc/" in request.path else "qemu"
    guest = request.world.guests.find(node, kind, vmid)
    found = {"hasFeature": int(kind == "qemu" or feature == "copy" or can_snapshot(request.world, guest))}
    return found | ({"nodes": sorted(request.world.nodes)} if kind == "qemu" else {})


def can_snapshot(world, guest):
    return all(world.storage(guest.volume_of(key).partition(":")[0]).snapshots for key in guest.disk_keys())


@call("PUT", "/nodes/{node}/lxc/{vmid}/config")
def change(request, node, vmid, digest=None, **_):
    known = request.world.guests.by_id.get(vmid)
    wanted = settings.check_change(request, "lxc", vmid, request.parameters, known)
    yield from changing(request, find(request, node, vmid), wanted, digest)


@call("POST", "/nodes/{node}/lxc")
def create(request, node, vmid, ostemplate, restore=0, force=0, start=0, storage=None, unique=0, unprivileged=None,
           **rest):
    world, who = request.world, request.who
    existing = world.guests.by_id.get(vmid)
    over = bool(restore and force and existing and existing.kind == "lxc")
    if over:
        if existing.running:
            raise failed("can't overwrite running container")
        if existing.config.get("protection") == "1":
            raise failed(f"unable to restore CT {vmid} - protection mode enabled")
    else:
        world.guests.check_free(vmid)
    if not (world.access.has(who, f"/vms/{vmid}", "VM.Allocate")
            or over and world.access.has(who, f"/vms/{vmid}", "VM.Backup")):
        raise denied()
    options = {key: value for key, value in settings.options_of(request.parameters).items() if key not in NOT_SAVED}
    for key, value in options.items():
        if settings.is_disk("lxc", key):
            settings.check_storage(request, value)
        settings.check_right(request, "lxc", vmid, key, value)
    if "rootfs" not in options and storage is None and not restore:
        storage = "local"
    if storage is not None:
        world.storage(storage)
        world.access.need(who, f"/storage/{storage}", "Datastore.AllocateSpace")
    if restore:
        if world.volume(ostemplate):
            world.check_volume_access(who, world.volume(ostemplate), vmid)
        return backup.restore_container(request, node, vmid, ostemplate, existing if over else None, start, storage,
                                        unique,
                                        options)
    if unprivileged == 0:
        world.access.need(who, "/", "Sys.Modify")
    if not world.volume_name(ostemplate):
        raise invalid_parameters({"ostemplate": "invalid format - unable to parse volume ID '" + ostemplate + "'\n"})
    options.setdefault("unprivileged", 1)
    options.setdefault("rootfs", f"{storage or 'local'}:4")
    guest = world.guests.add(vmid, "lxc", node, {"lock": "create"})

    def work(task):
        try:
            yield from guest.take_lock(task, task)
            with guest.locked(task):
                yield task.seconds
                fill(world, guest, options, ostemplate, task)
                guest.config.pop("lock", None)
        except ApiError as error:
            world.destroy(guest)
            raise failed(f"unable to create CT {vmid} - {error.text.strip()}") from error
        if start:
            begin_container_start(world, guest, who)

    return world.tasks.fork(node, "vzcreate", vmid, who, work)


def fill(world, guest, options, ostemplate, task):
    for key, value in options.items():
        guest.config[key] = settings.rewritten(world, guest, key, value, task)
    template = world.volume(ostemplate)
    if template is None:
        task.log(f"volume '{ostemplate}' does not exist")
        raise failed(f"volume '{ostemplate}' does not exist")
    size = template.archive
    task.log(f"extracting archive '{world.storage(template.storage).path_of(template)}'")
    task.log(f"Total bytes read: {size} ({amount(size)}, 200MiB/s)")
    if "arch" not in options and options.get("ostype") == "unmanaged":
        task.log("Falling back to amd64.\nUse `pct set VMID --arch ARCH` to change.")
    for key, value in {"arch": "amd64", "hostname": f"CT{guest.vmid}", "memory": 512, "swap": 512,
                       "ostype": "debian"}.items():
        guest.config.setdefault(key, str(value))
    for key in ("description", "tags"):
        if guest.config.get(key) in ("", "\n"):
            del guest.config[key]


@call("DELETE", "/nodes/{node}/lxc/{vmid}")
def delete(request, node, vmid, purge=0, force=0, destroy_unreferenced_disks=0):
    guest, world = find(request, node, vmid), request.world
    if guest.config.get("protection") == "1":
        raise failed(f"can't remove CT {vmid} - protection mode enabled")
    guest.check_lock()
    if guest.running and not force:
        raise failed(f"unable to destroy CT {vmid} - container is running")

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            world.guests.find(node, "lxc", vmid)
            guest.check_lock()
            if guest.running:
                task.log(f"stopping CT {vmid}..")
                guest.turn_off()
            world.destroy(guest, unreferenced=destroy_unreferenced_disks)
            if purge:
                task.log(f"purging CT {vmid} from related configurations..")

    return world.tasks.fork(node, "vzdestroy", vmid, request.who, work)
