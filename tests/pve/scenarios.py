# SPDX-License-Identifier: MIT
"""The world at the beginning of each recorded scenario, and what other hands do in it meanwhile."""

import types

import node.vm
from node import power
from node.access import AGENT_ROLE
from node.tasks import Task
from node.volumes import Archive, Volume

NONE = None


def identities(standin):
    """The users and tokens of all scenarios; the order is that of the access control list."""
    access = standin.access
    access.add_role("OnlyBackup", ("VM.Backup", "VM.Audit", "Datastore.AllocateSpace", "Datastore.Audit", "SDN.Use"))
    access.add_role("NoAudit", ("VM.PowerMgmt", "VM.Config.Options"))
    access.add_role("NoSpace", set(AGENT_ROLE) - {"Datastore.AllocateSpace"})
    secrets = {f"agent@pve!{name}": access.add_token(f"agent@pve!{name}") for name in
               ("main", "noacl", "noaudit", "nospace", "old")}
    secrets |= {full: access.add_token(full, privsep=0)
                for full in ("backup@pve!only", "box@pve!second", "root@pam!full")}
    for who, role in {"agent@pve": "Agent16", "box@pve": "Agent16", "backup@pve": "OnlyBackup",
                      "agent@pve!noaudit": "NoAudit",
                      "agent@pve!main": "Agent16", "agent@pve!old": "Agent16", "agent@pve!nospace": "NoSpace"}.items():
        access.grant(who, role)
    standin.secrets = secrets


def vm(standin, vmid, **options):
    """A VM without a guest system: it never reacts to a shutdown."""
    return standin.add_vm(vmid, **({"reacts": NONE, "kvm": 0} | options))


def web(standin, seconds=300):
    return vm(standin, 110, name="web", tags="a;b", running=seconds)


def web_1(standin):
    made = vm(standin, 121, name="web-1", tags="prod;web", cores=2, memory=256, disks={"scsi0": 1}, kvm=NONE,
              boot="order=scsi0")
    return made


def past(standin, kind, ident, who, seconds, status, took=0):
    """A task of earlier days: so many seconds from the beginning."""
    start = int(standin.clock.now()) + seconds
    task = Task("pve1", 40 + len(standin.tasks.by_upid), start % 10000 * 100, start, kind, str(ident), who)
    task.status, task.ended = status, task.started + took
    standin.tasks.by_upid[task.upid] = task


class Scenario:
    """Of one that has no class of its own: the usual world, which nobody touches."""

    keys = "ec"
    same_connection = ()
    swapped = ()          # pairs that were sent at the same time: the one that won goes first
    unrecorded = ()       # (milliseconds, a method's name): what the answers show to have happened, in silence
    befores = {}          # the recording's words -> a method's name

    def arrange(self, standin):
        identities(standin)
        standin.add_template()
        self.guests(standin)
        standin.send_broadcast()

    def guests(self, standin):
        web(standin)

    def order(self, count):
        numbers = list(range(count))
        for first, second in self.swapped:
            numbers[first], numbers[second] = second, first
        return numbers

    def before(self, standin, text):
        getattr(self, self.befores[text])(standin, standin.knobs)

    def secret(self, standin, full):
        return standin.secrets.get(full, "0" * 32)


class VersionAndAuth(Scenario):
    befores = {"the token old has been given an expiry in the past": "expire",
               "the user box@pve has been disabled": "disable", "the user box@pve has been enabled again": "enable"}

    def guests(self, standin):
        pass

    def expire(self, _, knobs):
        knobs.expire("agent@pve!old")

    def disable(self, _, knobs):
        knobs.enable_user("box@pve", 0)

    def enable(self, _, knobs):
        knobs.enable_user("box@pve", 1)


class ProtocolErrors(Scenario):
    same_connection = (31, 32, 35)

    def guests(self, standin):
        web(standin, 190)
        standin.add_container(111)
        web_1(standin)


class TextLimits(Scenario):
    def guests(self, standin):
        vm(standin, 131, name="long")
        standin.add_container(132)


class VmCreate(Scenario):
    def arrange(self, standin):
        super().arrange(standin)
        standin.tasks.seconds["qmstart"] = 4  # it emulates


class VmConfig(Scenario):
    def guests(self, standin):
        vm(standin, 130, name="cfg", cores=1)


class VmPower(Scenario):
    unrecorded = ((37000, "start"),)

    def start(self, _, knobs):
        knobs.power(140, True)

    def guests(self, standin):
        web(standin, 325)
        web_1(standin)
        vm(standin, 140, name="run", disks={"scsi0": 1}, ctime=standin.clock.now() - 1)


class VmResize(Scenario):
    def guests(self, standin):
        vm(standin, 140, disks={"scsi0": 1}, ctime=standin.clock.now() - 42)


class VmSnapshot(Scenario):
    def guests(self, standin):
        made = vm(standin, 140, disks={"scsi0": 1}, ctime=standin.clock.now() - 45)
        standin.volume("local:140/vm-140-disk-0.qcow2").size = 2560 << 20
        made.config["scsi0"] = "local:140/vm-140-disk-0.qcow2,size=2560M"


