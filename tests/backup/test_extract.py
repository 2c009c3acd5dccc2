# SPDX-License-Identifier: MIT
"""backup show and extract: a backup that is whole comes back to the byte, and one that is not leaves nothing."""

import json
import os
import shutil
import subprocess

import pytest
from host import refused
from place import AS_NOBODY, CHUNK, IMGTREE

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="backups are root's"),
              pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed"),
              pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no /dev/fuse")]
UUID = "11111111-2222-4333-8444-555555555555"


class Stored:
    """A repository into which backups are put as this program does it, or nearly."""

    def __init__(self, host, repository, place):
        self.host, self.repository, self.place = host, repository, place
        run = host.run("backup", "setup", "--user", "nobody", "--repository", repository)
        assert run.returncode == 0, run.stderr
        self.instance = (host.folder / "root/var/lib/blockhost/instance-id").read_text().strip()
        self.password = (host.etc / "backup.password").read_text()

    def manifest(self, source):
        return {"format": 1, "vm": "web-001", "uuid": UUID, "instance": self.instance, "operation": self.instance[:8] + "12345678",
                "taken_at": "2026-01-02T03:04:05+00:00", "consistency": "off", "made_by": "test",
                "disks": [{"name": "vda", "bytes": source["bytes"], "chunk_bytes": CHUNK,
                           "chunks": [run[:2] for run in source["times"]]}]}

    def put(self, disk, manifest=None, shown=None, **files):
        source = self.place.times(disk)
        plan = json.loads(self.place.plan(source if shown is None else source | {"times": shown}))
        plan["files"] = {"manifest.json": json.dumps(manifest or self.manifest(source)), "domain.xml": "<domain/>"} | files
        words = [*AS_NOBODY, "/usr/bin/restic", "--quiet", "--no-cache", f"--repo={self.repository}", "backup", "--force",
                 f"--host={self.instance}", "--tag=vm=web-001", f"--tag=uuid={UUID}", f"--tag=op={self.instance[:8]}12345678", "."]
        subprocess.run([IMGTREE, "store", *words], input=json.dumps(plan) + "\n" + self.password, text=True, check=True,
                       capture_output=True)

    def extract(self, to="out", **more):
        return self.host.run("backup", "extract", "web-001@latest", "--to", self.host.folder / to, **more)


@pytest.fixture
def stored(host, repository, place):
    return Stored(host, repository, place)


def test_a_backup_comes_back_to_the_byte(stored):
    disk = stored.place.disk("write -P 7 0 300k", "write -P 9 5M 1M", size=str((10 << 20) + 512))
    stored.put(disk)
    shown = stored.host.run("backup", "show", "web-001@latest")
    assert shown.returncode == 0 and "consistency  off\n" in shown.stdout and "in 6 chunks" in shown.stdout
    run = stored.extract()
    assert run.returncode == 0, run.stderr
    out = stored.host.folder / "out"
    assert run.stdout == f"{out}/vda.qcow2 is vda of web-001 as of 2026-01-02T03:04:05+00:00\n"
    assert sorted(path.name for path in out.iterdir()) == ["domain.xml", "manifest.json", "vda.qcow2"]
    assert stored.place.raw(out / "vda.qcow2") == stored.place.raw(disk)
    assert out.stat().st_mode & 0o777 == 0o700 and (out / "domain.xml").read_text() == "<domain/>"
    refused(stored.host, stored.extract(), "there is something at", status=6)


def hostile(manifest, **changes):
    disk = manifest["disks"][0]
    return manifest | {"disks": [disk | changes]}


def test_a_backup_that_is_not_whole_leaves_nothing(stored):
    disk = stored.place.disk("write -P 7 0 4M")
    source = stored.place.times(disk)
    good = stored.manifest(source)
    cases = [(good, [[0, 3, 1], [4, 12, 1]], "lacks vda/00000/00000003"),
             (hostile(good, chunks=[[0, 15]]), None, "none of the backup's chunks"),
             (hostile(good, bytes=(10 << 20) - CHUNK, chunks=[[0, 16]]), None, None),
             (hostile(good, name="../x"), None, "is no disk's"),
             (hostile(good, bytes=1 << 49, chunk_bytes=1 << 30, chunks=[[0, 100000]]), None, "has room for"),
             (hostile(good, chunks=[[0, 99999]]), None, "lie behind the disk's end"),
             (good | {"vm": "web-002"}, None, "is another backup's"),
             (good | {"format": 2}, None, "has format 2")]
    for manifest, shown, said in cases:
        stored.put(disk, manifest, shown)
        run = stored.extract()
        if said is None:  # a smaller disk, all of whose chunks are there
            assert run.returncode == 0, run.stderr
            shutil.rmtree(stored.host.folder / "out")
            continue
        assert run.returncode not in (0, -6, -11) and said in run.stderr, (said, run.stderr)
        assert not (stored.host.folder / "out").exists()
    stored.put(disk, good, None, **{"extra": "?"})
    assert "has what no backup has: extra" in stored.extract().stderr


def test_what_is_not_there_is_told(stored):
    refused(stored.host, stored.extract(), "there is no backup of web-001", status=5)
    refused(stored.host, stored.host.run("backup", "extract", "web-001@latest"), "needs a backup and --to", status=2)
    refused(stored.host, stored.host.run("backup", "show"), "needs a backup", status=2)
    refused(stored.host, stored.host.run("backup", "show", "abc"), "names no backup", status=3)
    stored.put(stored.place.disk("write -P 7 0 1M"))
    refused(stored.host, stored.extract("no/where"), "there is no folder", status=5)
