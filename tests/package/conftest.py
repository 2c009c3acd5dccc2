# SPDX-License-Identifier: MIT
"""The package, built once, and clean roots to install it in; skipped with the reason where that cannot be."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import root as roots  # noqa: E402


@pytest.fixture(scope="session")
def package():
    for program, of in (("dpkg-buildpackage", "dpkg-dev"), ("dh", "debhelper")):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing (package {of})")
    if not os.access(roots.TREE, os.W_OK):
        pytest.skip("the package is built in the checkout, which cannot be written to")
    return roots.build_package()


@pytest.fixture(scope="session")
def unpacked(package, tmp_path_factory):
    """What the package installs."""
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def base():
    if os.geteuid() != 0:
        pytest.skip("a clean root to install in needs root")
    if not shutil.which("mmdebstrap"):
        pytest.skip("a clean root to install in needs mmdebstrap")
    return roots.base_root()


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory):
    """Where stand-in packages are made."""
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(scope="session")
def make_root(base, tmp_path_factory):
    def make():
        return roots.Root(pathlib.Path(tmp_path_factory.mktemp("root")), base)
    return make


@pytest.fixture()
def clean(make_root, stand_ins):
    """A root with blockhost-common's stand-in and nothing of ours."""
    made = make_root()
    made.install(roots.make_common(stand_ins))
    return made


@pytest.fixture(scope="module")
def installed(make_root, stand_ins, package):
    """A root with the package; tests leave it as they found it."""
    made = make_root()
    made.install(roots.make_common(stand_ins), package)
    return made
