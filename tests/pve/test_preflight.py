# SPDX-License-Identifier: MIT
"""What a token lacks is told before anything is tried, and is just what the node then refuses."""

import itertools
import re
import shlex
import time

import pytest
from client import Client
from node.access import PRIVILEGES
from platform_process import Failed, Platform

ON_GUESTS = {"see guests", "start and stop", "set config: processors", "set config: memory", "set config: options",
             "set config: a container's name", "grow", "snapshot", "roll back", "destroy", "backup", "delete a backup"}
FEATURES = ON_GUESTS | {"restore", "copy a template", "SMART", "host facts", "guest agent: ask", "guest agent: freeze", "guest agent: run programs"}
LACKING = {
    "VM.Allocate": {"restore", "destroy", "copy a template"}, "VM.Audit": ON_GUESTS | {"copy a template"},
    "VM.Clone": {"copy a template"}, "VM.Config.Disk": {"grow"},
    "VM.Config.CPU": {"set config: processors"}, "VM.Config.Memory": {"set config: memory"},
    "VM.Config.Network": {"set config: a container's name"}, "VM.Config.Options": {"set config: options", "restore"},
    "VM.PowerMgmt": {"start and stop"}, "VM.Snapshot": {"snapshot"}, "VM.Snapshot.Rollback": set(), "VM.Backup": {"backup"},
    "Datastore.Allocate": set(), "Datastore.AllocateSpace": {"backup", "restore", "grow", "copy a template"}, "Datastore.Audit": set(),
    "Sys.Audit": {"SMART", "host facts"}, "SDN.Use": {"restore", "copy a template"},
    "VM.GuestAgent.Audit": set(), "VM.GuestAgent.FileSystemMgmt": set(),
    "VM.GuestAgent.Unrestricted": {"guest agent: run programs"},
}
"""Without that privilege. Of some another does as well; then both are taken away below."""
LACKING_BOTH = {
    ("VM.Snapshot", "VM.Snapshot.Rollback"): {"snapshot", "roll back"},
    ("Datastore.Allocate", "VM.Backup"): {"backup", "delete a backup", "restore"},
    ("Datastore.Allocate", "Datastore.AllocateSpace"): {"backup", "delete a backup", "restore", "grow", "copy a template"},
    ("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"): {"guest agent: ask", "guest agent: run programs"},
    ("VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted"): {"guest agent: freeze", "guest agent: run programs"},
}
AGENT = "/nodes/pve1/qemu/100/agent"


def role_in(commands):
    return re.search(r'--privs "([^"]+)"', commands)[1].split()


