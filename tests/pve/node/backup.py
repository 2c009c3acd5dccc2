# SPDX-License-Identifier: MIT
"""vzdump, what it writes, and restoring it."""

import re
import shlex
import time

from . import formats, schema, settings
from .errors import ApiError, failed, invalid, invalid_parameters
from .guests import new_mac, new_uuid
from .registry import call
from .retention import marks
from .starting import begin_container_start, begin_start
from .tasks import INTERRUPT
from .volumes import Archive, Volume, allocate, amount

ENDINGS = {"zstd": ".zst", "gzip": ".gz", "1": ".lzo", "lzo": ".lzo", "0": ""}
VARIABLES = ("cluster", "guestname", "node", "vmid")
ROOT_ONLY = ("tmpdir", "dumpdir", "script")
NOT_ARCHIVED = re.compile(r"lock|parent|unused\d+|snaptime")
DEFAULTS = {"all": 0, "bwlimit": 0, "compress": "0", "dumpdir": "/var/lib/vz/dump", "fleecing": {"enabled": 0},
            "ionice": 7,
            "lockwait": 180, "mailnotification": "always", "mode": "snapshot", "notification-mode": "auto",
            "performance": {"max-workers": 16, "pbs-entries-max": 1048576}, "pigz": 0, "prune-backups": "keep-all=1",
            "quiet": 0, "remove": 1, "stdexcludes": 1, "stop": 0, "stopwait": 10, "tmpdir": "/var/lib/vzdump",
            "zstd": 1}


def stamp(seconds, pattern):
    return time.strftime(pattern, time.gmtime(seconds))


