# SPDX-License-Identifier: MIT
"""A folder with disks, and the helper that shows and fills them."""

import json
import os
import pathlib
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
IMGTREE = BUILD / "blockhost-imgtree"
CHUNK = 256 * 1024
NOBODY = 65534
AS_NOBODY = ["/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL", "--"]


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.mount_point = folder / "tree"
        self.mount_point.mkdir()

    def disk(self, *writes, size="10M", name="disk.qcow2"):
        """A qcow2 with these qemu-io commands done to it."""
        path = self.folder / name
        if not path.exists():
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, size], check=True)
        self.write(path, *writes)
        return path

    def write(self, path, *writes):
        for each in writes:
            subprocess.run(["qemu-io", "-f", "qcow2", "-c", each, path], check=True, capture_output=True)

    def raw(self, path):
        out = self.folder / "raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", path, out], check=True)
        return out.read_bytes()

    def source(self, path, **more):
        return {"name": "vda", "file": str(path), "format": "qcow2", "chunk_bytes": CHUNK} | more

    def look(self, *disks):
        run = subprocess.run([IMGTREE, "look"], input=json.dumps({"disks": disks}), capture_output=True, text=True, timeout=60)
        return json.loads(run.stdout)["disks"] if run.returncode == 0 else run

    def plan(self, *disks, at=1):
        return json.dumps({"disks": disks, "mount_point": str(self.mount_point), "uid": NOBODY, "gid": NOBODY, "at": at,
                           "files": {"manifest.json": "{}"}}) + "\n"

    def start(self, plan, *words, text="", **more):
        process = subprocess.Popen([IMGTREE, "store", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **more)
        process.stdin.write(plan + text)
        process.stdin.close()
        process.stdin = None
        return process

    def fill(self, plan, archive):
        """Fills the plan's disks from a tar archive."""
        path = self.folder / "archive.tar"
        path.write_bytes(archive)
        path.chmod(0o644)
        return subprocess.run([IMGTREE, "fill", *AS_NOBODY, "/bin/cat", path], input=plan, capture_output=True, text=True, timeout=120)

    def run(self, plan, script, text=""):
        process = self.start(plan, *AS_NOBODY, "/bin/sh", "-c", script, text=text)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def times(self, path, at=1, **more):
        """A whole first backup's plan of a disk."""
        seen, = self.look(self.source(path))
        return self.source(path, bytes=seen["bytes"], times=[[first, count, at] for first, count, data, _ in seen["looks"] if data],
                           **more)


def processes_with(text):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if text.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            pass  # it has ended meanwhile
    return found


def left_of(place, seconds=10):
    """What is left of this place, in the end: processes, mounts."""
    end = time.monotonic() + seconds
    while True:
        left = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in processes_with(str(place.folder))
                if os.path.exists(f"/proc/{pid}")]
        left += [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if str(place.folder) in line]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)
