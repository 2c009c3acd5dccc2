# SPDX-License-Identifier: MIT
"""Storages: their definitions, content lists, volumes, pruning."""

import hashlib
import re
import types

from .errors import failed, invalid
from .formats import split_list
from .registry import call
from .retention import backups_of, marks
from .volumes import VOLUME, Storage, allocate, blocks

SEES = ("Datastore.Audit", "Datastore.AllocateSpace")


def content_text(storage):
    return ",".join(sorted(storage.content))


def definition(world, storage):
    found = {"storage": storage.name, "type": storage.kind, "path": storage.path, "content": content_text(storage),
             "prune-backups": storage.prune, "digest": digest(world)}
    found |= {"nodes": ",".join(storage.nodes)} if storage.nodes else {}
    return found | ({} if storage.enabled else {"disable": 1})


def digest(world):
    text = "".join(f"{each.kind}: {each.name} {each.path} {content_text(each)} {each.prune}\n"
                   for each in world.storages.values())
    return hashlib.sha1(text.encode()).hexdigest()


@call("GET", "/storage")
def definitions(request, type=None):
    return [definition(request.world, each) for each in request.world.storages.values()
            if request.world.access.has_any(request.who, f"/storage/{each.name}", *SEES) and type in (None, each.kind)]


@call("GET", "/storage/{storage}")
def one_definition(request, storage):
    return definition(request.world, request.world.storage(storage))


@call("POST", "/storage")
def define(request, storage, type, path="/mnt/unknown", content="images,rootdir,vztmpl,iso,backup,snippets", nodes=None,
           prune_backups="keep-all=1", shared=0, **_):
    if storage in request.world.storages:
        raise failed(f"create storage failed: storage ID '{storage}' already defined")
    made = Storage(storage, path, split_list(content), type, split_list(nodes or "") or None, shared)
    made.prune = prune_backups
    request.world.storages[storage] = made
    return {"storage": storage, "type": type}


@call("PUT", "/storage/{storage}")
def redefine(request, storage, content=None, nodes=None, prune_backups=None, disable=None, digest=None, **_):
    found = request.world.storage(storage)
    found.content = set(split_list(content)) if content else found.content
    found.nodes = split_list(nodes) if nodes else found.nodes
    found.prune = prune_backups or found.prune
    if disable is not None:
        found.enabled = int(not disable)
    return {"storage": storage, "type": found.kind}


@call("DELETE", "/storage/{storage}")
def undefine(request, storage):
    request.world.storage(storage)
    del request.world.storages[storage]


def usage(storage):
    if not storage.enabled:
        return {"storage": storage.name, "type": storage.kind, "content": content_text(storage), "enabled": 0,
                "active": 0,
                "shared": storage.shared, "total": 0, "used": 0, "avail": 0}
    if not storage.reached:
        return {"storage": storage.name, "type": storage.kind, "content": content_text(storage), "enabled": 1,
                "active": 0, "shared": storage.shared, "total": 0, "used": 0, "avail": 0}
    return {"type": storage.kind, "content": content_text(storage), "enabled": 1, "active": 1, "shared": storage.shared,
            "total": storage.total, "used": storage.used, "avail": storage.avail}


@call("GET", "/nodes/{node}/storage")
def storages(request, node, content=None, enabled=0, storage=None, **_):
    found = []
    for each in request.world.storages_on(node):
        if not request.world.access.has_any(request.who, f"/storage/{each.name}", *SEES):
            continue
        if content and not set(split_list(content)) & each.content or storage not in (None, each.name):
            continue
        if not enabled or each.enabled:
            row = usage(each) | {"storage": each.name}
            found.append(row | ({"used_fraction": each.used / each.total} if each.enabled and each.reached else {}))
    return found


@call("GET", "/nodes/{node}/storage/{storage}/status")
def status(request, node, storage):
    if storage not in request.world.storages:
        raise invalid(storage="No such storage.")
    return usage(request.world.storage(storage))


def content_row(volume):
    row = {"volid": volume.volid, "content": volume.content, "ctime": volume.ctime, "format": volume.format,
           "size": volume.size}
    if volume.vmid is not None:
        row["vmid"] = volume.vmid
    if volume.content in ("images", "rootdir"):
        row |= {"used": volume.used, "parent": volume.parent}
    if volume.content == "backup":
        row["subtype"] = volume.archive.kind
        row |= {"notes": volume.notes.split("\n")[0]} if volume.notes else {}
        row |= {"protected": 1} if volume.protected else {}
        row |= {"verification": {"state": volume.verification, "upid": ""}} if volume.verification else {}
    return row


def readable(request, volume):
    access, who = request.world.access, request.who
    if volume.content == "backup" and not access.has(who, f"/storage/{volume.storage}", "Datastore.Allocate"):
        return access.has(who, f"/storage/{volume.storage}", "Datastore.AllocateSpace") and access.has(
            who, f"/vms/{volume.vmid}", "VM.Backup")
    return True


