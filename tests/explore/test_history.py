"""Random histories: several VMs, verbs that are killed or fail half-way, two at a time, reboots and expiries between them."""

import concurrent.futures
import os

import history

COUNT = int(os.environ.get("BLOCKHOST_HISTORIES", "240"))
FIRST = int(os.environ.get("BLOCKHOST_FIRST_HISTORY", "0"))


def play(seed):
    problem = history.judge(history.history(seed))
    return (seed, problem) if problem else None


def test_random_histories_go_as_the_model_says(capsys):
    seeds = range(FIRST, FIRST + COUNT)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        bad = [found for found in pool.map(play, seeds) if found]
    with capsys.disabled():
        print(f"\nNOTE: {COUNT} histories, seeds {seeds[0]} to {seeds[-1]}, {len(bad)} failed", flush=True)
    assert not bad, "\n".join(history.explain(seed, *history.shrunk(history.history(seed), problem))
                              for seed, problem in bad[:3])


def test_a_model_that_is_wrong_is_contradicted_by_the_shortest_history(monkeypatch):
    right = history.after

    def wrong(verb, state):
        return (True, state) if verb == "kill" else right(verb, state)

    monkeypatch.setattr(history, "after", wrong)
    seed = next(seed for seed in range(100) if play(seed))
    events, problem = history.shrunk(history.history(seed), play(seed)[1])
    assert [event.verb for event in events] == ["create", "kill"] and not any(event.fault for event in events)
    assert "domain='off'" in problem and "blockhost-libvirt kill" in history.explain(seed, events, problem)
