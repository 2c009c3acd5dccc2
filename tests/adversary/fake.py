# SPDX-License-Identifier: MIT
"""A small agent that keeps the rules, and speaks the protocol within this process: the suite is tried on it. `left_out`, a name
of knobs.py, breaks it by one thing; the suite has to notice each.
"""

import base64
import hashlib
import json
import pathlib
import os
import secrets
import sys

import envelope
import keys
import rules
import world
from fake_gate import WINDOW, Denied, Gate
from fake_platform import Down, Failure, Lost, Platform
from protocol import Died, Refused

OPEN = ("queued", "waiting", "noted")
STATE = {"operations": [], "nonces": {}, "position": 0, "clock": 0, "generation": 0, "document": None, "accepted": 0,
         "scratch": [], "is_older": False}


class Killed(BaseException):
    """At a point."""


def refuse(why):
    raise Refused({"code": "denied", "message": why})


class Agent:
    def __init__(self, notary, left_out=None):
        self.gate, self.left_out = Gate(notary, left_out), left_out
        self.kill_at = 0
        self.folder = self.platform = self.state = None

    def without(self, name):
        return self.left_out == name

    def call(self, name, fault=None, **members):
        self.kill_at = int(fault.partition("@")[2]) if fault else 0
        try:
            answer = getattr(self, "on_" + name.replace(" ", "_"))(**members)
        except Killed:
            raise Died(name) from None
        except Down as down:
            refuse(str(down))
        self.kill_at = 0
        return json.loads(json.dumps(answer))

    def close(self):
        pass

    def point(self):
        if self.kill_at:
            self.kill_at -= 1
            if self.kill_at == 0:
                raise Killed

    # What is kept

    def save(self):
        self.point()
        self.state["position"] += 1
        self.write(self.state)
        self.point()

    def write(self, state):
        path = self.folder / "state/agent/agent.db"
        path.with_suffix(".new").write_text(json.dumps(state))
        path.with_suffix(".new").rename(path)

    def on_open(self, folder, host, now, roles, two_signers, require_signatures, acknowledged):
        self.folder = pathlib.Path(folder)
        self.platform = Platform(self.folder / "world")
        self.audit = self.folder / "state/agent/audit.jsonl"
        self.audit.parent.mkdir(parents=True, exist_ok=True)
        path = self.folder / "state/agent/agent.db"
        self.state = json.loads(path.read_text()) if path.exists() else json.loads(json.dumps(STATE))
        self.shell_signs = require_signatures == "all"
        on_record = [json.loads(line)["position"] for line in self.audit.read_text().splitlines()] if self.audit.exists() else []
        if self.state["position"] < max(int(acknowledged or 0), *on_record, 0) and not self.without("guard nonce store"):
            # For good: what happens from now on would soon hide it.
            self.state["is_older"] = True
            self.save()
        return self.on_clock(now)

    def on_clock(self, now):
        self.now = now
        if now > self.state["clock"]:
            self.state["clock"] = now
            self.save()
        return {}

    def record(self, operation):
        """A permit is on record, with how far the database was then."""
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        previous = hashlib.sha256(lines[-1].encode()).hexdigest() if lines else "0" * 64
        line = {"line": len(lines) + 1, "previous": previous, "event": "decision", "verdict": "permitted",
                "change": operation["action"]["kind"], "position": self.state["position"],
                "target": {name: operation[name] for name in ("guest", "incarnation")}}
        with self.audit.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def on_mark(self):
        return {"mark": str(self.state["position"])}

    # What is asked for

    def find(self, operation):
        return next((each for each in self.state["operations"] if each["id"] == operation), None)

    def add(self, source, action, guest, incarnation, key, **more):
        operation = {"id": secrets.token_hex(8), "source": source, "action": action, "guest": guest, "incarnation": incarnation,
                     "key": key, "state": "queued", "detail": "", "note": None, "approved": False, "scratch": False,
                     "undoes": None, "made": None, "envelope": None, **more}
        self.state["operations"].append(operation)
        self.save()
        return {"id": operation["id"]}

    def on_submit(self, source, action, guest, incarnation, key, scratch=False):
        known = envelope.ACTION_MEMBERS.get(action["kind"])
        strange = set(action) - {"kind"} - {name.rstrip("?") for name in known or ()}
        if known is None or (strange and not self.without("guard claims")):
            refuse("no such action")
        for each in self.state["operations"]:
            if each["key"] == key and not self.without("guard key"):
                if each["action"] != action:
                    refuse("the key was used for another wish")
                return {"id": each["id"]}
        return self.add(source, {name: value for name, value in action.items() if name not in strange}, guest, incarnation, key,
                        scratch=scratch or "scratch" in strange)

    def on_scratch(self, action, guest, incarnation, key):
        return self.on_submit("timer", action, guest, incarnation, key, scratch=True)

    def on_take_back(self, operation):
        maker = self.find(operation)
        if maker is None or maker["state"] != "done" or not maker["made"]:
            refuse("it made nothing")
        guest, incarnation = maker["made"]
        later = self.state["operations"][self.state["operations"].index(maker) + 1:]
        if any(each["guest"] == guest and each["note"] for each in later) and not self.without("guard take back"):
            refuse("something else was done to it")
        return self.add("take back", {"kind": "destroy"}, guest, incarnation, f"back-{operation}", undoes=operation)

    def on_desired(self, document):
        wanted = json.loads(document)
        is_same = self.state["document"] == wanted
        if wanted["host"] != rules.HOST:
            refuse("for another host")
        if wanted["generation"] <= self.state["generation"] and not is_same and not self.without("guard generation"):
            refuse("left behind")
        if not is_same:
            self.cancel_waiting("desired")
            self.state.update(generation=wanted["generation"], document=wanted, accepted=len(self.state["operations"]))
            self.save()
        return {}

    def cancel_waiting(self, source=None):
        for each in self.state["operations"]:
            if source in (None, each["source"]) and (each["state"] == "waiting" or (source and each["state"] == "queued")):
                each["state"] = "cancelled"

    # What is signed

    def on_pending(self):
        guests, _, _ = self.platform.guests()
        waiting = [each for each in self.state["operations"] if each["state"] == "waiting"]
        return {"pending": [{"operation": each["id"], "envelope": each["envelope"]} for each in waiting
                            if guests.get(each["guest"], {}).get("incarnation") == each["incarnation"]]}

    def on_approve(self, envelope, signatures, door):
        raw = base64.b64decode(envelope)
        try:
            if self.state["is_older"]:
                raise Denied("the database is an older one")
            operation = self.find(self.gate.read(raw).get("operation"))
            if operation is None or operation["state"] != "waiting":
                raise Denied("no such operation waits")
            guest = self.platform.guests()[0].get(operation["guest"])
            members = self.gate.verify(raw, signatures, operation, guest, self.now, self.state)
        except Denied as denied:
            if self.without("guard wait"):
                self.cancel_waiting()
            refuse(str(denied))
        operation.update(state="queued", approved=True)
        self.state["operations"].remove(operation)
        self.state["operations"].append(operation)
        if self.without("sync nonce"):
            self.save()
        self.state["nonces"][members["nonce"]] = operation["id"]
        if not self.without("sync nonce"):
            self.save()
        return {"operation": operation["id"]}

    def on_reject(self, operation):
        found = self.find(operation)
        if found is None or found["state"] != "waiting":
            refuse("it does not wait")
        found["state"] = "cancelled"
        self.save()
        return {}

    def on_operations(self):
        return {"operations": [{name: each[name] for name in ("id", "state", "detail")} for each in self.state["operations"]]}

    def on_classes(self):
        return {"classes": [{"change": kind, "provenance": provenance,
                             "class": rules.DESTRUCTIVE if self.gate.is_destructive(kind, provenance) else rules.BENIGN}
                            for kind, provenance in rules.CLASSES]}

    # What is done

    def on_run(self, most=None):
        self.begun, self.most, self.tried = 0, most, set()
        try:
            self.recover()
            while self.step():
                pass
        except Down:
            pass
        return {"begun": self.begun}

    def recover(self):
        for operation in self.state["operations"]:
            if operation["state"] == "noted":
                self.follow(operation)

    def follow(self, operation):
        """What became of one whose answer nobody saw."""
        told = self.platform.trace(operation["note"])
        if told is None and self.without("guard trace"):
            operation["state"] = "queued"
            self.save()
        elif told is None:
            self.end(operation, "unknown", "nothing tells of it")
        else:
            self.ended(operation, told)

    def end(self, operation, state, detail=""):
        operation.update(state=state, detail=detail)
        self.save()

    def ended(self, operation, told):
        if "error" in told:
            return self.end(operation, "failed", told["error"]["message"])
        action, guest = operation["action"], operation["guest"]
        if action["kind"] in rules.MAKES_A_GUEST:
            operation["made"] = [guest, told["incarnation"]]
        if action["kind"] == "delete-snapshot":  # what is gone is nobody's any more
            gone = ["snapshot", guest, action["snapshot"]]
            self.state["scratch"] = [each for each in self.state["scratch"] if each != gone]
        if operation["scratch"]:
            self.state["scratch"] += {
                "snapshot": lambda: [["snapshot", guest, action["snapshot"]]],
                "backup": lambda: [["backup", "", name] for name, each in self.platform.backups().items()
                                   if each["notes"] == action["notes"]],
            }.get(action["kind"], lambda: [["guest", guest, told["incarnation"]]])()
        return self.end(operation, "done")

    def step(self):
        """Whether anything moved."""
        self.plan()
        lanes = {}
        for operation in self.state["operations"]:
            if operation["state"] == "queued" and operation["id"] not in self.tried:
                lanes.setdefault(operation["guest"], []).append(operation)
        for lane in lanes.values():
            if self.most is not None and self.begun >= self.most:
                return False
            self.turn(lane[-1 if self.without("guard order") else 0])
        return bool(lanes)

    def turn(self, operation):
        self.tried.add(operation["id"])
        guests, _, _ = self.platform.guests()
        found = guests.get(operation["guest"])
        action = operation["action"]
        if action["kind"] not in rules.MAKES_A_GUEST and (found is None or found["incarnation"] != operation["incarnation"]):
            return self.end(operation, "failed", "it is not there any more")
        if self.gate.is_destructive(action["kind"], self.provenance(operation)):
            is_shell = operation["source"] == "shell" and not self.shell_signs
            if not operation["approved"] and not is_shell:
                return self.wait(operation)
            if self.state["is_older"]:
                return self.end(operation, "failed", "the database is an older one")
        return self.begin(operation)

    def begin(self, operation):
        operation.update(state="noted", note=secrets.token_hex(8))
        if not self.without("sync note"):
            self.save()
        if not self.without("guard record"):
            self.record(operation)
        self.begun += 1
        self.point()
        try:
            told = self.platform.begin(operation["guest"], operation["incarnation"], operation["action"], operation["note"])
        except Lost:
            self.begun -= 1
            return self.begin(operation) if self.without("guard trace") else self.follow(operation)
        except Down:
            operation.update(state="queued", note=None)
            return self.save()
        except Failure as failure:
            return self.end(operation, "failed", str(failure))
        self.point()
        return self.ended(operation, told)

    def wait(self, operation):
        operation["state"] = "waiting"
        operation["envelope"] = envelope.make(
            operation["id"], operation["guest"], operation["incarnation"], operation["action"], self.now, self.now + WINDOW,
            secrets.token_hex(16)).decode()
        self.save()

    def provenance(self, operation):
        if operation["undoes"]:
            return rules.IN_TRANSACTION
        action, guest = operation["action"], operation["guest"]
        is_trial = ["guest", guest, operation["incarnation"]] in self.state["scratch"]
        thing = {"delete-snapshot": ["snapshot", guest, action.get("snapshot")],
                 "delete-backup": ["backup", "", action.get("backup")]}.get(action["kind"])
        if action["kind"] == "delete-backup":
            is_trial = False
        is_claimed = self.without("guard claims") and operation["scratch"]
        return rules.SCRATCH if is_trial or is_claimed or thing in self.state["scratch"] else rules.ORDINARY

    # What is wanted

    def plan(self):
        document = self.state["document"]
        if document is None:
            return
        guests, unreadable, is_partial = self.platform.guests()
        if self.without("guard absence"):
            for name, found in guests.items():
                if name not in document["guests"] and found["power"] == "running":
                    self.want(name, found, {"kind": "stop", "patience_s": 0, "force": True})
        for name, wanted in document["guests"].items():
            found = guests.get(name)
            is_doubtful = name in unreadable or (found is None and is_partial)
            if not is_doubtful or self.without("guard doubt"):
                action = self.difference(name, wanted, found)
                if action:
                    self.want(name, found, action)

    def want(self, name, found, action):
        is_open = any((each["guest"], each["source"]) == (name, "desired") and each["state"] in OPEN
                      for each in self.state["operations"])
        if not is_open and (name, action["kind"]) not in self.tried:
            self.tried.add((name, action["kind"]))
            self.add("desired", action, name, found["incarnation"] if found else "", secrets.token_hex(8))

    def difference(self, name, wanted, found):
        """The first action towards what is wanted; None: there is nothing to do."""
        power = wanted.get("power")
        if found is None:
            config = {"name": name, **{key: wanted[key] for key in ("cpus", "memory_mib", "description") if key in wanted}}
            if "disk_gib" in wanted:
                config["disk_mib"] = wanted["disk_gib"] * 1024
            return None if power == "absent" else {"kind": "create", "source": "current", "config": config}
        if power == "absent":
            return {"kind": "stop", "patience_s": 0, "force": True} if found["power"] != "stopped" else {"kind": "destroy"}
        config = found["config"]
        if wanted.get("disk_gib", 0) * 1024 > config.get("disk_mib", 0):
            return {"kind": "grow", "disk_mib": wanted["disk_gib"] * 1024}
        change = {key: wanted[key] for key in ("cpus", "memory_mib", "description")
                  if key in wanted and config.get(key) != wanted[key]}
        if change:
            return {"kind": "set-config", "digest": world.digest_of(found), **change}
        if power == "running" and found["power"] != "running" and not self.is_switched_off(name):
            return {"kind": "start"} if found["power"] == "stopped" else {"kind": "resume"}
        if power == "stopped" and found["power"] != "stopped":
            return {"kind": "stop", "patience_s": 0, "force": True}
        return None

    def is_switched_off(self, name):
        """Whether somebody stopped it on purpose since the desired state was accepted."""
        since = self.state["operations"][self.state["accepted"]:]
        return any(each["guest"] == name and each["action"]["kind"] == "stop" and each["source"] != "desired" for each in since)


def main():
    agent = Agent(keys.Notary(), os.environ.get("BLOCKHOST_LEAVE_OUT"))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = agent.call(request.pop("call"), **request)
        except Refused as refused:
            answer = {"error": {"code": refused.code, "message": str(refused)}}
        except Died:
            os._exit(137)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
