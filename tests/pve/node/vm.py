# SPDX-License-Identifier: MIT
"""VMs: lists, configuration, creation, removal. Power is in power.py, snapshots in snapshots.py."""

import re

from . import backup, formats, settings
from .errors import ApiError, denied, failed, invalid
from .guests import new_uuid
from .registry import call
from .starting import begin_start
from .volumes import allocate

QEMU = "creation-qemu=10.0.13"
ONLY_ROOT = "Only root may use this option."


def find(request, node, vmid):
    return request.world.guests.find(node, "qemu", vmid)


def refuse_skiplock(parameters):
    if parameters.get("skiplock"):
        raise invalid(skiplock=ONLY_ROOT)


def visible(request, node, kind):
    """A list leaves out what the caller may not see, without a word."""
    world = request.world
    return [guest for guest in world.guests.on(node, kind)
            if world.access.has(request.who, f"/vms/{guest.vmid}", "VM.Audit")]


@call("GET", "/nodes/{node}/qemu")
def vms(request, node, full=0):
    rows = []
    for guest in visible(request, node, "qemu"):
        rows.append(guest.row() | ({"qmpstatus": guest.qmp_status()} if full else {}))
    return rows


@call("GET", "/nodes/{node}/qemu/{vmid}/config")
def config(request, node, vmid, current=0, snapshot=None):
    if current and snapshot is not None:
        text = "cannot use 'snapshot' parameter with 'current'"
        raise invalid(snapshot=text, current=text)
    guest = find(request, node, vmid)
    if snapshot is not None:
        return snapshot_config(guest, snapshot) | {"digest": guest.digest()}
    return guest.shown(current)


def snapshot_config(guest, name):
    if name not in guest.snapshots:
        raise failed(f"snapshot '{name}' does not exist")
    return guest.typed_all(guest.snapshots[name])


@call("GET", "/nodes/{node}/qemu/{vmid}/pending")
def pending(request, node, vmid):
    return find(request, node, vmid).pending_rows()


@call("GET", "/nodes/{node}/qemu/{vmid}/status/current")
def current(request, node, vmid):
    return find(request, node, vmid).current()


def _prepare(request, node, vmid, parameters):
    refuse_skiplock(parameters)
    known = request.world.guests.by_id.get(vmid)
    return settings.check_change(request, "qemu", vmid, parameters, known)


def changing(request, guest, wanted, digest):
    """A generator: the change, under the guest's lock."""
    who = object()
    yield from guest.take_lock(who)
    with guest.locked(who):
        guest.check_digest(digest)
        guest.check_lock()
        settings.change(request.world, guest, *wanted)
        text = " ".join(f"-{key} {value}" for key, value in wanted[0].items())
        request.world.journal(guest.node, request.who, f"update {guest.word} {guest.vmid}: {text}")


@call("PUT", "/nodes/{node}/qemu/{vmid}/config")
def change(request, node, vmid, digest=None, **rest):
    wanted = _prepare(request, node, vmid, request.parameters)
    guest = find(request, node, vmid)
    yield from changing(request, guest, wanted, digest)


@call("POST", "/nodes/{node}/qemu/{vmid}/config")
def change_in_task(request, node, vmid, digest=None, background_delay=None, **rest):
    wanted = _prepare(request, node, vmid, request.parameters)
    guest, world, who = find(request, node, vmid), request.world, object()
    yield from guest.take_lock(who)
    guest.mutex.release(who)
    guest.check_digest(digest)
    guest.check_lock()
    given = sorted(wanted[0].items()) + [("delete", key) for key in wanted[1]]

    def work(task):
        task.log(f"update VM {vmid}: " + " ".join(f"-{key} {value}" for key, value in given))
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            settings.change(world, guest, *wanted)

    upid = world.tasks.fork(node, "qmconfig", vmid, request.who, work)
    if background_delay:
        return (yield from world.wait_for_task(upid, background_delay))
    return upid


def default_boot(guest):
    """The order of devices that a new VM tries, or a blank."""
    disks = guest.disk_keys()[:1]
    cards = [key for key in guest.config if key == "net0"]
    return "order=" + ";".join(disks + cards) if disks + cards else " "


