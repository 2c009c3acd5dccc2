# SPDX-License-Identifier: MIT
"""Every call of a verb that looks at files, changes them, syncs, locks or speaks to a socket fails, hangs or is the last
before the power went; afterwards `recover`, the invariants, and the same verb again.

A point is a call of the program's own (tracer.c) or one of the hypervisor and the host (fault points of the simulated
world). The simulated world's own files stand for what libvirt and the kernel keep, and are not interfered with.
"""

import atexit
import collections
import concurrent.futures
import copy
import dataclasses
import os
import pathlib
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where worlds are made: what a disk would lose is played here, not left to one."""
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "lifecycle")]
import invariants  # noqa: E402
from simulated import BINARY, Mock  # noqa: E402

NOT_OURS = ["lock", "behaviour.json", "domains", "pools", "filters", "guests", "pending", "events", "templates", "network",
            "start-veto-asked", "repository"]

LOOK = (f"case $(timeout 20 '{BINARY}' status {invariants.OTHER} --mock 2>&1) in active | *'does not answer'*) ;; *) exit 1 ;; "
        f"esac; timeout 20 '{BINARY}' list --mock 2>&1 | grep -q '^{invariants.OTHER}.active'")
"""What looks while a verb hangs: whatever it was about to do, the VM beside is there to be seen. Where another of its threads
is inside the simulated libvirt, that hangs too."""
LIBVIRTS = ("mock-world/vms/", "mock-world/console/")
"""What the simulated libvirt changes too; while that hangs, nobody gets an answer."""


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb in a situation. `words`: the call. `prepare`: makes the situation. `settled(world)`: what must be true when
    the verb has succeeded. `again`: what a repetition may say instead of succeeding. `between(world)`: what goes on in the
    world before the verb is repeated. `went_off`: what a backup left in a VM that went off, or is made anew, is for the next backup.
    `familiar`: most of it is another verb's, so that of a share half is played."""
    name: str
    words: tuple
    prepare: object
    settled: object
    again: str = None
    between: object = None
    went_off: bool = False
    familiar: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    verb: Verb
    manner: str   # before, after, hang, kill, held; power; or a fault point's: fail, silent, late, die
    number: int
    seed: int = 0


FAULTS = {"fail": "fail", "silent": "hang", "late": "hang", "die": "kill"}
"""Manners at the fault points, as the fault knob calls them. What is late is carried out after it was given up."""
WAITING = ("held", "silent", "late")
"""Manners that wait for deadlines more than they work."""
DEATHS = ("hang", "kill", "die")
"""Manners that end in the program's death, and in nothing else's."""
TROUBLE = 125
"""The tracer's own exit status."""


def tracer(folder):
    program = pathlib.Path(folder) / "tracer"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, HERE / "tracer.c"], check=True)
    return program


def run_traced(program, world, words, more=(), log=os.devnull):
    excluded = [word for name in NOT_OURS for word in ("--but", f"mock-world/{name}")]
    return subprocess.run([program, "--under", world.folder, *excluded, "--log", log, *map(str, more), "--", BINARY, *words,
                           "--mock"], cwd=world.folder, env=world.environment(), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)


HOLE = 65536
"""Bytes."""


class Situation:
    """A world in which a verb has work to do: made once, and copied for each case."""

    def __init__(self, verb):
        self.folder = tempfile.mkdtemp(prefix="blockhost-explore-", dir=IN_MEMORY)
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.world = prepared(verb, self.folder)

    def copied(self, folder):
        """In another folder, whose name has to be as long: the world's files name their paths, images in places of fixed length."""
        old, new = self.folder.encode(), str(folder).encode()
        assert len(old) == len(new)
        for path, folders, files in os.walk(self.folder):
            there = pathlib.Path(str(folder) + path[len(self.folder):])
            for name in folders:
                (there / name).mkdir()
                shutil.copystat(os.path.join(path, name), there / name)
            for name in files:
                self.copy(pathlib.Path(path, name), there / name, old, new)
        world = copy.copy(self.world)
        world.folder = pathlib.Path(folder)
        return world

    @staticmethod
    def copy(one, other, old, new):
        if one.is_symlink():
            return other.symlink_to(os.readlink(one.as_posix().encode()).replace(old, new).decode())
        content = one.read_bytes().replace(old, new)
        with other.open("wb") as file:
            for at in range(0, len(content), HOLE):  # most of an image is nothing
                part = content[at:at + HOLE]
                if part.count(0) != len(part):
                    file.seek(at)
                    file.write(part)
            file.truncate(len(content))
        return shutil.copystat(one, other)


