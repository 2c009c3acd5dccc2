# SPDX-License-Identifier: MIT
"""A stand-in for a Proxmox VE node; tests/pve/README.md says what it does and what it cannot."""

from .errors import ApiError
from .standin import StandIn

__all__ = ["ApiError", "StandIn"]
