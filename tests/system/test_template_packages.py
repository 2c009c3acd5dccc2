# SPDX-License-Identifier: MIT
"""Template packages that cannot be installed: real images under virt-customize, refused with the reason, nothing changed."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
import seeds
from machine import BINARY, guest

pytestmark = pytest.mark.skipif(bool(os.environ.get("BLOCKHOST_NO_GUEST")), reason="BLOCKHOST_NO_GUEST is set")


def package(folder, name, *, script=None, **fields):
    """Builds NAME_1.0_all.deb with those control fields and postinst."""
    tree = folder.parent / f"tree-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = {"Package": name, "Version": "1.0", "Architecture": "all", "Description": "for a test",
               "Maintainer": "BlockHost tests <tests@blockhost.invalid>", **fields}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    if script:
        (tree / "DEBIAN/postinst").write_text("#!/bin/sh\n" + script)
        (tree / "DEBIAN/postinst").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, folder / f"{name}_1.0_all.deb"], check=True,
                   capture_output=True)


def conflicting(folder):
    package(folder, "blockhost-one", Conflicts="blockhost-two")
    package(folder, "blockhost-two")


def removing(folder):
    """What the image has from an earlier build would have to go."""
    package(folder, "blockhost-remover", Conflicts="blockhost-stand-in")


def failing(folder):
    package(folder, "blockhost-failing", script="echo boo >&2\nexit 3\n")


REFUSED = {
    conflicting: ("template packages", "blockhost-one", "blockhost-two"),
    removing: ("template packages", "would remove blockhost-stand-in"),
    failing: ("template packages", "blockhost-failing"),
}


def build(root, packages):
    debs = root / "var/lib/blockhost/template-packages"
    debs.mkdir(parents=True)
    packages(debs)
    templates = root / "var/lib/blockhost/templates"
    templates.mkdir()
    (templates / "blockhost-base-000000000000.qcow2").write_text("what was before")
    (templates / "blockhost-base.qcow2").symlink_to("blockhost-base-000000000000.qcow2")
    run = subprocess.run([BINARY, "build-template", "--source", f"file:{guest('debian')['GUEST_TEMPLATE']}"],
                         env={"PATH": os.environ["PATH"], "BLOCKHOST_ROOT": str(root)}, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL)
    return packages, root, run


@pytest.fixture()
def folder():
    """Short, as real roots are: libguestfs' sockets lie below it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bh-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(not seeds.is_due(1 / 2, "packages that cannot be inside"), reason="its minutes are another commit's (BLOCKHOST_WHOLE=1)")
def test_packages_that_cannot_all_be_inside_are_refused_by_name_and_the_template_stays(folder):
    guest("debian")
    before = set(pathlib.Path("/tmp").glob("libguestfs*"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda packages: build(folder / packages.__name__[:9], packages), REFUSED))
    for packages, root, run in ends:
        last = run.stderr.strip().splitlines()[-1]
        assert run.returncode == 1 and run.stdout == "", (packages.__name__, run.stderr)
        assert last.startswith("[build-template] ERROR: "), run.stderr
        for words in REFUSED[packages]:
            assert words in last, (packages.__name__, last)
        assert "log file" not in last and len(last) < 1500
        templates = root / "var/lib/blockhost/templates"
        assert sorted(p.name for p in templates.iterdir()) == ["blockhost-base-000000000000.qcow2", "blockhost-base.qcow2"]
        assert templates.joinpath("blockhost-base.qcow2").read_text() == "what was before"
        assert not list((root / "var/cache/blockhost/build").glob("*"))
    assert set(pathlib.Path("/tmp").glob("libguestfs*")) <= before
