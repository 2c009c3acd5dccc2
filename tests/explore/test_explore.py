# SPDX-License-Identifier: MIT
"""Nothing half-made, nothing lost: every verb disturbed at every point, and judged by one list of invariants."""

import concurrent.futures
import os

import pytest

import explore
import seeds
from verbs import VERBS

NAMES = [verb.name for verb in VERBS]
explored = {}
SHARE = float(os.environ.get("BLOCKHOST_SHARE", "0.25"))
"""Of all disturbances, how many are played; which, the commit says (tests/seeds.py)."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return explore.tracer(tmp_path_factory.mktemp("tracer"))


@pytest.fixture(scope="module")
def cases(program):
    """This run's share of the disturbances, by verb."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        every = dict(zip(NAMES, pool.map(lambda verb: list(explore.cases_of(program, verb)), VERBS)))
    for name, of_verb in every.items():
        assert len([case for case in of_verb if case.manner not in explore.WAITING]) >= 15, name
    return {name: [case for case in of_verb if seeds.takes(share_of(case.verb), name, case.manner, case.number, case.seed)]
            for name, of_verb in every.items()}


def share_of(verb):
    return SHARE / 2 if verb.familiar and SHARE < 1 else SHARE


@pytest.fixture(scope="module")
def in_the_meantime(program, cases):
    """What waits for deadlines goes on beside all the rest, and is judged at the end."""
    waiting = [case for of_verb in cases.values() for case in of_verb if case.manner in explore.WAITING]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(explore.explore, waiting, program, 24)


def explain(bad):
    again = f"BLOCKHOST_SEED={seeds.number()} BLOCKHOST_SHARE={SHARE:g} tests/run.sh --only explore"
    return "\n".join([*(f"{case.verb.name}: {case.manner} at {case.number} (seed {case.seed}): {problems}"
                        for case, problems in bad[:5]), f"again: {again}"])


@pytest.mark.parametrize("name", NAMES)
def test_whatever_happens_within_a_verb_can_be_recovered_from_and_repeated(program, cases, in_the_meantime, name):
    now = [case for case in cases[name] if case.manner not in explore.WAITING]
    bad = explore.explore(now, program)
    explored[name] = now
    assert not bad, explain(bad)


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_strace_sees_no_call_that_is_not_disturbed(program, verb):
    assert explore.unseen(program, verb) == {}


def test_an_invariant_that_is_broken_is_seen(program, tmp_path):
    """The judge itself: a disk that nobody has, an address that nobody has, a witness that was changed."""
    world, before = explore.situation(VERBS[1], tmp_path)
    assert explore.invariants.broken(world) + explore.invariants.touched(world, before) == []
    (tmp_path / "mock-world/vms/vm-9.0123456789abcdef.qcow2").write_text("")
    registry = world.registry()
    registry["allocated_ips"].append("10.9.9.40")
    registry["other_program"]["ratio"] = 0.2
    world.write(registry)
    found = explore.invariants.broken(world) + explore.invariants.touched(world, before)
    assert [sentence.split()[0] for sentence in found] == ["allocated_ips", "disks", "foreign"]


def test_what_was_not_synced_is_lost_with_the_power(program, tmp_path):
    """The disk itself: a verb whose syncs count, cut right before its last rename and right behind its last sync."""
    verb = next(verb for verb in VERBS if verb.name == "extend")
    points, _ = explore.points_of(program, verb)
    renamed = max(int(number) for number, _kind, call, what in points if call.startswith("rename") and "mock-db" in what)
    for number, extended in ((renamed, False), (len(points), True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        world, _ = explore.situation(verb, folder)
        was = world.record()["expires_at"]
        explore.power_cut(program, world, explore.Case(verb, "power", number if not extended else number + 1))
        assert (world.record()["expires_at"] != was) == extended


def test_whatever_waits_ends_with_its_deadline_and_can_be_repeated(cases, in_the_meantime):
    """Locks that are never given back, and a hypervisor that does not answer, or answers with its work when it was given up."""
    bad = in_the_meantime.result()
    for name, of_verb in cases.items():
        explored[name] = explored.get(name, []) + [case for case in of_verb if case.manner in explore.WAITING]
    assert not bad, explain(bad)


def test_the_figures_are_told(capsys):
    manners = ("before", "after", "hang", "kill", "held", "power", *explore.FAULTS)
    with capsys.disabled():
        for name, of_verb in explored.items():
            counts = ", ".join(f"{sum(case.manner == manner for case in of_verb)} {manner}" for manner in manners)
            print(f"\nNOTE: explored {name}: {len(of_verb)} disturbances, {counts}", end="")
        total = [case for of_verb in explored.values() for case in of_verb]
        points = {(case.verb.name, case.manner in explore.FAULTS, case.number) for case in total}
        print(f"\nNOTE: explored in all: {len(points)} points, {len(total)} disturbances (a share of {SHARE:g} by seed "
              f"{seeds.number()}); the invariants were checked {2 * len(total)} times", flush=True)
