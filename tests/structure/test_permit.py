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


# -- every write to a node has one

NODE = "src/platform/proxmox"
WRITES_BY_PROGRAM = {"set", "mount", "unmount"}
"""What changes a node behind the fence; the other fenced functions look."""
READS_BY_PROGRAM = {"look", "smart", "sensors"}


def proxmox_sources(tree):
    return {str(path.relative_to(tree)): re.sub(r"//[^\n]*", "", path.read_text())
            for path in sorted((tree / NODE).rglob("*.[ch]pp"))}


def writes_without_a_permit(tree):
    """HTTP requests that are no GET begin in one function of the client; whoever reaches it has a permit, but for the end of a
    task. Behind the fence, each command's public functions that change something take one."""
    texts, found = proxmox_sources(tree), []
    for name, text in texts.items():
        if "Session" in text and not name.endswith(("client.cpp", "client.hpp")):
            found.append(f"{name} speaks HTTP by itself")
        for call in re.finditer(r"\b(?:client_?|Client)(?:\.|->|::)(change|send|stop)\(([^,)]*)", text):
            function, first = call.groups()
            is_definition = name.endswith("client.cpp") and "Client::" in call.group(0)
            if function == "change" and not is_definition and first.strip() != "permit":
                found.append(f"{name} changes something without a permit: {call.group(0)}")
            if function == "send" and not is_definition or function == "stop" and not is_definition and not name.endswith("task.cpp"):
                found.append(f"{name} writes past the permit: {call.group(0)}")
    client = texts[f"{NODE}/client.hpp"]
    public = client[client.index("class Client {"):client.index("  private:", client.index("class Client {"))]
    functions = re.findall(r"(\w+)\(((?:[^()]|\([^()]*\))*)\)(?: const)?(?:;| \{)", public)
    for function, parameters in functions:
        if function not in ("Client", "get", "certificate", "access", "user", "stop", "check") and "const Permit& permit" not in parameters:
            found.append(f"the client's {function} takes no permit")
    senders = re.findall(r"(\w[\w:]*)\([^;{}]*\) (?:const )?\{[^{}]*\bsend\(", texts[f"{NODE}/client.cpp"])
    if sorted(senders) != ["Client::change", "Client::stop"]:
        found.append(f"what sends: {senders}")
    for name, text in texts.items():
        if f"{NODE}/privileged/" not in name or not name.endswith(".hpp") or "Fence fence_;" not in text:
            continue
        public = text[text.index("  public:"):text.index("  private:")]
        for function, parameters in re.findall(r"\b(\w+)\(((?:[^()]|\([^()]*\))*)\) const;", public):
            if function in WRITES_BY_PROGRAM and parameters != "const Permit& permit":
                found.append(f"{name}: {function} takes no permit")
            if function not in WRITES_BY_PROGRAM | READS_BY_PROGRAM:
                found.append(f"{name}: nobody says whether {function} changes something")
    for name in ("fstab.write(", "mount_now(", "perform("):
        for file, text in texts.items():
            if name in text and "/privileged/" not in file:
                found.append(f"{file} calls {name}")
    return found


def test_no_request_changes_a_node_without_a_permit():
    assert writes_without_a_permit(TREE) == []


@pytest.mark.parametrize("file, text, instead", [
    ("node.cpp", "client_.change(permit, ", "client_.change("),
    ("agent_line.cpp", 'client.change(permit, "POST", at + "exec"', 'client.send("POST", at + "exec"'),
    ("node.cpp", "int Node::next_id() {", 'int Node::next_id() {\n    client_.stop(*parse_upid("x"));'),
    ("client.hpp", "change(const Permit& permit, const char* method", "change(const char* method"),
    ("client.hpp", "void stop(const Upid& task);", "void stop(const Upid& task);\n    boost::json::value put(std::string_view path);"),
    ("client.cpp", "boost::json::value Client::get(std::string_view path, const Parameters& query) {",
     'boost::json::value Client::get(std::string_view path, const Parameters& query) {\n    send("PUT", path, query);'),
    ("privileged/usb_disk.hpp", "void unmount(const Permit& permit) const;", "void unmount(const MountPoint& point) const;"),
    ("privileged/health.hpp", "  private:", "    void format(const Device& device) const;\n\n  private:"),
    ("task.cpp", "namespace {", "namespace {\nhttp::Session* own = nullptr;"),
])
def test_a_write_without_a_permit_is_found(file, text, instead, tmp_path):
    for name, content in {str(path.relative_to(TREE)): path.read_text() for path in (TREE / NODE).rglob("*.[ch]pp")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    path = tmp_path / NODE / file
    assert text in path.read_text()
    path.write_text(path.read_text().replace(text, instead))
    assert writes_without_a_permit(tmp_path), (file, instead)
