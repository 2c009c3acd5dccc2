# SPDX-License-Identifier: MIT
"""agent audit --verify, agent start-over, and the clock that every verb notes: what is on record is checked, and an operator can
go on without it."""

import json
import os
import pty
import sqlite3
import subprocess
import time

import pytest
from simulated import BINARY
from test_apply import apply, destroy_waits, done, knows_an_operator, one, operations, waiting

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent's record is root's alone")


def agent(host, file):
    return host.folder / "mock-world/agent" / file


@pytest.fixture()
def host(simulated):
    """One with an operation on record."""
    name = one(simulated)
    done(apply(simulated, {name: {"power": "stopped"}}, "--yes"))
    return simulated


def verify(host, *words, status=0):
    run = host.run("agent", "audit", "--verify", "--json", *words)
    assert run.returncode == status, (run.stdout, run.stderr)
    return json.loads(run.stdout)


def lines(host):
    return agent(host, "audit.jsonl").read_text().splitlines(keepends=True)


def rewrite(host, all_lines):
    agent(host, "audit.jsonl").write_text("".join(all_lines))


# -- the record

def test_a_whole_record_holds_together_and_says_its_head(host):
    told = verify(host)
    count = len(lines(host))
    assert told["whole"] and told["lines"] == count and told["broken_line"] == 0 and told["head"].startswith(f"{count}:")
    assert verify(host, "--known", told["head"])["whole"]
    assert done(host.run("agent", "audit", "--verify")) == f"The record holds together: {count} lines, the head is {told['head']}\n"


def test_a_line_that_was_changed_is_found(host):
    all_lines = lines(host)
    all_lines[0] = all_lines[0].replace("permitted", "refused")
    rewrite(host, all_lines)
    told = verify(host, status=1)
    assert (told["whole"], told["broken_line"], told["why"]) == (False, 2, "it does not go with the line before it")
    run = host.run("agent", "audit", "--verify")
    assert run.returncode == 1 and run.stdout == ("The record is broken at line 2: it does not go with the line before it; "
                                                  "1 lines before it hold together\n")


def test_lines_that_are_gone_are_found_by_what_the_database_has_seen(host):
    count = len(lines(host))
    rewrite(host, lines(host)[:-1])
    told = verify(host, status=1)
    assert (told["broken_line"], told["why"]) == (count, f"this host's database has seen {count} lines")
    agent(host, "audit.jsonl").unlink()
    assert verify(host, status=1)["why"] == "there is no record, and there was one"


def test_a_head_that_is_kept_elsewhere_finds_a_record_that_was_written_anew(host):
    head = verify(host)["head"]
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    told = verify(host, "--known", other, status=1)
    assert told["why"] == "it is not the line that is known from elsewhere"
    for wrong in ("3", "3:ab", f"0:{'0' * 64}", f"1:{'A' * 64}"):
        run = host.run("agent", "audit", "--verify", "--known", wrong)
        assert run.returncode == 3 and "is no head of a record" in run.stderr


def test_what_is_not_there_and_what_was_misspelt_is_said(simulated):
    run = simulated.run("agent", "audit", "--verify")
    assert run.returncode == 5 and "there is no audit record yet" in run.stderr and run.stdout == ""
    assert not agent(simulated, "").exists(), "a check makes nothing"
    for words, sentence in [(("check",), "agent check needs a file"), (("audit",), "agent audit needs --verify"),
                            (("audit", "--verify", "--yes"), "--yes does not go with agent audit"),
                            (("--selftest", "--verify"), "--verify does not go with the agent itself")]:
        run = simulated.run("agent", *words)
        assert run.returncode == 2 and sentence in run.stderr, run.stderr


# -- starting over

def forgets_nonces(host):
    """An operation is approved and done; then a database of before is put back."""
    name, operation = destroy_waits(host)
    before = agent(host, "agent.db").read_bytes()
    done(host.run("approve", operation, "--key", host.folder / "operator"))
    for each in agent(host, "").glob("agent.db*"):
        each.unlink()
    agent(host, "agent.db").touch(mode=0o600)
    agent(host, "agent.db").write_bytes(before)
    return name


def test_an_operator_goes_on_with_an_older_database_and_the_record_says_so(simulated):
    knows_an_operator(simulated)
    forgets_nonces(simulated)
    simulated.add("vm-2")
    done(apply(simulated, {"vm-2": {"power": "absent"}}, "--yes", generation=7), 2)
    operation = next(each["id"] for each in waiting(simulated) if each["guest"] == "vm-2")
    run = simulated.run("approve", operation, "--key", simulated.folder / "operator")
    assert run.returncode != 0 and "is an older copy" in run.stdout + run.stderr
    assert "agent start-over" in run.stdout + run.stderr
    run = simulated.run("agent", "start-over")
    assert run.returncode == 2 and "give --yes to start over" in run.stderr and "becomes void" in run.stderr
    assert done(simulated.run("agent", "start-over", "--yes")) == "Started over, and on record.\n"
    assert any(json.loads(line)["event"] == "started over" and json.loads(line)["by"] == "uid 0" for line in lines(simulated))
    assert waiting(simulated) == [] and ("vm-2", "destroy", "failed") in operations(simulated)
    assert verify(simulated)["whole"]
    done(apply(simulated, {"vm-2": {"power": "absent"}}, "--yes", generation=8), 2)
    [again] = [each["id"] for each in waiting(simulated)]
    done(simulated.run("approve", again, "--key", simulated.folder / "operator"))
    assert ("vm-2", "destroy", "done") in operations(simulated)


@pytest.mark.parametrize("answer, status", [("yes", 0), ("no", 11)])
def test_a_person_is_asked(host, answer, status):
    master, slave = pty.openpty()
    process = subprocess.Popen([BINARY, "agent", "start-over", *host.more], cwd=host.folder,
                               env=host.environment() | {"TERM": "dumb"}, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown, deadline = "", time.monotonic() + 60
    while "Start over?" not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(master, 4096).decode()
    os.write(master, (answer + "\n").encode())
    try:
        while piece := os.read(master, 4096):
            shown += piece.decode()
    except OSError:
        pass
    os.close(master)
    assert process.wait(timeout=60) == status, shown
    assert any('"started over"' in line for line in lines(host)) == (status == 0)


# -- the clock

@pytest.mark.parametrize("words", [("pending",), ("operations",), ("heal",), ("apply", "desired.json", "--yes")])
def test_every_verb_of_the_agents_says_that_the_clock_went_back(host, words):
    assert "the clock says" not in host.run(*words).stderr
    with sqlite3.connect(agent(host, "agent.db")) as db:
        before = db.execute("SELECT number FROM authority_fact WHERE name = 'clock'").fetchone()[0]
        db.execute("UPDATE authority_fact SET number = number + 3600000000 WHERE name = 'clock'")  # it said so an hour ahead
    assert abs(before / 1e6 - time.time()) < 60, "each use notes the time"
    run = host.run(*words)
    [warning] = [line for line in run.stderr.splitlines() if "the clock says" in line]
    assert "and has said" in warning and "signatures are refused until it is right" in warning and "set the clock" in warning
    assert run.returncode == 0, "what loses nothing goes on"
    done(host.run("agent", "start-over", "--yes"))
    assert "the clock says" not in host.run(*words).stderr
