#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the suites of built trees and adds up their results; tests/run.sh calls it.

A suite is a test program of meson's list (Catch2) or a folder of pytest files below tests/. Results are read from JUnit
files, never guessed from text. A program says that it skips something by a line "SKIP: <reason>" on stdout.
Suites that mostly wait run one after another in a lane of their own, beside the others, which compute.
The last line is exactly "N passed, N failed, N skipped"; the exit status is 1 when anything failed.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests"))
import seeds  # noqa: E402

PYTEST_SECONDS = 3600
LAST_WORDS = 20
"""Seconds that suites have to end by themselves once they were told to."""
SANITIZER_SLOWNESS = 6
SANITIZED = ("unit", "lifecycle")
"""Kinds of suites that run in the sanitizer build: meson's suite names and pytest folders."""
SANITIZED_ALONE = ("tests/lifecycle",)
"""Suites that a run of both builds plays in the sanitizer build only, unless BLOCKHOST_WHOLE is set."""
THOROUGHLY = (*SANITIZED, "cli")
"""Kinds that do where there is time for it (tests/soak.sh --sanitized)."""
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
WAITING = ("libvirt", "system", "image", "mint")
"""Kinds of suites that mostly wait: for guests, for libvirt, for a chain. Those that use the host's libvirt are all among
them, so that never two of them do so at once."""
NICENESS = 5
"""Of the suites that compute, where others run beside them: who waits for a guest is not to wait for a CPU too."""
SLOW_LAST = ("system",)
QUICK = {
    "cli": ("test_hostile_agent.py", "test_manual.py", "test_refusals.py", "test_setup.py", "test_start_veto.py", "test_timings.py"),
    "structure": ("test_state_folder.py", "test_structure.py", "test_units.py"),
    "tools": ("test_run_suites.py", "test_seeds.py"),
}
"""What tests/quick.sh runs of the pytest folders, beside the unit and lifecycle programs."""
NOT_QUICK = ("tests/cli/test_refusals.py::test_a_missing_template_says_how_to_build_it",)
"""Of these, what asks libvirt."""
QUICK_WORDS = [word for test in NOT_QUICK for word in ("--deselect", test)]
QUICK_LANES = 4
QUICK_FIRST = ("unit-chain", "unit-hypervisor-load", "tests/tools", "tests/cli")
"""What takes longest of that, mostly by waiting."""
NOTE = "NOTE: "
"""Begins a line of a pytest suite that is shown as the suite runs."""
SPREAD = ("agent", "backup", "cli", "http", "hub", "lifecycle", "image", "mint", "plugin", "pve")
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


def suites_of(build, sanitized, kinds=SANITIZED):
    found = [*meson_suites(build, SANITIZER_SLOWNESS if sanitized else 1), *pytest_suites(build)]
    if sanitized:
        found = [suite for suite in found if suite.kind in kinds]
        for suite in found:
            suite.name = "sanitize:" + suite.name
            suite.environment |= SANITIZER_ENVIRONMENT
    return found


def quick_suites(build):
    found = [suite for suite in meson_suites(build, 1) if suite.kind in ("unit", "lifecycle")]
    for suite in pytest_suites(build):
        if suite.kind in QUICK:
            files = [f"{suite.words[-1]}/{name}" for name in QUICK[suite.kind]]
            found.append(dataclasses.replace(suite, words=[*suite.words[:-1], *QUICK_WORDS, *files], follow=False))
    return sorted(found, key=lambda suite: QUICK_FIRST.index(suite.name) if suite.name in QUICK_FIRST else len(QUICK_FIRST))


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


speaking = threading.Lock()


def say(text):
    """Prints what belongs together in one piece, whatever the other lane has to say."""
    with speaking:
        print(text, flush=True)


class Interrupted(Exception):
    """The run was told to end."""


class Children:
    """The process groups at work, of all lanes. A group's number is its own until `reap`, so that no signal of ours can meet
    a stranger; once they were told to end, none is started."""

    def __init__(self):
        self.lock, self.at_work, self.over = threading.Lock(), set(), False

    def start(self, words, **how):
        with self.lock:
            if self.over:
                raise Interrupted
            process = subprocess.Popen(words, start_new_session=True, **how)
            self.at_work.add(process)
            return process

    def send(self, number, *processes):
        """To those processes' groups, or to all."""
        with self.lock:
            for process in self.at_work.intersection(processes or self.at_work):
                os.killpg(process.pid, number)

    @staticmethod
    def wait(process, how=0):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | how)

    def reap(self, process):
        """Waits for its end; its status."""
        self.wait(process)
        with self.lock:
            self.at_work.discard(process)
            return process.wait()

    def end(self):
        with self.lock:
            self.over = True
        self.send(signal.SIGTERM)


children = Children()


def lines_of(process):
    """What it prints until its end. Who outlives it with a session of its own, and has its output open, is not waited for."""
    rest = b""
    while True:
        if select.select([process.stdout], [], [], 1)[0]:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") + "\n" for line in lines)
        elif children.wait(process, os.WNOHANG):
            break
    if rest:
        yield rest.decode(errors="replace")


