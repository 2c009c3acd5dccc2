# SPDX-License-Identifier: MIT
"""Failed assertions of the shared helper show their values too."""

import pytest

pytest.register_assert_rewrite("simulated", "simulated_templates")
