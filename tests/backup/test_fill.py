# SPDX-License-Identifier: MIT
"""The way back: empty disks are filled from an archive, which anybody may have made."""

import io
import json
import os
import subprocess
import tarfile

import pytest
from place import AS_NOBODY, CHUNK, IMGTREE, left_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")

CHUNKS = {0: b"a" * CHUNK, 1: b"b" * CHUNK, 20: b"c" * CHUNK, 40: b"d" * 512}
SIZE = 40 * CHUNK + 512


def path_of(chunk, disk="vda"):
    return f"{disk}/{chunk // 256:05}/{chunk:08}"


def archive(files=None, kind=tarfile.GNU_FORMAT, **more):
    """As restic's: folders, the manifest, chunks."""
    out = io.BytesIO()
    entries = {"manifest.json": b"{}", **{path_of(chunk): content for chunk, content in CHUNKS.items()}} if files is None else files
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for folder in ("vda", "vda/00000"):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, content in (entries | more).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1.5  # PAX writes a record of its own for it
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def filled(place):
    """A plan for an empty disk."""
    disk = place.disk(size=str(SIZE))
    plan = place.plan(place.source(disk, bytes=SIZE, times=[[0, 2, 0], [20, 1, 0], [40, 1, 0]]))
    return place, disk, plan


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_chunk_goes_to_its_place_and_the_rest_stays_a_hole(filled, kind):
    place, disk, plan = filled
    run = place.fill(plan, archive(kind=kind))
    assert run.returncode == 0, run.stderr
    expected = bytearray(SIZE)
    for chunk, content in CHUNKS.items():
        expected[chunk * CHUNK:chunk * CHUNK + len(content)] = content
    assert place.raw(disk) == bytes(expected)
    looks, = place.look(place.source(disk))
    assert [run[:3] for run in looks["looks"]] == [[0, 2, True], [2, 18, False], [20, 1, True], [21, 19, False], [40, 1, True]]
    assert left_of(place) == []


def test_zeros_take_no_room(filled):
    place, disk, plan = filled
    files = {path_of(chunk): bytes(len(content)) for chunk, content in CHUNKS.items()}
    assert place.fill(plan, archive(files)).returncode == 0
    assert place.look(place.source(disk))[0]["looks"] == [[0, 41, False, True]]


WHOLE = {path_of(chunk): content for chunk, content in CHUNKS.items()}


@pytest.mark.parametrize("files, said", [
    ({key: value for key, value in WHOLE.items() if key != path_of(20)}, "the archive lacks vda/00000/00000020"),
    ({}, "the archive lacks vda/00000/00000000"),
    (WHOLE | {path_of(0): b"a" * (CHUNK - 1)}, "has vda/00000/00000000 with 262143 bytes"),
    (WHOLE | {path_of(40): b"d" * CHUNK}, "has vda/00000/00000040 with 262144 bytes"),
    (WHOLE | {path_of(2): b"x" * CHUNK}, "vda/00000/00000002, which is none of the backup's chunks"),
    (WHOLE | {path_of(41): b"x" * CHUNK}, "vda/00000/00000041, which is none of the backup's chunks"),
    (WHOLE | {"vda/../vda/00000/00000001": b"b" * CHUNK}, "has what no backup has: vda/../vda/00000/00000001"),
    (WHOLE | {"../../etc/passwd": b"x"}, "has what no backup has: ../../etc/passwd"),
    (WHOLE | {"vda/00001/00000001": b"x" * CHUNK}, "has what no backup has"),
    (WHOLE | {"vdb/00000/00000001": b"x" * CHUNK}, "has what no backup has"),
    (WHOLE | {"/vda/00000/00000001x": b"x"}, "has what no backup has"),
])
def test_what_is_not_the_backup_is_refused(filled, files, said):
    place, _, plan = filled
    run = place.fill(plan, archive(files))
    assert run.returncode == 1 and said in run.stderr, run.stderr
    assert left_of(place) == []


def test_a_chunk_that_comes_twice_is_refused(filled):
    place, _, plan = filled
    run = place.fill(plan, archive()[:-1024].rstrip(b"\0") + b"\0" * 512 + archive())
    assert run.returncode == 1, run.stderr


def test_links_and_devices_are_refused(filled):
    place, _, plan = filled
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo(path_of(0))
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        assert "has what no backup has" in place.fill(plan, out.getvalue()).stderr


def test_what_is_no_archive_or_half_of_one_is_refused(filled):
    place, _, plan = filled
    whole = archive()
    damaged = bytearray(whole)
    damaged[2 * 512 + 10] ^= 1  # the manifest's head
    for bytes_, said in [(b"x" * 512, "a head that is none"), (b"x", "ends in the middle"), (whole[:200_000], "ends in the middle"),
                         (bytes(damaged), "a head that is none"), (b"", "lacks")]:
        run = place.fill(plan, bytes_)
        assert run.returncode == 1 and said in run.stderr, (said, run.stderr)


def test_a_program_that_fails_is_told_by_its_status(filled):
    place, _, plan = filled
    run = subprocess.run([IMGTREE, "fill", *AS_NOBODY, "/bin/sh", "-c", "echo no >&2; exit 12"], input=plan,
                         capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (12, "no\n")


@pytest.fixture
def overlay(place):
    """An empty disk that stands on one which shares chunk 0, differs in 1, and has data where the backup has none."""
    base = place.disk("write -P 97 0 256k", "write -P 1 256k 256k", "write -P 2 5M 1M", "write -P 3 6553600 64k", size="8M",
                      name="base.qcow2")
    disk = place.folder / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk, str(SIZE)], check=True)
    return place, disk, place.plan(place.source(disk, bytes=SIZE, overlay=True, times=[[0, 2, 0], [20, 1, 0], [40, 1, 0]]))


def own_data(disk):
    """The bytes that the overlay itself has, zeros that take no room left out."""
    said = subprocess.run(["qemu-img", "map", "--output=json", disk], capture_output=True, text=True, check=True).stdout
    return sum(each["length"] for each in json.loads(said) if each["depth"] == 0 and each["data"])


def test_an_overlay_has_only_what_differs_from_what_it_stands_on(overlay):
    place, disk, plan = overlay
    half = b"\x02" * 65536 + bytes(65536) + b"\x02" * 65536 + b"c" * 65536  # of chunk 20, of which the base has \x02 throughout
    run = place.fill(plan, archive({path_of(chunk): content for chunk, content in (CHUNKS | {20: half}).items()}))
    assert run.returncode == 0, run.stderr
    expected = bytearray(SIZE)
    for chunk, content in (CHUNKS | {20: half}).items():
        expected[chunk * CHUNK:chunk * CHUNK + len(content)] = content
    assert place.raw(disk) == bytes(expected)  # nothing of the base shows at 5.25 MiB and at 6.25 MiB
    assert own_data(disk) == CHUNK + 65536 + SIZE % CHUNK  # chunk 1, a quarter of 20, and the last
    assert left_of(place) == []
