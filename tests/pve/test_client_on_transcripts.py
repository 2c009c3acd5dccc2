# SPDX-License-Identifier: MIT
"""The client on what a real node said: each of the 23 recorded scenarios ends as a person would read it.

tests/pve/recorded_node.py answers with the recorded bytes. A story goes through one scenario: `told` are answers whose
data arrives unharmed, `refused` says how a refusal is understood, the rest what the platform makes of an answer.
"""

import functools
import json
import pathlib
import random
import re
import tempfile

import pytest
import replay
from platform_process import Failed, Platform
from recorded_node import Exchange, RecordedNode, Story, ended

GUEST_AGENT = {"guest agent: ask", "guest agent: freeze", "guest agent: run programs"}
NEW_RIGHTS = GUEST_AGENT | {"copy a template"}
FEATURES = NEW_RIGHTS | {
    "see guests", "start and stop", "set config: processors", "set config: memory", "set config: options",
    "set config: a container's name", "grow", "snapshot", "roll back", "destroy", "SMART", "host facts", "backup",
    "delete a backup", "restore"}
STORIES = {}


def story(play):
    STORIES[play.__name__.replace("daemon_595_596", "daemon-595-596").replace("_", "-")] = play
    return play


# -- guests that are VMs


@story
def vm_create(s):
    s.refused({0: ("invalid", "vmid: property is missing"), 1: ("invalid", "vmid:", "valid VM ID"), 2: ("invalid", "vmid:"),
               3: ("invalid", "cores: value must have a minimum value of 1", "memory: invalid format", "name:", "onboot:"),
               4: ("invalid", "memry: property is not defined"), 5: ("invalid", "net0.mac:", "scsi0.fromat:"),
               6: ("no_storage", "storage 'nosuch' does not exist"), 15: ("exists", "VM 121 already exists"),
               16: ("exists", "VM 121 already exists"), 22: ("forbidden", "Datastore.AllocateSpace on /storage/local"),
               23: ("forbidden", "needs VM.Config.HWType on /vms/123"), 24: ("root_only", "no API token may", "args")})
    s.told(7, 14)
    assert ended(s.task(8, 9, 10, 11)) == "done"
    made = s.config(12)
    assert made["incarnation"] == "vmgenid:00000000-0000-4000-8000-0829871db09a"
    assert made["config"] == {
        "name": "web-1", "description": "first line\nsecond line", "cpus": 2, "memory_mib": 256, "disk_mib": 1024,
        "tags": ["prod", "web"], "start_on_boot": True, "is_protected": False, "details": {
            "boot": "order=scsi0;net0", "meta": "creation-qemu=10.0.13,ctime=1795881881",
            "net0": "bridge=vmbr0,virtio=BC:24:11:78:12:82", "ostype": "l26",
            "scsi0": "local:121/vm-121-disk-0.qcow2,size=1G", "smbios1": "uuid=00000000-0000-4000-8000-5edb9bd5588b",
            "vmgenid": "00000000-0000-4000-8000-0829871db09a"}}
    assert s.power(13) == "stopped"
    assert ended(s.task(17, 18, 19, 20), "The image size is too large") == "failed"
    s.refused({21: ("no_guest", "no such guest")})
    assert ended(s.task(25, 26, 27, 28)) == "done", "the create; its start is a task of its own"
    assert s.power(29) == "stopped"


@story
def vm_config(s):
    first = s.config(0)
    assert first["config"] == s.config(1)["config"]
    assert (first["config"]["cpus"], first["config"]["memory_mib"], first["config"]["name"]) == (1, 64, "cfg")
    s.told(2, 3, 7, 13, 19, 25, 27, 29, 33, 37, 39, 40, 42)
    handle = s.begin(4, "set-config", {"digest", "delete"}, digest=first["digest"], memory_mib=160, cpus=2)
    assert ended(s.looks(handle, 5, 6)) == "done"
    assert s.config(8)["config"]["memory_mib"] == 192
    s.refused({9: ("changed", "changed meanwhile"), 10: ("changed",), 11: ("changed",), 12: ("other", "no options specified"),
               14: ("invalid", "delete: unknown option 'nosuch'"), 15: ("invalid", "at the same time"),
               16: ("invalid", "memry:"), 17: ("invalid", "cores: type check", "memory.current: value must"),
               18: ("root_only", "lock"), 21: ("invalid", "tags: invalid format"), 22: ("invalid", "name: invalid format"),
               35: ("root_only", "args"), 36: ("forbidden", "VM.Config.HWType on /vms/130"),
               44: ("other", "snapshot 'xx' does not exist"), 45: ("invalid", "cannot use 'snapshot'")})
    assert s.config(20)["config"]["tags"] == ["alpha", "mid", "zeta"]
    descriptions = [s.config(number)["config"]["description"] for number in (24, 26, 28, 30)]
    assert descriptions == ["a", "a=b=c d e+f", "one\ntwo\n\n#c:d 100% ü", ""]
    assert s.config(32)["config"]["start_on_boot"] is True
    off = s.config(34)["config"]
    assert off["start_on_boot"] is False and "onboot" not in off["details"], "a false that was set is no other false"
    assert s.config(38)["config"]["details"]["net0"] == "bridge=vmbr0,virtio=BC:24:11:BD:B4:16"
    assert s.config(41)["config"]["details"]["unused0"] == "local:130/vm-130-disk-0.qcow2"
    last = s.config(43)
    assert last["incarnation"] == first["incarnation"]
    assert last["config"] == {
        "name": "cfg", "description": "json body", "cpus": 2, "memory_mib": 96, "tags": ["alpha", "mid", "zeta"],
        "start_on_boot": False, "is_protected": False, "details": {
            "boot": "", "kvm": "0", "meta": "creation-qemu=10.0.13,ctime=1795881905",
            "net0": "bridge=vmbr0,virtio=BC:24:11:BD:B4:16", "smbios1": "uuid=00000000-0000-4000-8000-487319e719e7",
            "vmgenid": "00000000-0000-4000-8000-79d23b40bdaf"}}