class VmDelete(Scenario):
    def guests(self, standin):
        vm(standin, 140, disks={"scsi0": 1})


class CtConfig(Scenario):
    befores = {"root@pam has set features nesting=1,keyctl=1 on the node": "keyctl", "unlocked on the node": "unlock"}

    def guests(self, standin):
        standin.add_container(151)

    def keyctl(self, _, knobs):
        knobs.edit(151, features="nesting=1,keyctl=1")

    def unlock(self, _, knobs):
        knobs.set_lock(151)


class CtLifecycle(Scenario):
    def guests(self, standin):
        pass


class BackupCt(Scenario):
    befores = {"211 is locked": "lock"}

    def guests(self, standin):
        for vmid in (210, 211):
            standin.add_container(vmid, network=True)

    def lock(self, _, knobs):
        knobs.set_lock(211, "backup")


class RestoreCt(Scenario):
    unrecorded = ((4000, "start"), (7000, "stop"))
    befores = {"root@pam has set features nesting=1,keyctl=1 on 210": "keyctl"}

    def guests(self, standin):
        made = standin.add_container(210, network=True, onboot=1, tags="prod;web")
        then = int(standin.clock.now()) - 34
        volid = "local:backup/vzdump-lxc-210-2026_11_28-16_04_23.tar.zst"
        volume = Volume(volid, "backup", "tar.zst", 1070027, then, 210,
                        archive=Archive("lxc", dict(made.config), 2017280))
        standin.storage("local").volumes[volid] = volume

    def start(self, _, knobs):
        knobs.power(213, True)

    def stop(self, _, knobs):
        knobs.power(213, False)

    def keyctl(self, _, knobs):
        knobs.edit(210, features="nesting=1,keyctl=1")


class Locks(Scenario):
    befores = {"lock: backup was left in the config of 160": "lock_vm", "now lock: snapshot": "lock_for_snapshot",
               "unlocked on the node": "unlock", "lock: backup was left in the config of 161": "lock_container",
               "another process holds the file lock of 160 for 13 s": "hold_vm",
               "another process holds the file lock of 161 for 13 s": "hold_container"}

    def guests(self, standin):
        web(standin, 400)
        web_1(standin)
        vm(standin, 160, disks={"scsi0": 1})
        standin.add_container(161)

    def lock_vm(self, _, knobs):
        knobs.set_lock(160, "backup")

    def lock_for_snapshot(self, _, knobs):
        knobs.set_lock(160, "snapshot")

    def unlock(self, _, knobs):
        for vmid in (160, 161):
            knobs.set_lock(vmid)

    def lock_container(self, _, knobs):
        knobs.set_lock(161, "backup")

    def hold_vm(self, _, knobs):
        knobs.hold_file_lock(160, 12.9)

    def hold_container(self, _, knobs):
        knobs.hold_file_lock(161, 12.9)


class NextIdAndRace(Scenario):
    swapped = ((5, 6), (10, 11))

    def guests(self, standin):
        web(standin, 461)
        standin.add_container(111)
        web_1(standin)

    def arrange(self, standin):
        super().arrange(standin)
        vm(standin, 170)


class Daemon(Scenario):
    befores = {"pvedaemon hangs": "hang", "pvedaemon goes on": "works", "pvedaemon is not running": "dead",
               "pvedaemon was started": "works"}

    def guests(self, standin):
        web(standin, 1005)
        vm(standin, 240)
        vm(standin, 218, memory=512)

    def hang(self, _, knobs):
        knobs.daemon("hangs")

    def works(self, _, knobs):
        knobs.daemon("works")

    def dead(self, _, knobs):
        knobs.daemon("dead")


class GuestAgent(Scenario):
    unrecorded = ((1240, "start"),)

    def start(self, _, knobs):
        knobs.power(180, True)
        knobs.power(181, True)

    def guests(self, standin):
        vm(standin, 180)
        vm(standin, 181, agent=NONE)
        standin.guests.by_id[181].config["agent"] = "1"


class ListsAndRights(Scenario):
    def guests(self, standin):
        web(standin, 190)
        standin.add_container(111)
        web_1(standin)


class NodesAndStorage(Scenario):
    def guests(self, standin):
        now = standin.clock.now()
        web(standin, 190)
        standin.add_container(111, ctime=now - 193)
        web_1(standin)
        standin.volume("local:121/vm-121-disk-0.qcow2").ctime = int(now) - 51
        standin.volume("local:vztmpl/tiny_2_amd64.tar.zst").ctime = int(now) - 2048
        start = f"UPID:pve1:000001D9:0007FBD9:{int(now):08X}:qmstart:9999:agent@pve!main:"
        standin.journal("pve1", "agent@pve!main", "update VM 110: -tags a,b")
        standin.log[-1]["time"] -= 8
        standin.journal("pve1", "agent@pve!noaudit", "starting task of another token")
        standin.journal("pve1", "agent@pve!main", f"starting task {start}")
        standin.journal("pve1", "agent@pve!main",
                        f"end task {start} Configuration file 'nodes/pve1/qemu-server/9999.conf' "
                        "does not exist")


