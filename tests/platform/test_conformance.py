# SPDX-License-Identifier: MIT
"""Every platform that this machine can have without libvirt keeps the promises; on real libvirt: tests/system/test_platform.py."""

from conformance import *  # noqa: F403