@story
def vm_power(s):
    s.told(6, 10, 13, 14, 15, 16, 17, 29, 42, 50)
    assert ended(s.task(0, 1, 2, 3)) == "done"
    assert s.power(4) == "running"
    listed = {each["id"]: each for each in s.do("guests", 5, ("lists-and-rights", 1), ("version-and-auth", 15))["seen"]}
    assert (listed["140"]["power"], listed["140"]["name"]) == ("running", "run")
    coming, running = s.config(11), s.config(12)
    assert (coming["config"]["memory_mib"], coming["config"]["cpus"]) == (128, 2)
    assert (running["config"]["memory_mib"], running["config"]["cpus"]) == (64, 1)
    assert coming["digest"] == running["digest"] and coming["incarnation"] == running["incarnation"]
    guest = s.do("guest", 4, 11, 12, guest="140")
    assert (guest["power"], guest["config"], guest["running"]) == ("running", coming["config"], running["config"])
    assert ended(s.task(7, 8, 9), "VM 140 already running") == "failed", "the client looks first, and asks for no such thing"
    s.refused({18: ("wrong_state", "is running - destroy failed"), 37: ("busy", "something else works on that guest"),
               58: ("wrong_state", "VM 140 not running"), 59: ("wrong_state", "VM 140 not running"),
               65: ("root_only", "no API token may", "skiplock"), 66: ("unknown_call", "does not know")})
    assert ended(s.task(19, 20, 21)) == "done"
    assert s.power(22) == "paused"
    assert ended(s.looks(s.begin(23, "resume"), 24, 25)) == "done"
    assert ended(s.task(26, 27, 28)) == "done"
    unheard = s.looks(s.begin(30, "stop", patience=3), 31, 32, 33)
    assert ended(unheard, "powerdown failed - got timeout") == "failed"
    assert unheard["error"]["code"] == "guest", "the guest did not react; nobody else works on it"
    assert s.power(34) == "running"
    shutdown = s.begin(35, "stop", patience=40)
    assert ended(s.looks(shutdown, 36)) == "running"
    held = s.looks(s.begin(38, "stop", {"overrule-shutdown"}, patience=0, force=True), 39, 40, 41)
    assert ended(held, "something else works on that guest", "trying to acquire lock") == "failed"
    assert held["error"]["code"] == "busy"
    assert ended(s.looks(s.begin(43, "stop", patience=0, force=True), 44, 45, 46)) == "done"
    overruled = s.looks(shutdown, 47, 48)
    assert ended(overruled, "stopped on the node") == "failed" and overruled["error"]["code"] == "interrupted"
    assert s.power(49) == "stopped"
    assert ended(s.task(51, 52, 53, 54)) == "done"
    assert ended(s.task(55, 56, 57)) == "done"
    assert s.power(4) == "running", "as it was after its start: of that no look was recorded"
    assert ended(s.looks(s.begin(60, "stop", patience=3, force=True), 61, 62, 63)) == "done"
    assert s.power(64) == "stopped"


@story
def vm_resize(s):
    assert s.config(0)["config"]["disk_mib"] == 1024
    assert ended(s.looks(s.begin(1, "grow", {"size", "digest"}, disk_mib=2048), 2, 3, 4)) == "done"
    assert s.config(5)["config"]["disk_mib"] == 2048
    assert ended(s.task(6, 7, 8, 9)) == "done"
    assert ended(s.task(10, 11, 12, 13), "shrinking disks is not supported") == "failed"
    assert ended(s.task(14, 15, 16, 17)) == "done"
    assert ended(s.task(19, 20, 21, 22), "disk 'scsi5' does not exist") == "failed"
    s.refused({18: ("invalid", "size: value does not match"), 23: ("invalid", "disk: value 'net0'")})
    assert s.config(24)["config"]["disk_mib"] == 2560
    s.told(25)


