# SPDX-License-Identifier: MIT
"""The node and the host of evm.py, with a misbehaving proxy between the two where a test asks for it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from evm import chain, host, tools  # noqa: E402, F401
from proxy import Proxy  # noqa: E402


@pytest.fixture
def proxy(chain, host):  # noqa: F811
    with Proxy(chain) as made:
        host.configure(made.url)
        yield made
