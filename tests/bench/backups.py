# SPDX-License-Identifier: MIT
"""Backups of a VM that runs, beside restic alone on the same bytes: bench.py's part `backup`.

Each pair is measured side by side, in turns. The references run as niced as the program has restic run.
"""

import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from machine import Machine, guest, sh, wait_until  # noqa: E402

MIB = 1 << 20
CHUNK = 256 << 10
DISK_GIB = 6
DATA_MIB = 1200
"""Half of it random, half of it text; behind a Debian system's 4 GiB."""
CHANGED_MIB = 64
FULL_BAR, STREAM_BAR, RESTORE_BAR = 1.2, 2.5 / 12, 1.3
MOST_KIB = 256 << 10
CHANGES = (0, 1, 4, 16, 64, 256)
SIZES = (1, 2, 4, 8)
NICE = ["nice", "-n", "10"]
PASSWORD = "bench"
RESTIC = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": "", "LC_ALL": "C.UTF-8"}


def content(mib, seed):
    """That many MiB, each of another content."""
    source = random.Random(seed)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 12))) for _ in range(4000)]
    for number in range(mib):
        if number % 2:
            yield source.randbytes(MIB)
        else:
            yield " ".join(source.choices(words, k=MIB // 5)).encode()[:MIB]


class Peak(threading.Thread):
    """The most that a process and all that it began had in memory at once."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.kib, self.over = pid, 0, False

    def tree(self):
        parents = {}
        for each in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(each.parent.name)] = int(each.read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
        found = {self.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def run(self):
        while not self.over:
            total = 0
            for pid in self.tree():
                try:
                    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                        if line.startswith("Pss:"):
                            total += int(line.split()[1])
                except OSError:
                    pass
            self.kib = max(self.kib, total)
            time.sleep(0.05)


def timed(words, memory=False, **more):
    """Seconds; with `memory` also the peak, and the output."""
    began = time.monotonic()
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    peak = Peak(process.pid)
    if memory:
        peak.start()
    out, err = process.communicate()
    took = time.monotonic() - began
    peak.over = True
    if process.returncode != 0:
        sys.exit(f"{words}: {err.decode()}")
    return took, peak.kib, out


class Subject:
    """One VM that runs, whose disk has data, and the same bytes as a file and as a folder of chunks. `system`: a Debian
    system's disk comes first."""

    def __init__(self, data_mib, disk_gib, system=False):
        self.machine = Machine("quick")
        self.name = f"bench-{self.machine.tag}"
        self.folder = self.machine.root / "reference"
        self.folder.mkdir()
        self.raw, self.chunks = self.folder / "disk.raw", self.folder / "chunks"
        made = self.machine.create(self.name, "--disk", str(disk_gib))
        assert made.returncode == 0, made.stderr
        assert self.machine.run("kill", self.name).returncode == 0
        self.fill(data_mib, disk_gib, system)
        assert self.machine.run("start", self.name).returncode == 0
        wait_until("the agent answers", 120, lambda: self.machine.run("guest-exec", self.name, "true").returncode == 0)

    def disk(self):
        return next((self.machine.state / "vms").glob(self.name + ".*"))

    def fill(self, mib, gib, system):
        if system:
            sh("qemu-img", "convert", "-O", "raw", guest("debian")["GUEST_TEMPLATE"], self.raw)
        begin = self.raw.stat().st_size if system else MIB
        with self.raw.open("r+b" if system else "wb") as raw:
            raw.truncate(gib << 30)
            raw.seek(begin)
            for piece in content(mib, 1):
                raw.write(piece)
        sh("qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", self.raw, self.disk())

    def cut(self):
        """The folder of chunk files, holes left out."""
        self.chunks.mkdir()
        with self.raw.open("rb") as raw:
            for number in range(self.raw.stat().st_size // CHUNK):
                piece = raw.read(CHUNK)
                if piece.strip(b"\0"):
                    folder = self.chunks / f"{number >> 8:05}"
                    folder.mkdir(exist_ok=True)
                    (folder / f"{number:08}").write_bytes(piece)

    def forget(self):
        """The repository and all that is remembered of it."""
        etc, state = self.machine.etc, self.machine.state
        for path in (etc / "backup.json", etc / "backup.password", state / f"backup/{self.name}.json"):
            path.unlink(missing_ok=True)
        sh("rm", "-rf", self.machine.root / "repository")

    def backup(self, **more):
        return timed(self.machine.command("backup", self.name, "--json"), env=self.machine.env, cwd=self.machine.root, **more)

    def change(self, mib, at):
        """In the guest, and likewise in the file."""
        run = self.machine.run("guest-exec", self.name,
                               f"dd if=/dev/urandom of=/dev/vda bs=1M count={mib} seek={at} conv=notrunc,fsync 2>/dev/null")
        assert run.returncode == 0, run.stderr
        with self.raw.open("r+b") as raw:
            raw.seek(at * MIB)
            for _ in range(mib):
                raw.write(os.urandom(MIB))

    def reference(self, name):
        """A repository of restic's own."""
        repository = self.folder / name
        sh("rm", "-rf", repository)
        subprocess.run(["restic", "-q", "init", "-r", repository], env=RESTIC, check=True, capture_output=True)
        return [*NICE, "restic", "-q", "--no-cache", "-r", repository]

    def close(self):
        self.machine.run("destroy", self.name)
        self.machine.close()


def told(bench, name, ours, against, theirs, bar, peak_kib):
    """Of each the median; the ratio is that of the pairs."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    row = {"name": name, "ours_s": statistics.median(ours), "against": against, "theirs_s": statistics.median(theirs),
           "ratio": ratio, "bar": bar, "kept": ratio <= bar, "peak_kib": peak_kib, "memory": {"kept": peak_kib <= MOST_KIB}}
    bench.results.setdefault("backup", {}).setdefault("rows", []).append(row)
    print(f"{name:<30} {row['ours_s']:7.2f} s   {against:<38} {row['theirs_s']:7.2f} s   {ratio:6.2f}, at most {bar:.2f}: "
          f"{'kept' if row['kept'] else 'BROKEN'}; peak {peak_kib >> 10} MiB: {'kept' if peak_kib <= MOST_KIB else 'BROKEN'}", flush=True)


def pairs(bench, subject, rounds):
    ours, theirs, peaks = [], [], []
    subject.cut()
    for _ in range(rounds):
        subject.forget()
        subject.machine.set_up_backups()
        took, peak, _ = subject.backup(memory=True)
        restic = subject.reference("of-chunks")
        ours.append(took)
        peaks.append(peak)
        theirs.append(timed([*restic, "backup", subject.chunks], env=RESTIC)[0])
    told(bench, "full", ours, "restic on a folder of the same bytes", theirs, FULL_BAR, max(peaks))

    restic = subject.reference("of-stream")
    stream = [*restic, "backup", "--stdin", "--stdin-filename", "disk"]
    with subject.raw.open("rb") as raw:
        timed(stream, env=RESTIC, stdin=raw)
    ours, theirs, peaks = [], [], []
    for number in range(rounds):
        subject.change(CHANGED_MIB, (5 << 10) + number * CHANGED_MIB)
        took, peak, out = subject.backup(memory=True)
        made = json.loads(out)
        assert made["chunks_read"] < made["chunks"], made
        ours.append(took)
        peaks.append(peak)
        with subject.raw.open("rb") as raw:
            theirs.append(timed(stream, env=RESTIC, stdin=raw)[0])
    told(bench, f"incremental of {CHANGED_MIB} MiB", ours, "restic on the whole disk by stdin", theirs, STREAM_BAR, max(peaks))


def curve_of_changes(subject):
    points = []
    for mib in CHANGES:
        if mib:
            subject.change(mib, 300)
        took, _, out = subject.backup()
        points.append({"changed_mib": mib, "s": round(took, 3), "stored_bytes": json.loads(out)["stored_bytes"]})
        print(f"  incremental of {mib:>4} MiB {took:8.2f} s", flush=True)
    return points


def restores(bench, subject, rounds):
    assert subject.machine.run("destroy", subject.name).returncode == 0
    password = subject.machine.etc / "backup.password"
    repository = subject.machine.root / "repository"
    last = json.loads(sh("restic", "--no-cache", "-r", repository, "-p", password, "snapshots", "--json").stdout)[-1]["id"]
    ours, theirs, peaks = [], [], []
    written = subject.folder / "written"
    for _ in range(rounds):
        took, peak, _ = timed(subject.machine.command("restore", f"{subject.name}@latest", "--off"), memory=True,
                              env=subject.machine.env, cwd=subject.machine.root)
        ours.append(took)
        peaks.append(peak)
        assert subject.machine.run("destroy", subject.name).returncode == 0
        dump, _, _ = timed(["sh", "-c", f"exec nice -n 10 restic --no-cache -r {repository} -p {password} dump {last} / >/dev/null"])
        write, _, _ = timed(["sh", "-c", f"cp --sparse=always {subject.raw} {written} && sync {written}"])
        theirs.append(dump + write)
        written.unlink()
    told(bench, "restore", ours, "restic dump to nothing, and the bytes", theirs, RESTORE_BAR, max(peaks))


def curve_of_sizes():
    points = []
    for gib in SIZES:
        subject = Subject(gib * 256, gib)
        try:
            subject.machine.set_up_backups()
            subject.backup()
            subject.change(CHANGED_MIB, 100)
            took, _, out = subject.backup()
            points.append({"disk_gib": gib, "chunks": json.loads(out)["chunks"], "s": round(took, 3)})
            print(f"  {gib:>3} GiB of disk, {points[-1]['chunks']:>6} chunks, {CHANGED_MIB} MiB changed {took:8.2f} s", flush=True)
        finally:
            subject.close()
    return points


def part(bench, rounds):
    subject = Subject(DATA_MIB, DISK_GIB, system=True)
    try:
        pairs(bench, subject, rounds)
        bench.results["backup"]["by_changes"] = curve_of_changes(subject)
        restores(bench, subject, rounds)
    finally:
        subject.close()
    bench.results["backup"]["by_sizes"] = curve_of_sizes()