@story
def vm_snapshot(s):
    assert s.snapshots(0) == []
    upid = s.do("take-snapshot", 1, kind="vm", guest=140, snapshot="before", description="before the update")
    assert ended(s.looks(f"{upid} 140", 2, 3, 4)) == "done"
    before = {"name": "before", "description": "before the update", "parent": "", "taken": 1795881484}
    assert s.snapshots(5) == [before]
    s.told(6, 20, 21)
    assert ended(s.task(7, 8, 9), "snapshot name 'before' already used") == "failed"
    s.refused({10: ("invalid", "snapname:", "'9bad'"), 11: ("invalid", "snapname:", "'x'"),
               12: ("other", "reserved name"), 43: ("forbidden", "needs VM.Snapshot on /vms/140")})
    assert ended(s.task(13, 14, 15, 16)) == "done"
    assert s.snapshots(17) == [{"name": "second", "description": "", "parent": "before", "taken": 1795881485}, before]
    s.told(18, 19)
    assert ended(s.task(22, 23, 24, 25)) == "done"
    back = s.config(26)
    assert back["incarnation"] == "vmgenid:00000000-0000-4000-8000-000000000011", "what was decided before is void"
    assert back["config"]["memory_mib"] == 64
    assert ended(s.looks(s.begin(27, "rollback", snapshot="nosuch"), 28, 29, 30), "'nosuch' does not exist") == "failed"
    assert ended(s.looks(s.begin(31, "delete-snapshot", snapshot="second"), 32, 33, 34)) == "done"
    assert ended(s.looks(s.begin(35, "delete-snapshot", snapshot="before"), 36, 37, 38)) == "done"
    assert ended(s.task(39, 40, 41), "'nosuch' does not exist") == "failed"
    assert s.snapshots(42) == []


@story
def vm_delete(s):
    for number, code in {3: "wrong_state", 12: "not_found"}.items():
        with pytest.raises(Failed) as failed:
            s.do("destroy", number, kind="vm", guest=140)
        assert failed.value.code == code
    s.refused({0: ("forbidden", "needs VM.Allocate on /vms/140"), 3: ("wrong_state", "protection mode enabled"),
               5: ("root_only", "no API token may", "skiplock"), 12: ("no_guest", "no such guest")})
    s.told(2, 4)
    assert ended(s.task(6, 7, 8, 9)) == "done"
    s.refused({10: ("no_guest", "no such guest")})
    s.told(11)


# -- guests that are containers


@story
def ct_config(s):
    first = s.config(0)
    assert first["config"] == {
        "name": "ct151", "description": "", "memory_mib": 128, "disk_mib": 0, "tags": [], "start_on_boot": False,
        "is_protected": False, "details": {
            "arch": "amd64", "features": "nesting=1", "ostype": "unmanaged", "swap": "512", "unprivileged": "1",
            "rootfs": "local:151/subvol-151-disk-0.subvol,size=0T"}}
    s.told(1, 3, 5, 7, 8, 10, 12, 13, 17, 20, 22, 24, 27, 28, 31, 34, 40)
    texts = [s.config(number)["config"]["description"] for number in (2, 4, 6)]
    assert texts == ["one\ntwo\n\n#c:d 100% ü"] * 2 + [""]
    s.refused({9: ("invalid", "delete: unknown option 'nosuch'"), 11: ("changed", "changed meanwhile"),
               14: ("other", "no options specified"), 15: ("unknown_call", "does not know"),
               16: ("invalid", "memory: type check"), 21: ("root_only", "no API token may"), 23: ("root_only",),
               25: ("root_only",), 26: ("root_only", "bind"), 30: ("other", "read-only option: 'unprivileged'"),
               33: ("root_only",), 36: ("locked", 'locked for "backup"', "pct unlock"), 37: ("locked",), 38: ("locked",),
               39: ("invalid", "skiplock: property is not defined")})
    several = s.config(18)["config"]
    assert (several["name"], several["memory_mib"], several["cpus"]) == ("other", 160, 2)
    assert several["tags"] == ["a", "b"] and several["start_on_boot"] is True
    assert s.config(29)["config"]["details"] == {
        "arch": "amd64", "features": "keyctl=1,nesting=1", "ostype": "unmanaged", "swap": "512", "unprivileged": "1",
        "mp0": "local:151/subvol-151-disk-1.subvol,backup=0,mp=/mnt,size=0T",
        "net0": "bridge=vmbr0,hwaddr=BC:24:11:EA:CC:17,ip=dhcp,name=eth0,type=veth",
        "rootfs": "local:151/subvol-151-disk-0.subvol,size=0T"}
    assert s.config(32)["config"]["details"]["unused0"] == "local:151/subvol-151-disk-1.subvol"
    locked = s.config(35)
    assert locked["lock"] == "backup" and "lock" not in locked["config"]["details"]


@story
def ct_lifecycle(s):
    s.refused({0: ("invalid", "ostemplate: property is missing", "vmid: property is missing"),
               1: ("invalid", "hostname: invalid format", "memory: value must have a minimum value of 16"),
               7: ("root_only", "feature flags"), 8: ("forbidden", "needs Sys.Modify on /"), 9: ("root_only", "bind"),
               6: ("no_guest", "no such guest"), 16: ("exists", "CT 150 already exists"),
               22: ("wrong_state", "CT 150 already running"), 26: ("wrong_state", "container is running"),
               32: ("wrong_state", "CT 150 not running"), 33: ("wrong_state", "CT 150 not running"),
               45: ("no_guest", "no such guest")})
    assert ended(s.task(2, 3, 4, 5), "volume 'local:vztmpl/none.tar.zst' does not exist") == "failed"
    assert ended(s.task(10, 11, 12, 13)) == "done"
    made = s.config(14)
    assert made["incarnation"] == "device:BC:24:11:35:04:D1/local:150/subvol-150-disk-0.subvol"
    assert made["config"] == {
        "name": "ct150", "description": "", "cpus": 1, "memory_mib": 128, "disk_mib": 0, "tags": ["a", "b"],
        "start_on_boot": False, "is_protected": False, "details": {
            "arch": "amd64", "features": "nesting=1", "ostype": "unmanaged", "swap": "0", "unprivileged": "1",
            "net0": "bridge=vmbr0,hwaddr=BC:24:11:35:04:D1,ip=10.99.0.50/24,name=eth0,type=veth",
            "rootfs": "local:150/subvol-150-disk-0.subvol,size=0T"}}
    assert s.power(15) == "stopped"
    started = s.looks(s.begin(17, "start"), 18, 19, 20)
    assert ended(started) == "done" and started["warnings"] == [], "what it logged did not keep it from starting"
    s.told(21, 25, 31, 34, 36)
    renamed = s.looks(s.begin(23, "set-config", {"digest"}, digest=made["digest"], name="newname"))
    assert ended(renamed) == "done", "a container's change is done at once"
    assert s.config(24)["config"]["name"] == "newname"
    assert ended(s.task(27, 28, 29, 30)) == "done"
    assert s.snapshots(35) == []
    assert ended(s.task(37, 38, 39, 40), "can't resize this image format") == "failed"
    assert ended(s.looks(s.begin(41, "destroy", {"purge", "force"}), 42, 43, 44)) == "done"


