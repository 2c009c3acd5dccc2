# SPDX-License-Identifier: MIT
"""Plays a history: events, one after the other, against an agent and its world; the oracle is told of everything.

An agent is anything with `call` and `close` as protocol.Process has them; `start` makes one.
"""

import dataclasses
import json
import pathlib
import shutil

import effects
import envelope
import keys as signers
import record
import rules
import world as worlds
from oracle import Oracle
from protocol import Died, Refused, encoded

BEGINNING = 1_800_000_000
"""Unix seconds, in January 2027: when every history begins."""
ROUNDS = 8
"""At its end, how often the agent is given another quarter of an hour, at most."""
ROUND = 900
LEAST_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Event:
    def __str__(self):
        return json.dumps({"event": type(self).__name__, **dataclasses.asdict(self)})


@dataclasses.dataclass(frozen=True)
class Begin(Event):
    """The first event of a history."""
    require_signatures: str = "all"


@dataclasses.dataclass(frozen=True)
class Job(Event):
    """A change from outside. `stale`: for a namesake's incarnation. `lie`: with a claim that it needs no signature."""
    kind: str
    guest: str
    source: str = "hub"
    stale: bool = False
    lie: bool = False


@dataclasses.dataclass(frozen=True)
class Again(Event):
    """An earlier job is delivered again; `other`: as another wish by the same key."""
    which: int
    other: bool = False


@dataclasses.dataclass(frozen=True)
class Trial(Event):
    """Something that the agent makes for itself: "create", "restore", "snapshot", "backup"."""
    kind: str


@dataclasses.dataclass(frozen=True)
class OnTrial(Event):
    """A job for what a trial made: "destroy", "rollback", "delete-snapshot", "delete-backup", "snapshot"."""
    kind: str
    which: int = 0


@dataclasses.dataclass(frozen=True)
class TakeBack(Event):
    which: int = 0


@dataclasses.dataclass(frozen=True)
class Desired(Event):
    """`guests`: name -> fields, as pairs. `step`: from the last generation to this one. `again`: the same document once more."""
    guests: tuple
    step: int = 1
    host: str = rules.HOST
    again: bool = False


@dataclasses.dataclass(frozen=True)
class Sign(Event):
    """One that waits is signed, changed so, and sent by that door. `kill`: the agent dies at that point while it takes it."""
    which: int = 0
    mutation: str = "none"
    kill: int = 0
    door: str = "gate"


@dataclasses.dataclass(frozen=True)
class Replay(Event):
    """An earlier signed operation is sent again, with the same bytes; `mixed`: with another one's signatures."""
    which: int
    mixed: bool = False
    door: str = "gate"


@dataclasses.dataclass(frozen=True)
class Reject(Event):
    which: int = 0


@dataclasses.dataclass(frozen=True)
class Run(Event):
    """`most`: actions that are begun; 0: until nothing moves. `kill`: the agent dies at that point."""
    most: int = 0
    kill: int = 0


@dataclasses.dataclass(frozen=True)
class Clock(Event):
    seconds: int


@dataclasses.dataclass(frozen=True)
class Outside(Event):
    what: str
    guest: str


@dataclasses.dataclass(frozen=True)
class Faults(Event):
    what: str
    guest: str = "web"


@dataclasses.dataclass(frozen=True)
class Restart(Event):
    pass


@dataclasses.dataclass(frozen=True)
class Save(Event):
    """A copy of the agent's state is made."""


@dataclasses.dataclass(frozen=True)
class Restore(Event):
    """`what`: "database" or "everything" of the last copy is put back; "nothing": the database is gone."""
    what: str


EVENTS = {each.__name__: each for each in Event.__subclasses__()}


def from_line(line):
    """The event that str() wrote."""
    members = json.loads(line)
    if "guests" in members:
        members["guests"] = tuple((name, tuple(map(tuple, fields))) for name, fields in members["guests"])
    return EVENTS[members.pop("event")](**members)


def one_of(several, number):
    return several[number % len(several)] if several else None


