# SPDX-License-Identifier: MIT
"""Each program that a script or a suite calls comes from a package that packaging/lib.sh lists for it, or from the smallest
Debian: else a fresh machine lacks it, and every other one hides that."""

import ast
import functools
import json
import os
import pathlib
import re
import subprocess

import pytest
from shell_words import functions_of, programs_of

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
LIBRARY = TREE / "packaging/lib.sh"
FOLDERS = ("/usr/bin", "/usr/sbin", "/bin", "/sbin")

# Calls whose words are a program's, or a list that begins with it.
CALLS = {"run", "Popen", "check_output", "check_call", "sh", "call"}
SHELLS = {"sh", "bash"}
# What somebody else runs for us: as it is written in a suite -> the program that is run then.
BEHIND = {
    r"net-start": "dnsmasq",                            # libvirt, for a network that hands out addresses
    r"nwfilter|filterref|isolated": "ebtables",         # libvirt, for a domain's filter
    r"virbr|forward mode='nat'": "iptables",            # libvirt, for a network behind this host
    r"qemu:///system": "virtlogd",                      # libvirt, for each domain's console
    r"build-template|virt-customize": "virt-customize",
    r"blockhost-libvirt|BLOCKHOST_BUILD": "qemu-img",   # libvirt, for volumes
}
# Looked for first, and done without; or brought by other means than Debian's, too.
OPTIONAL = {"systemctl", "npm", "node", "virt-xml-validate"}
OWN = "blockhost-provisioner-libvirt"


@functools.cache
def packages():
    """Installed package -> (what it needs: a list of alternatives each, whether the smallest Debian has it)."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\t${Essential}\t${Priority}\t${Provides}\t"
         "${Pre-Depends}, ${Depends}\n"], check=True, capture_output=True, text=True).stdout
    found, provided = {}, {}
    for line in shown.splitlines():
        status, name, essential, priority, provides, needs = line.split("\t")
        if status != "installed":
            continue
        alternatives = [[re.split(r"[\s:(]", entry.strip())[0] for entry in group.split("|")]
                        for group in needs.split(",") if group.strip()]
        found[name] = (alternatives, essential == "yes" or priority == "required" or name == "apt")
        for entry in filter(None, provides.split(",")):
            provided.setdefault(entry.split()[0], []).append(name)
    return found, provided


def closure(names):
    """The packages and all that they need, with the smallest Debian's."""
    found, provided = packages()
    wanted = [*names, *(name for name, (_, smallest) in found.items() if smallest)]
    reached = set()
    while wanted:
        name = wanted.pop()
        if name not in found or name in reached:
            continue
        reached.add(name)
        for alternatives in found[name][0]:
            # apt takes the first that can be had.
            first = next((each for each in alternatives if each in found or each in provided), None)
            wanted += [first] if first in found else provided.get(first, [])[:1]
    return reached


@functools.cache
def listed(purposes):
    shown = subprocess.run(["bash", "-c", '. "$0"; packages_for "$@"', LIBRARY, *purposes], check=True, capture_output=True,
                           text=True)
    return frozenset(shown.stdout.split())


def needs(function, *words):
    """What a function of tests/needs.sh prints."""
    shown = subprocess.run(["bash", "-c", '. "$0"; "$@"', TREE / "tests/needs.sh", function, *words], check=True,
                           capture_output=True, text=True)
    return shown.stdout.split()


def purposes_of(*scripts):
    """Those that a script names, and those of every suite where it asks for what suites need."""
    named = {purpose for path in scripts
             for found in re.findall(r"\bneed_packages ((?:[a-z-]+ ?)+)", (TREE / path).read_text()) for purpose in found.split()}
    return tuple(sorted(named.union(*(needs("purposes_of", *needs("kinds_of")) for path in scripts
                                      if "tests/needs.sh" in (TREE / path).read_text()))))


@functools.cache
def owners():
    """Program -> its package, of all that is installed."""
    found = {}
    for path in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
        for line in path.read_text().splitlines():
            if line.rpartition("/")[0] in FOLDERS:
                found[line] = path.stem.split(":")[0]
    return found


@functools.cache
def owner(program):
    """The package of a program of this host: "" where the program is nobody's, None where there is none, or where it is this
    project's own, installed."""
    for folder in FOLDERS:
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK):
            spelled = (path, os.path.realpath(path), os.path.realpath(path).removeprefix("/usr"))
            package = next((owners()[each] for each in spelled if each in owners()), "")
            return None if package == OWN else package
    return None