@story
def backup_ct(s):
    assert s.backups(0) == []
    s.told(1, 17, 18, 19, 20, 23, 24, 25, 31, 33, 35, 45, 52, 53)
    s.refused({2: ("invalid", "vmid: property is missing"), 3: ("invalid", "all: option conflicts"),
               9: ("forbidden", "needs Sys.Modify on /"), 10: ("root_only", "no API token may", "dumpdir"),
               11: ("invalid", "compress: value 'nosuch'"), 12: ("invalid", "notes-template:", "variable 'nosuch'"),
               21: ("unreadable", "not that of a Proxmox node"), 26: ("other", "does not exist"),
               30: ("wrong_state", "cannot remove protected volume"),
               34: ("forbidden", "needs Datastore.AllocateSpace on /storage/local"),
               51: ("forbidden", "needs Datastore.AllocateSpace on /storage/local")})
    s.told(4)
    missing = s.task(5, 6, 7, 8)
    assert ended(missing) == "failed"
    assert (missing["error"]["code"], missing["error"]["message"]) == ("not_found", "the task: there is no such guest on this node")
    # the recorded notes are a template with variables, which the client never sends
    upid = s.do("back-up", 13, differs={"compress", "remove", "notes-template"}, guest=210, is_protected=True)
    assert ended(s.looks(f"{upid} 210", 14, 15, 16), "mode stop, off") == "done", "it says how the guest was held"
    first = {"id": "local:backup/vzdump-lxc-210-2026_11_28-16_04_10.tar.zst", "made": 1795881850, "size": 1069994,
             "guest": 210, "notes": "ct210 on pve1, id 210", "is_protected": True, "verified": None}
    assert s.backups(22) == [first]
    upid = s.do("delete-backup", 27, volume=first["id"])
    kept = s.looks(f"{upid} 210", 28, 29)
    assert ended(kept, "cannot remove protected volume") == "failed" and kept["error"]["code"] == "wrong_state"
    s.do("protect", 33, volume=first["id"], is_protected=True)
    s.do("protect", 35, volume=first["id"], is_protected=False)
    freed = first | {"notes": "changed", "is_protected": False}
    assert s.backups(32) == [freed]
    assert ended(s.task(36, 37, 38, 39)) == "done"
    half = s.task(40, 41, 42, 43)
    assert ended(half, 'locked for "backup"', "Backup of VM 211 failed") == "failed"
    assert half["error"]["code"] == "wrong_state", "it says why, not that there were errors"
    second = {"id": "local:backup/vzdump-lxc-210-2026_11_28-16_04_11.tar.zst", "made": 1795881851, "size": 1070031,
              "guest": 210, "notes": "", "is_protected": False, "verified": None}
    third = second | {"id": "local:backup/vzdump-lxc-210-2026_11_28-16_04_13.tar.zst", "made": 1795881853,
                      "size": 1070024}
    other = second | {"id": "local:backup/vzdump-lxc-211-2026_11_28-16_04_11.tar.zst", "size": 1069951, "guest": 211}
    assert s.backups(44) == [freed, second, third, other], "that of 210 is there"
    assert ended(s.task(46, 47, 48, 49)) == "done"
    assert s.backups(50) == [third]
    assert ended(s.task(54, 55, 56, 57)) == "done"


