# SPDX-License-Identifier: MIT
"""Who forgets the gate does not compile: a permit is made by src/authority/gate.cpp and by nothing else."""

import pathlib
import re
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
HEAD = """
#include "platform/permit.hpp"
using namespace blockhost::platform;
void carry_out(const Permit& permit, const Target& target, const Action& action);
"""
ATTEMPTS = {
    "made": "void f(Target t) { carry_out(Permit(t, ActionKind::destroy), t, Destroy{}); }",
    "made in braces": "void f(Target t) { carry_out({t, ActionKind::destroy}, t, Destroy{}); }",
    "made of nothing": "void f(Target t) { Permit permit; carry_out(permit, t, Destroy{}); }",
    "copied": "void f(const Permit& given, Target t) { Permit mine = given; carry_out(mine, t, Destroy{}); }",
    "left out": "void f(Target t) { carry_out(t, Destroy{}); }",
    "inherited": "struct Mine : Permit { Mine(Target t) : Permit(t, ActionKind::destroy) {} };",
}


def compiled(body, folder):
    source = folder / "attempt.cpp"
    source.write_text(HEAD + body + "\n")
    return subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-I", TREE / "src", source], capture_output=True, text=True)


def test_a_permit_that_was_given_is_passed_on(tmp_path):
    run = compiled("void f(const Permit& given, Target t) { carry_out(given, t, Destroy{}); }", tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_permit_that_nobody_gave_does_not_compile(attempt, tmp_path):
    run = compiled(ATTEMPTS[attempt], tmp_path)
    assert run.returncode != 0
    assert re.search(r"private within this context|deleted function|no matching function|too few arguments|could not convert|"
                     r"cannot convert|invalid initialization", run.stderr), run.stderr


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