@call("GET", "/nodes/{node}/vzdump/defaults")
def defaults(request, node, storage=None):
    found = dict(DEFAULTS)
    if storage:
        request.world.access.need_any(request.who, f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace")
        of = request.world.storage(storage)
        found |= {"storage": storage, "dumpdir": of.path + "/dump", "prune-backups": of.prune}
    return found


def check_notes_template(text):
    wrong = [f"variable '{found[1]}' at char {found.end() - len(found[1])}"
             for found in re.finditer(r"\{\{([^}]+)\}\}", text) if found[1] not in VARIABLES]
    if wrong:
        raise invalid(notes_template=f"found unknown: {', '.join(wrong)}\n")


@call("POST", "/nodes/{node}/vzdump")
def vzdump(request, node, **_):
    given, world, who = dict(request.parameters), request.world, request.who
    chosen = [name for name in ("vmid", "all", "pool") if given.get(name)]
    if len(chosen) > 1:
        raise invalid_parameters({chosen[1]: f"option conflicts with option '{chosen[0]}'"})
    if not chosen:
        raise invalid(vmid="property is missing")
    for name in ROOT_ONLY:
        if name in given:
            raise invalid_parameters({name: "Only root may set this option."})
    if any(name in given for name in ("bwlimit", "ionice", "performance")):
        world.access.need(who, "/", "Sys.Modify")
    check_notes_template(given.get("notes-template", ""))
    storage = given.get("storage", "local")
    world.access.need(who, f"/storage/{storage}", "Datastore.AllocateSpace")
    if "prune-backups" in given:
        world.access.need(who, f"/storage/{storage}", "Datastore.Allocate")
    if chosen == ["vmid"]:
        ids = [int(text) for text in formats.split_list(given["vmid"])]
        for vmid in ids:
            world.access.need(who, f"/vms/{vmid}", "VM.Backup")
    else:
        excluded = formats.split_list(given.get("exclude", ""))
        ids = sorted(guest.vmid for guest in world.guests.by_id.values() if guest.node == node
                     and str(guest.vmid) not in excluded and world.access.has(who, f"/vms/{guest.vmid}", "VM.Backup"))
    job = Job(world, node, ids, storage, given)
    return world.tasks.fork(node, "vzdump", ids[0] if len(ids) == 1 else "", who, job.work)


class Job:
    """One vzdump of one or several guests."""

    def __init__(self, world, node, ids, storage, given):
        self.world, self.node, self.ids, self.storage, self.given = world, node, ids, storage, given

    def command(self):
        rest = {key: value for key, value in self.given.items() if key not in ("vmid", "node")}
        rest["node"] = self.node
        words = [str(vmid) for vmid in self.ids] if "vmid" in self.given else []
        for key, value in rest.items():
            words += ["--" + key, shlex.quote(str(value)) if not re.search("[={]", str(value)) else f"'{value}'"]
        return " ".join(["vzdump", *words])

    def work(self, task):
        world, lock = self.world, self.world.nodes[self.node].vzdump_lock
        storage = world.storages.get(self.storage)
        if storage is None:
            missing = f"storage '{self.storage}' does not exist"
            raise failed(f"could not get storage information for '{self.storage}': {missing}")
        try:
            storage.check_reached()
        except ApiError as error:
            raise failed(f"could not get storage information for '{self.storage}': {error.text.strip()}") from error
        if lock.holder is not None:
            task.log("INFO: trying to get global lock - waiting...")
        yield from lock.take(world.clock, task, 180 * 60,
                             lambda: failed("can't acquire lock '/var/run/vzdump.lock' - got timeout"))
        bad = 0
        with lock.released_after(task):
            task.log("INFO: starting new backup job: " + self.command())
            for vmid in self.ids:
                bad += not (yield from self.one(task, storage, vmid))
            task.log(f"INFO: Backup job finished {'with errors' if bad else 'successfully'}")
        if bad:
            raise failed("job errors")

    def one(self, task, storage, vmid):
        """A generator: True when the guest was saved."""
        world, began = self.world, self.world.clock.shown()
        guest = world.guests.by_id.get(vmid)
        try:
            if guest is None or guest.node != self.node:
                raise failed(f"unable to find VM '{vmid}'")
            task.log(f"INFO: Starting Backup of VM {vmid} ({guest.kind})")
            task.log("INFO: Backup started at " + stamp(began, "%Y-%m-%d %H:%M:%S"))
            task.log(f"INFO: status = {'running' if guest.running else 'stopped'}")
            yield from self.save(task, storage, guest, began)
        except ApiError as error:
            if error.text == INTERRUPT:
                raise
            task.log(f"ERROR: Backup of VM {vmid} failed - {error.text.strip()}")
            task.log("INFO: Failed at " + stamp(world.clock.shown(), "%Y-%m-%d %H:%M:%S"))
            return False
        took = int(world.clock.shown() - began)
        task.log(f"INFO: Finished Backup of VM {vmid} ({took // 3600:02}:{took // 60 % 60:02}:{took % 60:02})")
        task.log("INFO: Backup finished at " + stamp(world.clock.shown(), "%Y-%m-%d %H:%M:%S"))
        return True

    def mode(self, task, guest):
        mode = self.given.get("mode", "snapshot")
        if not guest.running:
            return "stop"
        if mode == "snapshot" and guest.kind == "lxc" and not any(
                self.world.storage(guest.volume_of(key).partition(":")[0]).snapshots for key in guest.disk_keys()):
            task.log("INFO: mode failure - some volumes do not support snapshots\n"
                     "INFO: trying 'suspend' mode instead")
            return "suspend"
        return mode

    def save(self, task, storage, guest, began):
        yield from guest.take_lock(task)
        with guest.locked(task):
            guest.check_lock()
            mode = self.mode(task, guest)
            archived = {key: value for key, value in guest.config.items() if not NOT_ARCHIVED.fullmatch(key)}
            guest.config["lock"] = "backup"
        try:
            task.log(f"INFO: backup mode: {mode}\nINFO: ionice priority: 7\nINFO: {guest.word} Name: {guest.name}")
            self.list_disks(task, guest)
            ending = ".tar" if guest.kind == "lxc" else ".vma"
            ending += ENDINGS[str(self.given.get("compress", "0"))]
            if guest.kind == "lxc":
                self.hold_container(task, guest, mode)
            name = f"backup/vzdump-{guest.kind}-{guest.vmid}-{stamp(began, '%Y_%m_%d-%H_%M_%S')}{ending}"
            volume = Volume(f"{storage.name}:{name}", "backup", ending[1:], guest.data * 53 // 100, int(began),
                            guest.vmid)
            volume.archive = Archive(guest.kind, archived, guest.data, guest.reacts, guest.agent)
            task.log(f"INFO: creating vzdump archive '{storage.path_of(volume)}'")
            if guest.kind == "qemu":
                self.begin_reading(task, guest, mode)
            yield task.seconds
            self.check_room(task, storage, guest)
            task.log(f"INFO: Total bytes written: {guest.data} ({amount(guest.data)}, 200MiB/s)")
            task.log(f"INFO: archive file size: {volume.size >> 20}MB")
            storage.volumes[volume.volid] = volume
            self.afterwards(task, storage, guest, volume)
        finally:
            if task.status is None:  # who was killed leaves the flag behind
                guest.config.pop("lock", None)

    def hold_container(self, task, guest, mode):
        """A running one is held before its archive is begun."""
        if not guest.running or mode == "stop":
            return
        if mode == "suspend":
            task.log("INFO: suspending guest\nINFO: resuming guest\nINFO: guest is online again after <1 seconds")
        else:
            task.log("INFO: suspend vm to make snapshot\nINFO: create storage snapshot 'vzdump'\nINFO: resume vm\n"
                     "INFO: guest is online again after <1 seconds")

    def begin_reading(self, task, guest, mode):
        """QEMU copies what is about to be written first, from here on."""
        if not guest.running:
            task.log("INFO: starting kvm to execute backup task")
        elif guest.config.get("agent", "0").startswith("1"):
            task.log("INFO: issuing guest-agent 'fs-freeze' command\nINFO: issuing guest-agent 'fs-thaw' command"
                     if guest.agent is not None else
                     "INFO: skipping guest-agent 'fs-freeze', agent configured but not running?")
        task.log(f"INFO: started backup task '{new_uuid()}'")
        if guest.running:
            task.log("INFO: resuming VM again")
        task.log(f"INFO:  42% ({amount(guest.data * 42 // 100)} of {amount(guest.data)}) in 3s, read: 200.0 MiB/s")

    def check_room(self, task, storage, guest):
        if storage.avail > 0:
            return
        task.log("INFO: zstd: error 70 : Write error : cannot write block : No space left on device")
        raise failed("vma_queue_write: write error - Broken pipe" if guest.kind == "qemu" else
                     "command 'set -o pipefail && tar cpf - | zstd' failed: exit code 2")

    def list_disks(self, task, guest):
        for key in sorted(guest.disk_keys(), reverse=True):
            if guest.kind == "qemu":
                size = formats.size_text(guest.disk_size(key))
                task.log(f"INFO: include disk '{key}' '{guest.volume_of(key)}' {size}")
            else:
                path = "/" if key == "rootfs" else re.search(r"mp=([^,]+)", guest.config[key])[1]
                included = key == "rootfs" or "backup=1" in guest.config[key]
                task.log(f"INFO: including mount point {key} ('{path}') in backup" if included else
                         f"INFO: excluding volume mount point {key} ('{path}') from backup (disabled)")

    def afterwards(self, task, storage, guest, volume):
        template = self.given.get("notes-template")
        if template:
            task.log("INFO: adding notes to backup")
            values = {"guestname": guest.name, "node": self.node, "vmid": guest.vmid,
                      "cluster": self.world.cluster_name}
            text = re.sub(r"\{\{([^}]+)\}\}", lambda found: str(values[found[1]]), template)
            volume.notes = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)
        if self.given.get("protected"):
            task.log("INFO: marking backup as protected")
            volume.protected = True
        rule = self.given.get("prune-backups") or (storage.prune if self.given.get("remove", 1) else "keep-all=1")
        if "keep-all" not in rule:
            task.log(f"INFO: prune older backups with retention: {rule}")
            gone = [volid for volid, mark in marks(storage, rule, guest.vmid, guest.kind).items() if mark == "remove"]
            for volid in gone:
                task.log(f"INFO: removing backup '{volid}'")
                del storage.volumes[volid]
            task.log(f"INFO: pruned {len(gone)} backup(s)")