@story
def restore_ct(s):
    s.told(15, 24, 26, 36)
    assert ended(s.task(0, 1, 2, 3)) == "done"
    assert [each["id"][-27:] for each in s.backups(4)] == ["2026_11_28-16_04_23.tar.zst", "2026_11_28-16_04_57.tar.zst"]
    assert ended(s.task(5, 6, 7, 8)) == "done"
    copy = s.config(9)
    assert copy["config"] == {
        "name": "ct210", "description": "", "memory_mib": 128, "disk_mib": 0, "tags": ["prod", "web"],
        "start_on_boot": True, "is_protected": False, "details": {
            "arch": "amd64", "features": "keyctl=1,nesting=1", "ostype": "unmanaged", "swap": "512", "unprivileged": "1",
            "net0": "bridge=vmbr0,hwaddr=BC:24:11:56:5C:22,name=eth0,type=veth",
            "rootfs": "local:212/subvol-212-disk-0.subvol,size=0T"}}
    handle = s.do("begin", 10, differs={"onboot"}, guest="213", incarnation="", action={
        "kind": "restore", "backup": "local:backup/vzdump-lxc-210-2026_11_28-16_04_57.tar.zst"})
    assert ended(s.looks(handle, 11, 12, 13)) == "done"
    other = s.config(14)
    assert other["incarnation"] != copy["incarnation"] and other["config"]["name"] == "ct210"
    s.refused({16: ("exists", "CT 212 already exists"), 22: ("wrong_state", "can't overwrite running container"),
               25: ("wrong_state", "protection mode enabled"), 31: ("no_guest",),
               46: ("forbidden", "is not permitted"), 47: ("forbidden", "needs VM.Allocate on /vms/215"),
               56: ("other", "does not exist")})
    assert ended(s.task(17, 18, 19, 20)) == "done"
    over = s.config(21)
    assert over["config"]["name"] == "again" and over["incarnation"] != copy["incarnation"], "it is another guest now"
    assert s.config(23) == other
    refused = s.task(27, 28, 29, 30)
    assert ended(refused, "needs Sys.Modify on /") == "failed" and refused["error"]["code"] == "denied"
    assert ended(s.task(32, 33, 34, 35), "does not exist") == "failed"
    assert ended(s.task(37, 38, 39, 40)) == "done"
    own = s.config(41)["config"]
    assert (own["memory_mib"], own["cpus"], own["name"]) == (96, 1, "ct210")
    assert ended(s.task(42, 43, 44, 45)) == "done"
    assert ended(s.task(48, 49, 50, 51)) == "done"
    assert ended(s.task(52, 53, 54, 55), "does not look like a QemuServer vzdump") == "failed"


# -- both, and the node


@story
def locks(s):
    vm = s.config(0)
    assert vm["lock"] == "backup" and s.power(1) == "stopped"
    listed = {each["id"]: each for each in s.do("guests", 2, ("lists-and-rights", 1), ("version-and-auth", 15))["seen"]}
    assert listed["160"]["lock"] == "backup"
    for action, numbers in {"start": (3, 4, 5), "snapshot": (8, 9, 10), "destroy": (11, 12, 13, 14)}.items():
        more = {"snapshot": "aa"} if action == "snapshot" else {}
        state = s.looks(s.begin(numbers[0], action, {"description"}, **more), *numbers[1:])
        assert ended(state, 'locked for "backup"') == "failed" and state["error"]["code"] == "wrong_state"
        assert "qm unlock" in state["error"]["hint"]
    s.refused({6: ("locked", 'locked for "backup"'), 7: ("locked",), 18: ("root_only", "lock"),
               32: ("locked", 'locked for "backup"', "pct unlock"), 33: ("locked",),
               35: ("busy", "something else works"), 38: ("busy", "something else works")})
    assert ended(s.task(15, 16, 17)) == "done"
    assert ended(s.task(19, 20, 21, 22), 'locked for "snapshot"') == "failed"
    assert ended(s.task(23, 24, 25), 'locked for "snapshot"') == "failed"
    s.told(26, 34, 37)
    container = s.config(27)
    assert container["lock"] == "backup" and s.power(28) == "stopped"
    assert ended(s.looks(s.begin(29, "start"), 30, 31), 'locked for "backup"') == "failed"
    after = s.config(36)
    assert (after["lock"], after["config"]["memory_mib"]) == ("", 96)


@story
def nextid_and_race(s):
    assert s.do("next-id", 0) == s.do("next-id", 1) == 100
    s.refused({2: ("invalid", "VM 170 already exists"), 4: ("invalid", "vmid:"), 5: ("exists", "VM 171 already exists"),
               10: ("exists", "CT 172 already exists")})
    s.told(3, 15)
    assert ended(s.task(6, 7, 8)) == "done"
    assert s.config(9)["config"]["name"] == "racer-2", "the other's guest"
    assert ended(s.task(11, 12, 13, 14)) == "done"


@story
def daemon_595_596(s):
    rights, containers = ("version-and-auth", 15), ("lists-and-rights", 1)
    for number in (0, 5, 11):
        seen = s.do("guests", number, containers, rights)["seen"]
        assert [(each["id"], each["name"]) for each in seen if each["kind"] == "vm"] == [
            ("110", "web"), ("218", ""), ("240", "")], "VM 218 is what the node calls a guest without a name"
    s.told(1, 2, 6)
    assert s.config(3) == s.config(9)
    s.refused({4: ("unknown", "got no answer"), 7: ("not_executed", "was not carried out"),
               8: ("not_executed", "was not carried out"), 10: ("no_guest",)})


@story
def guest_agent(s):
    nobody = ("no_agent", "guest agent is not running", "install and start qemu-guest-agent")
    s.refused({0: ("forbidden", "VM.GuestAgent.Audit or VM.GuestAgent.Unrestricted on /vms/180"),
               1: ("no_agent", "No QEMU guest agent configured"), 2: ("wrong_state", "VM 181 is not running"),
               3: ("no_agent", "configured"), 4: nobody, 5: nobody, 6: nobody, 7: nobody, 8: nobody,
               9: ("invalid", "command: property is missing"), 10: nobody, 11: ("invalid", "pid:"), 12: nobody, 13: nobody,
               14: nobody, 15: ("no_guest", "no such guest")})
    assert s.power(16) == "running"


