#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Real verbs on real libvirt and QEMU, killed at random moments, and libvirtd killed under them; then the same verb again,
then the invariants. tests/soak.sh --kills runs it for as long as one likes.

A kill is all that its number says: which verb, who is killed how and when. libvirtd is one of our own (daemon.py).
"""

import argparse
import dataclasses
import datetime
import pathlib
import random
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import invariants  # noqa: E402
from daemon import Daemon  # noqa: E402
from machine import Machine, sh, wait_until  # noqa: E402

PATIENCE = 240
"""Seconds after which a verb counts as one that hangs; no wait of ours is as long."""
LIVES = 60
"""Kills before the machine and its daemon are made anew."""


def ago(days):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)).isoformat()


@dataclasses.dataclass(frozen=True)
class Verb:
    """`length`: how long it takes at first guess, by the time that a create takes. `again`: what a repetition may say instead
    of succeeding."""
    name: str
    length: float
    again: str = None


CREATE, DESTROY = Verb("create", 1.0, "already exists"), Verb("destroy", 0.15)
SUSPEND, OVERDUE = Verb("gc that suspends", 0.2), Verb("gc that destroys", 0.15)
BUILD, BUILD_AND_BOOT = Verb("build-template", 0.1), Verb("build-template that boots", 1.2)
ORDER = (CREATE, SUSPEND, OVERDUE, CREATE, DESTROY, BUILD, CREATE, SUSPEND, OVERDUE, CREATE, DESTROY, BUILD_AND_BOOT)
"""Each finds the situation that it needs as the one before has left it."""


@dataclasses.dataclass(frozen=True)
class Kill:
    """`victim`: the program or libvirtd or both. `moment`: when, as a part of the verb's length. `absence`: how long
    libvirtd stays away, in seconds. `lag`: how long the program outlives it, where both are killed."""
    number: int
    verb: Verb
    victim: str
    sent: signal.Signals
    moment: float
    absence: float
    lag: float


def kill_of(number):
    chance = random.Random(number)
    victim = chance.choices(("program", "libvirtd", "both"), (60, 25, 15))[0]
    sent = chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)) if victim == "program" else signal.SIGKILL
    spread = chance.random()
    # half of them early, where most steps are
    moment = 1.05 * (spread if chance.random() < 0.5 else spread ** 2)
    return Kill(number, ORDER[number % len(ORDER)], victim, sent, moment, chance.uniform(0, 2), chance.uniform(0, 0.5))


class Stage:
    """A machine on a libvirtd of its own, with what is not to be touched."""

    def __init__(self):
        self.daemon = Daemon(lifetime=LIVES * PATIENCE)
        try:
            self.machine = Machine("quick", prefix=self.daemon.prefix)
        except BaseException:
            self.daemon.close()
            raise
        try:
            began = time.monotonic()
            self.before = invariants.witness(self.machine)
            create = time.monotonic() - began
            self.lengths = {verb: verb.length * create for verb in ORDER}
            self.script = []
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            if self.daemon.gone():
                self.daemon.restart()
            self.machine.close()
        finally:
            self.daemon.close()

    def vm(self):
        """The VM that is there beside the witness, if any."""
        live = [name for name, record in self.machine.registry()["vms"].items() if record["status"] != "destroyed"]
        return next((name for name in live if name != invariants.OTHER), None)

    def do(self, *words, fails=None):
        """A verb that must succeed, or say that."""
        self.script.append(" ".join(("blockhost-libvirt", *map(str, words))))
        run = self.machine.run(*words, timeout=PATIENCE)
        if run.returncode != 0 and not (fails and fails in run.stderr):
            raise AssertionError(f"{words} failed with {run.returncode}: {run.stderr[-1500:]}")
        return run

    def change(self, name, **fields):
        self.script.append(f"# another program sets {fields} of {name}")
        self.machine.change(name, **fields)

    # situations

    def prepare(self, kill):
        """Makes the situation that the verb has work in; returns the call."""
        name, verb = self.vm(), kill.verb
        if verb == CREATE:
            if name:
                self.do("destroy", name)
            return self.machine.create_words(f"kill-{kill.number}")
        if verb in (BUILD, BUILD_AND_BOOT):
            image = self.machine.root / "source.qcow2"
            sh("cp", self.machine.settings["GUEST_TEMPLATE"], image)
            sh("qemu-io", "-f", "qcow2", "-c", f"write -P {kill.number % 255 + 1} {kill.number // 255 % 8 + 1}M 1M", image)
            self.current = self.machine.template()
            boot = ("--verify-boot",) if verb == BUILD_AND_BOOT else ()
            return ("build-template", "--source", f"file:{image}", "--as-is", *boot)
        if not name:
            name = f"kill-{kill.number}"
            self.do(*self.machine.create_words(name))
        if verb == DESTROY:
            return ("destroy", name)
        self.change(name, expires_at=ago(40))
        if verb == OVERDUE:
            if self.machine.registry()["vms"][name]["status"] != "suspended":
                self.do("gc", "--execute", "--force-clock")
            self.change(name, suspended_at=ago(30))
        return ("gc", "--execute", "--force-clock")

    def settled(self, kill):
        """What is not as it must be once the verb has succeeded: sentences."""
        name, verb = self.vm(), kill.verb
        if verb in (BUILD, BUILD_AND_BOOT):
            return [] if self.machine.template() != self.current else ["the current template is the old one"]
        record = self.machine.registry()["vms"][name]["status"] if name else None
        found = record, self.machine.states().get(name)
        wanted = {CREATE: ("active", "alive"), SUSPEND: ("suspended", "off")}.get(verb, (None, None))
        return [] if found == wanted else [f"record and domain of {name} are {found}, not {wanted}"]

    # the kill

    def disturb(self, kill, words):
        """Runs the verb and kills; returns how it ended."""
        delay = kill.moment * self.lengths[kill.verb]
        self.script.append(" ".join(("blockhost-libvirt", *map(str, words), "& sleep", f"{delay:.3f}")))
        began = time.monotonic()
        process = self.machine.start(*words)
        try:
            process.wait(timeout=delay)
            self.lengths[kill.verb] = time.monotonic() - began
        except subprocess.TimeoutExpired:
            pass
        if kill.victim == "program":
            self.send(process, kill.sent)
        else:
            self.lose_libvirtd(kill, process)
        try:
            _, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"it still ran {PATIENCE} s later") from None
        self.script.append("wait")
        return process.returncode, said

    def send(self, process, number):
        self.script.append(f"kill -{number.name.removeprefix('SIG')} $!")
        process.send_signal(number)

    def lose_libvirtd(self, kill, process):
        self.daemon.send(signal.SIGKILL)
        self.script.append("kill -KILL $(cat /run/libvirtd.pid)")
        if kill.victim == "both":
            time.sleep(kill.lag)
            self.script.append(f"sleep {kill.lag:.3f}")
            self.send(process, signal.SIGKILL)
        wait_until("the daemon's end", 10, self.daemon.gone)
        time.sleep(kill.absence)
        self.script.append(f"sleep {kill.absence:.3f}; libvirtd --daemon")
        self.daemon.restart()

    def play(self, kill):
        """A kill, the same verb again, the invariants. How the killed one ended; what is wrong: sentences."""
        self.script = []
        try:
            words = self.prepare(kill)
            ended, said = self.disturb(kill, words)
            if ended not in (0, 1, *range(3, 40), 143, 130, -kill.sent):
                return ended, [f"it ended with {ended}: {said[-500:]}"]
            self.do(*words, fails=kill.verb.again)
            if kill.verb in (BUILD, BUILD_AND_BOOT):
                self.do("templates", "--prune")
            found = self.settled(kill) + invariants.broken(self.machine) + invariants.temporary_files(self.machine)
            found += invariants.touched(self.machine, self.before)
            return ended, found and [*found, f"(the killed one said: {said[-1000:]!r})"]
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            return None, [str(error)]


def explain(kill, script, found):
    lines = "\n".join(f"    {line}" for line in script)
    return (f"kill {kill.number} (tests/soak.sh --kills 1 --first {kill.number}), {kill.verb.name}:\n{lines}\n  "
            + "\n  ".join(found))


def told(kill, ended, found):
    who = {"program": kill.sent.name, "libvirtd": "libvirtd's death", "both": "libvirtd's death and SIGKILL"}[kill.victim]
    end = "nothing" if ended is None else f"signal {-ended}" if ended < 0 else f"status {ended}"
    return f"kill {kill.number}: {who} at {kill.moment:.2f} of {kill.verb.name} ended it with {end}: " + \
        ("BROKEN" if found else "all is well")


@dataclasses.dataclass
class Figures:
    """Of a run: `hit` are the kills that met a verb before its end; `broken`: what the last one broke."""
    played: int = 0
    hit: int = 0
    broken: str = None


def run(numbers, tell):
    """Plays these kills until one breaks something."""
    stage, figures = None, Figures()
    try:
        for kill in map(kill_of, numbers):
            if figures.played % LIVES == 0:
                if stage:
                    stage.close()
                stage = None
                stage = Stage()
            ended, found = stage.play(kill)
            figures.played += 1
            figures.hit += ended != 0
            tell(told(kill, ended, found))
            if found:
                figures.broken = explain(kill, stage.script, found)
                break
        return figures
    finally:
        if stage:
            stage.close()


def numbers_for(hours, first):
    end, number = time.monotonic() + hours * 3600, first
    while time.monotonic() < end:
        yield number
        number += 1


def main():
    parser = argparse.ArgumentParser(description="Kills verbs and libvirtd at random moments.")
    parser.add_argument("--count", type=int, help="so many kills")
    parser.add_argument("--hours", type=float, default=1, help="for so long, where no count is given")
    parser.add_argument("--first", type=int, default=0, help="the first one's number")
    options = parser.parse_args()
    if options.count:
        numbers = range(options.first, options.first + options.count)
    else:
        numbers = numbers_for(options.hours, options.first)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stage is closed
    figures = run(numbers, lambda line: print(line, flush=True))
    if figures.broken:
        print(figures.broken)
    print(f"{figures.played} kills from {options.first} on in {time.monotonic() - began:.0f} s, {figures.hit} met a verb before "
          f"its end, {'one' if figures.broken else 'none'} broke anything")
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
