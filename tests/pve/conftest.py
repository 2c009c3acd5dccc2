# SPDX-License-Identifier: MIT
"""Finds the stand-in's modules, which lie beside this file, and makes one for each test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from client import Client  # noqa: E402
from node import StandIn  # noqa: E402
from platform_process import Platform  # noqa: E402

PATIENT = 1 << 20
"""Seconds that an idle connection is kept where a test is about something else, however slow the machine is."""


@pytest.fixture()
def standin():
    """Time runs a hundred times as fast."""
    with StandIn(scale=100) as made:
        made.front.idle = PATIENT
        made.add_template()
        yield made


@pytest.fixture()
def api(standin):
    made = Client(standin)
    yield made
    made.close()


@pytest.fixture()
def still():
    """A stand-in whose time is moved by hand, and ends no connection by that."""
    with StandIn(manual=True) as made:
        made.front.idle = PATIENT
        made.add_template()
        yield made


@pytest.fixture()
def opened(tmp_path):
    """Makes platforms of a stand-in, and closes them at the end."""
    made = []

    def another(standin, **settings):
        made.append(Platform(standin, tmp_path / str(len(made)), **settings))
        return made[-1]
    yield another
    for each in made:
        each.close()


@pytest.fixture()
def platform(opened, standin):
    return opened(standin)


@pytest.fixture()
def vm(standin):
    return standin.add_vm(100, name="one", cores=1, memory=512, disks={"scsi0": 1})


@pytest.fixture()
def container(standin):
    return standin.add_container(200, network=True)