@story
def lists_and_rights(s):
    rights = ("version-and-auth", 15)
    all_of_them = s.do("guests", 0, 1, rights)
    assert all_of_them["doubt"] == ""
    assert [(each["id"], each["kind"], each["power"], each["name"]) for each in all_of_them["seen"]] == [
        ("110", "vm", "running", "web"), ("111", "container", "stopped", "ct111"), ("121", "vm", "stopped", "web-1")]
    nothing = s.do("guests", 7, 8, 19)
    assert nothing["seen"] == [] and "VM.Audit on /vms" in nothing["doubt"], "an empty list proves nothing"
    s.told(2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 18, 25)
    unseen, missing = ("forbidden", "needs VM.Audit on /vms/"), ("no_guest", "no such guest")
    s.refused({14: unseen, 15: unseen, 16: ("forbidden", "Datastore.Audit or Datastore.AllocateSpace on /storage/local"),
               17: unseen, 20: missing, 21: missing, 22: missing, 23: missing, 24: missing, 26: missing, 27: missing,
               28: ("no_node", "pve9"), 29: ("no_node", "pve9")})
    assert s.do("guest", 20, 21, 2, guest="9999") is None
    assert {each["feature"] for each in s.preflight(19)} == FEATURES, "what it may do to guests it may do to none it sees"


@story
def nodes_and_storage(s):
    host = s.do("host", ("version-and-auth", 0), 2, 4, ("certificates", 0))
    assert host.pop("certificate_expiry") > 1_700_000_000
    next_one = host.pop("next_certificate")
    assert next_one["fingerprint"] == "sha256:7695a0cd06932a2579eb85fe747d8f68e36b9191450658b9d8c761294cb10a2a"
    assert (next_one["expiry"], next_one["pinned"]) == (1858865023, False), "the recorded node shows another one here"
    assert host == {"platform": "proxmox", "name": "pve1", "version": "9.2.11", "uptime_s": 5232, "cpus": 2, "load": 1.7,
                    "kernel": "Linux 7.0.2-1-pve #1 SMP PREEMPT_DYNAMIC @0", "memory_mib": 24152, "memory_free_mib": 14157,
                    "clock": 1795881306}
    s.told(*range(0, 2), *range(3, 13), 15, 16, 18, 19, 20, 21, 24, 26, 27, 31, 32, 33)
    assert s.do("next-id", 30) == 100
    s.refused({13: ("invalid", "storage: No such storage"), 14: ("invalid", "cannot be shorter than 2"),
               17: ("no_storage", "storage 'nosuch' does not exist"), 22: ("invalid", "'nonsense'"),
               23: ("no_storage", "storage 'nosuch' does not exist"), 25: ("other", "no format"),
               28: ("forbidden", "needs Sys.Syslog on /nodes/pve1"), 29: ("forbidden", "needs Sys.Modify on /")})


@story
def disks(s):
    s.told(0, 1, 6, 7)
    s.refused({2: ("other", "not a valid block device"), 3: ("other", "not a valid block device"), 4: ("invalid", "disk:"),
               5: ("other", "zfsutils-linux not installed"), 8: ("forbidden", "is not permitted"),
               9: ("forbidden", "needs Sys.Audit on /")})


@story
def certificates(s):
    s.told(1, 3)
    on_disk = {each["filename"]: each["fingerprint"] for each in s.send(0)}
    assert s.send(2)[0]["ssl_fingerprint"] == on_disk["pve-ssl.pem"], "what is on disk may be newer than what is served"
    s.refused({4: ("forbidden", "needs Sys.Modify on /nodes/pve1")})


@story
def role_limits(s):
    s.told(0, 5, 7, 8, 9, 11, 12, 13, 14, 15, 20, 21, 26, 29, 31, 32, 34, 37)
    hardware = ("forbidden", "needs VM.Config.HWType on /vms/230")
    s.refused({1: hardware, 2: hardware, 3: hardware, 4: hardware, 6: hardware, 10: ("forbidden", "VM.Config.CDROM"),
               16: ("invalid", "hookscript:", "does not exist"), 17: hardware, 18: ("root_only", "hostpci0"),
               19: ("forbidden", "Sys.Modify on /"), 22: hardware, 23: hardware, 24: ("forbidden", "VM.Clone"),
               25: ("forbidden", "VM.Migrate"), 27: ("forbidden", "VM.GuestAgent.Audit or"),
               28: ("forbidden", "VM.GuestAgent.Unrestricted"), 30: ("forbidden", "VM.Console"),
               33: ("other", "already defined"), 35: ("forbidden", "Pool.Allocate on /pool/p1"),
               36: ("forbidden", "Sys.Modify on /"), 38: ("forbidden", "Sys.Syslog"), 39: ("forbidden", "Sys.Modify"),
               40: ("forbidden", "Sys.PowerMgmt"), 41: ("forbidden", "Realm.AllocateUser"),
               42: ("forbidden", "Permissions.Modify on /"), 43: ("forbidden", "is not permitted")})