@call("GET", "/nodes/{node}/vzdump/extractconfig")
def extract_config(request, node, volume):
    found = request.world.volume(volume)
    if found is None:
        raise failed(f"volume '{volume}' does not exist")
    request.world.check_volume_access(request.who, found)
    return "".join(f"{key}: {value}\n" for key, value in sorted(found.archive.config.items()))


# -- restoring


def new_disks(world, guest, archive, options, storage, task):
    """Makes a volume for each disk of the archive, and writes the merged configuration."""
    old, guest.config = guest.config, {}
    if "lock" in old:
        guest.config["lock"] = old["lock"]
    for key, value in archive.config.items():
        if settings.is_disk(guest.kind, key) and "media=cdrom" not in value:
            values = formats.parse_property(value, guest.parameter(key)["format"])
            default = "file" if guest.kind == "qemu" else "volume"
            if key not in options:
                where = storage or values[default].partition(":")[0]
                size, form = formats.bytes_of(values.get("size", "0")) or 0, values[default].rpartition(".")[2]
                made = allocate(world, guest, where, size / (1 << 30), form)
                values[default], values["size"] = made.volid, formats.size_text(made.size)
                guest.config[key] = formats.print_property(values, guest.parameter(key)["format"])
        elif key != "vmgenid":
            guest.config[key] = value
    for key, value in options.items():
        guest.config.pop(key, None)
        guest.config[key] = settings.rewritten(world, guest, key, value)
    return old


