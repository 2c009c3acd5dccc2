# SPDX-License-Identifier: MIT
"""How a cost grows."""

import math


def line(points):
    """Offset, slope and r² of the least squares through (x, y)."""
    n = len(points)
    mean_x, mean_y = (sum(point[i] for point in points) / n for i in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    offset = mean_y - slope * mean_x
    total = sum((y - mean_y) ** 2 for _, y in points)
    rest = sum((y - offset - slope * x) ** 2 for x, y in points)
    return offset, slope, 1 - rest / total if total else 1.0


def fit(points):
    """Of (count, milliseconds): a fixed cost and one for each, and the steepness in logarithms (1: linear)."""
    fixed, each, r2 = line(points)
    _, slope, _ = line([(math.log(n), math.log(ms)) for n, ms in points])
    return {"fixed_ms": round(fixed, 3), "each_us": round(each * 1000, 2), "r2": round(r2, 4), "slope": round(slope, 3)}