@story
def tasks(s):
    warned = s.task(0, 1, 2, 3)
    assert ended(warned) == "done"
    assert warned["warnings"] == [
        "WARN: iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring"]
    assert ended(s.task(4, 5, 6), "VM 220 already running") == "failed"
    upid = s.send(7)
    handle = f"{upid} 220"
    assert ended(s.looks(handle, 8, 9)) == "running"
    assert ended(s.do("look", 14, handle=handle)) == "running", "another's, seen with Sys.Audit"
    audit = ("forbidden", "needs Sys.Audit on /nodes/pve1")
    s.refused({15: audit, 16: audit, 17: ("forbidden", "needs Sys.Modify on /nodes/pve1"),
               37: ("invalid", "no such task"), 38: ("invalid", "no such task"), 39: ("invalid", "unable to parse"),
               40: ("invalid", "unable to parse worker upid")})
    s.do("interrupt", 18, handle=handle)
    stopped = s.looks(handle, 19, 20)
    assert ended(stopped, "stopped on the node") == "failed" and stopped["error"]["code"] == "interrupted"
    s.do("interrupt", 21, handle=handle)
    lost = s.task(22, 23, 24)
    assert ended(lost, "its worker was killed") == "unknown"
    assert s.power(25) == "running", "what came of it, the guest tells"
    s.told(10, 11, 12, 13, *range(26, 35), 36, 42)
    gone = s.do("look", 35, handle=f"{s.exchange(4).data} 220")
    assert ended(gone, "does not know the task any more") == "unknown"
    assert ended(s.looks(handle, 41)) == "failed"


@story
def text_limits(s):
    s.told(0, 2, 4, 8, 10, 11, 13, 15, 17, 19, 23, 25, 26, 28, 30, 33)
    for texts in ((1, 3, 5, 7, 12, 14), (16, 18, 20, 22, 27, 29)):
        assert [s.config(number)["config"]["description"] for number in texts] == [
            "äöü € 日本語 😀", "tab\there\rcr\x01ctl\x1besc\x7f", "nul\0x", "��",
            "line one\r\nline two", "  lead and trail"]
    long = ("invalid", "description: value may only be 8192 characters long")
    s.refused({9: long, 24: long, 31: ("invalid", "name: invalid format"), 32: ("invalid", "hostname: invalid format"),
               34: ("invalid", "data too large")})


@story
def protocol_errors(s):
    unknown = ("unknown_call", "does not know")
    s.told(10, 17, 18, 24, 25, 30, 31, 33, 34)
    s.refused({0: unknown, 1: unknown, 5: ("invalid", "foo: property is not defined"), 7: ("no_guest",),
               9: ("invalid", "vmid: duplicate parameter"), 16: ("invalid", "memory: type check"),
               19: ("invalid", "vmid: type check"), 20: ("invalid", "vmid:"), 27: ("invalid", "type: value 'vms'"),
               28: ("forbidden", "needs Sys.PowerMgmt on /nodes/pve1"), 29: ("root_only", "no API token may"), 32: unknown,
               35: ("no_answer",)})


@story
def version_and_auth(s):
    s.told(0, 12, 15, 16, 17, 21, 22, 23, 26, 27, 29, 30)
    wrong = ("unauthenticated", "does not accept the API token", "has not expired")
    s.refused({2: wrong, 3: wrong, 4: wrong, 5: wrong, 10: wrong, 11: wrong, 13: ("root_only", "no API token may"),
               14: ("root_only",), 19: ("forbidden", "needs VM.Audit on /vms/100"),
               20: ("forbidden", "needs Sys.Audit on /nodes/pve1"), 24: ("forbidden", "is not permitted"),
               25: ("forbidden", "is not permitted"), 28: ("other", "role 'nosuch' does not exist"),
               31: ("invalid", "invalid privilege 'VM.Monitor'")})
    assert {each["feature"] for each in s.preflight(15)} == NEW_RIGHTS, "the recorded role has no right to these"
    assert {each["feature"] for each in s.preflight(16)} == FEATURES, "a token without rights of its own lacks everything"
    s.told(18)


NEVER = {
    "the client always sends its token as USER@REALM!TOKENID=SECRET, and reads no token file without one": {
        "version-and-auth": {1, 6, 7, 8, 9}},
    "it has the methods GET, POST, PUT and DELETE": {"protocol-errors": {2, 3, 4}},
    "it sends no body with GET and DELETE": {"protocol-errors": {6, 8}, "vm-delete": {1}},
    "its bodies are forms, never JSON or another type": {"protocol-errors": {11, 12, 13, 14, 15}, "vm-config": {31}},
    "it percent-encodes every = in a value": {"vm-config": {23}, "ct-config": {19}},
    "its texts come from JSON documents, which are UTF-8": {"text-limits": {6, 21}},
    "it asks for answers as JSON, and for no other format": {"protocol-errors": {21, 22, 23}},
    "it sets no Host, asks for nothing packed, and sends few and short headers": {
        "protocol-errors": {26, 36}, "text-limits": {36, 37}},
    "its URLs have at most 4000 bytes": {"text-limits": {35}},
}
"""What the client never sends, by kind: reason -> scenario -> exchanges."""


def never(name):
    return {number for scenarios in NEVER.values() for number in scenarios.get(name, ())}


@functools.cache
def played(name):
    """The exchanges that a scenario's story met."""
    with tempfile.TemporaryDirectory() as folder:
        made = Story(name, pathlib.Path(folder))
        try:
            STORIES[name](made)
            return frozenset(made.used)
        finally:
            made.close()


@pytest.mark.parametrize("name", replay.names())
def test_the_client_ends_where_a_person_would(name):
    played(name)


@pytest.mark.parametrize("name", replay.names())
def test_every_exchange_is_met_by_the_client_or_is_one_that_it_never_makes(name):
    every = set(range(len(replay.exchanges(name))))
    assert not every - played(name) - never(name), "nobody asks for these"
    assert not played(name) & never(name), "these are asked for"