def prepared(verb, folder):
    world = Mock(folder)
    invariants.witness(world)
    verb.prepare(world)
    return world


situations, making = {}, collections.defaultdict(threading.Lock)


def situation(verb, folder):
    """The verb's world in that folder, and what in it may not be touched."""
    with making[verb]:
        if verb not in situations:
            situations[verb] = Situation(verb)
    original = situations[verb]
    world = original.copied(folder) if len(str(folder)) == len(original.folder) else prepared(verb, folder)
    return world, invariants.kept(world)


def points_of(program, verb):
    """The points of an undisturbed run: (number, kind, call, what) each; and how many fault points it passes."""
    with tempfile.TemporaryDirectory(prefix="blockhost-explore-", dir=IN_MEMORY) as folder:
        world, _ = situation(verb, folder)
        log = pathlib.Path(folder).with_suffix(".points")
        run = run_traced(program, world, verb.words, log=log)
        assert run.returncode == 0, (verb.name, run.stderr)
        points = [tuple(line.split("\t")) for line in log.read_text().splitlines()]
        log.unlink()
    with tempfile.TemporaryDirectory(prefix="blockhost-explore-", dir=IN_MEMORY) as folder:
        world, _ = situation(verb, folder)
        count = pathlib.Path(folder) / "count"
        assert world.run(*verb.words, fault=f"count@{count}").returncode == 0
        return points, int(count.read_text()) if count.exists() else 0  # none where no hypervisor is asked


def cases_of(program, verb):
    points, faults = points_of(program, verb)
    for number, kind, call, what in points:
        number = int(number)
        if number == 1 and call == "execve":
            continue  # that is how it came to be
        yield Case(verb, "before", number)
        if kind not in ("look", "process"):
            yield Case(verb, "after", number)
            yield Case(verb, "kill" if what.startswith(LIBVIRTS) else "hang", number)
            yield Case(verb, "power", number)
            yield Case(verb, "power", number, seed=number)
        if kind == "lock":
            yield Case(verb, "held", number)
    for seed in range(4):  # it said that all went well, and then the power went
        yield Case(verb, "power", len(points) + 1, seed)
    for number in range(1, faults + 1):
        for manner in FAULTS:
            yield Case(verb, manner, number)


# What strace sees

HARMLESS = {
    "close": "what it could report has been synced, or is not needed", "lseek": "moves no data", "dup": "of descriptors",
    "fcntl": "flags of descriptors", "ioctl": "asks whether something is a terminal", "getcwd": "a look at the process itself",
    "mmap": "of what was opened before", "munmap": "memory", "fadvise64": "a hint", "poll": "waits", "ppoll": "waits",
    "exit_group": "the end", "exit": "a thread's end", "wait4": "waits",
}
"""Calls of those classes that cannot fail for a reason outside the process, or whose failure means nothing."""


OF_DATA = ("read", "pread64", "write", "pwrite64", "writev", "getdents64")
"""Calls whose strings are no names."""


def seen_by_strace(verb):
    """The calls of an undisturbed run about files of ours, sockets and processes: (call, what) as points are."""
    with tempfile.TemporaryDirectory(prefix="blockhost-explore-", dir=IN_MEMORY) as folder:
        world, _ = situation(verb, folder)
        log = pathlib.Path(folder).with_suffix(".strace")
        subprocess.run(["strace", "-f", "-y", "-qq", "-s", "4096", "-e", "trace=file,process,network,desc", "-o", log, BINARY,
                        *verb.words, "--mock"], cwd=world.folder, env=world.environment(), stdin=subprocess.DEVNULL,
                       capture_output=True, check=True)
        lines = log.read_text().splitlines()
        log.unlink()
        return [call for call in map(lambda line: call_in(line, folder), lines) if call]


