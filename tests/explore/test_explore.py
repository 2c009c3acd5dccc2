"""Nothing half-made, nothing lost: every verb disturbed at every point, and judged by one list of invariants."""

import pytest

import explore
from verbs import VERBS

explored = {}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return explore.tracer(tmp_path_factory.mktemp("tracer"))


@pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
def test_whatever_happens_within_a_verb_can_be_recovered_from_and_repeated(program, verb):
    cases = list(explore.cases_of(program, verb))
    bad = explore.explore(cases, program)
    explored[verb.name] = cases
    assert len(cases) >= 15
    assert not bad, "\n".join(f"{case.manner} at {case.number} (seed {case.seed}): {problems}" for case, problems in bad[:5])


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


def test_the_figures_are_told(capsys):
    with capsys.disabled():
        for name, cases in explored.items():
            counts = ", ".join(f"{sum(case.manner == manner for case in cases)} {manner}"
                               for manner in ("before", "after", "kill", "power", "fail", "die"))
            print(f"\nNOTE: explored {name}: {len(cases)} disturbances, {counts}", end="")
        print(f"\nNOTE: explored in all: {sum(map(len, explored.values()))} disturbances", flush=True)
