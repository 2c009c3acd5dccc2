# SPDX-License-Identifier: MIT
"""Adversaries against the program: random histories of its gate, queue and engine on the simulated platform; broken builds of it.

BLOCKHOST_HISTORIES=10000 plays so many; BLOCKHOST_FIRST_SEED=NUMBER begins there. What a history is, histories.py says. Without
them the suite takes a minute of one CPU, for each commit another share.
"""

import concurrent.futures
import functools
import os

import pytest

import histories
import keys
import knobs
import play
import protocol
import rules
import seeds

COUNT = int(os.environ.get("BLOCKHOST_HISTORIES", "200"))
FIRST = int(os.environ.get("BLOCKHOST_FIRST_SEED") or seeds.number())
BROKEN = 5
"""Of the broken builds, how many a run tries; all of them with BLOCKHOST_WHOLE=1."""


@pytest.fixture(scope="module")
def program():
    path = protocol.program()
    if path is None:
        pytest.skip(f"the build has no {protocol.PROGRAM}")
    return str(path)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return keys.Keys(tmp_path_factory.mktemp("keys"))


def played(program, real, seed):
    return histories.fails(seed, histories.OF_A_SEED, functools.partial(protocol.Process, program), real)


def test_no_adversary_makes_it_destroy_what_nobody_signed_for(program, real, capsys):
    all_seeds = range(FIRST, FIRST + -(-COUNT // histories.OF_A_SEED))
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        found = pool.map(functools.partial(played, program, real), all_seeds)
        bad = [(seed, *each) for seed, each in zip(all_seeds, found) if each]
    with capsys.disabled():
        print(f"\nNOTE: {len(all_seeds) * histories.OF_A_SEED} histories of an adversary, seeds {all_seeds[0]} to "
              f"{all_seeds[-1]}, {len(bad)} seeds failed", flush=True)
    assert not bad, "\n".join(histories.explain(*each) for each in bad[:3])


@pytest.mark.parametrize("path", histories.FOUND, ids=lambda path: path.name)
def test_what_was_found_once_is_well(program, real, path):
    assert histories.judge(histories.read(path), functools.partial(protocol.Process, program), real) == []


def classes(program, folder, real, left_out=None):
    player = play.Player(functools.partial(protocol.Process, program, left_out=left_out), folder, real, "all")
    try:
        return {(row["change"], row["provenance"]): row["class"] for row in player.agent.call("classes")["classes"]}
    finally:
        player.close()


def makes_trials(program, folder, real, kind):
    """Whether histories reach the row of that change of what is scratch."""
    player = play.Player(functools.partial(protocol.Process, program), folder, real, "all")
    try:
        player.play(play.Trial({"delete-snapshot": "snapshot", "delete-backup": "backup"}.get(kind, "create")))
        return player.oracle.wishes[0].taken
    finally:
        player.close()


def test_the_program_classifies_as_the_rules_say(program, tmp_path, real):
    assert classes(program, tmp_path / "folder", real) == rules.CLASSES


@pytest.mark.parametrize("name", seeds.some_of(knobs.IN_PROGRAM, BROKEN, "adversary"))
def test_a_broken_build_is_caught(program, name, tmp_path, real, capsys):
    row = knobs.ROWS.get(name)
    if row:
        assert classes(program, tmp_path / "folder", real, name)[row] != rules.CLASSES[row]
    is_played = row is None or knobs.is_played(row)
    if is_played and row and row[1] == rules.SCRATCH:
        is_played = makes_trials(program, tmp_path / "trials", real, row[0])
    if is_played:
        found = histories.caught(functools.partial(protocol.Process, program, left_out=name), real, name)
        with capsys.disabled():
            print(f"\nNOTE: without {name}: {found and found[1][0]}", flush=True)
        assert found
        assert not histories.judge(found[0], functools.partial(protocol.Process, program), real), "the whole program fails, too"
