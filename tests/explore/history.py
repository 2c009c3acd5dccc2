# SPDX-License-Identifier: MIT
"""Random histories of several VMs, judged against a small model. Hypothesis makes them, and shrinks one that fails; it is
printed as commands.

The model knows what each verb makes of each state. A verb that is killed or fails half-way, once `recover` has run, has
happened or has not; two that run at once have happened in one of the two orders, or one of them was refused.
"""

import dataclasses
import os
import pathlib
import shutil
import sys
import tempfile

import hypothesis
from hypothesis import strategies

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "lifecycle")]
import invariants  # noqa: E402
from simulated import WALLET, Mock, ago  # noqa: E402

NAMES = ("a", "b", "c")
OF_A_SEED = 50
"""Histories."""
EXTENSION = 5
"""Days that an extend gives. No history is long enough to make up so for what `age` takes."""


@dataclasses.dataclass(frozen=True)
class State:
    """One VM: what its record says, its domain, whether its time is up, for longer than an extend gives, and whether its grace
    is over. `pressed`: its power button was, by one that did not live to see it go off; it may at any time."""
    record: str = "none"      # none, active, suspended, destroyed
    domain: str = "none"      # none, running, off
    expired: bool = False
    long_expired: bool = False
    overdue: bool = False
    pressed: bool = dataclasses.field(default=False, compare=False)

    @property
    def live(self):
        return self.record in ("active", "suspended")


ABSENT, GONE = State(), State("destroyed")


def after(verb, state):
    """(whether it succeeds, the state then) of one VM."""
    refused, unchanged = (False, state), (True, state)
    if verb == "create":
        return refused if state.live else (True, State("active", "running"))
    if verb == "destroy":
        return (True, GONE) if state.live else unchanged
    if verb == "start":
        return (True, dataclasses.replace(state, domain="running")) if state.record == "active" else refused
    if verb in ("stop", "kill"):
        if state.record == "active":
            return True, dataclasses.replace(state, domain="off")
        return unchanged if state.live or verb == "kill" else refused
    if verb == "extend":
        if state.long_expired:
            return unchanged
        return (True, dataclasses.replace(state, expired=False, overdue=False)) if state.live else refused
    if verb == "resume":
        return (True, State("active", "running")) if state.record == "suspended" else refused
    if verb == "gc":
        if state.record == "active" and state.expired:
            return True, dataclasses.replace(state, record="suspended", domain="off")
        return (True, GONE) if state.record == "suspended" and state.overdue else unchanged
    return unchanged  # recover, list


# What happens from outside


def expire(world, name):
    if world.registry()["vms"].get(name, {}).get("status") in ("active", "suspended"):
        world.change(name, expires_at=ago(1))


def age(world, name):
    record = world.registry()["vms"].get(name, {})
    if record.get("status") == "suspended":
        world.change(name, suspended_at=ago(30), expires_at=ago(40))


def reboot(world, _name):
    for path in (world.folder / "mock-world/domains").glob("*.json"):
        if path.stem != "foreign":
            world.set_state("off", path.stem)
    for path in (world.folder / "mock-world/network").glob("*"):
        path.unlink()


OUTSIDE = {"expire": expire, "age": age, "reboot": reboot}
VERBS = ("create", "destroy", "start", "start", "stop", "kill", "extend", "resume", "gc", "gc", "recover", "list")


def words(verb, name):
    if verb == "create":
        return ("create", name, "--owner-wallet", WALLET, "--apply", "--memory", "128", "--disk", "4")
    if verb == "extend":
        return ("extend", name, "--days", str(EXTENSION))
    if verb == "gc":
        return ("gc", "--execute", "--jobs", "1")
    if verb == "recover":
        return ("recover", "--all")
    return ("list",) if verb == "list" else (verb, name)


@dataclasses.dataclass(frozen=True)
class Event:
    """`fault`: "kill@7" or "fail@7" within it. `beside`: a second verb and name at the same time."""
    verb: str
    name: str
    fault: str = None
    beside: tuple = None

    def __str__(self):
        if self.verb in OUTSIDE:
            return f"# {self.verb} {self.name}"
        text = " ".join(("blockhost-libvirt", *words(self.verb, self.name), "--mock"))
        if self.beside:
            return f"{text} & blockhost-libvirt {' '.join(words(*self.beside))} --mock; wait"
        return f"BLOCKHOST_FAULT={self.fault} {text}; blockhost-libvirt recover --all --mock" if self.fault else text


names = strategies.sampled_from("aaaabbc")
outside = strategies.builds(Event, strategies.sampled_from(tuple(OUTSIDE)), names)
plain = strategies.builds(Event, strategies.sampled_from(VERBS), names)
faults = strategies.builds("{}@{}".format, strategies.sampled_from(("kill", "fail", "hang")), strategies.integers(1, 70))
faulty = strategies.builds(Event, strategies.sampled_from(VERBS), names, faults)


