# SPDX-License-Identifier: MIT
"""create --timings: where the time went, on stderr, without a word more on stdout."""

import json
import pathlib
import re

import pytest
from host import Host

STEPS = ["reserve-addresses", "write-seed", "prepare-console", "create-volume", "set-routes", "define-domain", "start-domain",
         "await-guest", "register", "deliver"]
ROW = re.compile(r"^(\S+(?: \S+)*)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$")


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def table_of(err):
    lines = err.splitlines()
    start = next(n for n, line in enumerate(lines) if line.split() == ["stage", "ms", "libvirt", "own"])
    rows = [ROW.match(line) for line in lines[start + 1:]]
    return {row.group(1): tuple(map(float, row.groups()[1:])) for row in rows if row}


def test_every_step_has_its_row_and_the_sum_is_what_came_before_the_guest(host):
    run = host.create("vm-1", "--timings")
    assert run.returncode == 0 and len(run.stdout.splitlines()) == 2, run.stderr
    rows = table_of(run.stderr)
    assert list(rows) == ["prepare", *STEPS, "finish", "until the domain runs"]
    for total, asking, own in rows.values():
        assert asking <= total + 0.1 and abs(total - asking - own) < 0.11
    before = [rows[name] for name in ("prepare", *STEPS[:STEPS.index("await-guest")])]
    assert abs(sum(row[0] for row in before) - rows["until the domain runs"][0]) < 1
    assert rows["define-domain"][1] > 0


def test_a_create_that_fails_tells_how_far_it_came(host):
    run = host.create("vm-1", "--timings", BLOCKHOST_FAULT="fail@60")
    assert run.returncode == 1
    rows = table_of(run.stderr)
    assert 2 < len(rows) < len(STEPS) + 3 and list(rows)[-1] == "until the domain runs"
    assert run.stderr.splitlines()[-1].startswith("[vm-create] ERROR: ")


def test_nothing_is_told_to_those_who_do_not_ask(host):
    assert "until the domain runs" not in host.create("vm-1").stderr


def test_an_interrupted_create_leaves_when_each_step_was_done(host):
    assert host.create("vm-1", BLOCKHOST_FAULT="kill@60").returncode != 0
    entry = next(pathlib.Path(host.folder / "mock-world").rglob("vm-1.journal"))
    lines = [json.loads(line) for line in entry.read_text().splitlines()[1:] if line.strip()]
    done = [line for line in lines if "done" in line]
    assert done and all(re.match(r"\d{4}-\d\d-\d\dT", line["at"]) for line in done)
