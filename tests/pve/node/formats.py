# SPDX-License-Identifier: MIT
"""Named formats and property strings: what a value may look like, and how it is written back."""

import re

DNS_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?"
DNS_NAME = re.compile(rf"({DNS_LABEL}\.)*{DNS_LABEL}")
CONFIG_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_]+")
STORAGE_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*")
SEPARATORS = re.compile(r"[,;\s\0]+")
CONTENT_TYPES = ("images", "rootdir", "vztmpl", "iso", "snippets", "backup", "import", "none")
KEEPS = ("keep-all", "keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class FormatError(Exception):
    pass


def split_list(text):
    return [part for part in SEPARATORS.split(text) if part]


def vmid(text):
    if not re.fullmatch(r"[1-9][0-9]{2,8}", text):
        raise FormatError("value does not look like a valid VM ID\n")


def dns_name(text):
    if not DNS_NAME.fullmatch(text):
        raise FormatError("value does not look like a valid DNS name\n")


def config_id(text):
    if not CONFIG_ID.fullmatch(text):
        raise FormatError(f"invalid configuration ID '{text}'\n")


def storage_id(text):
    if len(text) < 2:
        raise FormatError(f"storage ID '{text}' cannot be shorter than 2 characters\n")
    if not STORAGE_ID.fullmatch(text):
        raise FormatError(f"storage ID '{text}' contains illegal characters\n")


def node_name(text):
    if not re.fullmatch(DNS_LABEL, text):
        raise FormatError("value does not look like a valid node name\n")


def tag(text):
    if not TAG.fullmatch(text):
        raise FormatError("invalid characters in tag\n")


def content_type(text):
    if text not in CONTENT_TYPES:
        raise FormatError(f"invalid content type '{text}'\n")


def user_id(text):
    if not re.fullmatch(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", text):
        raise FormatError(f"value '{text}' does not look like a valid user name\n")


def mac(text):
    if not re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        raise FormatError("value does not look like a valid unicast MAC address\n")


def disk_size(text):
    if bytes_of(text) is None:
        raise FormatError(f"value does not look like a valid disk size: {text}\n")


def startup_order(text):
    for part in text.split(","):
        if not re.fullmatch(r"(order=)?\d+|(up|down)=\d+", part.strip()):
            raise FormatError(f"unable to parse startup options '{text}'\n")


def prune_backups(text):
    for part in text.split(","):
        if part.partition("=")[0] not in KEEPS or not re.fullmatch(r"\d+", part.partition("=")[2]):
            raise FormatError("format error\n")


def task_status(text):
    if text not in ("ok", "error", "warning", "unknown"):
        raise FormatError(f"invalid status type '{text}'\n")


NAMED = {"pve-vmid": vmid, "dns-name": dns_name, "pve-configid": config_id, "pve-storage-id": storage_id,
         "pve-node": node_name, "pve-tag": tag, "pve-storage-content": content_type, "pve-userid": user_id,
         "mac-addr": mac, "disk-size": disk_size, "pve-startup-order": startup_order, "prune-backups": prune_backups,
         "pve-task-status-type": task_status}
"""Formats that are not here accept every value."""


def check_named(name, text, privileges=()):
    if name == "pve-priv-list":
        for privilege in split_list(text):
            if privilege not in privileges:
                raise FormatError(f"invalid privilege '{privilege}'\n")
    elif name in NAMED:
        NAMED[name](text)
    elif name.endswith("-list") and name[:-len("-list")] in NAMED:
        for part in split_list(text):
            NAMED[name[:-len("-list")]](part)


def bytes_of(text):
    """Of a size such as 1G or 2560M; None when it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def size_text(number):
    """The shortest text for so many bytes, as config files have it. Nothing is 0T."""
    for unit in ("T", "G", "M", "K"):
        if number % UNITS[unit] == 0:
            return f"{number // UNITS[unit]}{unit}"
    return str(number)


def parse_property(text, schema):
    """A property string as a dict, in the order of the text."""
    values, default = {}, next((key for key, of in schema.items() if of.get("default_key")), None)
    for part in text.split(","):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals:
            if default is None:
                raise FormatError("value without key, but schema does not define a default key\n")
            if default in values:
                raise FormatError(f"duplicate key in comma-separated list property: {default}\n")
            key, value = default, key
        of = schema.get(key, {})
        if "alias" in of:
            if "keyAlias" in of:
                values[of["keyAlias"]] = key
            key = of["alias"]
        elif key in values:
            raise FormatError(f"duplicate key in comma-separated list property: {key}\n")
        values[key] = value
    return values


def print_property(values, schema):
    """The default key without its name, then what must be there, then the rest, each in the order of the alphabet."""
    default = next((key for key, of in schema.items() if of.get("default_key")), None)
    known = sorted(key for key in values if key != default and key in schema)
    ordered = sorted(known, key=lambda key: bool(schema[key].get("optional")))
    first = [values[default]] if default in values else []
    return ",".join([*first, *(f"{key}={values[key]}" for key in ordered)])


def print_network(values):
    """A VM's network card: MODEL=MAC, then the rest."""
    rest = [key for key in values if key not in ("model", "macaddr", "bridge")]
    head = [f"{values['model']}={values['macaddr']}"] + ([f"bridge={values['bridge']}"] if "bridge" in values else [])
    return ",".join([*head, *(f"{key}={values[key]}" for key in sorted(rest))])


def tags_text(text):
    return ";".join(sorted({part.lower() for part in split_list(text)}))


def boolean(text):
    """None when it is none."""
    if str(text).lower() in ("1", "on", "yes", "true"):
        return 1
    return 0 if str(text).lower() in ("0", "off", "no", "false") else None
