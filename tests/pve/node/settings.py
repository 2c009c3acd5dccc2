# SPDX-License-Identifier: MIT
"""Changing a guest's configuration: which right each option needs, what is rewritten, what waits for a restart."""

import re

from . import formats, schema
from .errors import denied_because, failed, invalid
from .guests import DISK, MOUNT, NO_SETTINGS, SETTINGS, new_mac
from .volumes import VOLUME, allocate

PATTERNS = {
    "qemu": [
        (r"cores|cpu|cpulimit|cpuunits|numa\d*|smp|sockets|vcpus|affinity|allow-ksm", ("VM.Config.CPU",)),
        (r"memory|balloon|shares|hugepages|keephugepages", ("VM.Config.Memory",)),
        (r"acpi|hotplug|kvm|machine|scsihw|smbios1|tablet|vga|watchdog|audio0|serial\d+|usb\d+|parallel\d+|rng0|"
         r"ivshmem|amd-sev|intel-tdx|hostpci\d+|arch|virtiofs\d+", ("VM.Config.HWType",)),
        (r"ci[a-z]+|sshkeys|ipconfig\d+|nameserver|searchdomain", ("VM.Config.Cloudinit", "VM.Config.Network")),
        (r"net\d+", ("VM.Config.Network",)),
        (r"(ide|scsi|virtio|sata)\d+|efidisk0|tpmstate0|unused\d+|boot|bootdisk|vmstatestorage", ("VM.Config.Disk",)),
        (r".*", ("VM.Config.Options",))],
    "lxc": [
        (r"cores|cpulimit|cpuunits", ("VM.Config.CPU",)),
        (r"memory|swap", ("VM.Config.Memory",)),
        (r"net\d+|nameserver|searchdomain|hostname", ("VM.Config.Network",)),
        (r"rootfs|mp\d+|unused\d+", ("VM.Config.Disk",)),
        (r".*", ("VM.Config.Options",))],
}
ROOT_ONLY = {"qemu": {"args", "lock", "hookscript"}, "lxc": {"hookscript"}}
AT_ONCE = re.compile(r"name|description|onboot|startup|tags|protection|shares|hookscript|lock|boot|"
                     r"(scsi|virtio|sata)\d+|net\d+|unused\d+|migrate_\w+|agent")
"""What a running VM takes without a restart."""
WAITS_IN_CONTAINER = re.compile(r"features|arch|ostype|unprivileged|tty|console|cmode|timezone|rootfs")


def options_of(parameters):
    return {key: value for key, value in parameters.items() if key not in NO_SETTINGS}


def check_right(request, guest_kind, vmid, key, value, old=None):
    """`value` None: the option is deleted."""
    access, who, path = request.world.access, request.who, f"/vms/{vmid}"
    if key == "hookscript" and value is not None and request.world.volume(value) is None:
        raise invalid(hookscript=f"script '{value}' does not exist\n")
    if key in ROOT_ONLY[guest_kind]:
        raise failed(f"only root can set '{key}' config")
    if key.startswith("hostpci") and value is not None and "mapping=" not in value:
        raise failed(f"only root can set '{key}' config for non-mapped devices")
    if key == "startup":
        access.need(who, "/", "Sys.Modify")
    if guest_kind == "lxc" and key == "features":
        check_features(old, value)
    if guest_kind == "lxc" and MOUNT.fullmatch(key) and value is not None and volume_text(value).startswith("/"):
        raise denied_because("mount point type bind is only allowed for root@pam")
    if guest_kind == "qemu" and value is not None and "media=cdrom" in str(value) and DISK.fullmatch(key):
        access.need(who, path, "VM.Config.CDROM")
        return
    needed = next(privileges for pattern, privileges in PATTERNS[guest_kind] if re.fullmatch(pattern, key))
    if len(needed) == 1:
        access.need(who, path, *needed)
    elif not access.has_any(who, path, *needed):
        access.need(who, path, needed[0])
    if re.fullmatch(r"net\d+", key):
        for device in (old, value):
            check_bridge(access, who, device or "")


def check_bridge(access, who, device):
    """Of a network device: that its bridge may be used, with its tag."""
    given = dict(part.split("=", 1) for part in device.split(",") if "=" in part)
    if "bridge" in given:
        tag = f"/{given['tag']}" if "tag" in given else ""
        access.need(who, f"/sdn/zones/localnetwork/{given['bridge']}{tag}", "SDN.Use")


def check_features(old, new):
    def flags(text):
        return {part for part in (text or "").split(",") if part and not part.startswith("nesting=")
                and not part.endswith("=0")}
    if flags(old) != flags(new):
        raise denied_because("changing feature flags (except nesting) is only allowed for root@pam")


def volume_text(value):
    first = value.split(",")[0]
    return first.partition("=")[2] if first.startswith(("file=", "volume=")) else first


def check_storage(request, value):
    """Of a new disk: that its storage is there and may be filled."""
    found = VOLUME.fullmatch(volume_text(value))
    if found and not volume_text(value).startswith("/"):
        request.world.storage(found["storage"])
        if re.fullmatch(r"\d+(\.\d+)?", found["name"]):
            request.world.access.need(request.who, f"/storage/{found['storage']}", "Datastore.AllocateSpace")