def texts(node, constants):
    """The words of a call's or a list's beginning, as far as they are written there."""
    for each in node:
        each = each.value if isinstance(each, ast.Starred) else each
        if isinstance(each, (ast.List, ast.Tuple)):
            yield from texts(each.elts, constants)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        elif isinstance(each, ast.Name):
            yield constants.get(each.id, f"${each.id}")
        else:
            yield "$"


def called_in_python(source):
    """Programs that a Python file calls, and those that shell scripts in it call: (certain, likely)."""
    tree = ast.parse(source)
    constants = {target.id: node.value.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
                 and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
                 for target in node.targets if isinstance(target, ast.Name)}
    certain, likely = set(), set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in CALLS:
            continue
        words = list(texts(node.args, constants))
        of = node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
        found = likely if isinstance(node.func, ast.Attribute) and of != "subprocess" else certain
        if name == "sh" and len(words) == 1 and (" " in words[0] or "\n" in words[0]):
            likely |= programs_of(words[0])
            continue
        quoted = " ".join(word if re.fullmatch(r"[\w./=+-]+", word) else "'$'" for word in words)
        found |= programs_of(quoted) if words and re.fullmatch(r"[a-z][\w.+-]*", words[0]) else set()
        for place, word in enumerate(words[:-2]):
            if word in SHELLS and re.fullmatch(r"-\w*c", words[place + 1]):
                likely |= programs_of(words[place + 2])
            elif word in SHELLS and words[place + 1].startswith("-") and words[place + 2] == "-c":
                likely |= programs_of("".join(words[place + 3:place + 4]))
    return certain, likely


def spawned_by_our_program():
    return {name for path in (TREE / "src").rglob("*.cpp")
            for name in re.findall(r'"/(?:usr/)?s?bin/([\w.+-]+)"', path.read_text())}


def tracked(*patterns):
    return [path for pattern in patterns for path in sorted(TREE.glob(pattern))]


def verdict(calls, names):
    """What `calls` (program -> who calls it) asks of a machine that has the packages `names`, and does not get."""
    brought = closure(names)
    wrong = []
    for program, by in sorted(calls.items()):
        package = owner(program)
        if program in OPTIONAL or package in brought:
            continue
        if package is None and program in names:  # that package is listed, and not installed here
            continue
        wrong.append(f"{by} calls {program}, " + (
            f"of {package}, which is not listed" if package else "which no package on this host brings"))
    return wrong


# What is run as a whole: the script that asks for packages, and the files whose programs they must bring.
GROUPS = {
    "quickstart": ("packaging/quickstart.sh", ["packaging/quickstart.sh", "packaging/lib.sh"]),
    "build-deb": ("packaging/build-deb.sh", ["packaging/build-deb.sh", "build-deb.sh"]),
    "fresh": ("tests/fresh.sh", ["tests/fresh.sh", "tests/tools/in-root.sh", "tests/guest/lib.sh"]),
    "coverage": ("tests/coverage.sh", ["tests/coverage.sh"]),
    "bench": ("tests/bench/run.sh", ["tests/bench/*.sh", "tests/bench/*.py"]),
    "fuzz": ("tests/fuzz/build.sh", ["tests/fuzz/*.sh", "tests/fuzz/*.py"]),
    "tests": ("tests/run.sh", [".ci/run", "tests/**/*.sh", "tests/**/*.py"]),
}
IMPORTS = {"yaml": "python3-yaml", "hypothesis": "python3-hypothesis", "selenium": "python3-selenium", "flask": "python3-flask",
           "pytest": "python3-pytest"}


@functools.cache
def calls_of(group):
    """Program -> the file that calls it."""
    functions = set().union(*(functions_of(path.read_text()) for path in tracked("packaging/*.sh", "tests/**/*.sh")))
    calls = {}
    others = {TREE / script for name, (script, _) in GROUPS.items() if name != group}  # these ask for packages themselves
    for path in tracked(*GROUPS[group][1]):
        if path in others:
            continue
        text = path.read_text()
        if path.suffix == ".py":
            certain, likely = called_in_python(text)
            found = certain | {each for each in likely if owner(each) is not None}
        else:
            found = programs_of(text) - functions
        if group == "tests" and path != pathlib.Path(__file__):
            found |= {program for sign, program in BEHIND.items() if re.search(sign, text)}
        for each in found:
            calls.setdefault(each, str(path.relative_to(TREE)))
    if group == "tests":
        calls |= {each: "our program" for each in spawned_by_our_program()}
    return calls


