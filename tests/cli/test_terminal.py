# SPDX-License-Identifier: MIT
"""What a person sees on a terminal when a verb has ended: everything to be known is still there."""

import json
import os
import pty
import re
import subprocess

import pytest
from host import BINARY, WALLET, Host

STEPS = ("reserve-addresses", "create-volume", "define-domain", "start-domain", "register")


def on_a_terminal(host, *words, **env):
    """(exit status, the lines that stay on the screen)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BINARY, *words], env=host.env | {"TERM": "xterm", "COLUMNS": "200"} | env, cwd=host.folder,
                               stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:  # a terminal's way to say that nobody has it open any more
        pass
    os.close(ours)
    return process.wait(), screen(text.decode())


def screen(text):
    """A terminal's lines after that text: returns, new lines, erasing to the end of a line; colours are passed over."""
    lines, column = [""], 0
    for part in re.findall(r"\033\[[0-9;]*[A-Za-z]|[\r\n]|[^\033\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            lines.append("")
        elif part == "\033[K":
            lines[-1] = lines[-1][:column]
        elif not part.startswith("\033"):
            lines[-1] = lines[-1][:column].ljust(column) + part + lines[-1][column + len(part):]
            column += len(part)
    return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture()
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture()
def suspended(host):
    assert host.create().returncode == 0
    path = host.folder / "mock-db.json"
    database = json.loads(path.read_text())
    database["vms"]["vm-1"]["expires_at"] = "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(database))
    run = host.run("gc", "--execute", "--mock")
    assert run.returncode == 0, run.stderr
    return host


def test_the_screen_of_this_suite_is_a_screen():
    assert screen("one\r\n\r\033[Kstage\r\033[Ktwo\033[1;31m red\033[0m\r\nthr\rxx\n") == ["one", "two red", "xxr"]


def test_a_dry_run_of_create_says_that_nothing_is_changed_and_what_would_be(host):
    status, seen = on_a_terminal(host, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock")
    assert status == 0
    said = seen.index("[vm-create] dry run: nothing is changed; --apply would carry out:")
    for step in STEPS:
        assert f"[vm-create]   {step}" in seen[said:], seen
    assert seen[-2].startswith('BLOCKHOST_RESULT: {"status": "ok"') and seen[-1].startswith('{"status": "ok"')


def test_a_dry_run_of_resume_says_that_nothing_is_changed_and_what_would_be(suspended):
    status, seen = on_a_terminal(suspended, "resume", "vm-1", "--dry-run", "--mock")
    assert status == 0
    said = next(n for n, line in enumerate(seen) if "dry run: nothing is changed" in line)
    assert any(line.strip().endswith("start-domain") for line in seen[said:]), seen
    assert seen[-1] == "[DRY RUN] Would resume 'vm-1'"


def interrupted(host):
    assert host.create("vm-2", BLOCKHOST_FAULT="kill@75").returncode < 0


@pytest.mark.parametrize("words, sentence, prepare", [
    (("gc",), "[DRY RUN] Would destroy vm-1", None),
    (("recover", "--all", "--dry-run"), "Nothing to recover", None),
    (("recover", "--all", "--dry-run"), "vm-2: create since ", interrupted),
    (("templates", "--prune", "--dry-run"), "nothing to remove", None),
    (("setup", "db-config", "--gc-grace-days", "9", "--dry-run"), "would change; nothing was written", None),
], ids=["gc", "recover nothing", "recover", "prune", "setup"])
def test_every_dry_run_leaves_on_the_screen_what_it_found(suspended, words, sentence, prepare):
    if prepare:
        prepare(suspended)
    if words == ("gc",):
        path = suspended.folder / "mock-db.json"
        path.write_text(re.sub(r'"suspended_at": "[^"]*"', '"suspended_at": "2020-01-01T00:00:00+00:00"', path.read_text()))
    status, seen = on_a_terminal(suspended, *words, "--mock")
    assert status == 0, seen
    assert any(sentence in line for line in seen), seen


def test_what_a_person_must_know_of_a_limit_that_ended_stays(host):
    assert host.create().returncode == 0
    assert host.run("throttle", "vm-1", "--cpu-quota", "50", "--for", "1h", "--mock").returncode == 0
    path = host.folder / "mock-world/journal/vm-1.limits"
    notes = json.loads(path.read_text())
    for part in notes["parts"]:
        part["until"] |= {"wall": "2020-01-01T00:00:00+00:00", "since_boot_ms": 0}
    path.write_text(json.dumps(notes))
    status, seen = on_a_terminal(host, "stop", "vm-1", "--mock")
    assert status == 0 and any("a limit has come to its end: vm-1: CPU quota" in line for line in seen), seen