def renew_macs(guest, archived, options):
    """A container's own devices come back with other addresses, whatever was given; a VM's that were given stay."""
    for key in [key for key in guest.config if re.fullmatch(r"net\d+", key)]:
        if key in options and (guest.kind == "qemu" or key not in archived):
            continue
        if guest.kind == "lxc" and key in archived:
            guest.config[key] = archived[key]
        guest.config[key] = re.sub(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", new_mac(), guest.config[key])


def archive_of(world, guest_kind, volid):
    found = world.volume(volid)
    if found is None or found.archive is None:
        raise failed(f"volume '{volid}' does not exist")
    if guest_kind != found.archive.kind:
        path = world.storage(found.storage).path_of(found)
        raise failed(f"ERROR: file '{path}' does not look like a QemuServer vzdump backup" if guest_kind == "qemu" else
                     f"unsupported archive '{path}'")
    return found


def check_bridges(world, who, archive, options):
    for key, device in {**archive.config, **options}.items():
        if re.fullmatch(r"net\d+", key):
            settings.check_bridge(world.access, who, device)


def restoring(world, guest, volume, options, storage, unique, task, over):
    """A generator, with the lock held. What was there goes before the archive is known to be good."""
    before = [each for each in world.volumes_of(guest.vmid)] if over else []
    new_disks(world, guest, volume.archive, options, storage, task)
    guest.pending, guest.pending_delete, guest.snapshots = {}, set(), {}
    for each in before:
        world.remove_volume(each.volid)
    path = world.storage(volume.storage).path_of(volume)
    task.log(f"restoring '{volume.volid}' now..\nextracting archive '{path}'")
    yield task.seconds
    if volume.broken:
        raise failed("command 'tar xpf - --zstd' failed: exit code 2")
    task.log(f"Total bytes read: {volume.archive.data} ({amount(volume.archive.data)}, 200MiB/s)")
    guest.reacts, guest.agent, guest.data = volume.archive.reacts, volume.archive.agent, volume.archive.data
    if unique:
        renew_macs(guest, volume.archive.config, options)
    guest.config.pop("lock", None)


def wrapped(error, what):
    text = f"403 {error.text}" if error.status == 403 else error.text
    return failed(f"{what} - {text.strip()}")


def restore_container(request, node, vmid, volid, existing, start, storage, unique, options):
    world, who = request.world, request.who
    guest = existing or world.guests.add(vmid, "lxc", node, {"lock": "create"})
    if existing:
        guest.check_lock()

    def work(task):
        try:
            yield from guest.take_lock(task, task)
            with guest.locked(task):
                task.log(f"recovering backed-up configuration from '{volid}'")
                volume = archive_of(world, "lxc", volid)
                if options.get("unprivileged", int(volume.archive.config.get("unprivileged", 0))) == 0:
                    world.access.need(who, "/", "Sys.Modify")
                check_bridges(world, who, volume.archive, options)
                yield from restoring(world, guest, volume, options, storage, unique, task, bool(existing))
                task.log("merging backed-up and given configuration..")
        except ApiError as error:
            world.destroy(guest)
            raise wrapped(error, f"unable to restore CT {vmid}") from error
        if start:
            begin_container_start(world, guest, who)

    return world.tasks.fork(node, "vzrestore", vmid, who, work)


def restore_vm(request, node, vmid, volid, force, start, storage, unique, options):
    world, who = request.world, request.who
    if world.volume(volid) is None:
        raise failed(f"volume '{volid}' does not exist")
    existing = world.guests.by_id.get(vmid)
    if existing and not force:
        world.guests.check_free(vmid, f"unable to restore VM {vmid} - ")
    if existing and existing.running:
        raise failed(f"unable to restore VM {vmid} - vm is running")
    guest = existing or world.guests.add(vmid, "qemu", node, {"lock": "create"})

    def work(task):
        yield from guest.take_lock(task, task)
        with guest.locked(task):
            try:
                volume = archive_of(world, "qemu", volid)
            except ApiError:
                complain(guest, world.volume(volid), task)
                guest.config.clear()
                raise
            try:
                check_bridges(world, who, volume.archive, options)
                yield from restoring(world, guest, volume, options, storage, unique, task, bool(existing))
            except ApiError:
                world.destroy(guest)
                raise
            guest.config["vmgenid"] = new_uuid()
        if start:
            begin_start(world, node, vmid, who)

    return world.tasks.fork(node, "qmrestore", vmid, who, work)


def complain(guest, volume, task):
    """Of an archive of the other kind: each line of its configuration that makes no sense here."""
    for key, value in sorted(volume.archive.config.items()):
        described = guest.parameter(key)
        if described is None:
            task.log(f"vm {guest.vmid} - unable to parse value of '{key}' - unknown setting '{key}'")
        elif isinstance(described.get("format"), dict):
            try:
                schema.Checker(()).property("", value, described["format"])
            except formats.FormatError as error:
                text = re.sub(r"^\.", "", str(error).strip(), flags=re.M)
                task.log(f"vm {guest.vmid} - unable to parse value of '{key}' - {text}")
    task.log("error before or during data restore, some or all disks were not completely restored. "
             f"VM {guest.vmid} state is NOT cleaned up.")


