# SPDX-License-Identifier: MIT
"""Which of endlessly many random tests a run plays: a share, by a number that comes of the commit. Each commit so plays
others, and the same commit the same. The number is told where the run begins; BLOCKHOST_SEED=NUMBER plays its share again.
"""

import functools
import os
import pathlib
import random
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[1]
NUMBERS = 1_000_000


@functools.cache
def of_commit():
    """0 where there is no commit: in a tree without a history."""
    # The clone may be another user's.
    commit = subprocess.run(["git", "-c", "safe.directory=*", "-C", TREE, "rev-parse", "HEAD"], capture_output=True, text=True)
    return int(commit.stdout, 16) % NUMBERS if commit.returncode == 0 else 0


def number():
    return int(os.environ.get("BLOCKHOST_SEED") or of_commit())


def takes(share, *what):
    """Whether this run plays that test: so large a share of all are played, each by its own chance."""
    return random.Random(repr((number(), *what))).random() < share


def some_of(cases, count, *what):
    """So many of the cases in their order, others in each run; all of them with BLOCKHOST_WHOLE=1."""
    if os.environ.get("BLOCKHOST_WHOLE"):
        return list(cases)
    taken = set(random.Random(repr((number(), *what))).sample(range(len(cases)), count))
    return [case for place, case in enumerate(cases) if place in taken]


def is_due(share, *what):
    """Whether this run plays that long test: its share of the commits do, and all with BLOCKHOST_WHOLE=1."""
    return bool(os.environ.get("BLOCKHOST_WHOLE")) or takes(share, *what)
