# SPDX-License-Identifier: MIT
"""Random histories: several VMs, verbs that are killed, fail or hang half-way, two at a time, reboots and expiries between."""

import concurrent.futures
import os

import history
import pytest
import seeds

COUNT = int(os.environ.get("BLOCKHOST_HISTORIES", "500"))
FIRST = int(os.environ.get("BLOCKHOST_FIRST_SEED") or seeds.number())


def test_random_histories_go_as_the_model_says(capsys):
    each = history.OF_A_SEED
    played = range(FIRST, FIRST + -(-COUNT // each))
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        bad = [(seed, found) for seed, found in zip(played, pool.map(history.fails, played, [each] * len(played))) if found]
    with capsys.disabled():
        print(f"\nNOTE: {len(played) * each} histories, seeds {played[0]} to {played[-1]}, {len(bad)} seeds failed", flush=True)
    assert not bad, "\n".join(history.explain(seed, *found) for seed, found in bad[:3])


def test_a_model_that_is_wrong_is_contradicted_by_the_shortest_history(monkeypatch):
    right = history.after
    monkeypatch.setattr(history, "after", lambda verb, state: (True, state) if verb == "kill" else right(verb, state))
    events, problem = next(found for found in (history.fails(seed, 50, history.one_at_a_time) for seed in range(10)) if found)
    assert [event.verb for event in events] == ["create", "kill"]
    assert "domain='off'" in problem and "blockhost-libvirt kill" in history.explain(0, events, problem)


def test_of_the_histories_that_fail_the_plainest_is_told():
    made, killed, both = (history.Event("create", "a"), history.Event("kill", "a"),
                          history.Event("recover", "a", beside=("kill", "a")))
    faulty = history.Event("kill", "a", fault="kill@7")
    found = [([made, made, killed], "longer"), ([made, both], "a race"), ([made, faulty], "a fault"), ([made, killed], "plain")]
    assert history.plainest(found)[1] == "plain"
    assert history.plainest(found[:3])[1] == "a fault"
    assert history.plainest([]) is None


def test_a_history_that_cannot_be_played_is_no_history_that_went_well(monkeypatch):
    def no_world(_world):
        raise AssertionError("the VM beside cannot be made")
    monkeypatch.setattr(history.invariants, "witness", no_world)
    with pytest.raises(AssertionError, match="the VM beside"):
        history.fails(0, 5)
