# SPDX-License-Identifier: MIT
"""The simulated platform once more, for the suite's own agent: the same files, the same refusals."""

import copy
import json
import secrets

import rules
import world


class Failure(Exception):
    """The action was not taken, or fails."""


class Lost(Failure):
    """Nobody knows whether it was taken."""


class Down(Failure):
    """Nothing answers."""


class Platform:
    def __init__(self, folder):
        self.folder = folder

    def _read(self, name):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else {}

    def _write(self, name, document):
        (self.folder / name).with_suffix(".new").write_text(json.dumps(document))
        (self.folder / name).with_suffix(".new").rename(self.folder / name)

    def faults(self):
        faults = self._read("faults.json")
        if faults.get("down"):
            raise Down("nothing answers")
        return faults

    def _is_lost(self, key):
        faults = self._read("faults.json")
        if faults.get(key, 0) <= 0:
            return False
        self._write("faults.json", {**faults, key: faults[key] - 1})
        return True

    def guests(self):
        """(name -> guest, names that cannot be read, whether some may be missing)."""
        faults = self.faults()
        return self._read("platform.json")["guests"], set(faults.get("unreadable", ())), bool(faults.get("hidden"))

    def backups(self):
        return self._read("platform.json")["backups"]

    def trace(self, note):
        """The action that was begun with that note; or None."""
        return self._read("platform.json")["actions"].get(note)

    def begin(self, guest, incarnation, action, note):
        """What the platform then says of the action."""
        faults = self.faults()
        if self._is_lost("lose_before"):
            raise Lost("lost before")
        document = self._read("platform.json")
        found = document["guests"].get(guest)
        if action["kind"] not in rules.MAKES_A_GUEST:
            if found is None:
                raise Failure("there is no such guest")
            if found["incarnation"] != incarnation:
                raise Failure("it was made anew since")
        told = {"kind": action["kind"], "guest": guest, "ends": 0, "action": action,
                "incarnation": found and found["incarnation"]}
        changed = copy.deepcopy(document)
        try:
            if faults.get("fail", {}).get(action["kind"]):
                raise Failure("words")
            if found is not None and found.get("lock"):
                raise Failure("it is locked")
            do(changed, guest, action)
            document = changed
            told["incarnation"] = told["incarnation"] or document["guests"][guest]["incarnation"]
        except Failure as failure:
            told["error"] = {"message": str(failure)}
        document["actions"][note] = told
        self._write("platform.json", document)
        if self._is_lost("lose_after"):
            raise Lost("lost after")
        return told


def do(document, name, action):
    guests, backups, kind = document["guests"], document["backups"], action["kind"]
    guest = guests.get(name)
    snapshots = guest["snapshots"] if guest else {}
    if kind in rules.MAKES_A_GUEST:
        if guest is not None:
            raise Failure("there is such a guest")
        if kind == "restore" and action["backup"] not in backups:
            raise Failure("there is no such backup")
        config = {"cpus": 1, "memory_mib": 512, "disk_mib": 2048, **action["config"]} if kind == "create" else backups[action["backup"]]["config"]
        guests[name] = {"power": "stopped", "incarnation": "made:" + secrets.token_hex(6), "config": dict(config),
                        "snapshots": {}}
    elif kind in ("start", "resume", "stop"):
        if kind == "resume" and guest["power"] != "paused":
            raise Failure("it is not paused")
        guest["power"] = "stopped" if kind == "stop" else "running"
    elif kind == "set-config":
        if action["digest"] != world.digest_of(guest):
            raise Failure("it changed meanwhile")
        guest["config"].update({key: value for key, value in action.items() if key not in ("kind", "digest")})
    elif kind == "grow":
        if guest["config"].get("disk_mib", 0) > action["disk_mib"]:
            raise Failure("it is larger")
        guest["config"]["disk_mib"] = action["disk_mib"]
    elif kind == "snapshot":
        if action["snapshot"] in snapshots:
            raise Failure("there is one of that name")
        snapshots[action["snapshot"]] = {"config": dict(guest["config"]), "description": action["description"]}
    elif kind in ("rollback", "delete-snapshot"):
        if action["snapshot"] not in snapshots:
            raise Failure("there is no such snapshot")
        taken = snapshots[action["snapshot"]] if kind == "rollback" else snapshots.pop(action["snapshot"])
        if kind == "rollback":
            guest["config"] = dict(taken["config"])
    elif kind == "backup":
        backups[f"{action['repository']}:{name}/{secrets.token_hex(4)}"] = {
            "guest": name, "config": dict(guest["config"]), "notes": action["notes"], "is_protected": action["is_protected"]}
    elif kind == "delete-backup":
        if backups.pop(action["backup"], None) is None:
            raise Failure("there is no such backup")
    elif kind == "destroy":
        if guest["power"] != "stopped":
            raise Failure("it runs")
        del guests[name]