def is_disk(kind, key):
    return (DISK if kind == "qemu" else MOUNT).fullmatch(key) is not None


def rewritten(world, guest, key, value, task=None):
    """What the config file holds for that value; disks are made here."""
    if is_disk(guest.kind, key):
        return disk_value(world, guest, key, value, task)
    if re.fullmatch(r"net\d+", key):
        return network_value(guest, key, value)
    if key == "tags":
        return formats.tags_text(value)
    if key == "description":
        text = str(value)
        if guest.kind == "qemu":
            return text.rstrip()
        return text if text.endswith("\n") or not text else text + "\n"
    return str(value)


def network_value(guest, key, value):
    of = guest.parameter(key)["format"]
    values = formats.parse_property(value, of)
    old = formats.parse_property(guest.config.get(key, ""), of)
    if guest.kind == "qemu":
        values.setdefault("macaddr", old.get("macaddr") or new_mac())
        return formats.print_network(values)
    values.setdefault("hwaddr", old.get("hwaddr") or new_mac())
    values.setdefault("type", "veth")
    return formats.print_property(values, of)


def disk_value(world, guest, key, value, task):
    of = guest.parameter(key)["format"]
    default = "file" if guest.kind == "qemu" else "volume"
    if not isinstance(of, dict):
        return value
    values = formats.parse_property(value, of)
    found = VOLUME.fullmatch(values[default])
    if values[default] == "none" or not found:
        return formats.print_property(values, of)
    if re.fullmatch(r"\d+(\.\d+)?", found["name"]):
        form, source, size = values.pop("format", "raw"), values.pop("import-from", None), float(found["name"])
        if source:
            size = world.known_volume(source).size / (1 << 30)
        volume = allocate(world, guest, found["storage"], size, form, task)
        values[default], values["size"] = volume.volid, formats.size_text(volume.size)
        if task and guest.kind == "qemu":
            task.log(f"{key}: successfully created disk '{formats.print_property(values, of)}'")
    elif "size" not in values:
        values["size"] = formats.size_text(world.known_volume(values[default]).size)
    return formats.print_property(values, of)


def check_change(request, kind, vmid, parameters, guest):
    """What is refused before anything is locked. Gives (options to set, keys to delete)."""
    options = options_of(parameters)
    delete, revert = (formats.split_list(parameters.get(name) or "") for name in ("delete", "revert"))
    if not options and not delete and not revert:
        raise failed("no options specified")
    described = schema.call(*SETTINGS[kind])
    for name, keys in (("delete", delete), ("revert", revert)):
        for key in keys:
            if key in NO_SETTINGS or described.parameter(key) is None:
                raise invalid(**{name: f"unknown option '{key}'"})
    for key in delete:
        if key in options:
            raise invalid(delete=f"you can't use '-{key}' and -delete {key}' at the same time")
    old = guest.coming() if guest else {}
    for key, value in [*options.items(), *((key, None) for key in delete)]:
        if value is not None and is_disk(kind, key):
            check_storage(request, value)
        check_right(request, kind, vmid, key, value, old.get(key))
    return options, delete, revert


def change(world, guest, options, delete, revert):
    """Carries it out, with the lock held."""
    if guest.kind == "lxc" and "unprivileged" in (*options, *delete):
        raise failed("unable to modify read-only option: 'unprivileged'")
    for key in revert:
        guest.pending.pop(key, None)
        guest.pending_delete.discard(key)
    for key in delete:
        remove_option(world, guest, key)
    for key, value in options.items():
        set_option(world, guest, key, value)


def waits(guest, key):
    if not guest.running:
        return False
    return not AT_ONCE.fullmatch(key) if guest.kind == "qemu" else WAITS_IN_CONTAINER.fullmatch(key) is not None


def remove_option(world, guest, key):
    guest.pending.pop(key, None)
    if key not in guest.config:
        return
    if waits(guest, key):
        guest.pending_delete.add(key)
        return
    old = guest.config.pop(key)
    if key.startswith("unused"):
        world.remove_volume(old)
    elif is_disk(guest.kind, key) and world.volume(old.split(",")[0]):
        guest.add_unused(old.split(",")[0])
        drop_from_boot(guest, key)


def drop_from_boot(guest, key):
    order = guest.config.get("boot", "")
    if order.startswith("order="):
        left = [each for each in order.removeprefix("order=").split(";") if each != key]
        guest.config["boot"] = "order=" + ";".join(left) if left else " "


def set_option(world, guest, key, value):
    guest.pending_delete.discard(key)
    text = rewritten(world, guest, key, value)
    if key in ("description", "tags") and text in ("", "\n"):
        guest.config.pop(key, None)
    elif waits(guest, key):
        if guest.config.get(key) == text:
            guest.pending.pop(key, None)
        else:
            guest.pending[key] = text
    else:
        guest.pending.pop(key, None)
        old = guest.config.get(key)
        guest.config[key] = text
        before = (old or "").split(",")[0]
        if is_disk(guest.kind, key) and before != text.split(",")[0] and world.volume(before):
            guest.add_unused(before)