@pytest.mark.parametrize("group", GROUPS)
def test_each_program_that_is_called_is_of_a_package_that_is_listed(group):
    assert calls_of(group) and not verdict(calls_of(group), listed(purposes_of(GROUPS[group][0])))


def own_calls(kind):
    """Program -> the file of that suite's own folder that calls it, beyond doubt; and modules of packages."""
    functions = set().union(*(functions_of(path.read_text()) for path in tracked("packaging/*.sh", "tests/**/*.sh")))
    calls = {}
    for path in tracked(f"tests/{kind}/**/*.cpp", f"tests/{kind}/**/*.hpp"):
        found = {program for program in re.findall(r'"/usr/s?bin/([\w.+-]+)"', path.read_text()) if owner(program)}
        calls |= dict.fromkeys(found, str(path.relative_to(TREE)))
    for path in tracked(f"tests/{kind}/*.py", f"tests/{kind}/*.sh"):
        text = path.read_text()
        found = called_in_python(text)[0] if path.suffix == ".py" else programs_of(text) - functions
        calls |= dict.fromkeys(found, str(path.relative_to(TREE)))
    return calls


def own_modules(kind):
    return {IMPORTS[name] for path in tracked(f"tests/{kind}/*.py")
            for name in re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.M) if name in IMPORTS}


def pytest_kinds():
    return sorted({path.parent.name for path in tracked("tests/*/test_*.py")})


@pytest.mark.parametrize("kind", ["unit", *pytest_kinds()])
def test_a_suite_that_is_run_alone_has_what_it_calls(kind):
    names = listed(("build", *needs("purposes_of", kind)))
    assert not verdict(own_calls(kind), names)
    assert own_modules(kind) <= names


def test_every_kind_of_suite_has_its_needs_in_one_table_and_each_is_known():
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", BUILD], check=True, capture_output=True, text=True).stdout)
    kinds = {test["suite"][0].split(":")[-1] for test in tests}
    assert set(needs("known_kinds")) == kinds | set(pytest_kinds())
    assert listed(tuple(needs("purposes_of", *needs("known_kinds"))))
    built = subprocess.run(["ninja", "-C", BUILD, "-t", "targets", "all"], check=True, capture_output=True, text=True).stdout
    targets = {line.rpartition(": ")[0] for line in built.splitlines()}
    assert set(needs("targets_of", *needs("known_kinds"))) <= targets
    for test in tests:  # one that is named has its own program
        assert os.path.relpath(test["cmd"][0], BUILD) in needs("targets_of", test["name"]) or test["name"].startswith("conformance-")
        assert needs("kinds_of", test["name"]) == [test["suite"][0].split(":")[-1]]


@pytest.mark.parametrize("package, program", [("dnsmasq-base", "dnsmasq"), ("genisoimage", "genisoimage"),
                                              ("strace", "strace"), ("shellcheck", "shellcheck")])
def test_one_that_no_list_has_is_named(package, program):
    names = listed(purposes_of("tests/run.sh"))
    assert package in names
    wrong = verdict(calls_of("tests"), names - {package})
    assert [line for line in wrong if f" calls {program}, of {package}, which is not listed" in line], wrong


def test_what_a_script_calls_is_found_wherever_a_command_may_stand():
    script = """
        # comment calls-nothing; nor-this
        one --option "$(two | three)" && ! four || five >six <(seven) &
        NAME=value eight; exec timeout -k 5 10 nine ten
        case $eleven in twelve | thirteen) fourteen ;; *) fifteen "a; sixteen $(seventeen)" 'eighteen; $(nineteen)' ;; esac
        if command -v twenty; then array=(no "$(list)"); fi
        cat <<END | sort
            not this
END
        own() { while read -r line; do last; done; }
        own
    """
    assert programs_of(script) == {"one", "two", "three", "four", "five", "seven", "eight", "timeout", "nine", "fourteen",
                                   "fifteen", "seventeen", "list", "cat", "sort", "last"}