def execute(suite, junit):
    """Runs the suite's process group to its end or its deadline. Returns its output and why it ended badly, or None."""
    process = children.start([*suite.words, suite.reads_junit_from, junit], cwd=TREE, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                             env={**os.environ, **suite.environment})
    late = threading.Event()

    def expire():
        late.set()
        children.send(signal.SIGKILL, process)

    deadline = threading.Timer(suite.seconds, expire)
    deadline.daemon = True
    deadline.start()
    output = []
    try:
        with process.stdout:
            for line in lines_of(process):
                output.append(line)
                of_test = "::" in line and (line.rstrip().endswith("%]") or line.startswith("[gw"))
                if suite.follow and (line.startswith(NOTE) or of_test):
                    say(f"    {suite.name}: {line.removeprefix(NOTE).rstrip()}")
        status = children.reap(process)
    except BaseException:
        children.send(signal.SIGTERM, process)
        raise
    finally:
        deadline.cancel()
    if children.over:
        raise Interrupted
    text = "".join(output)
    if late.is_set():
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
    lines = [f"{suite.name:<24} {result.counts()}, {seconds:.1f} s"]
    lines += [f"  {of_test:7.1f} s  {test}" for of_test, test in sorted(result.seconds, reverse=True)[:slowest]]
    lines += [f"  SKIPPED {suite.name}: {test}: {reason}" for test, reason in result.skips]
    for test, text in result.failures:
        lines += [f"  FAILED {suite.name}: {test}", *(f"    {line}" for line in text.splitlines())]
    say("\n".join(lines))


def print_failed(ran):
    """Names what failed once more, each with the last line of its text: who sees only the end of a long log learns it."""
    for suite, result in ran:
        for test, text in result.failures:
            print(f"  FAILED {suite.name}: {test}: {tail(text, 1).strip()[:200]}")


def missing_guest(ran):
    """The system suite must have shown a Debian guest, unless that is waived; why not, or None."""
    system = [result for suite, result in ran if suite.kind == "system"]
    if os.environ.get("BLOCKHOST_NO_GUEST") or not system:
        return None
    shown = [test for result in system for test in [*result.tests, *(name for name, _ in result.failures)]]
    if any("debian" in test for test in shown):
        return None
    return "no test of the system suite booted the Debian guest (set BLOCKHOST_NO_GUEST to waive that)"


def lanes_of(suites):
    """The suites that compute and those that wait, one list each; the former give way to the latter."""
    waiting = [suite for suite in suites if suite.kind in WAITING]
    computing = [suite for suite in suites if suite.kind not in WAITING]
    if waiting and computing:
        computing = [dataclasses.replace(suite, words=["nice", "-n", str(NICENESS), *suite.words]) for suite in computing]
    return [lane for lane in (computing, waiting) if lane]


def run_lane(lane, slowest):
    """`lane`: suites, or an iterator of them that several lanes share."""
    ran = []
    for suite in lane:
        began = time.monotonic()
        result = run(suite)
        ran.append((suite, result))
        report(suite, result, time.monotonic() - began, slowest)
    return ran


def run_lanes(lanes, slowest=0):
    """Runs the lanes beside one another: (suite, result) of each. Whatever ends this early ends every suite's processes."""
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        running = [pool.submit(run_lane, lane, slowest) for lane in lanes]
        try:
            concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_EXCEPTION)
            return [each for lane in running if lane.done() for each in lane.result()]
        finally:
            if not all(lane.done() for lane in running):
                children.end()
                concurrent.futures.wait(running, timeout=LAST_WORDS)
                children.send(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=lambda text: pathlib.Path(text).absolute(), help="the plain build folder")
    parser.add_argument("--sanitized", type=lambda text: pathlib.Path(text).absolute(), help="the sanitizer build folder")
    parser.add_argument("--only", action="append", default=[], help="a suite's name or kind, or the beginning of its name")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="name each suite's N slowest tests")
    parser.add_argument("--thorough", action="store_true", help="of the sanitizer build, also the suites that take longest")
    parser.add_argument("--one-lane", action="store_true", help="run all suites one after another")
    parser.add_argument("--quick", action="store_true", help="run what is quick, and needs neither root nor libvirt nor guests")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    options = parser.parse_args()

    suites = []
    if options.quick:
        suites += quick_suites(options.build)
    elif options.build:
        suites += suites_of(options.build, sanitized=False)
    if options.sanitized:
        suites += suites_of(options.sanitized, sanitized=True, kinds=THOROUGHLY if options.thorough else SANITIZED)
    if options.build and options.sanitized and not os.environ.get("BLOCKHOST_WHOLE"):
        suites = [suite for suite in suites if suite.name not in SANITIZED_ALONE]
    suites.sort(key=lambda suite: suite.kind in SLOW_LAST)
    if options.only:
        suites = [s for s in suites if any(s.kind == only or s.name.startswith(only) for only in options.only)]
    if options.list:
        print("\n".join(suite.name for suite in suites))
        return 0
    if not suites:
        print("no suite has that name; tests/run.sh --list names them", file=sys.stderr)
        return 2

    os.environ["BLOCKHOST_SEED"] = str(seeds.number())  # for all suites the same, whatever is committed meanwhile
    print(f"random tests: share {seeds.number()} (BLOCKHOST_SEED={seeds.number()} plays it again)", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # run_lanes ends the suites then
    if options.quick:  # each lane takes the next
        lanes = [iter(suites)] * QUICK_LANES
    else:
        lanes = [suites] if options.one_lane else lanes_of(suites)
    ran = run_lanes(lanes, options.slowest)
    total = Result()
    for _, result in ran:
        total.passed += result.passed
        total.failures += result.failures
        total.skips += result.skips
    lacking = missing_guest(ran)
    if lacking:
        total.failures.append(("guest", lacking))
        print(f"  FAILED {lacking}")
    print_failed(ran)
    print(total.counts(), flush=True)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