def call_in(line, folder):
    found = re.match(r"\d+ +(\w+)\((.*)", line)  # not the second half of one that was interrupted, nor a signal
    if not found or found[1] in HARMLESS:
        return None
    call, arguments = found.groups()
    if re.match("socket|connect|send|recv|bind|accept|shutdown|getsock|setsock|fork|vfork|clone|execve|kill|tgkill", call):
        return call, "-"
    names, places = re.findall(r'"([^"]*)"', arguments.split(" = ")[0]), re.findall(r"<([^>]*)>", arguments)
    two = call in ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat")
    name, place = (names[-1] if two else names[0]) if names and call not in OF_DATA else "", places[-1 if two else 0] if places else ""
    path = os.path.normpath(name if name.startswith("/") else os.path.join(place, name))
    if path != folder and not path.startswith(folder + "/"):
        return None
    what = os.path.relpath(path, folder)
    return None if any(what == f"mock-world/{no}" or what.startswith(f"mock-world/{no}/") for no in NOT_OURS) else (call, what)


def unseen(program, verb):
    """What strace saw of ours that is no point, as often as it was seen more. How often an operation that waits looks whether
    it is asked to give up depends on the machine: that counts once."""
    def plain(call, what):
        return call, re.sub(r"[0-9a-f]{8,}|\d{4,}", "#", os.path.normpath(what))

    def counted(calls):
        found = collections.Counter(plain(*call) for call in calls)
        return collections.Counter({each: 1 if each[0] == "pread64" and each[1].endswith(".journal") else times
                                    for each, times in found.items()})

    return counted(seen_by_strace(verb)) - counted((call, what) for _number, _kind, call, what in points_of(program, verb)[0])


# A disk that loses what was not synced


class Disk:
    """What is on it before a run, by folder and by inode."""

    def __init__(self, root):
        self.root = root
        self.names, self.content = {}, {}
        for path, _folders, _files in os.walk(root):
            what = os.path.relpath(path, root)
            self.names["" if what == "." else what] = self.listing(path)

    def listing(self, path):
        found = {}
        for entry in os.scandir(path):
            seen = entry.stat(follow_symlinks=False)
            target = os.readlink(entry.path) if entry.is_symlink() else ""
            found[entry.name] = (seen.st_ino, seen.st_mode, target)
            if stat.S_ISREG(seen.st_mode):
                self.content[(os.path.relpath(entry.path, self.root), seen.st_ino)] = open(entry.path, "rb").read()
        return found

    def is_ours(self, what):
        return not any(what == f"mock-world/{name}" or what.startswith(f"mock-world/{name}/") for name in NOT_OURS)

    def lose(self, shadow, lost):
        """Makes the folder what the disk holds. `lost(thing)`: whether that folder's names, or that file's content, are
        lost as far as they were not synced."""
        synced = {}
        for listing in sorted((shadow / "folders").iterdir()):
            folder, *lines = listing.read_text().split("\n")
            synced[folder.rstrip("/.")] = {
                name: (int(inode), int(mode, 8), target)
                for inode, mode, name, target in (line.split("\t") for line in lines if line)}
        now = Disk(self.root)
        for what, names in now.names.items():
            for name, (inode, mode, _target) in names.items():
                thing = os.path.join(what, name)
                if stat.S_ISREG(mode) and self.is_ours(thing) and lost(thing):
                    self.put(os.path.join(self.root, thing), self.durable(shadow, thing, inode), mode)
        for what, names in now.names.items():
            if not self.is_ours(what) or not lost(what):
                continue
            durable = synced.get(what, self.names.get(what, {}))
            for name in set(names) - set(durable):
                if self.is_ours(os.path.join(what, name)):
                    self.remove(os.path.join(self.root, what, name))
            for name, (inode, mode, target) in durable.items():
                path = os.path.join(self.root, what, name)
                if names.get(name, (None,))[0] == inode or not self.is_ours(os.path.join(what, name)):
                    continue
                self.remove(path)
                if stat.S_ISDIR(mode):
                    os.mkdir(path, mode & 0o7777)
                elif stat.S_ISLNK(mode):
                    os.symlink(target, path)
                else:
                    self.put(path, self.durable(shadow, os.path.join(what, name), inode), mode)

    def durable(self, shadow, what, inode):
        kept = shadow / "inodes" / str(inode)
        return kept.read_bytes() if kept.exists() else self.content.get((what, inode), b"")

    @staticmethod
    def put(path, content, mode):
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode & 0o7777)

    @staticmethod
    def remove(path):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def power_cut(program, world, case):
    disk = Disk(world.folder)
    shadow = pathlib.Path(tempfile.mkdtemp(prefix="blockhost-shadow-", dir=IN_MEMORY))
    try:
        for part in ("inodes", "folders"):
            (shadow / part).mkdir()
        run = run_traced(program, world, case.verb.words, ["--at", case.number, "--do", "kill", "--shadow", shadow])
        chance = random.Random(case.seed)
        disk.lose(shadow, (lambda thing: chance.random() < 0.5) if case.seed else (lambda thing: True))
    finally:
        shutil.rmtree(shadow)
    # The kernel's entries and every guest went with the power.
    for path in (world.folder / "mock-world/network").glob("*"):
        path.unlink()
    for path in (world.folder / "mock-world/domains").glob("*.json"):
        if path.stem != "foreign":
            world.set_state("off", path.stem)
    seen_to = world.folder / "mock-world/boot.json"
    if seen_to.exists():  # what it says is of the boot before
        seen_to.write_text(re.sub(r'("boot_id": ?")[^"]*', r"\1before", seen_to.read_text()))
    return run