def test_every_scenario_has_its_story():
    assert set(STORIES) == set(replay.names()) and len(STORIES) == 23
    assert {scenario for scenarios in NEVER.values() for scenario in scenarios} <= set(STORIES)
    assert sum(len(replay.exchanges(name)) for name in STORIES) == 785


@pytest.mark.parametrize("name", replay.names())
def test_the_node_of_these_tests_says_what_was_recorded(name):
    node = RecordedNode()
    asking = replay.Client(node.standin)
    try:
        for number, recorded in enumerate(replay.exchanges(name)):
            exchange = Exchange(name, number)
            node.expect([exchange], ())
            headers = {"Authorization": f"PVEAPIToken={exchange.token}=x"}
            body = (replay.expanded(recorded["request_body"]) or "").encode()
            headers["Content-Length"] = str(len(body))
            told = asking.send(recorded["method"], replay.expanded(recorded["path"]), headers, body, True)
            assert (told["status"], told["body"]) == (recorded["status"], recorded["response_body"] if recorded["status"]
                                                      else None)
            if recorded["status"]:
                assert told["reason"] == recorded["reason"]
                names = ("Content-Type", "Content-Encoding", "Connection")
                assert [told["headers"].get(each) for each in names] == [
                    recorded["response_headers"].get(each) for each in names]
            assert not node.strays
            if told["headers"].get("Connection") != "Keep-Alive":
                asking.close()
                asking.kept = None
    finally:
        asking.close()
        node.close()


# -- no drift


def configs():
    """(name, kind, told) of every configuration that was recorded: coming ones, running ones, and a snapshot's."""
    for name in replay.names():
        for number, each in enumerate(replay.exchanges(name)):
            found = re.fullmatch(r"/api2/json/+nodes/+pve1/(qemu|lxc)/\d+(/snapshot/\w+)?/config/?(\?.*)?", each["path"])
            if found and each["method"] == "GET" and each["status"] == 200:
                kind = "vm" if found[1] == "qemu" else "container"
                yield pytest.param(kind, json.loads(each["response_body"])["data"], id=f"{name}-{number}")


FLAGS = {"kvm", "onboot", "protection", "unprivileged", "console", "tablet", "acpi", "numa", "freeze", "template"}
TEXTS = {"name", "hostname", "description", "tags", "digest", "vmgenid"}
LISTS = re.compile(r"(net|scsi|ide|sata|virtio|mp)\d+|rootfs|features|smbios1|meta")


def as_text(told):
    return {key: str(value) for key, value in told.items()}


def as_numbers(told):
    return {key: int(value) if str(value).isdecimal() and key not in TEXTS else value for key, value in told.items()}


def as_fractions(told):
    """Whole numbers as some JSON writers print them."""
    return {key: float(value) if str(value).isdecimal() and key not in TEXTS else value for key, value in told.items()}


def as_booleans(told):
    return {key: str(value) == "1" if key in FLAGS else value for key, value in told.items()}


def in_other_order(told):
    keys = list(told)
    random.Random(len(keys)).shuffle(keys)
    return {key: told[key] for key in reversed(keys)}


def with_lists_turned(told):
    """Parts of property strings and tags the other way round."""
    turned = {key: ",".join(reversed(value.split(","))) for key, value in told.items() if LISTS.fullmatch(key)}
    return told | turned | ({"tags": ", ".join(reversed(told["tags"].upper().split(";")))} if "tags" in told else {})


def with_a_newline(told):
    """As a container's description comes back."""
    return told | {"description": told.get("description", "") + "\n"}


def with_defaults(told):
    """What is the default is told, too."""
    return {"onboot": 0, "protection": "0", "numa": False, "tablet": 1, "console": True, "acpi": "1"} | told


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A platform that is asked for nothing but its reading."""
    token = tmp_path_factory.mktemp("reader") / "token"
    token.touch(mode=0o600)
    token.write_text("agent@pve!main=secret\n")
    made = Platform(None, token.parent, origin="https://127.0.0.1:1", token_file=str(token))
    yield made
    made.close()


@pytest.mark.parametrize(("kind", "told"), configs())
def test_a_configuration_that_is_told_otherwise_is_the_same(reader, kind, told):
    retold = [as_text, as_numbers, as_fractions, as_booleans, in_other_order, with_lists_turned, with_a_newline, with_defaults]
    everything = told
    for change in retold:
        assert reader.do("same", kind=kind, one=told, other=change(told)), change.__name__
        assert reader.do("read", kind=kind, told=told)["incarnation"] == reader.do(
            "read", kind=kind, told=change(told))["incarnation"], change.__name__
        everything = change(everything) if change is not as_booleans else everything
    assert reader.do("same", kind=kind, one=told, other=everything)


@pytest.mark.parametrize(("kind", "told"), configs())
def test_a_configuration_that_means_something_else_is_another(reader, kind, told):
    """Lest "the same" be said of everything."""
    for other in ({"memory": "4096"}, {"tags": "one-more"}, {"description": "another"}, {"onboot": int(not told.get("onboot"))},
                  {"protection": 1}, {"net7": "name=eth7,bridge=vmbr0"}, {"name" if kind == "vm" else "hostname": "another"}):
        assert not reader.do("same", kind=kind, one=told, other=told | other), other
