#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random histories of one host: jobs, desired states, signed operations good and bad, other hands, faults and deaths. Hypothesis
makes them, and shrinks one that fails, which is printed as lines that play it again:

    tests/adversary/histories.py FILE      plays the history whose events are the lines of FILE
"""

import dataclasses
import functools
import os
import pathlib
import shutil
import sys
import tempfile

import hypothesis
from hypothesis import strategies

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import envelope  # noqa: E402
import knobs  # noqa: E402
import play  # noqa: E402
import rules  # noqa: E402
import world  # noqa: E402

OF_A_SEED = 50
"""Histories."""
LONGEST = 24
"""Events of one, but for its beginning."""

of = strategies.sampled_from
guests = of(("web", "web", "db", "app"))
few = strategies.integers(0, 3)
seldom = of((False, False, False, False, True))
doors = of(("gate", "gate", "verb"))
deaths = of((1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24))
"""At points of the program, of which most requests have few."""
kills = strategies.one_of(strategies.just(0), strategies.just(0), deaths)


@strategies.composite
def fields(draw):
    """What is wanted of one guest: not every field each time."""
    if draw(of((False, False, False, True))):
        return (("power", "absent"),)
    wanted = {"power": ("running", "stopped"), "cpus": (1, 2, 4), "memory_mib": (512, 1024), "disk_gib": (10, 20),
              "description": ("", "a", "b")}
    return tuple((name, draw(of(values))) for name, values in wanted.items() if draw(strategies.booleans()))


documents = strategies.builds(
    play.Desired, strategies.dictionaries(of((*world.GUESTS, world.ABSENT)), fields(), min_size=1, max_size=3).map(
        lambda guests: tuple(guests.items())),
    step=of((1, 1, 1, 1, 2, 0, -1)), host=of((*[rules.HOST] * 9, "host-b")), again=seldom)
sources = of(("hub", "hub", "local", "shell"))
destructive = strategies.builds(play.Job, of(rules.LOSES_DATA), guests, sources, seldom, seldom)
benign = strategies.builds(play.Job, of(rules.LOSES_NOTHING), guests, sources, seldom)
runs = strategies.builds(play.Run, of((0, 0, 0, 1, 2)), kills)
bad_days = strategies.one_of(
    strategies.builds(play.Clock, of((60, 3600, -3600, 86400))),
    strategies.builds(play.Outside, of(world.OUTSIDE), guests),
    strategies.builds(play.Faults, of(tuple(world.FAULTS)), guests),
    strategies.just(play.Restart()))
repeats = strategies.one_of(strategies.builds(play.Again, few, seldom), strategies.builds(play.Replay, few, seldom, doors))
alone = strategies.one_of(documents, destructive, benign, runs, bad_days, repeats, strategies.builds(play.Reject, few))


def sometimes(draw, events):
    return [draw(events)] if draw(seldom) else []


@strategies.composite
def signed(draw, mutations):
    """A destructive job from its wish to its signature, and perhaps beyond, with something else between now and then."""
    mutation = draw(of(mutations)) if draw(strategies.booleans()) else "none"
    kind, guest = draw(of(envelope.ONLY_FOR.get(mutation, rules.LOSES_DATA))), draw(guests)
    # A guest that runs cannot be destroyed.
    events = [play.Job("stop", guest)] if kind == "destroy" else []
    events += [play.Job(kind, guest, draw(of(("hub", "local")))), play.Run(), *sometimes(draw, bad_days)]
    events += [play.Sign(draw(few), mutation, draw(kills), draw(doors)), *sometimes(draw, bad_days), draw(runs)]
    return events + ([draw(repeats), play.Run()] if draw(seldom) else [])


@strategies.composite
def older(draw):
    """An older copy of what the agent keeps comes back, and with it what was signed before or after it was made."""
    events = draw(signed(("none",)))
    number = draw(strategies.integers(1, len(events)))
    events.insert(number, play.Save())
    events.append(play.Restore(draw(of(("database", "database", "everything", "nothing")))))
    return events + [draw(strategies.builds(play.Replay, few, door=doors)), play.Run(), *draw(signed(("used nonce",)))]


@strategies.composite
def wished(draw):
    """Several wishes for one guest, in a row, some of which are delivered again."""
    guest = draw(guests)
    kinds = ("snapshot", "backup", "start", "stop", "set-config", "grow", "resume")
    kinds = draw(strategies.lists(of(kinds), min_size=2, max_size=4))
    paused = [play.Outside("pause", guest)] if "resume" in kinds else []
    events = [*paused, *(play.Job(kind, guest) for kind in kinds)]
    return [*sometimes(draw, bad_days), *events, *sometimes(draw, repeats), draw(runs), *sometimes(draw, repeats), draw(runs)]


@strategies.composite
def wanted(draw):
    """Desired states, one after the other, and what comes between."""
    return [*sometimes(draw, bad_days), draw(documents), draw(runs), *sometimes(draw, bad_days), draw(documents),
            *sometimes(draw, bad_days), draw(runs)]


@strategies.composite
def doubted(draw):
    """A desired state while a look at the platform shows less than there is."""
    guest = draw(of(("web", "db", world.ABSENT)))
    fault = "hidden" if guest == world.ABSENT else "unreadable"
    return [play.Run(), play.Faults(fault, guest), play.Desired(((guest, (("power", "running"), ("cpus", 4))),)), play.Run()]


@strategies.composite
def undone(draw):
    """A guest that is made, and taken back; perhaps after somebody has changed it."""
    kind = draw(of(rules.MAKES_A_GUEST))
    made = draw(of((play.Job(kind, "web"), play.Trial(kind))))
    changed = [play.OnTrial("snapshot", 0), play.Run()] if draw(seldom) else []
    return [made, draw(runs), *changed, play.TakeBack(draw(few)), draw(runs)]


@strategies.composite
def tried(draw):
    """What the agent makes for a trial, and what becomes of it without a signature."""
    kind = draw(of(rules.LOSES_DATA))
    made = play.Trial({"delete-snapshot": "snapshot", "delete-backup": "backup"}.get(kind, draw(of(rules.MAKES_A_GUEST))))
    first = [play.OnTrial("snapshot"), play.Run()] if kind == "rollback" else []
    return [made, draw(runs), *first, play.OnTrial(kind, draw(few)), draw(runs)]


@strategies.composite
def crashed(draw):
    """The agent dies as it takes a signature, or does what was signed; then the same nonce comes again."""
    events = draw(signed(("none",)))
    events = [dataclasses.replace(event, kill=draw(deaths)) if isinstance(event, play.Sign) else event for event in events]
    return [*events, play.Run(kill=draw(deaths)), draw(repeats), *draw(signed(("used nonce",)))]


@strategies.composite
def lost(draw):
    """The answer of the platform gets lost, of a wish or of what was signed."""
    guest, fault = draw(guests), play.Faults(draw(of(("lost before", "lost after"))))
    if draw(strategies.booleans()):
        return [fault, play.Job(draw(of(("snapshot", "backup"))), guest), draw(runs), play.Run()]
    return [play.Job("rollback", guest), play.Run(), play.Sign(draw(few)), fault, draw(runs), play.Run()]


@strategies.composite
def claimed(draw):
    """A job that says of itself that it needs no signature."""
    kind, guest = draw(of(rules.LOSES_DATA)), draw(guests)
    return [play.Job("stop", guest), play.Job(kind, guest, lie=True), play.Run()]


@strategies.composite
def made(draw):
    """New guests, by a job."""
    return [play.Job(draw(of(rules.MAKES_A_GUEST)), "web", draw(sources)), draw(runs)]


SCENES = {"signed": signed, "older": older, "wished": wished, "wanted": wanted, "undone": undone, "tried": tried,
          "crashed": crashed, "lost": lost, "claimed": claimed, "made": made, "doubted": doubted}
"""What histories are made of, beside events of any kind. The first one is of some mutations."""


def histories(mutations=tuple(envelope.MUTATIONS), scenes=("signed", *SCENES)):
    """`mutations`: of the signed operations."""
    played = [signed(mutations) if name == "signed" else SCENES[name]() for name in scenes]
    parts = strategies.lists(strategies.one_of(*played, alone.map(lambda event: [event])), min_size=2, max_size=5)
    begin = strategies.builds(lambda shell: [play.Begin(shell)], of(("all", "all", "others")))
    return strategies.builds(lambda first, parts: first + [event for part in parts for event in part][:LONGEST], begin, parts)


def judge(events, start, keys):
    """What is wrong with that history of an agent that `start` makes: sentences."""
    folder = tempfile.mkdtemp(prefix="blockhost-adversary-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    player = None
    try:
        player = play.Player(start, folder, keys, events[0].require_signatures)
        for event in events:
            player.play(event)
            if player.oracle.problems:
                return player.oracle.problems
        player.settle()
        return player.oracle.problems
    finally:
        if player is not None:
            player.close()
        shutil.rmtree(folder, ignore_errors=True)


FOUND = sorted((pathlib.Path(__file__).resolve().parent / "found").iterdir())
"""Histories in which something was wrong once: with the program, or with the oracle."""


def read(path):
    return [play.from_line(line) for line in path.read_text().splitlines() if line.strip()]


class Broken(Exception):
    """A history in which a rule was broken. Nothing else that is raised while one is played is a finding."""


SHRUNK = (hypothesis.Phase.generate, hypothesis.Phase.shrink)
FIRST = (hypothesis.Phase.generate,)


def fails(seed, count, start, keys, of=histories(), phases=SHRUNK):
    """Plays so many histories of that seed. (events, sentences) of the shortest that failed; or None."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck),
                         phases=phases)
    @hypothesis.given(of)
    def played(events):
        problems = judge(events, start, keys)
        if problems:
            found.append((events, problems))
            raise Broken(problems[0])

    try:
        played()
    except (Broken, hypothesis.errors.Flaky):
        pass
    return min(found, key=lambda each: len(each[0]), default=None)


def caught(start, keys, name, count=500):
    """(events, sentences) of the first of so many histories that failed, of an agent without `name` (knobs.py); or None."""
    mutations, scenes = knobs.scenes_of(name)
    for seed in range(0, count, OF_A_SEED):
        found = fails(seed, OF_A_SEED, start, keys, histories(mutations, scenes), FIRST)
        if found:
            return found
    return None


def explain(seed, events, problems):
    again = f"BLOCKHOST_HISTORIES={OF_A_SEED} BLOCKHOST_FIRST_SEED={seed} tests/run.sh --only adversary"
    lines = "\n".join(f"    {event}" for event in events)
    told = "\n  ".join(problems)
    return f"a history of seed {seed} ({again}), shrunk; tests/adversary/histories.py FILE plays these lines:\n{lines}\n  {told}"


def main(path):
    import keys
    import protocol
    events = read(pathlib.Path(path))
    with tempfile.TemporaryDirectory(prefix="blockhost-adversary-keys-") as folder:
        start = functools.partial(protocol.Process, protocol.program(), left_out=os.environ.get("BLOCKHOST_LEAVE_OUT"))
        problems = judge(events, start, keys.Keys(folder))
    print("\n".join(problems) or "nothing is wrong with it")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
