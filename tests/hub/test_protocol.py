# SPDX-License-Identifier: MIT
"""docs/hub.md and the schemas say the same."""

import json
import pathlib
import re

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
TEXT = (TREE / "docs/hub.md").read_text()
NAMES = ["hub-answer", "hub-report", "hub-signed"]


def schema(name):
    return json.loads((TREE / f"data/schemas/{name}.schema.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_one_and_is_named(name):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert f"`{name}.schema.json`" in TEXT


def test_the_answer_that_is_shown_is_one():
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    [shown] = re.findall(r"```json\n(\{\"version\": 1, \"host\".*?)```", TEXT, re.S)
    answer = json.loads(re.sub(r"([0-9a-f]{6})…", lambda cut: cut[1] + "0" * 58, shown))
    jsonschema.Draft202012Validator(schema("hub-answer")).validate(answer)


def rows(heading):
    """The names in the first column of the table below a heading."""
    below = TEXT[TEXT.index(heading):]
    table = below[below.index("|---"):].split("\n\n")[0]
    return {name for line in table.splitlines()[1:] for name in re.findall(r"`([a-z_-]+)`", line.split("|")[1])}


def test_the_tables_have_the_members_of_the_schemas():
    assert rows("### The answer") == set(schema("hub-answer")["properties"]) - {"version"}
    assert rows("### The report") == set(schema("hub-report")["properties"]) - {"version", "more"}
    kinds = {each["properties"]["kind"]["const"] for each in schema("hub-report")["properties"]["events"]["items"]["oneOf"]}
    assert rows("### Events") == kinds