@call("POST", "/nodes/{node}/qemu")
def create(request, node, vmid, archive=None, force=0, start=0, storage=None, unique=0, pool=None, bwlimit=None,
           **rest):
    world, who = request.world, request.who
    existing = world.guests.by_id.get(vmid)
    over = bool(archive and force and existing)
    if "storage" in request.parameters:
        world.access.need(who, f"/storage/{request.parameters['storage']}", "Datastore.AllocateSpace")
    allowed = world.access.has(who, f"/vms/{vmid}", "VM.Allocate")
    if not (allowed or over and world.access.has(who, f"/vms/{vmid}", "VM.Backup")):
        raise denied() if archive else denied(f"/vms/{vmid}", ("VM.Allocate",))
    if archive and world.volume(archive):
        world.check_volume_access(who, world.volume(archive), vmid)
    options = {key: value for key, value in settings.options_of(request.parameters).items()
               if key not in ("archive", "start", "storage", "unique", "pool", "bwlimit", "ha-managed", "live-restore")}
    for key, value in options.items():
        if settings.is_disk("qemu", key):
            settings.check_storage(request, value)
        settings.check_right(request, "qemu", vmid, key, value)
    if archive:
        return backup.restore_vm(request, node, vmid, archive, force, start, storage, unique, options)
    world.guests.check_free(vmid, f"unable to create VM {vmid} - ")
    guest = world.guests.add(vmid, "qemu", node, {"lock": "create"})
    guest.config["memory"] = str(options.pop("memory", 512))

    def work(task):
        try:
            yield from guest.take_lock(task, task)
            with guest.locked(task):
                yield task.seconds
                fill(world, guest, options, task)
                del guest.config["lock"]
        except ApiError as error:
            world.destroy(guest)
            raise failed(f"unable to create VM {vmid} - {error.text.strip()}") from error
        if start:
            task.log("Execute autostart")
            begin_start(world, node, vmid, who)

    return world.tasks.fork(node, "qmcreate", vmid, who, work)


def fill(world, guest, options, task):
    """What a create writes: the options, and what appears by itself."""
    for key, value in options.items():
        guest.config[key] = settings.rewritten(world, guest, key, value, task)
    guest.config.setdefault("boot", default_boot(guest))
    guest.config["meta"] = f"{QEMU},ctime={int(world.clock.shown())}"
    guest.config.setdefault("smbios1", f"uuid={new_uuid()}")
    guest.config.setdefault("vmgenid", new_uuid())
    for key in ("description", "tags"):
        if guest.config.get(key) == "":
            del guest.config[key]


@call("DELETE", "/nodes/{node}/qemu/{vmid}")
def delete(request, node, vmid, purge=0, destroy_unreferenced_disks=0, **rest):
    refuse_skiplock(request.parameters)
    guest, world = find(request, node, vmid), request.world
    if guest.config.get("protection") == "1":
        raise failed(f"can't remove VM {vmid} - protection mode enabled")
    if guest.running:
        raise failed(f"VM {vmid} is running - destroy failed")

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            world.guests.find(node, "qemu", vmid)
            guest.check_lock()
            if guest.running:
                raise failed(f"VM {vmid} is running - destroy failed")
            world.destroy(guest, unreferenced=destroy_unreferenced_disks)
            if purge:
                task.log(f"purging VM {vmid} from related configurations..")

    return world.tasks.fork(node, "qmdestroy", vmid, request.who, work)


@call("PUT", "/nodes/{node}/qemu/{vmid}/resize")
@call("PUT", "/nodes/{node}/lxc/{vmid}/resize")
def resize(request, node, vmid, disk, size, digest=None, **rest):
    refuse_skiplock(request.parameters)
    guest, world = world_guest(request, node, vmid), request.world
    guest.check_digest(digest)

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            guest.check_lock()
            if disk not in guest.config:
                raise failed(f"disk '{disk}' does not exist")
            volume = world.volume(guest.volume_of(disk))
            world.access.need(request.who, f"/storage/{volume.storage}", "Datastore.AllocateSpace")
            if volume.format == "subvol":
                raise failed("can't resize this image format")
            wanted = formats.bytes_of(size.lstrip("+")) + (volume.size if size.startswith("+") else 0)
            if wanted < volume.size:
                raise failed("shrinking disks is not supported" if guest.kind == "qemu"
                             else "unable to shrink disk size")
            if wanted > volume.size:
                task.log("Image resized.")
                volume.size, volume.ctime = wanted, int(world.clock.shown())
            guest.config[disk] = re.sub(r"size=[^,]+", f"size={formats.size_text(volume.size)}", guest.config[disk])

    return world.tasks.fork(node, "resize", vmid, request.who, work)


