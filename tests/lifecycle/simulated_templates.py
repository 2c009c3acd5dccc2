# SPDX-License-Identifier: MIT
"""Versions of the template on the simulated world: building, listing, pruning them, and looking at all there is."""

import json
import os
import re
import struct

import pytest
from simulated import Mock, made

VERSION = re.compile(r"blockhost-base-([0-9a-f]{12})\.qcow2")
PRUNE = ("templates", "--prune")


@pytest.fixture()
def mock(tmp_path):
    return Mock(tmp_path)


def templates(world):
    return world.folder / "mock-world/templates"


def order(world, text):
    """The words of a build whose version follows from `text`."""
    (world.folder / "source").write_text(text)
    return "build-template", "--source", "file:source"


def build(world, text, **more):
    """Builds, looks whether all is well, and returns the version that is current now."""
    run = world.run(*order(world, text), **more)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"Template built successfully: {templates(world)}/blockhost-base.qcow2\n"
    no_leftovers(world)
    return current(world)


def current(world):
    """What the link leads to, which must be a whole version."""
    stand_in = templates(world) / "blockhost-base.current"
    version = VERSION.fullmatch(os.readlink(stand_in if stand_in.is_symlink() else templates(world) / "blockhost-base.qcow2"))[1]
    assert version in versions(world)
    return version


def image(world, version):
    return templates(world) / f"blockhost-base-{version}.qcow2"


def versions(world):
    """The versions that are there, each with its image and its manifest."""
    if not templates(world).exists():
        return []
    found = sorted(match[1] for match in map(VERSION.fullmatch, os.listdir(templates(world))) if match)
    for version in found:
        manifest = json.loads((templates(world) / f"blockhost-base-{version}.json").read_text())
        assert (manifest["version"], manifest["bytes"]) == (version, image(world, version).stat().st_size)
        assert oct(image(world, version).stat().st_mode) == "0o100444"
    return found


def no_leftovers(world):
    names = os.listdir(templates(world))
    assert [name for name in names if name.startswith(".")] == []
    manifests = {name[:-5] for name in names if name.endswith(".json")}
    assert manifests == {f"blockhost-base-{version}" for version in versions(world)}
    assert os.listdir(world.folder / "mock-world/cache") == ["build.lock"]


def listed(world):
    """version -> what stands on it; the current one's key ends with *."""
    run = world.run("templates", "--json")
    assert run.returncode == 0, run.stderr
    return {each["version"] + "*" * each["current"]: each["used_by"] for each in json.loads(run.stdout)["versions"]}


def prune(world, *more, status=0):
    run = world.run(*PRUNE, *more)
    assert run.returncode == status, run.stdout + run.stderr
    return run


def write_qcow2(path, backing, size=4 << 30):
    """The head of an image, which is all that anybody looks at."""
    name = str(backing).encode()
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 112 if name else 0, len(name), 16, size, 0, 0, 0, 0, 0, 0, 0)
    head = head.ljust(96, b"\0") + struct.pack(">II", 4, 104)
    path.write_bytes(head.ljust(112, b"\0") + name.ljust(1024, b"\0"))


def backing(path):
    content = path.read_bytes()
    offset, length = struct.unpack(">QI", content[8:20])
    return content[offset:offset + length].decode()


def disks(world):
    return [path for path in (world.folder / "mock-world/vms").glob("*.qcow2")]


def disks_have_what_they_stand_on(world):
    for disk in disks(world):
        assert os.path.exists(backing(disk)), f"{disk.name} stands on {backing(disk)}"


def everything(world):
    """Files of the world that a look must not change."""
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in world.folder.rglob("*") if path.name not in ("lock", "templates.lock", "build.lock") and not path.is_dir()}


@pytest.fixture()
def three(mock):
    """An old version that vm-1 stands on, one that nothing stands on, and the current one."""
    mock.old = build(mock, "old")
    made(mock)
    mock.idle = build(mock, "idle")
    mock.now = build(mock, "now")
    return mock
