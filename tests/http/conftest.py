"""The server of tests/https_server.py, which lies a folder above, and one CA a run."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import https_server  # noqa: E402


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return https_server.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture()
def server(authority):
    with https_server.Server(authority) as made:
        yield made
