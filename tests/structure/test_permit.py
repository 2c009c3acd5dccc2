# SPDX-License-Identifier: MIT
"""Who forgets the gate does not compile: a permit is made by src/authority/gate.cpp and by nothing else."""

import pathlib
import re
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
HEAD = """
#include "platform/platform.hpp"
using namespace blockhost::platform;
void carry_out(const Permit& permit);
void begin(Platform& platform, Permit& permit) { platform.begin(permit, "note", [](const Handle&) {}); }
"""
ATTEMPTS = {
    "made": "void f(Target t) { carry_out(Permit(t, Destroy{})); }",
    "made in braces": "void f(Target t) { carry_out({t, Destroy{}}); }",
    "made of nothing": "void f(Target t) { Permit permit; carry_out(permit); }",
    "copied": "void f(const Permit& given) { Permit mine = given; carry_out(mine); }",
    "left out": "void f(Target t) { carry_out(t); }",
    "inherited": "struct Mine : Permit { Mine(Target t) : Permit(t, Destroy{}) {} };",
    "for another action": "void f(Permit& given) { given = Permit(given.target(), Destroy{}); }",
    "with another parameter": "void f(Permit& given) { const_cast<Action&>(given.action_) = Grow{20480}; }",
    "moved to another guest": "void f(Permit& given) { given.target_.guest = \"db\"; }",
    "used again": "void f(Permit& given) { given.is_spent_ = false; }",
    "of somebody who may only look": "void f(Platform& p, const Permit& given) { p.begin(given, \"note\", [](const Handle&) {}); }",
    "past the door": "void f(Platform& p, Permit& given) { p.begin_permitted(given, \"note\", [](const Handle&) {}); }",
    "with other words beside it": "void f(Platform& p, Permit& given) { p.begin(given, Grow{20480}, \"note\", [](const Handle&) {}); }",
}


def compiled(body, folder):
    source = folder / "attempt.cpp"
    source.write_text(HEAD + body + "\n")
    return subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-I", TREE / "src", source], capture_output=True, text=True)


def test_a_permit_that_was_given_is_passed_on(tmp_path):
    run = compiled("void f(Platform& p, Permit& given) { carry_out(given); begin(p, given); }", tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_permit_that_nobody_gave_does_not_compile(attempt, tmp_path):
    run = compiled(ATTEMPTS[attempt], tmp_path)
    assert run.returncode != 0
    assert re.search(r"(private|protected) within this context|deleted function|no matching function|too few arguments|could not convert|"
                     r"cannot convert|discards qualifiers|invalid initialization", run.stderr), run.stderr


def test_the_gate_is_one_class_and_the_tests_door_is_for_tests():
    """Friends are named, not owned: another class of that name would be one, too."""
    gates, doors = [], []
    for path in sorted(path for folder in ("src", "subcommands", "hooks", "tests") for path in (TREE / folder).rglob("*.[ch]pp")):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        name = str(path.relative_to(TREE))
        if re.search(r"\b(class|struct)\s+Gate\b(?!::)[^;]*\{", text):
            gates.append(name)
        if re.search(r"\bPermitForTests\b", text) and not name.startswith("tests/"):
            doors.append(name)
    assert gates == ["src/authority/gate.hpp"] and doors == ["src/platform/permit.hpp"]
