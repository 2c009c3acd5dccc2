# SPDX-License-Identifier: MIT
"""The plugin as installed beside blockhost-common's package, an installer around it, and a program to ask."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", TREE / "build"))
SCREENSHOTS = BUILD / "screenshots"
"""What the browser showed in the last run."""

import installer  # noqa: E402
import stand_in  # noqa: E402


@pytest.fixture(scope="session")
def tree():
    return TREE


@pytest.fixture(scope="session")
def binary():
    return BUILD / "blockhost-libvirt"


@pytest.fixture(scope="session")
def screenshots():
    return SCREENSHOTS


@pytest.fixture(scope="session")
def dist_packages(tmp_path_factory):
    """A folder with the package blockhost, which is another's, and ours in it."""
    folder = tmp_path_factory.mktemp("dist-packages")
    (folder / "blockhost").mkdir()
    (folder / "blockhost/__init__.py").write_text("")
    (folder / "blockhost/provisioner_libvirt").symlink_to(TREE / "data/wizard/blockhost/provisioner_libvirt")
    return folder


@pytest.fixture(scope="session")
def manifest_path():
    return BUILD / "data/provisioner.json"


@pytest.fixture(scope="session")
def loaded(dist_packages, manifest_path):
    if installer.flask is None:
        pytest.skip("Flask is missing (package python3-flask)")
    sys.path.insert(0, str(dist_packages))
    manifest, module = installer.load(manifest_path)
    assert module, "the installer would go on without the page"
    return manifest, module


@pytest.fixture()
def wizard(loaded):
    return loaded[1]


@pytest.fixture()
def helpers(wizard):
    return wizard.helpers


@pytest.fixture()
def app(loaded):
    made = installer.make(*loaded)
    made.testing = True
    return made


@pytest.fixture()
def client(app):
    """A browser that is logged in."""
    made = app.test_client()
    made.post("/login")
    return made


@pytest.fixture()
def program(tmp_path, helpers, monkeypatch):
    folder = tmp_path / "program"
    folder.mkdir()
    made = stand_in.StandIn(folder)
    monkeypatch.setattr(helpers, "PROGRAM", str(made.path))
    return made


def pytest_terminal_summary(terminalreporter):
    if any(SCREENSHOTS.glob("*.png")):
        terminalreporter.write_line(f"screenshots of the wizard's page: {SCREENSHOTS}")
