# SPDX-License-Identifier: MIT
"""Machines for the tests: one with the quick guest a module, closed whatever happens; failures name what is missing."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from machine import Machine, sh  # noqa: E402


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the system suite needs root: it makes bridges and boots guests", returncode=1)
    if sh("virsh", "-c", "qemu:///system", "version", check=False).returncode != 0:
        pytest.exit("the system suite needs a running libvirtd: packaging/lib.sh starts one", returncode=1)


def pytest_runtest_logreport(report):
    """What a test notes is shown as it ends, also where it ran in a process beside."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "note":
                print(f"\nNOTE: {value}", flush=True)


@pytest.fixture(scope="module")
def whole_module():
    made = Machine("quick")
    yield made
    made.close()


@pytest.fixture()
def machine(whole_module):
    """The module's machine; what a failing test left does not fail the next one too."""
    yield whole_module
    if whole_module.leftovers():
        whole_module.wipe()
