# SPDX-License-Identifier: MIT
"""A mint that is killed at any moment, and called again: exactly one token."""

import concurrent.futures
import re
import subprocess

import pytest
from evm import Run, random_wallet
from proxy import Proxy

CALLS = "openat,openat2,read,pread64,write,pwrite64,fsync,rename,renameat,renameat2,unlinkat,flock,connect,sendto,recvfrom," \
        "poll,mmap,prctl,mlock,ftruncate"
"""System calls that mint-nft is killed at, before they are carried out."""
MOMENTS = 60
"""So many, spread over a run, besides each that changes what the ledger's files are called."""


def traced(host, wallet, inject, log):
    return Run(host.start(wallet, before=["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CALLS}", *inject]))


@pytest.fixture(scope="module", autouse=True)
def strace():
    probe = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"strace does not work here: {probe.stderr.strip()}")


def calls_from(log, first):
    """How often each call was made, and how often it had been when `first` was seen in the log."""
    counts, before = {}, None
    for line in log.read_text().splitlines():
        if before is None and first in line:
            before = dict(counts)
        if found := re.match(r"\d+\s+(\w+)\(", line):
            counts[found[1]] = counts.get(found[1], 0) + 1
    return before or {}, counts


def test_killed_at_sixty_moments_and_more_and_called_again(host, tmp_path):
    whole = traced(host, random_wallet(), [], tmp_path / "log")
    assert whole.token == 0
    before, counts = calls_from(tmp_path / "log", "web3-defaults.yaml")
    moments = [(call, number) for call, count in sorted(counts.items())
               for number in range(before.get(call, 0) + 1, count + 1)]
    assert len(moments) >= MOMENTS, counts
    step = len(moments) / MOMENTS
    spread = [moments[int(at * step)] for at in range(MOMENTS)]
    chosen = spread + [moment for moment in moments if moment not in spread and moment[0].startswith(("rename", "unlink"))]

    def die_and_repeat(moment):
        call, number = moment
        wallet = random_wallet()
        run = traced(host, wallet, ["-e", f"inject={call}:signal=KILL:when={number}"],
                     tmp_path / f"{call}-{number}")
        ended = bool(run.out) and not any(wallet in entry.read_text().lower() for entry in host.open_entries())
        again = host.mint(wallet)
        assert again.status == 0, (moment, again.err)
        return wallet, run, ended, again.token, moment

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(die_and_repeat, chosen))
    assert len([run for _, run, *_ in runs if run.status != 0]) >= 50, "so many of them really died"
    assert len([ended for *_, ended, _, _ in runs if not ended]) >= 50, "and before the mint had come to its end"
    owners = [host.nft.owner(token) for token in range(host.nft.supply)]
    for wallet, run, ended, token, moment in runs:
        tokens = [at for at, owner in enumerate(owners) if owner == wallet]
        assert token in tokens and len(tokens) == (2 if ended else 1), (moment, tokens)
        assert not run.out or run.out.startswith(f"{tokens[0]}\n"), moment
    assert host.open_entries() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_question_to_the_node(host, chain, when):
    """`before`: the node has not heard the question; `after`: it has, and the answer is lost with the process."""
    with Proxy(chain) as proxy:
        host.configure(proxy.url)
        assert host.mint(random_wallet()).token == 0
        asked = len(proxy.methods)
        assert asked >= 10
        for number in range(1, asked + 1):
            wallet, count = random_wallet(), [0]
            begun = []

            def kill_at(request, pass_on):
                count[0] += 1
                if count[0] != number:
                    return pass_on(request)
                answer = pass_on(request) if when == "after" else {}
                while not begun:
                    pass
                begun[0].kill()
                begun[0].wait()
                return answer

            proxy.on("*", kill_at)
            begun.append(host.start(wallet))
            assert Run(begun[0]).status == -9
            proxy.rules.clear()
            proxy.sent.clear()
            token = host.mint(wallet).token
            assert host.nft.owner(token) == wallet
            assert host.nft.supply == number + 1, (number, proxy.methods[number - 1])
