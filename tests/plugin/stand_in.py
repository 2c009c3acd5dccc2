# SPDX-License-Identifier: MIT
"""A program in blockhost-libvirt's place: it writes down how it is called and answers what a test prepared."""

import json

PROGRAM = """#!/bin/sh
here=${0%/*}
env >"$here/environment"
{ for word; do printf '%s\\0' "$word"; done; printf '\\n\\0'; } >>"$here/calls"
case "$*" in
    setup*--dry-run*) name=dry-run ;;
    setup*) name=$2 ;;
    *) name=$1 ;;
esac
[ ! -e "$here/$name.script" ] || . "$here/$name.script"
[ ! -e "$here/$name.talk" ] || cat "$here/$name.talk" >&2
[ ! -e "$here/$name.answer" ] || cat "$here/$name.answer"
[ ! -e "$here/$name.status" ] || exit "$(cat "$here/$name.status")"
"""

DB = {"db_file": "/var/lib/blockhost/vms.json", "bridge": "br0", "storage_pool": "blockhost",
      "storage_path": "/var/lib/blockhost/vms", "gc_grace_days": 7, "default_expiry_days": 30,
      "ip_pool": {"network": "192.168.1.0/24", "start": 200, "end": 250, "gateway": "192.168.1.1"}}
DETECTED = {"works": True, "findings": [
    {"finding": "driver module", "ok": True, "found": "/usr/lib/it.so", "advice": ""},
    {"finding": "libvirt client", "ok": True, "found": "/usr/lib/libvirt.so.0", "advice": ""},
    {"finding": "daemon socket", "ok": True, "found": "/run/libvirt/libvirt-sock", "advice": ""},
    {"finding": "connection", "ok": True, "found": "libvirt answers", "advice": ""},
    {"finding": "configuration", "ok": False, "found": "Config not found: /etc/blockhost/db.yaml", "advice": ""},
    {"finding": "virtualization", "ok": True, "found": "KVM can run guests", "advice": ""},
    {"finding": "bridge", "ok": False, "found": "not looked at", "advice": "mend that first"},
    {"finding": "storage pool", "ok": False, "found": "not looked at", "advice": "mend that first"},
    {"finding": "template", "ok": False, "found": "Template not found: /x", "advice": "build it"},
    {"finding": "domains", "ok": True, "found": "none yet", "advice": ""},
    {"finding": "definitions", "ok": True, "found": "every VM that runs has one", "advice": ""},
    {"finding": "clock", "ok": False, "found": "not looked at", "advice": "mend that first"},
    {"finding": "start veto", "ok": True, "found": "/etc/libvirt/hooks/qemu.d/blockhost", "advice": ""},
    {"finding": "backups", "ok": True, "found": "none are set up", "advice": ""}]}


class StandIn:
    def __init__(self, folder):
        self.folder, self.path = folder, folder / "blockhost-libvirt"
        self.path.write_text(PROGRAM)
        self.path.chmod(0o755)
        self.answers("detect", DETECTED)
        self.answers("dry-run", {"step": "db-config", "changed": True, "file": "/etc/blockhost/db.yaml", "db": DB,
                                 "warnings": []})
        self.answers("storage", {"step": "storage", "changed": True, "pool": "blockhost",
                                 "path": "/var/lib/blockhost/vms"})
        self.answers("network", {"step": "network", "changed": False, "bridge": "br0", "address": "192.168.1.5/24"})
        self.answers("db-config", {"step": "db-config", "changed": True, "file": "/etc/blockhost/db.yaml", "db": DB,
                                   "warnings": []})
        self.answers("template", {"step": "template", "changed": True})

    def answers(self, name, answer, status=0, talk="", script=""):
        """To the call `name`: a step, detect or dry-run. `answer` is JSON, or bytes as they are."""
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        (self.folder / f"{name}.answer").write_bytes(text)
        (self.folder / f"{name}.status").write_text(str(status))
        (self.folder / f"{name}.talk").write_text(talk)
        (self.folder / f"{name}.script").write_text(script)

    def warns(self, *warnings):
        self.answers("dry-run", {"step": "db-config", "changed": True, "db": DB,
                                 "warnings": [{"field": field, "message": said} for field, said in warnings]})

    def refuses(self, *errors, name="dry-run", message="Some settings cannot be used", hint=""):
        """`errors` are (field, message) or (field, message, hint)."""
        listed = [dict(zip(("field", "message", "hint"), each)) for each in errors]
        self.answers(name, {"status": "error", "error": message, "code": "invalid", "hint": hint, "retry": False,
                            **({"field": listed[0]["field"], "errors": listed} if listed else {})}, status=3)

    def calls(self):
        """The words of each call so far."""
        path = self.folder / "calls"
        text = path.read_text() if path.exists() else ""
        return [call.split("\0")[:-1] for call in text.split("\n\0")[:-1]]

    def environment(self):
        return dict(line.split("=", 1) for line in (self.folder / "environment").read_text().splitlines() if "=" in line)
