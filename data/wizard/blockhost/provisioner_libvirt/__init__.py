# SPDX-License-Identifier: MIT
"""BlockHost's installer loads `wizard` of this package; see docs/contract.md, "Wizard plugin"."""
