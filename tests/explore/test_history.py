"""Random histories: several VMs, verbs that are killed, fail or hang half-way, two at a time, reboots and expiries between."""

import concurrent.futures
import os

import history

COUNT = int(os.environ.get("BLOCKHOST_HISTORIES", "2000"))
FIRST = int(os.environ.get("BLOCKHOST_FIRST_SEED", "0"))
OF_A_SEED = 50


def test_random_histories_go_as_the_model_says(capsys):
    seeds = range(FIRST, FIRST + -(-COUNT // OF_A_SEED))
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        bad = [(seed, found) for seed, found in zip(seeds, pool.map(history.fails, seeds, [OF_A_SEED] * len(seeds))) if found]
    with capsys.disabled():
        print(f"\nNOTE: {len(seeds) * OF_A_SEED} histories, seeds {seeds[0]} to {seeds[-1]}, {len(bad)} seeds failed", flush=True)
    assert not bad, "\n".join(history.explain(seed, *found) for seed, found in bad[:3])


def test_a_model_that_is_wrong_is_contradicted_by_the_shortest_history(monkeypatch):
    right = history.after
    monkeypatch.setattr(history, "after", lambda verb, state: (True, state) if verb == "kill" else right(verb, state))
    events, problem = next(found for found in (history.fails(seed, 50) for seed in range(10)) if found)
    assert [event.verb for event in events] == ["create", "kill"]
    assert "domain='off'" in problem and "blockhost-libvirt kill" in history.explain(0, events, problem)
