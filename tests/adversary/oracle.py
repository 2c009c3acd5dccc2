# SPDX-License-Identifier: MIT
"""The oracle: judges a history by what was wished for, what was signed, and what the world shows. It knows the rules (rules.py)
and nothing of the program; of the program's answers it takes what it promised, and never what it did.

It is told of everything as it happens. `problems` are sentences; a history without any is a good one.
"""

import dataclasses

import effects
import envelope
import keys
import record
import rules

REPEATABLE = ("start", "stop", "resume", "set-config", "grow")
"""What may be begun again when its answer got lost: a repetition changes nothing."""
CRASHES = 2
"""Of one guest; after more of them it need not be started again."""
SOON = 24 * 3600
"""Seconds for which everything waits that needs a signature, if nothing else happens."""
NOT_DONE = ("failed", "unknown", "cancelled", "rejected")


@dataclasses.dataclass
class Wish:
    """A change that was asked for. `taken`: the program has it; None: it died, and nobody knows. `disturbed`: something went
    wrong while it was open, and it need not be reached any more if the program says so."""
    source: str
    key: str
    action: dict
    guest: str
    incarnation: str
    taken: bool
    operation: str
    number: int
    licence: str = None       # "shell", "trial", "take back": why it needs no signature, if it does
    begun: int = 0            # how often it was
    begun_at: int = None
    disturbed: bool = False

    @property
    def kind(self):
        return self.action["kind"]

    def __str__(self):
        return f"{self.kind} of {self.guest} ({self.incarnation or 'new'}), asked for by {self.source} as {self.key}"

    def fits(self, effect):
        return (effect.action, effect.guest) == (self.action, self.guest) and (
            self.kind in rules.MAKES_A_GUEST or effect.incarnation == self.incarnation)


@dataclasses.dataclass
class Approval:
    """A signed operation that was sent. `now`: the host's clock then; `latest`: the latest time that it had ever shown."""
    sent: envelope.Sent
    now: int
    latest: int
    taken: bool
    must: bool = False
    spent: bool = False
    disturbed: bool = False

    def members(self):
        return envelope.read(self.sent.raw)


