# SPDX-License-Identifier: MIT
"""A guest that wants the operator's terminal to obey what it writes to its serial console."""

import json
import re
import subprocess

import pytest
from machine import Machine

# What a terminal or a log would obey: escape sequences, C1 controls, carriage return, bell, a line of our own spelling.
ATTACK = r"\033[2J\033]0;owned\007\302\233 31m\rover\n[vm-create] ERROR: forged\nevil \377\342\200\256tail"
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae|\xff")


@pytest.fixture(scope="module")
def machine():
    made = Machine("quick")
    yield made
    made.close()


def assert_quoted(raw):
    """Nothing in these bytes moves a cursor, and all of it is UTF-8."""
    assert not CONTROLS.search(raw), raw
    raw.decode()


def test_console_lines_shown_by_a_failed_create_are_quoted(machine):
    settings = dict(machine.settings)
    script = rf"printf '{ATTACK}\n'; exec sleep 1000"
    arguments = f'console=ttyS0 no_timer_check quiet rdinit=/bin/sh -- -c "{script}"'
    machine.settings["GUEST_ARGUMENTS"] = json.dumps(arguments)[1:-1]  # as it stands in YAML's double quotes
    machine.write_db_yaml()
    machine.settings = settings
    try:
        for patience in ("20", "200"):  # a host under load may not have come to the guest's words
            run = subprocess.run(machine.command(*machine.create_words("console-001", "--ready-timeout", patience)),
                                 env=machine.env, capture_output=True, stdin=subprocess.DEVNULL, cwd=machine.root)
            if b"tail" in run.stderr:
                break
    finally:
        machine.write_db_yaml()
    assert run.returncode == 1
    assert_quoted(run.stderr)
    assert_quoted(run.stdout)
    lines = run.stderr.decode().splitlines()
    shown = [line for line in lines if "console | " in line]
    assert any(r"\x1b[2J\x1b]0;owned\x07\xc2\x9b 31m\x0dover" in line for line in shown), lines
    assert any(line.endswith(r"evil \xff\xe2\x80\xaetail") for line in shown), lines
    assert "[vm-create] ERROR: forged" not in lines
    assert "forged" not in lines[-1] and lines[-1].startswith("[vm-create] ERROR: console-001: ")
    assert json.loads(run.stdout)["status"] == "error" and b"owned" not in run.stdout
    assert machine.leftovers() == {}

