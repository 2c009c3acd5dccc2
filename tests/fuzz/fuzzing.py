#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the fuzz targets, and tells what they have done; tests/soak.sh --fuzz and tests/fuzz/test_fuzz.py use it.

A target is tests/fuzz/NAME_fuzz.cpp, with a few seeds in tests/fuzz/corpus/NAME and, where there is one, a dictionary
NAME.dict. What fuzzing finds grows in a cache outside the tree; both are begun with. Build the targets first:
tests/fuzz/build.sh.
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
MOST_SEEDS, LARGEST_SEED = 20, 8 * 1024
"""Of a target in the tree."""
REGRESSION = "regression-"
"""Begins the name of an input that was a finding once: it is none of the seeds, and always there."""
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
    """In the tree: the seeds, and the regressions."""
    return HERE / "corpus" / target


def seeds(target):
    return sorted(path for path in corpus(target).iterdir() if not path.name.startswith(REGRESSION))


def cache():
    """Where grown corpora and findings are kept: beside the guests (tests/guest/lib.sh)."""
    if os.environ.get("BLOCKHOST_FUZZ_CACHE"):
        return pathlib.Path(os.environ["BLOCKHOST_FUZZ_CACHE"]).absolute()
    if os.geteuid() == 0:
        return pathlib.Path("/var/cache/blockhost-fuzz")
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "blockhost-fuzz"


def command(target, artifacts, *words):
    # Each run judges its own CPU time; the timeout here is for loops without an end on a busy host.
    line = [program(target), f"-max_len={LARGEST_INPUT}", "-timeout=600", "-rss_limit_mb=2560", "-print_final_stats=1",
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


def grown(target, keep):
    found = keep / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    return found


def fuzz(target, seconds, keep, *words):
    """Fuzzes, from what `keep` and the tree have on; what is new goes to a folder in `keep`, findings too."""
    return run(target, keep / "findings", f"-max_total_time={seconds}", *words, grown(target, keep), corpus(target),
               limit=seconds + 300)


def reached(control):
    """What each input of a merge reaches, by its file: libFuzzer's control file has the inputs' names, then "FT number feature…"."""
    lines = pathlib.Path(control).read_text().splitlines()
    count = int(lines[0])
    names = [pathlib.Path(line) for line in lines[2:2 + count]]
    return {names[int(words[1])]: frozenset(words[2:]) for words in map(str.split, lines[2 + count:]) if words[0] == "FT"}


def fewest(reached_by, size_of, known=frozenset(), most=MOST_SEEDS):
    """Of the inputs, one after another that reaches most of what is not reached yet, the smaller where two reach as much."""
    known, chosen = set(known), []
    while len(chosen) < most:
        best = max(reached_by, key=lambda path: (len(reached_by[path] - known), -size_of(path), path.name), default=None)
        if best is None or not reached_by[best] - known:
            break
        chosen.append(best)
        known |= reached_by[best]
    return chosen


def minimise(target, keep):
    """Makes the tree's seeds anew: of them and of what has grown, a few small files that reach most. All of them stay in the
    cache. The regressions stay as they are."""
    found = grown(target, keep)
    for path in seeds(target):
        shutil.copyfile(path, found / path.name)
    merged, control = keep / "minimised" / target, keep / "minimised" / f"{target}.control"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    control.unlink(missing_ok=True)
    outcome = run(target, keep / "findings", "-set_cover_merge=1", "-use_counters=0", f"-merge_control_file={control}",
                  merged, corpus(target), found)
    if outcome.status != 0:
        print(f"{target:<14} left as it is: the merge ended with {outcome.status}\n{outcome.output}", flush=True)
        return False
    every = reached(control)
    always = frozenset().union(*(features for path, features in every.items() if path.name.startswith(REGRESSION)))
    small = {path: features for path, features in every.items()
             if path.stat().st_size <= LARGEST_SEED and not path.name.startswith(REGRESSION)}
    chosen = {path.name[:16]: path.read_bytes() for path in fewest(small, lambda path: path.stat().st_size, always)}
    features = frozenset().union(always, *(small[path] for path in small if path.name[:16] in chosen))
    for path in seeds(target):
        path.unlink()
    for name, content in chosen.items():
        (corpus(target) / name).write_bytes(content)
    print(f"{target:<14} {len(chosen)} seeds of {len({path.name for path in every})} files, {sum(map(len, chosen.values()))} bytes, reach "
          f"{len(features)} of {len(frozenset().union(*every.values()))} edges", flush=True)
    return True


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
    parser.add_argument("--keep", type=pathlib.Path, default=cache(),
                        help="folder for new corpus files and findings, outside the tree")
    parser.add_argument("--only", action="append", default=[], choices=targets(), help="this target; may be repeated")
    parser.add_argument("--until-settled", action="store_true",
                        help="end when every target has run ten minutes and reached nothing new for half of its time")
    parser.add_argument("--minimise", action="store_true",
                        help="fuzz nothing; make the tree's seeds anew of themselves and what is in that folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # run() ends its program then
    if options.minimise:
        return 0 if all([minimise(target, options.keep.absolute()) for target in options.only or targets()]) else 1
    return soak(options.hours, options.keep.absolute(), options.only, options.until_settled)


if __name__ == "__main__":
    sys.exit(main())
