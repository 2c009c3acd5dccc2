#!/usr/bin/python3
"""Runs the suites of built trees and adds up their results; tests/run.sh calls it.

A suite is a test program of meson's list (Catch2) or a folder of pytest files below tests/. Results are read from JUnit
files, never guessed from text. A program says that it skips something by a line "SKIP: <reason>" on stdout.
The last line is exactly "N passed, N failed, N skipped"; the exit status is 1 when anything failed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

TREE = pathlib.Path(__file__).resolve().parents[2]
PYTEST_SECONDS = 3600
SANITIZER_SLOWNESS = 6
SANITIZED = ("unit", "lifecycle", "cli")
"""Kinds of suites that run in the sanitizer build: meson's suite names and pytest folders."""
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
SLOW_LAST = ("system",)
NOTE = "NOTE: "
"""Begins a line of a pytest suite that is shown as the suite runs."""
SPREAD = ("cli", "http", "lifecycle", "image", "mint", "plugin")
"""Pytest folders whose tests share nothing and mostly wait: several at a time."""
PAIRED = ("system",)
"""Folders whose files share nothing (each has machines of its own), and wait for guests and for zombies to be collected."""


@dataclasses.dataclass
class Suite:
    name: str
    kind: str                 # meson's suite name, or the pytest folder's
    words: list
    environment: dict
    seconds: float            # deadline
    reads_junit_from: str     # option that names the JUnit file
    follow: bool = False      # show each test as it ends


