# SPDX-License-Identifier: MIT
"""Snapshots: taken, listed, rolled back to, deleted. In the directory storages of containers there are none."""

import types

from .ct import can_snapshot
from .errors import failed
from .guests import new_uuid
from .registry import call
from .starting import begin_container_start, begin_start
from .vm import snapshot_config, world_guest
from .volumes import allocate

NOT_OF_GUEST = ("snaptime", "description", "parent", "vmstate")


@call("GET", "/nodes/{node}/qemu/{vmid}/snapshot")
@call("GET", "/nodes/{node}/lxc/{vmid}/snapshot")
def snapshots(request, node, vmid):
    guest = world_guest(request, node, vmid)
    rows = []
    for name, config in guest.snapshots.items():
        row = {"name": name, "snaptime": int(config["snaptime"]), "description": config.get("description", "")}
        row |= {"vmstate": int("vmstate" in config)} if guest.kind == "qemu" else {}
        rows.append(row | ({"parent": config["parent"]} if "parent" in config else {}))
    row = {"name": "current", "description": "You are here!", "digest": guest.digest(), "running": int(guest.running)}
    return [*rows, row | ({"parent": guest.config["parent"]} if "parent" in guest.config else {})]


def take(guest, name, description="", memory=False):
    """What is left of a snapshot that succeeded. `memory`: with what a running VM had in it."""
    kept = {key: value for key, value in guest.config.items() if key not in ("lock", "description")}
    kept |= {"snaptime": str(int(guest.world.clock.shown()))} | ({"description": description} if description else {})
    if memory and guest.running:
        owner = types.SimpleNamespace(kind="qemu", vmid=guest.vmid)
        kept["vmstate"] = allocate(guest.world, owner, "local", guest.memory() / (1 << 30), "raw").volid
    guest.snapshots[name] = kept
    guest.config["parent"] = name


@call("POST", "/nodes/{node}/qemu/{vmid}/snapshot")
@call("POST", "/nodes/{node}/lxc/{vmid}/snapshot")
def snapshot(request, node, vmid, snapname, description="", vmstate=0, **_):
    guest, world = world_guest(request, node, vmid), request.world
    if snapname in ("current", "pending"):
        raise failed(f"unable to use snapshot name '{snapname}' (reserved name)")

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            guest.check_lock()
            if snapname in guest.snapshots:
                raise failed(f"snapshot name '{snapname}' already used")
            if guest.kind == "lxc" and not can_snapshot(world, guest):
                raise failed("snapshot feature is not available")
            guest.config["lock"] = "snapshot"
        try:
            if guest.kind == "qemu":
                for key in guest.disk_keys():
                    task.log(f"snapshotting 'drive-{key}' ({guest.volume_of(key)})")
            yield task.seconds
            guest.config.pop("lock", None)
            take(guest, snapname, description, vmstate)
        finally:
            if task.status is None:
                guest.config.pop("lock", None)

    return world.tasks.fork(node, "qmsnapshot" if guest.kind == "qemu" else "vzsnapshot", vmid, request.who, work)


@call("GET", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}")
@call("GET", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}")
def index(_request, **_):
    return [{"cmd": "rollback"}, {"cmd": "config"}]


@call("GET", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config")
@call("GET", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config")
def config(request, node, vmid, snapname):
    return snapshot_config(world_guest(request, node, vmid), snapname)


@call("PUT", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config")
@call("PUT", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config")
def change(request, node, vmid, snapname, description=None):
    guest, who = world_guest(request, node, vmid), object()
    yield from guest.take_lock(who)
    with guest.locked(who):
        snapshot_config(guest, snapname)
        if description is not None:
            guest.snapshots[snapname]["description"] = description


def check_free(guest, name):
    if name not in guest.snapshots:
        raise failed(f"snapshot '{name}' does not exist")
    if name in guest.world.knobs.held_snapshots.get(guest.vmid, ()):
        raise failed(f"snapshot '{name}' is in use")


@call("POST", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback")
@call("POST", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback")
def rollback(request, node, vmid, snapname, start=0):
    guest, world = world_guest(request, node, vmid), request.world

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            check_free(guest, snapname)
            guest.check_lock()
            yield task.seconds
            if guest.running:
                guest.turn_off()
            guest.pending, guest.pending_delete = {}, set()
            saved = guest.snapshots[snapname]
            guest.config = {key: value for key, value in saved.items()
                            if key not in NOT_OF_GUEST} | {"parent": snapname}
            if guest.kind == "qemu":
                guest.config["vmgenid"] = new_uuid()
            if "vmstate" in saved:
                guest.turn_on()
        if start and not guest.running:
            if guest.kind == "qemu":
                begin_start(world, node, vmid, request.who)
            else:
                begin_container_start(world, guest, request.who)

    return world.tasks.fork(node, "qmrollback" if guest.kind == "qemu" else "vzrollback", vmid, request.who, work)


@call("DELETE", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}")
@call("DELETE", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}")
def delete(request, node, vmid, snapname, force=0):
    guest, world = world_guest(request, node, vmid), request.world

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            check_free(guest, snapname)
            guest.check_lock()
            yield task.seconds
            gone = guest.snapshots.pop(snapname)
            world.remove_volume(gone.get("vmstate", ""))
            for config in (guest.config, *guest.snapshots.values()):
                if config.get("parent") == snapname:
                    del config["parent"]
                    config |= {"parent": gone["parent"]} if "parent" in gone else {}

    return world.tasks.fork(node, "qmdelsnapshot" if guest.kind == "qemu" else "vzdelsnapshot", vmid, request.who, work)