def end_of(platform, handle, seconds=120):
    """The state in which an action ended; looks more often than a client would."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = platform.do("look", handle=handle)
        if state["phase"] not in ("running", "waiting"):
            if state["phase"] == "failed":
                raise Failed(state["error"])
            assert state["phase"] == "done", state
            return state
        time.sleep(0.005)
    raise AssertionError(f"still under way: {handle}")


class Trial:
    """Tries each feature with a token; what it needs besides is arranged with all rights."""

    def __init__(self, world, folder, privileges):
        self.world, self.ids = world, itertools.count(300)
        world.access.add_role("tried", privileges)
        world.access.add_role("all", PRIVILEGES)
        self.weak = Platform(world, folder / "weak", token_text=world.token("tried@pve!tok", role="tried"))
        self.admin = Platform(world, folder / "admin", token_text=world.token("admin@pve!tok", role="all"))
        agent = world.add_vm(100, running=True, agent={})
        agent.config["agent"] = "1"
        world.nodes["pve1"].disks.append({"devpath": "/dev/sda"})

    def close(self):
        self.weak.close()
        self.admin.close()

    def guest(self, kind):
        number = next(self.ids)
        if kind == "vm":
            self.world.add_vm(number, disks={"scsi0": 1}, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0")
        else:
            self.world.add_container(number, network=True)
        return number

    def act(self, number, kind, **action):
        seen = self.admin.guest(number)
        if kind == "set-config":
            action["digest"] = seen["digest"]
        end_of(self.weak, self.weak.begin(number, kind, incarnation=seen["incarnation"], **action))

    def backup_of(self, number):
        """The id of a new backup."""
        end_of(self.admin, self.admin.begin(number, "backup"))
        rows = self.admin.get("/nodes/pve1/storage/local/content", content="backup", vmid=number)
        return rows[-1]["volid"]

    def restore(self, kind):
        backup = self.backup_of(self.guest(kind))
        handle = self.weak.do("begin", guest=str(next(self.ids)), incarnation="", action={"kind": "restore", "backup": backup})
        end_of(self.weak, handle)

    def copy(self):
        number = self.guest("vm")
        self.world.guests.by_id[number].config["template"] = "1"
        wanted = {"guest": str(next(self.ids)), "incarnation": "", "action": {"kind": "create", "source": str(number)}}
        end_of(self.weak, self.weak.do("begin", **wanted, note=self.admin.do("note", **wanted)))

    def rolled_back(self, number):
        self.world.knobs.take_snapshot(number, "aa")
        self.act(number, "rollback", snapshot="aa")

    def delete_backup(self, kind):
        number = self.guest(kind)
        self.act(number, "delete-backup", backup=self.backup_of(number))

    def tries(self, kind):
        def acting(*action, **values):
            return lambda: self.act(self.guest(kind), *action, **values)
        tries = {
            "see guests": lambda: self.weak.guest(self.guest(kind)),
            "start and stop": acting("start"),
            "set config: processors": acting("set-config", cpus=2),
            "set config: memory": acting("set-config", memory_mib=256),
            "set config: options": acting("set-config", description="x", tags=["a"], start_on_boot=True, is_protected=True),
            "grow": acting("grow", disk_mib=2048),
            "snapshot": acting("snapshot", snapshot="aa"),
            "roll back": lambda: self.rolled_back(self.guest(kind)),
            "destroy": acting("destroy"),
            "backup": acting("backup"),
            "delete a backup": lambda: self.delete_backup(kind),
            "restore": lambda: self.restore(kind),
        }
        if kind == "vm":
            return tries | {
                "copy a template": self.copy,
                "SMART": lambda: self.weak.get("/nodes/pve1/disks/smart", disk="/dev/sda"),
                "host facts": lambda: self.weak.do("host"),
                "guest agent: ask": lambda: self.weak.change("POST", f"{AGENT}/ping"),
                "guest agent: freeze": lambda: self.weak.change("POST", f"{AGENT}/fsfreeze-freeze"),
                "guest agent: run programs": lambda: self.weak.change("POST", f"{AGENT}/exec", command="true"),
            }
        del tries["grow"]  # the stand-in's containers lie in folders, which have no size
        return tries | {"set config: a container's name": acting("set-config", name="other")}

    def refused(self, kind):
        """The features that the node refuses for want of rights; any other failure is passed on."""
        found = set()
        for feature, attempt in self.tries(kind).items():
            try:
                attempt()
            except Failed as failure:
                if failure.code != "denied":
                    raise AssertionError(f"{feature}: {failure}") from failure
                found.add(feature)
        return found


@pytest.fixture()
def role(standin, tmp_path):
    platform = Platform(standin, tmp_path / "any")
    yield role_in(platform.do("role_commands", major=9))
    platform.close()


@pytest.fixture()
def trial(standin, tmp_path):
    standin.storages["local"].snapshots = True
    made = []

    def make(privileges):
        made.append(Trial(standin, tmp_path, privileges))
        return made[0]

    yield make
    made[0].close()


def test_a_full_role_lacks_nothing_and_nothing_is_refused(trial, role):
    full = trial(role)
    assert full.weak.do("preflight") == []
    assert full.refused("vm") == full.refused("container") == set()
    assert set(full.tries("vm")) | set(full.tries("container")) == FEATURES
    assert set(LACKING) == set(role)


@pytest.mark.parametrize("taken, lacking", [*(((name,), found) for name, found in LACKING.items()), *LACKING_BOTH.items()],
                         ids=lambda value: "+".join(value) if isinstance(value, tuple) else "")
def test_what_a_role_lacks_is_what_the_node_refuses(trial, role, taken, lacking):
    without = trial([name for name in role if name not in taken])
    lacks = without.weak.do("preflight")
    assert {lack["feature"] for lack in lacks} == lacking
    assert all(any(name in lack["what"] for name in taken) and lack["remedy"] for lack in lacks)
    for kind in ("vm", "container"):
        assert without.refused(kind) == lacking & set(without.tries(kind)), kind


def test_a_role_without_privileges_lacks_every_feature(trial):
    none = trial([])
    assert {lack["feature"] for lack in none.weak.do("preflight")} == FEATURES
    for kind in ("vm", "container"):
        assert none.refused(kind) == set(none.tries(kind)), kind


def test_an_entry_nearer_to_the_guests_takes_what_one_above_gives(standin, trial, role):
    narrow = trial(role)
    for who in ("tried@pve", "tried@pve!tok"):
        standin.knobs.grant(who, "NoAccess", "/vms")
    assert {lack["feature"] for lack in narrow.weak.do("preflight")} == ON_GUESTS | {
        "restore", "copy a template", "guest agent: ask", "guest agent: freeze", "guest agent: run programs"}
    assert "VM.Audit on /vms" in narrow.weak.do("guests")["doubt"]


def test_rights_on_the_folder_of_guests_alone_are_none_on_a_guest(standin, tmp_path, role):
    standin.access.add_role("tried", role)
    token = standin.token("flat@pve!tok", role=None)
    for who in ("flat@pve", "flat@pve!tok"):
        standin.knobs.grant(who, "tried", "/vms", propagate=0)
    platform = Platform(standin, tmp_path / "flat", token_text=token)
    try:
        assert ON_GUESTS <= {lack["feature"] for lack in platform.do("preflight")}
        assert platform.do("guests")["doubt"]
    finally:
        platform.close()


def test_preflight_changes_nothing_and_asks_little(standin, trial, role):
    before = len(standin.requests)
    trial(role).weak.do("preflight")
    asked = list(standin.requests)[before:]
    assert {method for method, *_ in asked} == {"GET"} and len(asked) <= 7


# -- the commands that make such a token


def run(api, line):
    """What pveum does with a command, as calls of the API."""
    words = shlex.split(line)
    options = dict(zip((word.removeprefix("--") for word in words if word.startswith("--")),
                       (words[place + 1] for place, word in enumerate(words) if word.startswith("--"))))
    bare = [word for place, word in enumerate(words) if not word.startswith("--") and not words[place - 1].startswith("--")]
    match bare:
        case ["pveum", "role", "add", name]:
            return api.post("/access/roles", roleid=name, **options)
        case ["pveum", "user", "add", user]:
            return api.post("/access/users", userid=user, **options)
        case ["pveum", "user", "token", "add", user, name]:
            return api.post(f"/access/users/{user}/token/{name}", **options)
        case ["pveum", "acl", "modify", path]:
            return api.put("/access/acl", path=path, **options)
    raise AssertionError(f"no command of pveum: {line}")


@pytest.fixture()
def root(standin):
    token = standin.token("root@pam!full", role=None)
    standin.access.token("root@pam!full").privsep = 0
    made = Client(standin, token)
    yield made
    made.close()


def commands(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_token_that_the_commands_make_lacks_nothing(standin, tmp_path, root):
    any_token = Platform(standin, tmp_path / "any")
    text = any_token.do("role_commands", major=9)
    any_token.close()
    replies = [run(root, line) for line in commands(text)]
    assert [reply.status for reply in replies] == [200] * 5, [reply.body for reply in replies]
    secret = next(reply.data for reply in replies if reply.data)
    platform = Platform(standin, tmp_path / "made", token_text=f"{secret['full-tokenid']}={secret['value']}")
    try:
        assert platform.do("preflight") == [] and platform.do("guests")["doubt"] == ""
    finally:
        platform.close()


def test_a_node_of_version_9_refuses_the_role_of_version_8(standin, tmp_path, root):
    platform = Platform(standin, tmp_path / "any")
    try:
        first = commands(platform.do("role_commands", major=8))[0]
        assert "VM.Monitor" in first and run(root, first).status == 400
        with pytest.raises(Failed, match="supported are 8 and 9"):
            platform.do("role_commands", major=7)
    finally:
        platform.close()