def world_guest(request, node, vmid):
    """Of whatever kind the path names."""
    kind = "lxc" if f"/nodes/{node}/lxc/" in request.path else "qemu"
    return request.world.guests.find(node, kind, vmid)


@call("POST", "/nodes/{node}/qemu/{vmid}/clone")
def clone(request, node, vmid, newid, full=None, storage=None, name=None, description=None, bwlimit=None, **rest):
    """As clone_vm of qemu-server has it: no recording shows one."""
    if not full or rest:
        raise ApiError(501, "only full clones on the same node are served by this stand-in\n")
    original, world, who = find(request, node, vmid), request.world, request.who
    original.check_lock()
    for key in original.disk_keys():
        where = storage or original.volume_of(key).partition(":")[0]
        world.access.need(who, f"/storage/{world.storage(where).name}", "Datastore.AllocateSpace")
    backup.check_bridges(world, who, original, {})
    taken = world.guests.by_id.get(newid)
    if taken and (taken.node, taken.kind) == (node, "qemu"):
        raise failed(f"unable to create VM {newid}: config file already exists")

    def work(task):
        yield from original.take_lock(task, task)
        with original.locked(task):
            if newid in world.guests.by_id:
                raise failed(f"unable to open file '/etc/pve/nodes/{node}/qemu-server/{newid}.conf.tmp.1' - File exists")
            made = world.guests.add(newid, "qemu", node, {"lock": "clone"})
            for key, value in original.config.items():
                if key not in original.disk_keys():
                    if key not in ("template", "lock") and not key.startswith("unused"):
                        made.config[key] = value
                    continue
                volume = world.volume(original.volume_of(key))
                task.log(f"create full clone of drive {key} ({volume.volid})")
                copy = allocate(world, made, storage or volume.storage, volume.size / (1 << 30), volume.format, task)
                made.config[key] = value.replace(volume.volid, copy.volid)
            backup.renew_macs(made, {}, {})
            made.config["smbios1"] = f"uuid={new_uuid()}"
            if "vmgenid" in made.config:
                made.config["vmgenid"] = new_uuid()
            made.config["name"] = name or f"Copy-of-VM-{original.name}"
            made.config |= {"description": description} if description else {}
            yield task.seconds
            del made.config["lock"]

    return world.tasks.fork(node, "qmclone", vmid, who, work)


@call("PUT", "/nodes/{node}/qemu/{vmid}/unlink")
def unlink(request, node, vmid, idlist, force=0):
    guest, keys = find(request, node, vmid), formats.split_list(idlist)
    yield from changing(request, guest, ({}, keys, []), None)
    if force:
        for key in [key for key in guest.config if key.startswith("unused")]:
            settings.remove_option(request.world, guest, key)


@call("POST", "/nodes/{node}/qemu/{vmid}/template")
def make_template(request, node, vmid, disk=None):
    guest, world = find(request, node, vmid), request.world
    if guest.config.get("template") == "1":
        raise failed(f"you can't convert a VM to template if VM is a template: {vmid}")

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            yield task.seconds
            guest.check_lock()
            if guest.running:
                raise failed("you can't convert a VM to template if VM is running")
            guest.config["template"] = "1"

    return world.tasks.fork(node, "qmtemplate", vmid, request.who, work)


@call("POST", "/nodes/{node}/qemu/{vmid}/monitor")
def monitor(request, node, vmid, command):
    guest = find(request, node, vmid)
    if not guest.running:
        return f"ERROR: VM {vmid} not running\n"
    if command.strip() == "info status":
        return f"VM status: {guest.qmp_status()}\r\n"
    return f"unknown command: '{command}'\r\n"


