# SPDX-License-Identifier: MIT
"""Programs that are broken on purpose, each by one thing left out (base/fault.hpp), and what of the suites sees it."""

import shlex
import tempfile

import pytest

import explore
from simulated import WALLET, ago, made
from verbs import VERBS

BY_NAME = {verb.name: verb for verb in VERBS}


def explored(verb, *manners):
    """Disturbs that verb so, from its last point to its first, until something is wrong."""
    def look(program):
        cases = [case for case in explore.cases_of(program, BY_NAME[verb]) if case.manner in manners]
        for first in range(0, len(cases), 8):
            found = explore.explore(cases[::-1][first:first + 8], program)
            if found:
                case, problems = found[0]
                return f"{verb}, {case.manner} at {case.number}: {problems[0]}"
        return None
    return look


def interleaved(prepare, wrong, first, second):
    """Runs the second call while the first stands still at its first point, its second, …, until something is lost."""
    verb = explore.Verb("first", first, prepare, None)

    def look(program):
        for point in explore.points_of(program, verb)[0][1:]:
            with tempfile.TemporaryDirectory(prefix="blockhost-explore-", dir=explore.IN_MEMORY) as folder:
                world, _ = explore.situation(verb, folder)
                call = shlex.join(map(str, (explore.BINARY, *second, "--mock")))
                run = explore.run_traced(program, world, first, ["--at", point[0], "--do", "pause", "--meanwhile",
                                                                 f"{call} >/dev/null 2>&1; echo $? >{folder}/second"])
                ends = [run.returncode, int((world.folder / "second").read_text())]
                problems = wrong(world, ends) + explore.invariants.broken(world)
                if problems:
                    return f"{' '.join(second[:2])} while {' '.join(first[:2])} stands before its {point[2]}: {problems[0]}"
        return None
    return look


def create(name, memory="128"):
    return "create", name, "--owner-wallet", WALLET, "--apply", "--memory", memory, "--disk", "4"


def lost(ends, kept):
    """What a call said that it did, and is not there."""
    return [f"what the {which} call did is lost" for which, end, there in zip(("first", "second"), ends, kept)
            if end == 0 and not there]


def lost_records(world, ends):
    vms = world.registry()["vms"]
    return lost(ends, (vms["vm-1"]["expires_at"] > ago(-33), "vm-2" in vms))


def made_twice(_world, ends):
    return ["the same VM was made twice"] if ends == [0, 0] else []


def too_many(_world, ends):
    return ["two VMs were admitted where there is room for one"] if ends == [0, 0] else []


def lost_values(world, ends):
    text = (world.folder / "mock-world/db.yaml").read_text()
    return lost(ends, ("gc_grace_days: 9" in text, "10.9.9.2" in text))


def lost_limits(world, ends):
    noted = (world.folder / "mock-world/journal/vm-1.limits").read_text()
    return lost(ends, ("quota" in noted, "shares" in noted))


def nothing_yet(_world):
    pass


def crowded(world):
    world.behave(host_memory_mib=2000)


BREAKAGES = {
    "revert reserve-addresses": explored("create", "fail"),
    "revert write-seed": explored("create", "fail"),
    "revert prepare-console": explored("create", "fail"),
    "revert create-volume": explored("create", "fail"),
    "revert set-routes": explored("create", "fail"),
    "revert define-domain": explored("create", "fail"),
    "revert register": explored("create", "fail"),
    "revert make-overlay": explored("snapshot take", "fail"),
    "revert freeze": explored("backup", "die"),
    "revert begin": explored("backup of what was written since", "die"),
    "sync */vms/": explored("destroy of a VM whose backup died", "power"),
    "sync */.mock-db.json.*": explored("extend", "power"),
    "sync */blockhost-explore-????????/": explored("extend", "power"),
    "sync */.db.yaml.*": explored("setup db-config", "power"),
    "sync */.vm-1.limits.*": explored("throttle for a while", "power"),
    "sync *.journal": explored("destroy", "power"),
    "sync */journal/": explored("create", "power"),
    "sync */vms/*": explored("create", "power"),
    "sync */cloud-init/*": explored("create", "power"),
    "sync */suspended/*": explored("gc that suspends", "power"),
    "lock */mock-db.json.lock": interleaved(made, lost_records, ("extend", "vm-1", "--days", "5"), create("vm-2")),
    "lock */vm-1.journal": interleaved(nothing_yet, made_twice, create("vm-1"), create("vm-1")),
    "lock */journal/": interleaved(crowded, too_many, create("vm-1", "600"), create("vm-2", "600")),
    "lock */vm-1.limits-lock": interleaved(made, lost_limits, ("throttle", "vm-1", "--cpu-quota", "50", "--for", "1h"),
                                           ("throttle", "vm-1", "--cpu-shares", "512", "--for", "1h")),
    "lock */mock-world/": interleaved(nothing_yet, lost_values, ("setup", "db-config", "--gc-grace-days", "9"),
                                      ("setup", "db-config", "--gateway", "10.9.9.2")),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return explore.tracer(tmp_path_factory.mktemp("tracer"))


@pytest.mark.parametrize("what", BREAKAGES)
def test_what_is_left_out_is_seen(program, what, monkeypatch, capsys):
    monkeypatch.setenv("BLOCKHOST_LEAVE_OUT", what)
    seen = BREAKAGES[what](program)
    with capsys.disabled():
        print(f"\nNOTE: without {what}: {seen}", flush=True)
    assert seen
