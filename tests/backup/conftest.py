# SPDX-License-Identifier: MIT
"""Backups on the real restic and on real exports."""

import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))

from host import Host  # noqa: E402
from place import Place  # noqa: E402


@pytest.fixture
def place():
    """Every user may pass through it."""
    with tempfile.TemporaryDirectory(prefix="blockhost-imgtree-") as folder:
        os.chmod(folder, 0o755)
        yield Place(pathlib.Path(folder))


@pytest.fixture
def host():
    """In a folder that every user may pass through, since restic does not run as root."""
    with tempfile.TemporaryDirectory(prefix="blockhost-backup-") as folder:
        os.chmod(folder, 0o711)
        yield Host(pathlib.Path(folder))


@pytest.fixture
def repository(host):
    return host.folder / "repository"
