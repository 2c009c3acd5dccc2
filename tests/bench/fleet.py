#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How long metrics --all takes over many quick guests of which one has a stopped agent.

    tests/bench/fleet.py [COUNT [ROUNDS]]      default: 20 guests, 10 rounds; BLOCKHOST_BUILD names the build folder

Prints each round's seconds and how many guests answered. Exit status 1 when the median is above 1.5 s or a row is
missing. Makes its machine in a root folder and on a bridge of its own, and removes both.
"""

import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from machine import Machine  # noqa: E402

LIMIT_S = 1.5
WEDGE = "(sleep 1; kill -STOP $(pidof qemu-ga)) >/dev/null 2>&1 </dev/null &"


def measure(machine, rounds, count):
    seconds, complete = [], True
    for number in range(rounds):
        began = time.monotonic()
        run = machine.run("metrics", "--all")
        seconds.append(time.monotonic() - began)
        rows = json.loads(run.stdout)
        answering = sum(row["guest_agent_responsive"] for row in rows)
        told = sum(row["state"] == "running" and row["disk_total_mb"] > 0 for row in rows)
        complete &= told == count
        print(f"round {number + 1}: {seconds[-1]:.3f} s, {len(rows)} rows, {told} with figures, {answering} answering",
              flush=True)
        time.sleep(1)
    print(f"median {statistics.median(seconds):.3f} s, most {max(seconds):.3f} s; at most {LIMIT_S} s wanted")
    return complete and statistics.median(seconds) <= LIMIT_S


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    machine = Machine("quick")
    try:
        for number in range(count):
            run = machine.create(f"fleet-{machine.tag}-{number:03d}")
            if run.returncode != 0:
                sys.exit(run.stderr)
        wedge = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", WEDGE]}}
        machine.virsh("qemu-agent-command", f"fleet-{machine.tag}-000", json.dumps(wedge))
        time.sleep(3)
        return 0 if measure(machine, rounds, count) else 1
    finally:
        machine.close()


if __name__ == "__main__":
    sys.exit(main())