@strategies.composite
def doubles(draw):
    """Two verbs at a time, mostly about the same VM."""
    name = draw(names)
    other = draw(strategies.sampled_from((name, name, *NAMES)))
    return Event(draw(strategies.sampled_from(VERBS)), name, beside=(draw(strategies.sampled_from(VERBS)), other))


def lists_of(*events):
    return strategies.lists(strategies.one_of(*events), min_size=1, max_size=8).map(lambda list: [Event("create", "a"), *list])


histories = lists_of(plain, plain, faulty, faulty, doubles(), outside)
one_at_a_time = lists_of(plain, plain, faulty, faulty, outside)
"""Histories that come out the same however busy the host is: no two verbs race."""


# Judging


def seen(world, name):
    record = world.registry()["vms"].get(name)
    domain = world.domain(name) or "none"
    if not record:
        return State("none", domain)
    status = record["status"]
    if status == "destroyed":
        return State(status, domain)
    return State(status, domain, record["expires_at"] < ago(0), record["expires_at"] < ago(EXTENSION),
                 status == "suspended" and record["suspended_at"] < ago(8) and record["expires_at"] < ago(0))


def touches(verb, name, each):
    return verb == "gc" or name == each


def ways(event, name, state):
    """The states that VM may be in after the event."""
    def one(verb, target, was):
        return after(verb, was)[1] if touches(verb, target, name) else was
    first, second = (event.verb, event.name), event.beside
    happened = one(*first, state)
    if event.fault:
        return {state, happened}
    if not second:
        return {happened}
    return {one(*second, happened), one(*first, one(*second, state)), happened, one(*second, state)}


def judge(events):
    """What is wrong with that history, or None."""
    folder = tempfile.mkdtemp(prefix="blockhost-history-",
                              dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        world = Mock(folder)
        before = invariants.witness(world)
        states = {name: ABSENT for name in NAMES}
        for number, event in enumerate(events):
            problem = step(world, states, event)
            problem = problem or "; ".join(invariants.broken(world) + invariants.touched(world, before))
            if problem:
                return f"event {number} ({event}): {problem}"
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def step(world, states, event):
    """Plays one event; `states` become what is seen. What is wrong, or None."""
    if event.verb in OUTSIDE:
        OUTSIDE[event.verb](world, event.name)
        states.update({name: dataclasses.replace(seen(world, name), pressed=states[name].pressed) for name in NAMES})
        return None
    said = None
    if event.beside:
        both = [world.start(*words(event.verb, event.name)), world.start(*words(*event.beside))]
        for process in both:
            process.communicate(timeout=60)
    else:
        run = world.run(*words(event.verb, event.name), fault=event.fault)
        said = f"{run.returncode} {run.stderr[-300:]!r}"
        expected = after(event.verb, states[event.name])[0]
        if not event.fault and (run.returncode == 0) != expected:
            return f"it {'succeeded' if run.returncode == 0 else 'failed'} in {states[event.name]}: {said}"
    if event.beside or event.fault:
        recovered = world.run("recover", "--all")
        if recovered.returncode != 0:
            return f"recover failed: {recovered.stderr[-300:]}"
    for name in NAMES:
        now, allowed = seen(world, name), ways(event, name, states[name])
        pressed = states[name].pressed or (event.fault and event.verb in ("stop", "gc") and touches(event.verb, event.name, name))
        if pressed:
            allowed |= {dataclasses.replace(state, domain="off") for state in allowed if state.domain == "running"}
            now = dataclasses.replace(now, pressed=now.domain == "running")
        if now not in allowed:
            return f"{name} was {states[name]} and is {now}, not one of {allowed} ({said})"
        states[name] = now
    return None


class Contradicted(Exception):
    """A history did not go as the model says. Nothing else that is raised while one is played is a finding."""


def plainest(found):
    """Of (events, problem) the one to tell a person: the shortest, with the fewest verbs at a time and faults."""
    return min(found, key=lambda each: (len(each[0]), sum(bool(event.beside) for event in each[0]),
                                        sum(bool(event.fault) for event in each[0])), default=None)


def fails(seed, count, of=histories):
    """Plays so many histories of that seed. The plainest that failed, shrunk, and what was wrong with it; or None."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck),
                         phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink))
    @hypothesis.given(of)
    def play(events):
        problem = judge(events)
        if problem:
            found.append((events, problem))
            raise Contradicted(problem)

    try:
        play()
    except (Contradicted, hypothesis.errors.Flaky):  # the latter where a race did not come again
        pass
    return plainest(found)


def explain(seed, events, problem):
    lines = "\n".join(f"    {event}" for event in events)
    again = f"tests/soak.sh --histories {OF_A_SEED} --first {seed}"
    return f"a history of seed {seed} ({again}), shrunk:\n{lines}\n  {problem}"
