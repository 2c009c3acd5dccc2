#!/usr/bin/python3
"""Runs the fuzz targets, and tells what they have done; tests/soak.sh --fuzz and tests/fuzz/test_fuzz.py use it.

A target is tests/fuzz/NAME_fuzz.cpp, with its corpus in tests/fuzz/corpus/NAME and, where there is one, a dictionary
NAME.dict. Build them first: tests/fuzz/build.sh.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_FUZZ_BUILD", TREE / "build-sanitize"))
LARGEST_INPUT = 64 * 1024
MOST_FILES, MOST_BYTES = 60, 200 * 1024
"""Of a corpus in the tree."""
SLICE = 600
"""Seconds of one turn of a target; no target is settled sooner."""
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=0",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


@dataclasses.dataclass
class Outcome:
    target: str
    status: int = 0
    executions: int = 0
    coverage: int = 0         # edges
    features: int = 0
    files: int = 0            # of the corpus
    size: int = 0             # its bytes
    seconds: float = 0
    still_since: float = 0    # seconds after its start at which coverage rose last
    output: str = ""

    def settled(self):
        """It has run long enough, and has reached nothing new for half of that."""
        return self.status == 0 and self.seconds >= SLICE and self.still_since <= self.seconds / 2

    def line(self):
        return (f"{self.target:<14} {self.executions:>11} executions  {self.coverage:>6} edges  {self.files:>5} files  "
                f"{self.size:>8} bytes  {self.seconds:>7.0f} s  last new edge after {self.still_since:.0f} s"
                + (f"  FINDING, exit status {self.status}" if self.status > 0 else "")
                + (f"  ended by signal {-self.status}" if self.status < 0 else ""))


def targets():
    return sorted(path.name.removesuffix("_fuzz.cpp") for path in HERE.glob("*_fuzz.cpp"))


def program(target):
    return BUILD / "tests/fuzz" / f"{target}_fuzz"


def corpus(target):
    return HERE / "corpus" / target


def command(target, artifacts, *words):
    # Each run ends itself after 3 s of CPU time; the timeout here is for loops without an end on a busy host.
    line = [program(target), f"-max_len={LARGEST_INPUT}", "-timeout=100", "-rss_limit_mb=2560", "-print_final_stats=1",
            f"-artifact_prefix={artifacts}/{target}-"]
    dictionary = HERE / f"{target}.dict"
    if dictionary.exists():
        line.append(f"-dict={dictionary}")
    return [str(word) for word in [*line, *words]]


def take_line(outcome, line, began):
    """libFuzzer's progress: "#4096 NEW cov: 100 ft: 200 corp: 30/400b …", and its final statistics."""
    found = re.match(r"#(\d+)\s.*cov: (\d+) ft: (\d+) corp: (\d+)/(\d+)([KM]?)b", line)
    if found:
        executions, coverage, features, files, size = map(int, found.groups()[:5])
        if coverage > outcome.coverage:
            outcome.still_since = time.monotonic() - began
        outcome.executions, outcome.coverage, outcome.features, outcome.files = executions, coverage, features, files
        outcome.size = size << {"": 0, "K": 10, "M": 20}[found.group(6)]
    found = re.match(r"stat::number_of_executed_units:\s*(\d+)", line)
    if found:
        outcome.executions = int(found.group(1))


def run(target, artifacts, *words, environment=None, limit=3600):
    """One run of a target's program to its end; it is killed after `limit` seconds."""
    pathlib.Path(artifacts).mkdir(parents=True, exist_ok=True)
    outcome, began, output = Outcome(target), time.monotonic(), []
    process = subprocess.Popen(command(target, artifacts, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               env={**os.environ, **ENVIRONMENT, **(environment or {})})
    watchdog = threading.Timer(limit, process.kill)  # its own alarm may meet a lock that the program holds
    watchdog.start()
    try:
        for line in process.stdout:
            output = [*output[-400:], line]
            take_line(outcome, line, began)
        outcome.status = process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        watchdog.cancel()
    outcome.seconds = time.monotonic() - began
    outcome.output = "".join(output)
    return outcome


def fuzz(target, seconds, keep):
    """Fuzzes; what is new goes to a folder in `keep`, findings too."""
    found = keep / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    return run(target, keep / "findings", f"-max_total_time={seconds}", found, corpus(target), limit=seconds + 300)


def minimise(target, keep):
    """Makes the tree's corpus anew: of it and of what was found, a few small files that reach each edge."""
    merged = keep / "minimised" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    found = keep / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    outcome = run(target, keep / "findings", "-set_cover_merge=1", "-use_counters=0", merged, corpus(target), found)
    kept, left = [], MOST_BYTES
    # The long ones are whole documents, which reach most.
    for path in sorted(merged.iterdir(), key=lambda path: (-path.stat().st_size, path.name)):
        size = path.stat().st_size
        if outcome.status == 0 and len(kept) < MOST_FILES and size <= left // 8:
            kept.append(path)
            left -= size
    for path in corpus(target).iterdir() if kept else ():
        path.unlink()
    for path in kept:
        shutil.copyfile(path, corpus(target) / path.name[:16])
    print(f"{target:<14} {len(kept)} of {len(list(merged.iterdir()))} files kept", flush=True)


def soak(hours, keep, only, until_settled=False):
    """Each target in turn, until the time is over, or all are settled; the status is 1 when there was a finding."""
    end = time.monotonic() + hours * 3600
    totals = {target: Outcome(target) for target in targets() if not only or target in only}
    turn, share = 0, SLICE if until_settled else hours * 3600 / len(totals)
    while turn == 0 or time.monotonic() < end:
        for target, total in totals.items():
            if until_settled and total.settled():
                continue
            left = end - time.monotonic()
            seconds = max(1, min(SLICE, share if turn == 0 else left))
            if turn > 0 and left < 1:
                break
            outcome = fuzz(target, int(seconds), keep)
            print(outcome.line(), flush=True)
            if outcome.status != 0:
                print(outcome.output, flush=True)
            if outcome.coverage > total.coverage:
                total.still_since = total.seconds + outcome.still_since
            total.status = total.status or outcome.status
            total.executions += outcome.executions
            total.seconds += outcome.seconds
            total.coverage = max(total.coverage, outcome.coverage)
            total.files, total.size = outcome.files, outcome.size
        turn += 1
        if until_settled and all(total.settled() or total.status for total in totals.values()):
            break
    print(f"\nIn all, after {turn} turns (corpora and findings: {keep}):")
    for total in totals.values():
        print(total.line() + ("  settled" if total.settled() else ""))
    return 1 if any(total.status for total in totals.values()) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1, help="how long in all")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("/var/tmp/blockhost-fuzz"),
                        help="folder for new corpus files and findings, outside the tree")
    parser.add_argument("--only", action="append", default=[], choices=targets(), help="this target; may be repeated")
    parser.add_argument("--until-settled", action="store_true",
                        help="end when every target has run ten minutes and reached nothing new for half of its time")
    parser.add_argument("--minimise", action="store_true",
                        help="run nothing; make the tree's corpora anew of themselves and what is in that folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # run() ends its program then
    if options.minimise:
        for target in options.only or targets():
            minimise(target, options.keep.absolute())
        return 0
    return soak(options.hours, options.keep.absolute(), options.only, options.until_settled)


if __name__ == "__main__":
    sys.exit(main())