class Oracle:
    def __init__(self, world, now, require_signatures):
        self.world, self.now, self.latest = world, now, now
        self.shell_needs_signatures = require_signatures == "all"
        self.problems, self.step = [], 0
        self.wishes, self.approvals, self.documents = [], [], []
        self.spent, self.rejected = set(), set()
        self.trials = set()              # (what, name) that was made for a trial
        self.made = {}                   # (guest, incarnation) -> the wish that made it
        self.touched, self.reconfigured = {}, {}  # guest -> the last step that changed it, or its configuration
        self.destructive = []            # effects
        self.asked = {}                  # operation -> the step in which it first waited for a signature, and the time
        self.crashes, self.switched_off = {}, {}
        self.fault, self.fault_since, self.queue_is_empty = {}, 0, True
        self.was_restored = False

    def wrong(self, sentence):
        self.problems.append(f"step {self.step}: {sentence}")

    # What was asked for

    def clock(self, now):
        """One that goes back is a disturbance: no signature need count until it is right again."""
        self.now = now
        if now < self.latest:
            for approval in self.approvals:
                approval.disturbed = True

    def job(self, source, key, action, guest, incarnation, taken, operation=None, licence=None):
        """One that is delivered again is the same wish; one that was refused never was one."""
        self.wishes = [wish for wish in self.wishes if wish.key != key or wish.taken is not False]
        for wish in self.wishes:
            if wish.key == key:
                wish.taken = wish.taken or taken
                wish.operation = wish.operation or operation
                if wish.action == action or not taken:
                    return
                if not self.was_restored:
                    self.wrong(f"{wish.key} was taken again with another action: {action}")
                    return
        if source == "shell" and not self.shell_needs_signatures:
            licence = "shell"
        self.wishes.append(Wish(source, key, action, guest, incarnation, taken, operation, self.step, licence,
                                disturbed=bool(self.fault) or self.is_locked(guest)))
        self.queue_is_empty = False

    def desired(self, document, taken):
        """`taken`: None where the program died."""
        generations = [each["generation"] for each in self.documents if each["taken"]]
        is_newer = document["generation"] > max(generations, default=0)
        is_again = any(each["taken"] and each["document"] == document for each in self.documents)
        if taken and document["host"] != rules.HOST:
            self.wrong(f"a desired state for {document['host']} was accepted")
        if taken and not is_newer and not is_again and not self.was_restored:
            self.wrong(f"a desired state of generation {document['generation']} was accepted after {max(generations)}")
        is_good = is_newer and document["host"] == rules.HOST and not self.was_restored and not self.disputed(document)
        if taken is False and is_good:
            self.wrong(f"the desired state of generation {document['generation']} was refused")
        if taken is not False:
            self.documents.append({"generation": document["generation"], "document": document, "taken": taken, "step": self.step})

    def disputed(self, document):
        """Whether one whose answer was never seen may have been accepted before."""
        return any(each["taken"] is None and each["generation"] >= document["generation"] for each in self.documents)

    def waiting(self, operations):
        """What waits for a signature now: until it is approved or rejected, or its target changed, or its time is over."""
        for wish in self.wishes if self.queue_is_empty else ():
            asked, when = self.asked.get(wish.operation, (None, None))
            if asked is None or wish.operation in operations or wish.operation in self.rejected or wish.begun or wish.disturbed:
                continue
            is_approved = any(self.lacks(approval, wish.action, wish.guest, wish.incarnation) is None
                              for approval in self.approvals)
            is_changed = self.touched.get(wish.guest, -1) >= asked or self.incarnation_of(wish.guest) != wish.incarnation
            if not (is_approved or is_changed or self.fault or self.was_restored or self.now - when > SOON):
                self.wrong(f"{wish}, waits no longer")
                del self.asked[wish.operation]
        for each in operations:
            self.asked.setdefault(each, (self.step, self.now))

    def signed(self, sent, taken, operation=None):
        """`operation`: which one it was made for, where it was made as it should be, and that one waits for it."""
        self.latest = max(self.latest, self.now)
        self.queue_is_empty = False
        is_disturbed = bool(self.fault) or any(map(self.is_locked, self.world["guests"]))
        approval = Approval(sent, self.now, self.latest, taken, disturbed=is_disturbed)
        self.approvals.append(approval)
        if operation is None:
            return
        members = approval.members()
        is_there = self.incarnation_of(members["target"]["guest"]) == members["target"]["incarnation"]
        changed = self.reconfigured.get(members["target"]["guest"], -1) >= self.asked.get(operation, (self.step, 0))[0]
        doubts = (self.fault or self.was_restored or self.now < self.latest or operation in self.rejected or changed
                  or not is_there)
        why = self.lacks(approval, members["action"], members["target"]["guest"], members["target"]["incarnation"])
        approval.must = taken is True and why is None and not doubts
        if taken is False and why is None and not doubts:
            self.wrong(f"a good signature for {members['action']} of {members['target']} was refused")

    def reject(self, operation):
        self.rejected.add(operation)

    # What happened to the world

    def outside(self, what, guest, world):
        self.world = world
        self.touched[guest] = self.step
        if what in ("edit", "replace"):
            self.reconfigured[guest] = self.step
        if what == "crash":
            self.crashes[guest] = self.crashes.get(guest, 0) + 1
        self.disturb(guest)

    def faults(self, fault):
        self.fault, self.fault_since = fault, self.step
        if fault:
            self.disturb()

    def died(self):
        self.disturb()
        self.queue_is_empty = False

    def restored(self):
        """An older copy of what the agent keeps was put in the place of its own."""
        self.was_restored = True

    def disturb(self, guest=None):
        for wish in self.wishes:
            if guest in (None, wish.guest):
                wish.disturbed = True
        for approval in self.approvals:
            approval.disturbed = True

    def is_locked(self, guest):
        return bool(self.world["guests"].get(guest, {}).get("lock"))

    def incarnation_of(self, guest):
        return self.world["guests"].get(guest, {}).get("incarnation")

    # What was done

    def saw(self, world, has_run=False, is_quiet=False):
        """`has_run`: the program worked; `is_quiet`: it had all the time that it wanted."""
        for sentence in effects.untold(self.world, world):
            self.wrong(sentence)
        for effect in effects.since(self.world, world):
            self.judge(effect)
        new = set(world.get("backups", {})) - set(self.world.get("backups", {}))
        self.trials |= {("backup", name) for name in new if ("notes", world["backups"][name]["notes"]) in self.trials}
        self.world = world
        if has_run:
            self.latest = max(self.latest, self.now)
            self.queue_is_empty = is_quiet and not self.fault

    def provenance(self, effect):
        """Of an effect, or of a wish."""
        thing = {"delete-snapshot": ("snapshot", (effect.guest, effect.action.get("snapshot"))),
                 "delete-backup": ("backup", effect.action.get("backup"))}.get(effect.kind, ("guest", effect.incarnation))
        if thing in self.trials or (effect.kind == "delete-snapshot" and ("guest", effect.incarnation) in self.trials):
            return rules.SCRATCH
        is_taken_back = any(wish.licence == "take back" and wish.fits(effect) for wish in self.wishes)
        return rules.IN_TRANSACTION if is_taken_back else rules.ORDINARY

    def judge(self, effect):
        is_licensed = True
        if rules.class_of(effect.kind, self.provenance(effect)) == rules.DESTRUCTIVE:
            self.destructive.append(effect)
            is_licensed = self.find_licence(effect)
        else:
            self.find_wish(effect)
        if is_licensed and not effect.failed:
            self.learn(effect)

    def learn(self, effect):
        self.touched[effect.guest] = self.step
        if effect.kind in effects.CHANGES["config"]:
            self.reconfigured[effect.guest] = self.step
        wish = next((each for each in self.wishes if each.begun and each.fits(effect)), None)
        if effect.kind == "delete-snapshot":  # what is gone is nobody's any more
            self.trials.discard(("snapshot", (effect.guest, effect.action.get("snapshot"))))
        if effect.kind in rules.MAKES_A_GUEST:
            self.made[effect.guest, effect.incarnation] = wish
        if wish and wish.licence == "trial":
            what = {"snapshot": ("snapshot", (effect.guest, effect.action.get("snapshot"))),
                    "backup": ("notes", effect.action.get("notes"))}.get(effect.kind, ("guest", effect.incarnation))
            self.trials.add(what)

    def find_licence(self, effect):
        for wish in self.wishes:
            if wish.licence == "shell" and wish.taken is not False and not wish.begun and wish.fits(effect):
                self.begin(wish)
                return True
        reasons = []
        # Of two that allow the same, the one that has to be used.
        for number, approval in sorted(enumerate(self.approvals, 1), key=lambda each: not each[1].must or each[1].disturbed):
            why = self.lacks(approval, effect.action, effect.guest, effect.incarnation)
            if why is None:
                approval.spent = True
                self.spent.add(approval.members()["nonce"])
                # Of two that are alike, the one that was signed.
                asked = approval.members()["operation"]
                for wish in sorted(self.wishes, key=lambda wish: wish.operation != asked):
                    if wish.fits(effect) and not wish.begun:
                        self.begin(wish)
                        break
                return True
            reasons.append(f"envelope {number} {why}")
        self.wrong(f"{effect} was begun without a signature for it ({'; '.join(reasons) or 'nothing was signed'})")
        return False

    def lacks(self, approval, action, guest, incarnation):
        """Why that approval does not allow this; None: it does."""
        if approval.taken is False:
            return "was refused"
        try:
            members = approval.members()
        except envelope.Malformed as error:
            return f"is malformed: {error}"
        kind = members["action"]["kind"]
        able = {keys.key_of(each.signer) for each in approval.sent.signatures
                if each.intact and each.message == approval.sent.raw and each.namespace == keys.NAMESPACE
                and keys.is_accepted(each.signer) and kind in rules.ROLES[keys.ROLES[each.signer]]}
        if len(able) < rules.signers_needed(kind):
            return f"has good signatures of {sorted(able)} alone"
        target = members["target"]
        if (members["host"], target["guest"], members["action"]) != (rules.HOST, guest, action):
            return "is for something else"
        if not target["incarnation"] or target["incarnation"] != incarnation:
            return f"is for {target['incarnation'] or 'no incarnation'}"
        # It may count when it comes, or when it is acted on.
        if not any(members["not_before"] <= now and latest <= members["not_after"]
                   for now, latest in ((approval.now, approval.latest), (self.now, self.latest))):
            return "was sent outside of its time"
        if members["operation"] in self.rejected:
            return "is for what was rejected"
        return "was used already" if members["nonce"] in self.spent else None

    def begin(self, wish):
        wish.begun += 1
        wish.begun_at = self.step
        later = [each for each in self.wishes if each.number > wish.number and each.begun
                 and (each.guest, each.incarnation) == (wish.guest, wish.incarnation)]
        both = [each for each in later if self.is_plain(each) and self.is_plain(wish) and not self.has_elder(each, wish)]
        if both:
            self.wrong(f"{wish} was begun after {both[0]}, which arrived later")

    def has_elder(self, each, wish):
        """Whether one that is like `each` arrived before `wish`: nobody knows which of the two was begun."""
        return any(other.number < wish.number and other.action == each.action and other.guest == each.guest
                   and other.incarnation == each.incarnation for other in self.wishes)

    def is_plain(self, wish):
        """Whether it queues by its arrival: it never had to wait for a signature."""
        return (wish.taken is True and not wish.disturbed and wish.kind in rules.LOSES_NOTHING and wish.incarnation
                and self.incarnation_of(wish.guest) == wish.incarnation)

    def find_wish(self, effect):
        asked = [wish for wish in self.wishes if wish.taken is not False and wish.fits(effect)]
        # Of two that are alike, the one that has no excuse.
        free = sorted((wish for wish in asked if not wish.begun), key=lambda wish: wish.disturbed)
        if free:
            self.begin(free[0])
            if effect.kind == "stop":
                self.switched_off[effect.guest] = self.step
            return
        if effect.kind in REPEATABLE and asked:
            return
        if effect.kind == "stop" and self.may_be_destroyed(effect):
            return
        if self.is_desired(effect):
            if effect.kind in rules.MAKES_A_GUEST and self.fault.get("hidden") and self.queue_is_empty:
                self.wrong(f"{effect} was begun while the platform hides guests")
            if effect.guest in self.fault.get("unreadable", ()) and self.queue_is_empty:
                self.wrong(f"{effect} was begun while nobody can read that guest")
            return
        if asked and not self.was_restored:
            self.wrong(f"{effect} was begun twice for one wish")
        elif not asked:
            self.wrong(f"{effect} was begun, and nobody wished for it")

    def may_be_destroyed(self, effect):
        """Whoever may destroy a guest may stop it first."""
        by_wish = any(wish.kind == "destroy" and wish.licence in ("shell", "take back") and wish.taken is not False
                      and (wish.guest, wish.incarnation) == (effect.guest, effect.incarnation) for wish in self.wishes)
        return by_wish or any(self.lacks(each, {"kind": "destroy"}, effect.guest, effect.incarnation) in (None, "was used already")
                              for each in self.approvals)

    def is_desired(self, effect):
        for each in self.documents:
            wanted = each["document"]["guests"].get(effect.guest)
            if wanted is None or each["document"]["host"] != rules.HOST:
                continue
            power = wanted.get("power")
            reasons = {"start": power == "running", "resume": power == "running", "stop": power in ("stopped", "absent"),
                       "create": power != "absent", "grow": "disk_gib" in wanted,
                       "set-config": bool({"cpus", "memory_mib", "description"} & set(wanted))}
            if reasons.get(effect.kind):
                return True
        return False

    # What was promised

    def recorded(self, path):
        """Whether the agent's record at that path holds together, and has each destructive effect."""
        if self.was_restored:
            return
        lines, why = record.read(path)
        if why:
            self.wrong(why)
        for effect in self.destructive:
            same = [each for each in self.destructive if dataclasses.replace(each, action={}, failed=False)
                    == dataclasses.replace(effect, action={}, failed=False)]
            if record.permits(lines, effect.kind, effect.guest, effect.incarnation) < len(same):
                self.wrong(f"{effect} is not on record")

    def end(self, states):
        """`states`: what the program says that became of each operation. By now it had time for everything, and nothing disturbed
        it for a while."""
        if self.was_restored:
            return
        for wish in self.wishes:
            if not self.is_owed(wish.guest, wish.incarnation) or wish.begun or wish.taken is not True:
                continue
            if wish.operation in self.rejected or self.is_excused(wish, states.get(wish.operation)):
                continue
            if self.provenance(wish) == rules.SCRATCH and self.made_in_doubt(wish):
                continue
            if wish.licence or rules.class_of(wish.kind, self.provenance(wish)) == rules.BENIGN:
                self.wrong(f"{wish}, was never begun (it is {states.get(wish.operation)})")
        for approval in self.approvals:
            if approval.must and not approval.spent and not approval.disturbed:
                members = approval.members()
                is_begun = any(wish.begun for wish in self.wishes if wish.operation == members["operation"])
                if members["operation"] not in self.rejected and members["nonce"] not in self.spent and not is_begun:
                    self.wrong(f"{members['action']} of {members['target']} was signed, accepted, and never begun")
        self.reached()

    def made_in_doubt(self, wish):
        """Whether a trial on that guest was not seen to its end: nobody can prove afterwards that what is there is what it made, and
        a signature may be wanted for it."""
        return any(each.licence == "trial" and each.disturbed and each.guest == wish.guest for each in self.wishes)

    def is_owed(self, guest, incarnation):
        return not incarnation or self.incarnation_of(guest) == incarnation

    def is_excused(self, wish, state):
        """It may fail where it was disturbed, or where what it builds on changed since; but then the program has to say so."""
        changed = self.touched.get(wish.guest, -1) >= wish.number
        if wish.kind in rules.MAKES_A_GUEST:
            changed = changed or wish.guest in self.world["guests"]
        return (wish.disturbed or changed) and state in (*NOT_DONE, *(("done",) if wish.kind in REPEATABLE else ()))

    def reached(self):
        accepted = [each for each in self.documents if each["taken"]]
        last = max(accepted, key=lambda each: each["generation"], default=None)
        if last is None or self.disputed({"generation": last["generation"] + 1}):
            return
        for name, wanted in last["document"]["guests"].items():
            if wanted.get("power") == "absent":
                continue
            found = self.world["guests"].get(name)
            if found is None:
                self.wrong(f"{name} is wanted, and not there")
                continue
            for sentence in lacks_of(name, wanted, found):
                self.wrong(sentence)
            power = wanted.get("power")
            is_stopped_since = self.switched_off.get(name, -1) > last["step"] or self.crashes.get(name, 0) > CRASHES
            if power and found["power"] != power and not is_stopped_since and not self.switched_by_jobs(name, last["step"]):
                self.wrong(f"{name} should be {power}, and is {found['power']}")

    def switched_by_jobs(self, name, step):
        return any(wish.guest == name and wish.kind in effects.CHANGES["power"] and wish.number >= step for wish in self.wishes)


def lacks_of(name, wanted, found):
    config = found.get("config", {})
    for key in ("cpus", "memory_mib", "description"):
        if key in wanted and config.get(key) != wanted[key]:
            yield f"{name} should have {key} {wanted[key]!r}, and has {config.get(key)!r}"
    if wanted.get("disk_gib", 0) * 1024 > config.get("disk_mib", 0):
        yield f"{name} should have a disk of {wanted['disk_gib']} GiB, and has {config.get('disk_mib')} MiB"
