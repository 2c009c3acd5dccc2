# SPDX-License-Identifier: MIT
"""The stand-in answers what a real node answered: every recorded exchange, scenario by scenario."""

import json
import pathlib

import pytest
import replay
import scenarios

DIFFERENCES = pathlib.Path(__file__).resolve().parent / "differences.json"


def listed(name):
    """number -> reason"""
    return {each["exchange"]: each["why"] for each in json.loads(DIFFERENCES.read_text()) if each["scenario"] == name}


def told(name, differing):
    recorded = replay.exchanges(name)
    return "".join(f"\n[{number}] {recorded[number]['method']} {recorded[number]['path'][:120]}" + "".join(
        f"\n      {line[:600]}" for line in lines) for number, lines in differing.items())


@pytest.mark.parametrize("name", replay.names())
def test_every_exchange_is_as_it_was_recorded(name):
    differing = replay.Replay(name, scenarios.of(name)).run()
    unlisted = {number: lines for number, lines in differing.items() if number not in listed(name)}
    assert not unlisted, told(name, unlisted)
    assert not set(listed(name)) - set(differing), "these are listed as differences, and are none any more"


def test_what_is_listed_is_there_and_has_a_reason():
    for each in json.loads(DIFFERENCES.read_text()):
        assert each["exchange"] < len(replay.exchanges(each["scenario"])) and len(each["why"]) > 10
    assert set(scenarios.OF_NAME) <= set(replay.names())