def disturb(program, world, case):
    if case.manner == "power":
        return power_cut(program, world, case)
    if case.manner in FAULTS:
        return world.run(*case.verb.words, fault=f"{FAULTS[case.manner]}@{case.number}", late=case.manner == "late")
    if case.manner == "hang":  # it is killed in the end
        return run_traced(program, world, case.verb.words, ["--at", case.number, "--do", "kill", "--meanwhile", LOOK])
    return run_traced(program, world, case.verb.words, ["--at", case.number, "--do", case.manner])


def judge(program, case):
    """What is wrong after that case: sentences."""
    folder = tempfile.mkdtemp(prefix="blockhost-explore-", dir=IN_MEMORY)
    try:
        world, before = situation(case.verb, folder)
        run = disturb(program, world, case)
        if run.returncode == TROUBLE:
            return [run.stderr[-500:]]
        if case.manner not in ("hang", "kill", "power", "die") and run.returncode not in (0, 1, *range(3, 40), 143):
            return [f"it ended with {run.returncode}: {run.stderr[-500:]}"]
        recovered = world.run("recover", "--all")
        if recovered.returncode != 0:
            return [f"recover failed: {recovered.stderr[-500:]}"]
        if case.manner == "power":
            world.run("boot")
        if case.manner == "late":
            world.await_late_calls()
        problems = invariants.broken(world) + invariants.touched(world, before)
        if case.manner in DEATHS and not case.verb.went_off:
            problems += invariants.left_by_backups(world)
        nothing_done = case.manner == "held" and case.verb.words[0] == "gc"  # a VM that is busy is left for the next time
        if run.returncode == 0 and not nothing_done:
            problems += [f"it said that it succeeded, but {p}" for p in case.verb.settled(world)]
        if problems:
            return [*problems, f"(it said: {run.returncode} {run.stderr[-300:]!r}; recover: {recovered.stdout[-300:]!r})"]
        if case.verb.between:
            case.verb.between(world)
        again = world.run(*case.verb.words)
        if again.returncode != 0 and not (case.verb.again and case.verb.again in again.stderr):
            return [f"again it failed: {again.stderr[-500:]}"]
        left = case.verb.settled(world) + invariants.broken(world) + invariants.temporary_files(world)
        if case.verb.words[0] == "backup":
            left += invariants.left_by_backups(world)
        return [f"after it was repeated, {p}" for p in left] + invariants.touched(world, before)
    except Exception as error:  # a case must not end the others
        return [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def explore(cases, program, workers=6):
    """(case, problems) for each that has any. Many workers are for cases that wait."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [(case, found) for case, found in zip(cases, pool.map(lambda case: judge(program, case), cases)) if found]
