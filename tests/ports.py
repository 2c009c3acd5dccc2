# SPDX-License-Identifier: MIT
"""Ports for servers that tests start."""

import socket


def free_port():
    """One that nobody listens on at 127.0.0.1, as far as a look can tell."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
