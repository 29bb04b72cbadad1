"""Verdicts: what a search says of a scheme. Closed and three-valued; a bound that was hit is never a pass."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """`HOLDS`: every interleaving was explored and none fails. `UNKNOWN`: a bound was hit first."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"