class RoleLimits(Scenario):
    def guests(self, standin):
        vm(standin, 230)


NO_FILE = "unable to find configuration file for VM {} on node 'pve1'"
NO_START = "start failed: QEMU exited with code 1"
EARLIER = (
    [("vzcreate", 900, "root@pam!full", -9000 + number, "OK") for number in range(77)]
    + [("qmstart", 140, "agent@pve!main", -8000 + number, "OK") for number in range(11)]
    + [("vzrestore", 220, "root@pam!full", -2466, "OK"), ("vzdestroy", 220, "root@pam", -1185, "OK"),
       ("qmstart", 110, "agent@pve!noaudit", -909, "OK", 1),
       ("qmstart", 110, "agent@pve!noaudit", -717, "VM 110 already running"),
       ("vzdestroy", 214, "root@pam", -101, "OK"), ("vzdestroy", 215, "root@pam", -98, "OK"),
       ("vzstop", 216, "root@pam", -96, "OK", 1), ("vzdestroy", 216, "root@pam", -94, "OK"),
       ("qmstop", 220, "root@pam", -92, NO_FILE.format(220)), ("qmcreate", 220, "root@pam!full", -91, "OK"),
       ("qmstart", 220, "agent@pve!main", -90, NO_START), ("qmstart", 220, "agent@pve!main", -90, NO_START, 1),
       ("qmshutdown", 220, "agent@pve!main", -89, "OK"), ("qmshutdown", 220, "agent@pve!main", -88, "OK"),
       ("qmstop", 220, "root@pam", -80, "OK"), ("qmdestroy", 220, "root@pam", -79, "OK"),
       ("qmstop", 230, "root@pam", -77, NO_FILE.format(230)), ("qmcreate", 230, "root@pam!full", -76, "OK", 1),
       ("qmtemplate", 230, "agent@pve!main", -74, "OK"), ("qmstop", 230, "root@pam", -64, "OK"),
       ("qmdestroy", 230, "root@pam", -62, "OK"), ("qmstop", 220, "root@pam", -3, NO_FILE.format(220)),
       ("qmstop", 320, "root@pam", -3, NO_FILE.format(320)), ("qmcreate", 220, "root@pam!full", -1, "OK", 1),
       ("qmcreate", 320, "root@pam!full", -1, "OK", 1)])
"""Tasks of before the beginning: type, id, who, seconds, status, and how long it took."""


class Tasks(Scenario):
    befores = {"the worker was killed on the node": "kill",
               "a log file was removed, as the daily clean-up does with old ones": "vanish"}
    unrecorded = ((64, "start_other"), (4600, "start_other"), (7400, "stop_other"), (7600, "stop_other"),
                  (8000, "destroy_other"))

    def guests(self, standin):
        for task in EARLIER:
            past(standin, *task)
        for vmid in (220, 320):
            vm(standin, vmid, disks={"scsi0": 1}).config["scsi0"] += ",iothread=1"

    def start_other(self, standin, _):
        power.begin_start(standin, "pve1", 320, "agent@pve!main")

    def stop_other(self, standin, _):
        power.stop(by_root(standin), "pve1", 320)

    def destroy_other(self, standin, _):
        node.vm.delete(by_root(standin), "pve1", 320)

    def kill(self, _, knobs):
        knobs.kill_worker("qmshutdown")

    def vanish(self, standin, knobs):
        knobs.vanish(next(upid for upid, task in reversed(standin.tasks.by_upid.items()) if task.kind == "qmstart"
                          and task.ident == "220"))


def by_root(standin):
    """A call of the node's own administrator, past the front end."""
    return types.SimpleNamespace(world=standin, who="root@pam", parameters={}, path="/nodes/pve1/qemu/")


class Certificates(Scenario):
    keys = "rsa"


OF_NAME = {"version-and-auth": VersionAndAuth, "protocol-errors": ProtocolErrors, "text-limits": TextLimits,
           "vm-create": VmCreate,
           "vm-config": VmConfig, "vm-power": VmPower, "vm-resize": VmResize, "vm-snapshot": VmSnapshot,
           "vm-delete": VmDelete,
           "ct-config": CtConfig, "ct-lifecycle": CtLifecycle, "backup-ct": BackupCt, "restore-ct": RestoreCt,
           "locks": Locks,
           "nextid-and-race": NextIdAndRace, "daemon-595-596": Daemon, "guest-agent": GuestAgent,
           "lists-and-rights": ListsAndRights, "nodes-and-storage": NodesAndStorage, "role-limits": RoleLimits,
           "tasks": Tasks,
           "certificates": Certificates}


def of(name):
    return OF_NAME.get(name, Scenario)()
