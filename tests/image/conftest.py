# SPDX-License-Identifier: MIT
"""What every test here needs: root and qemu-img, a host of its own, two small images, and a server that misbehaves."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
pytest.register_assert_rewrite("template_host")

from https_server import authority, server  # noqa: E402, F401
import template_host  # noqa: E402


@pytest.fixture(autouse=True)
def needs():
    reason = template_host.missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture()
def host():
    made = template_host.TemplateHost()
    yield made
    made.close()


@pytest.fixture()
def space():
    """A mount namespace to hide things in."""
    made = template_host.MountSpace()
    yield made
    made.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """A qcow2 image with 3 MiB of content."""
    return template_host.make_image(tmp_path_factory.mktemp("image"), seed=1)


@pytest.fixture(scope="session")
def other_image(tmp_path_factory):
    return template_host.make_image(tmp_path_factory.mktemp("image"), seed=2)