@dataclasses.dataclass
class Result:
    passed: int = 0
    failures: list = dataclasses.field(default_factory=list)  # (test, text)
    skips: list = dataclasses.field(default_factory=list)     # (test, reason)
    tests: list = dataclasses.field(default_factory=list)     # names of what ran to its end
    seconds: list = dataclasses.field(default_factory=list)   # (seconds, test)

    def counts(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"


def meson_suites(build, slowness):
    listed = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    for test in json.loads(listed.stdout):
        kind = (test["suite"] or ["unit"])[0].split(":")[-1]
        words = [*test["cmd"], "--reporter", "junit"]
        yield Suite(test["name"], kind, words, {**test["env"], "BLOCKHOST_BUILD": str(build)},
                    test["timeout"] * slowness, "--out")


def pytest_suites(build):
    folders = {path.parent for path in (TREE / "tests").glob("*/test_*.py")}
    for folder in sorted(folders, key=lambda path: (path.name in SLOW_LAST, path.name)):
        words = ["/usr/bin/python3", "-m", "pytest", "-v", "--no-header", "--tb=short", "-p", "no:cacheprovider",
                 *(("-n", "4") if folder.name in SPREAD else ()),
                 *(("-n", "2", "--dist", "loadfile") if folder.name in PAIRED else ()), str(folder.relative_to(TREE))]
        yield Suite(f"tests/{folder.name}", folder.name, words,
                    {"BLOCKHOST_BUILD": str(build), "PYTHONDONTWRITEBYTECODE": "1"}, PYTEST_SECONDS, "--junitxml",
                    follow=True)


def suites_of(build, sanitized):
    found = [*meson_suites(build, SANITIZER_SLOWNESS if sanitized else 1), *pytest_suites(build)]
    if sanitized:
        found = [suite for suite in found if suite.kind in SANITIZED]
        for suite in found:
            suite.name = "sanitize:" + suite.name
            suite.environment |= SANITIZER_ENVIRONMENT
    return found


def skip_reasons(text):
    return [line.strip()[len("SKIP: "):] for line in (text or "").splitlines() if line.strip().startswith("SKIP: ")]


def read_junit(root):
    """Adds up a JUnit document. A case with a failure or error failed; one that was skipped, or says so, is skipped."""
    result = Result()
    for case in root.iter("testcase"):
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        result.seconds.append((float(case.get("time") or 0), name))
        problems = [*case.findall("failure"), *case.findall("error")]
        reasons = [skip.get("message") or (skip.text or "").strip() for skip in case.findall("skipped")]
        reasons += skip_reasons(case.findtext("system-out"))
        if problems:
            texts = [(problem.text or problem.get("message") or "").strip() for problem in problems]
            result.failures.append((name, "\n".join(texts)))
        elif reasons:
            result.skips += [(name, reason) for reason in reasons]
        else:
            result.passed += 1
            result.tests.append(name)
    return result


def tail(text, lines=40):
    return "\n".join(text.splitlines()[-lines:])


def execute(suite, junit):
    """Runs the suite's process group to its end or its deadline. Returns its output and why it ended badly, or None."""
    process = subprocess.Popen([*suite.words, suite.reads_junit_from, junit], cwd=TREE, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               env={**os.environ, **suite.environment}, start_new_session=True)
    late = []

    def expire(_signal, _frame):
        late.append(True)
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(max(1, int(suite.seconds)))
    output = []
    try:
        for line in process.stdout:
            output.append(line)
            of_test = "::" in line and (line.rstrip().endswith("%]") or line.startswith("[gw"))
            if suite.follow and (line.startswith(NOTE) or of_test):
                print("    " + line.removeprefix(NOTE).rstrip(), flush=True)
        status = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        signal.alarm(0)
    text = "".join(output)
    if late:
        return text, f"not done after {suite.seconds:.0f} s, killed"
    return text, None if status == 0 else f"ended by signal {-status}" if status < 0 else f"exit status {status}"


def run(suite):
    with tempfile.TemporaryDirectory(prefix="blockhost-suite-") as folder:
        junit = os.path.join(folder, "junit.xml")
        output, ending = execute(suite, junit)
        try:
            result = read_junit(ET.parse(junit).getroot())
        except (OSError, ET.ParseError) as reason:
            result = Result()
            ending = f"{ending or 'exit status 0'}, no result file ({type(reason).__name__})"
    if suite.reads_junit_from == "--out":
        result.skips += [(suite.name, reason) for reason in skip_reasons(output)]
    if ending and not result.failures:
        result.failures.append((suite.name, f"{ending}\n{tail(output)}"))
    if not (result.passed or result.failures or result.skips):
        result.failures.append((suite.name, "the suite ran no test"))
    return result


def report(suite, result, seconds, slowest):
    print(f"{suite.name:<24} {result.counts()}, {seconds:.1f} s", flush=True)
    for seconds_of_test, test in sorted(result.seconds, reverse=True)[:slowest]:
        print(f"  {seconds_of_test:7.1f} s  {test}")
    for test, reason in result.skips:
        print(f"  SKIPPED {suite.name}: {test}: {reason}")
    for test, text in result.failures:
        print(f"  FAILED {suite.name}: {test}")
        for line in text.splitlines():
            print(f"    {line}")
    sys.stdout.flush()


def missing_guest(ran):
    """The system suite must have shown a Debian guest, unless that is waived; why not, or None."""
    system = [result for suite, result in ran if suite.kind == "system"]
    if os.environ.get("BLOCKHOST_NO_GUEST") or not system:
        return None
    shown = [test for result in system for test in [*result.tests, *(name for name, _ in result.failures)]]
    if any("debian" in test for test in shown):
        return None
    return "no test of the system suite booted the Debian guest (set BLOCKHOST_NO_GUEST to waive that)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=lambda text: pathlib.Path(text).absolute(), help="the plain build folder")
    parser.add_argument("--sanitized", type=lambda text: pathlib.Path(text).absolute(), help="the sanitizer build folder")
    parser.add_argument("--only", action="append", default=[], help="a suite's name or kind, or the beginning of its name")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="name each suite's N slowest tests")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    options = parser.parse_args()

    suites = []
    if options.build:
        suites += suites_of(options.build, sanitized=False)
    if options.sanitized:
        suites += suites_of(options.sanitized, sanitized=True)
    suites.sort(key=lambda suite: suite.kind in SLOW_LAST)
    if options.only:
        suites = [s for s in suites if any(s.kind == only or s.name.startswith(only) for only in options.only)]
    if options.list:
        print("\n".join(suite.name for suite in suites))
        return 0
    if not suites:
        print("no suite has that name; tests/run.sh --list names them", file=sys.stderr)
        return 2

    ran = []
    for suite in suites:
        began = time.monotonic()
        result = run(suite)
        ran.append((suite, result))
        report(suite, result, time.monotonic() - began, options.slowest)
    total = Result()
    for _, result in ran:
        total.passed += result.passed
        total.failures += result.failures
        total.skips += result.skips
    lacking = missing_guest(ran)
    if lacking:
        total.failures.append(("guest", lacking))
        print(f"  FAILED {lacking}")
    print(total.counts(), flush=True)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