class Player:
    def __init__(self, start, folder, keys, require_signatures):
        self.start, self.folder, self.keys = start, pathlib.Path(folder), keys
        self.world = worlds.World(self.folder / "world")
        signers.write_authority(keys, self.folder / "authority")
        self.oracle = Oracle(self.world.read(), BEGINNING, require_signatures)
        self.now, self.require_signatures, self.mark = BEGINNING, require_signatures, None
        self.number = self.generation = 0
        self.jobs, self.trials, self.sent = [], [], []
        self.document = None
        self.saved = self.folder / "saved"
        self.agent = None
        self.open()

    # The agent

    def open(self):
        """Whether it opened."""
        self.agent = self.start()
        try:
            self.agent.call("open", folder=str(self.folder), host=rules.HOST, now=self.now, roles=signers.told_roles(),
                            two_signers=list(rules.SIGNERS_NEEDED), require_signatures=self.require_signatures,
                            acknowledged=self.mark)
        except Refused:
            if not self.oracle.was_restored:
                raise
            self.agent.close()
            self.agent = None

    def call(self, name, **members):
        """The answer; False where it was refused, None where the agent died and was started again. What it did is judged."""
        if self.agent is None:
            return False
        try:
            answer = self.agent.call(name, **members)
        except Refused:
            answer = False
        except Died:
            if not members.get("fault"):
                raise
            answer = None
        if answer is None:
            self.oracle.died()
            self.oracle.saw(self.world.read())
            self.open()
        else:
            self.oracle.saw(self.world.read(), has_run=name == "run", is_quiet=answer is not False and "most" not in members)
        return answer

    def fault(self, kill):
        return {"fault": f"kill@{kill}"} if kill else {}

    def acknowledge(self):
        if self.oracle.was_restored:
            return
        told = self.call("mark")
        if told:
            self.mark = told["mark"]

    def pending(self):
        told = self.call("pending")
        if told:
            self.oracle.waiting([each["operation"] for each in told["pending"]])
        return told["pending"] if told else []

    # Events

    def play(self, event):
        self.oracle.step += 1
        getattr(self, "do_" + type(event).__name__.lower())(event)

    def do_begin(self, _event):
        pass

    def action(self, kind, guest):
        """What is asked for, with a name of its own where it makes something. A destroyed thing is one that is there."""
        self.number += 1
        name = f"j{self.number}"
        found = self.world.read()["guests"].get(guest, {})
        config = {"name": name, "cpus": 1, "memory_mib": 256, "disk_mib": 1024}
        return {"kind": kind, **{
            "stop": {"patience_s": 0, "force": True},
            "set-config": {"digest": worlds.digest_of(found), "cpus": 3},
            "grow": {"disk_mib": found.get("config", {}).get("disk_mib", 0) + 1024},
            "create": {"source": "current", "config": config},
            "snapshot": {"snapshot": name, "description": ""},
            "rollback": {"snapshot": "s1"},
            "delete-snapshot": {"snapshot": "s2"},
            "backup": {"repository": "main", "notes": name, "is_protected": False},
            "restore": {"backup": "main:web/b1"},
            "delete-backup": {"backup": f"main:{guest}/b2"},
        }.get(kind, {})}

    def do_job(self, event):
        guest, action = event.guest, self.action(event.kind, event.guest)
        if event.kind in rules.MAKES_A_GUEST:
            guest, incarnation = f"j{self.number}", ""
        else:
            incarnation = self.world.read()["guests"].get(guest, {}).get("incarnation", worlds.incarnation(guest, 0))
            if event.stale:
                incarnation = worlds.incarnation(guest, 0)
        if event.lie:
            action = {**action, "scratch": True, "provenance": "scratch"}
        self.submit("submit", event.source, action, guest, incarnation, f"job-{self.number}")

    def submit(self, call, source, action, guest, incarnation, key, licence=None):
        told = self.call(call, **({"source": source} if call == "submit" else {}), action=action, guest=guest,
                         incarnation=incarnation, key=key)
        self.oracle.job(source, key, action, guest, incarnation, bool(told), told["id"] if told else None, licence)
        (self.trials if call == "scratch" else self.jobs).append((source, action, guest, incarnation, key, told and told["id"]))

    def do_again(self, event):
        job = one_of(self.jobs, event.which)
        if job:
            source, action, guest, incarnation, key, _ = job
            other = {"kind": "snapshot", "snapshot": "other", "description": ""} if event.other else action
            told = self.call("submit", source=source, action=other, guest=guest, incarnation=incarnation, key=key)
            self.oracle.job(source, key, other, guest, incarnation, bool(told), told["id"] if told else None)

    def do_trial(self, event):
        action = self.action(event.kind, "app")
        guest, incarnation = "app", self.oracle.incarnation_of("app")
        if event.kind in rules.MAKES_A_GUEST:
            guest, incarnation = f"trial{self.number}", ""
        if guest == "app" and not incarnation:
            return
        self.submit("scratch", "timer", action, guest, incarnation, f"trial-{self.number}", "trial")

    def do_ontrial(self, event):
        makers = {"delete-snapshot": ("snapshot",), "delete-backup": ("backup",)}.get(event.kind, rules.MAKES_A_GUEST)
        made = [each for each in (*self.trials, *(self.jobs if event.kind == "snapshot" else ())) if each[1]["kind"] in makers]
        if not made:
            return
        _, made, guest, _, _, _ = one_of(made, event.which)
        action = self.action(event.kind, guest)
        if event.kind == "rollback":
            action["snapshot"] = next(iter(self.world.read()["guests"].get(guest, {}).get("snapshots", {})), "none")
        if event.kind == "delete-snapshot":
            action["snapshot"] = made["snapshot"]
        if event.kind == "delete-backup":
            backups = self.world.read()["backups"]
            action["backup"] = next((name for name, each in backups.items() if each["notes"] == made["notes"]), "none")
        incarnation = self.oracle.incarnation_of(guest) or "made:none"
        self.submit("submit", "hub", action, guest, incarnation, f"job-{self.number}")

    def do_takeback(self, event):
        """Its licence is the oracle's own: the guest was made by that operation, and nothing else was done to it."""
        makers = [each for each in (*self.jobs, *self.trials) if each[1]["kind"] in rules.MAKES_A_GUEST and each[5]]
        maker = one_of(makers, event.which)
        if not maker:
            return
        _, _, guest, _, key, operation = maker
        incarnation = self.oracle.incarnation_of(guest)
        wish = self.oracle.made.get((guest, incarnation))
        told = self.call("take back", operation=operation)
        is_its_own = wish is not None and wish.key == key and self.oracle.touched.get(guest) == wish.begun_at
        if is_its_own and told:
            self.oracle.job("take back", f"back-{key}", {"kind": "destroy"}, guest, incarnation, True, told["id"], "take back")

    def do_desired(self, event):
        if event.again and self.document is None:
            return
        if not event.again:
            source = {"source": {"template": "current"}}
            guests = {name: dict(fields) if ("power", "absent") in fields else {**dict(fields), **source}
                      for name, fields in event.guests}
            self.document = {"version": 1, "host": event.host, "generation": max(1, self.generation + event.step),
                             "guests": guests}
        told = self.call("desired", document=json.dumps(self.document))
        self.oracle.desired(self.document, told if told is None else told is not False)
        if told is not False:
            self.generation = max(self.generation, self.document["generation"])

    def do_sign(self, event):
        asked = one_of(self.pending(), event.which)
        if asked is None:
            return
        members = json.loads(asked["envelope"])
        kind, guest = members["action"]["kind"], members["target"]["guest"]
        who = ["karl"] if kind == "delete-snapshot" else ["bob" if event.which % 2 else "alice"]
        if rules.signers_needed(kind) > 1:
            who = ["alice", "bob"]
        other = next(name for name in worlds.GUESTS if name != guest)
        sent = envelope.sign(self.keys, asked["envelope"].encode(), event.mutation, who, self.sent, other, self.now)
        back = envelope.CLOCK_BACK.get(event.mutation, 0)
        if back:
            self.set_clock(self.now - back)
        self.send(sent, asked["operation"] if event.mutation == "none" else None, event.kill, event.door)
        if back:
            self.set_clock(self.now + back)

    def send(self, sent, operation=None, kill=0, door="gate"):
        told = self.call("approve", **encoded(sent), door=door, **self.fault(kill))
        self.sent.append(sent)
        self.oracle.signed(sent, told if told is None else told is not False, operation)
        self.acknowledge()

    def do_replay(self, event):
        sent = one_of(self.sent, event.which)
        if sent:
            self.send(dataclasses.replace(sent, signatures=self.sent[-1].signatures) if event.mixed else sent, door=event.door)

    def do_reject(self, event):
        asked = one_of(self.pending(), event.which)
        if asked and self.call("reject", operation=asked["operation"]) is not False:
            self.oracle.reject(asked["operation"])

    def do_run(self, event):
        self.call("run", **({"most": event.most} if event.most else {}), **self.fault(event.kill))
        self.pending()
        self.acknowledge()

    def set_clock(self, now):
        self.now = now
        if self.call("clock", now=now) is not False:
            self.oracle.clock(now)

    def do_clock(self, event):
        self.set_clock(self.now + event.seconds)

    def do_outside(self, event):
        if self.world.outside(event.what, event.guest):
            self.oracle.outside(event.what, event.guest, self.world.read())

    def do_faults(self, event):
        self.world.faults(event.what, event.guest)
        self.oracle.faults(worlds.FAULTS[event.what](event.guest))

    def do_restart(self, _event):
        if self.agent is not None:
            self.agent.close()
        self.open()

    def do_save(self, _event):
        self.agent and self.agent.close()
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.folder / "state", self.saved)
        self.open()

    def do_restore(self, event):
        if event.what != "nothing" and not self.saved.exists():
            return
        self.agent and self.agent.close()
        state = self.folder / "state"
        if event.what == "everything":
            shutil.rmtree(state)
            shutil.copytree(self.saved, state)
        else:
            for path in (state / "agent").glob("agent.db*"):
                path.unlink()
            if event.what == "database":
                for path in (self.saved / "agent").glob("agent.db*"):
                    shutil.copy(path, state / "agent")
        self.oracle.restored()
        self.open()

    def settle(self):
        """Nothing disturbs the agent any more, and it has time."""
        self.oracle.step += 1
        self.do_faults(Faults("none"))
        for name in (*worlds.GUESTS, worlds.ABSENT):
            self.do_outside(Outside("unlock", name))
        self.set_clock(max(self.now, self.oracle.latest))
        for number in range(ROUNDS):
            before = self.world.read()
            self.call("run")
            if number >= LEAST_ROUNDS and not effects.since(before, self.world.read()):
                break
            self.set_clock(self.now + ROUND)
        self.oracle.recorded(self.folder / record.NAME)
        told = self.call("operations")
        self.oracle.end({each["id"]: each["state"] for each in told["operations"]} if told else {})

    def close(self):
        if self.agent is not None:
            self.agent.close()
