# SPDX-License-Identifier: MIT
"""The simulated platform's folder: the guests of a history, other hands at them, and what goes wrong with the platform."""

import copy
import hashlib
import json
import pathlib

GUESTS = ("web", "db", "app")
"""Guests that are there at the beginning."""
ABSENT = "new"
"""A name that nothing has at the beginning."""


def incarnation(name, number):
    return f"made:{name}-{number}"


def guest(name, number, power="running"):
    """A guest with two snapshots of other configurations than it has."""
    config = {"name": name, "cpus": 1, "memory_mib": 512, "disk_mib": 10240, "description": ""}
    return {"power": power, "incarnation": incarnation(name, number), "config": config,
            "snapshots": {each: {"config": {**config, "description": each}, "description": ""} for each in ("s1", "s2")}}


def beginning():
    return {"guests": {"web": guest("web", 1), "db": guest("db", 1, "stopped"), "app": guest("app", 1, "stopped")},
            "backups": {f"main:{name}/b{number}": {"guest": name, "config": guest(name, 1)["config"], "notes": "",
                                                   "is_protected": False}
                        for name in ("web", "db") for number in (1, 2)},
            "actions": {}}


def digest_of(guest):
    """Of a guest's configuration, as the simulated platform has it."""
    return hashlib.sha256(json.dumps(guest.get("config", {})).encode()).hexdigest()


FAULTS = {
    "lost before": lambda name: {"lose_before": 1},
    "lost after": lambda name: {"lose_after": 1},
    "starts fail": lambda name: {"fail": {"start": "no room"}},
    "hidden": lambda name: {"hidden": True},
    "unreadable": lambda name: {"unreadable": [name]},
    "down": lambda name: {"down": True},
    "none": lambda name: {},
}


class World:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.made = 1
        self.write(beginning())

    def read(self):
        return json.loads((self.folder / "platform.json").read_text())

    def write(self, document):
        self._put("platform.json", document)

    def faults(self, what, name):
        self._put("faults.json", FAULTS[what](name))

    def _put(self, name, document):
        path = self.folder / name
        path.with_suffix(".new").write_text(json.dumps(document) + "\n")
        path.with_suffix(".new").rename(path)

    def outside(self, what, name):
        """Another hand at a guest. Whether anything changed."""
        document = self.read()
        before = copy.deepcopy(document["guests"])
        found = document["guests"].get(name)
        if what == "replace":
            self.made += 1
            document["guests"][name] = guest(name, self.made, found["power"] if found else "stopped")
        elif found is None:
            return False
        elif what == "remove":
            del document["guests"][name]
        elif what == "crash":
            found["power"] = "stopped"
        elif what == "pause":
            found["power"] = "paused" if found["power"] == "running" else found["power"]
        elif what == "edit":
            found["config"]["description"] = "edited"
        elif what == "lock":
            found["lock"] = "backup"
        elif what == "unlock":
            found.pop("lock", None)
        else:
            raise ValueError(what)
        if before == document["guests"]:
            return False
        self.write(document)
        return True


OUTSIDE = ("replace", "remove", "crash", "pause", "edit", "lock", "unlock")
