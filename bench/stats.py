"""Medians, extremes and paired ratios of repeated measurements.

A ratio pairs the runs of one round, since runs of one round met the same machine; then come the median and the extremes.
Leaves out means and deviations: five runs on a machine that others use too have outliers, and no normal distribution.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """The median and the extremes of some numbers."""

    median: float
    low: float
    high: float
    count: int


def summary(values: Sequence[float]) -> Summary | None:
    """The summary of some numbers; None if there are none."""
    if not values:
        return None
    return Summary(statistics.median(values), min(values), max(values), len(values))


def paired_ratio(above: Mapping[int, float], below: Mapping[int, float]) -> Summary | None:
    """The ratio of two tools' numbers, by round; None if they have no round in common with a number to divide by."""
    return summary([above[one] / below[one] for one in sorted(above.keys() & below.keys()) if below[one] > 0])