@call("GET", "/nodes/{node}/storage/{storage}/content")
def content(request, node, storage, content=None, vmid=None):
    request.world.storage(storage).check_reached()
    found = request.world.storage(storage).volumes.values()
    return [content_row(volume) for volume in sorted(found, key=lambda volume: volume.volid)
            if vmid in (None, volume.vmid) and content in (None, volume.content) and readable(request, volume)]


@call("POST", "/nodes/{node}/storage/{storage}/content")
def make_volume(request, node, storage, vmid, filename, size, format="raw"):
    if not re.fullmatch(r"\d+[MG]?", str(size)):
        raise invalid(size="value does not match the regex pattern")
    kilobytes = int(re.match(r"\d+", str(size))[0]) * {"M": 1 << 10, "G": 1 << 20}.get(str(size)[-1], 1)
    owner = types.SimpleNamespace(kind="qemu", vmid=vmid)
    made = allocate(request.world, owner, storage, kilobytes / (1 << 20), format)
    return made.volid


def full_name(storage, volume):
    return volume if VOLUME.fullmatch(volume) else f"{storage}:{volume}"


def check_access(request, volid):
    """Of a volume that may be missing: by its name."""
    vmid = re.search(r"backup/vzdump-\w+-(\d+)-", volid)
    found = request.world.volume(volid)
    storage = f"/storage/{volid.partition(':')[0]}"
    access, who = request.world.access, request.who
    if access.has(who, storage, "Datastore.Allocate"):
        return
    if vmid:
        access.need(who, storage, "Datastore.AllocateSpace")
        access.need(who, f"/vms/{vmid[1]}", "VM.Backup")
    elif found and found.vmid is not None:
        access.need(who, f"/vms/{found.vmid}", "VM.Config.Disk")
    else:
        access.need_any(who, storage, *SEES)


@call("GET", "/nodes/{node}/storage/{storage}/content/{volume}")
def attributes(request, node, storage, volume):
    volid = full_name(storage, volume)
    check_access(request, volid)
    found = request.world.volume(volid)
    if found is None:
        raise failed(f"volume_size_info on '{volid}' failed - no format")
    form = found.format if found.content in ("images", "rootdir") else "raw"
    row = {"path": request.world.storage(found.storage).path_of(found), "size": blocks(found.size, 512),
           "used": blocks(found.size, 4096) if found.used is None else found.used, "format": form}
    row |= {"notes": found.notes} if found.notes else {}
    return row | ({"protected": 1} if found.protected else {})


@call("PUT", "/nodes/{node}/storage/{storage}/content/{volume}")
def change_attributes(request, node, storage, volume, notes=None, protected=None):
    volid = full_name(storage, volume)
    check_access(request, volid)
    found = request.world.volume(volid)
    if found is None:
        raise failed(f"volume '{volid}' does not exist")
    if notes is not None:
        found.notes = notes
    if protected is not None:
        found.protected = bool(protected)


@call("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}")
def delete(request, node, storage, volume, delay=None):
    world, volid = request.world, full_name(storage, volume)
    check_access(request, volid)
    found = world.volume(volid)
    named = re.search(r"backup/vzdump-\w+-(\d+)-|:(\d+)/", volid)
    vmid = next((part for part in named.groups() if part), "") if named else ""

    def work(task):
        yield task.seconds
        if found is not None and found.protected:
            raise failed(f"cannot remove protected volume '{found.name}' on '{found.storage}'")
        world.storage(storage).volumes.pop(volid, None)
        task.log(f"Removed volume '{volid}'")

    upid = world.tasks.fork(node, "imgdel", f"{vmid}@{storage}", request.who, work)
    if delay:
        return (yield from world.wait_for_task(upid, delay))
    return upid


@call("GET", "/nodes/{node}/storage/{storage}/prunebackups")
def dry_run(request, node, storage, prune_backups=None, type=None, vmid=None):
    of = request.world.storage(storage)
    found = marks(of, prune_backups or of.prune, vmid, type)
    return [{"volid": volume.volid, "ctime": volume.ctime, "vmid": volume.vmid, "type": volume.archive.kind,
             "mark": found[volume.volid]} for volume in backups_of(of, vmid, type)]


@call("DELETE", "/nodes/{node}/storage/{storage}/prunebackups")
def prune(request, node, storage, prune_backups=None, type=None, vmid=None):
    world, access = request.world, request.world.access
    of = world.storage(storage)
    if not access.has(request.who, f"/storage/{storage}", "Datastore.Allocate"):
        access.need(request.who, f"/storage/{storage}",
                    *(("Datastore.AllocateSpace",) if vmid else ("Datastore.Allocate",)))
        access.need(request.who, f"/vms/{vmid}", "VM.Backup")

    def work(task):
        yield task.seconds
        for volid, mark in sorted(marks(of, prune_backups or of.prune, vmid, type).items()):
            if mark == "remove":
                task.log(f"removing backup '{volid}'")
                del of.volumes[volid]

    return world.tasks.fork(node, "prunebackups", f"{vmid or ''}@{storage}", request.who, work)
