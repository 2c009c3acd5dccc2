# SPDX-License-Identifier: MIT
"""The server of tests/https_server.py, which lies a folder above, and one CA a run."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from https_server import authority, server  # noqa: E402, F401
