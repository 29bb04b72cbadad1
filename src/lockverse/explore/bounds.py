"""The bounds of a search: each has a name, a default with its reason, and words for when it was hit.

A bound that was hit gives the verdict unknown, never a pass. Leaves out how the bounds are set from a command line.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Final

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a search may go. None means no bound."""

    states: int | None = 2_000_000  # about 2 GB here; what is larger wants another machine than the reference
    depth: int | None = 100_000  # steps of one execution; a path this long is a loop that counts
    seconds: float | None = 600.0  # wall-clock; longer than anybody waits without being told
    memory: int | None = 4096  # MiB of this process; leaves room on a machine of 8 GiB
    ops: int = 1_000_000  # in one step, between two looks at memory


@dataclass(frozen=True, slots=True)
class BoundHit:
    """The bound that stopped a search: its name as in Bounds ("interrupted" for Ctrl-C), and what to tell the user."""

    name: str
    message: str


def hit(name: str, value: float) -> BoundHit:
    """The words for a bound that was hit at that value."""
    what, unit = _WORDS[name]
    return BoundHit(name, f"the bound of {value:,g} {unit} on {what} was hit; --max-{name} N moves it")


_WORDS: Final = {
    "states": ("the number of states", "states"),
    "depth": ("the length of an execution", "steps"),
    "seconds": ("the time of the search", "seconds"),
    "memory": ("the memory of the search", "MiB"),
    "ops": ("the work inside one step", "operations"),
}

NOTHING_TO_EXPLORE: Final = BoundHit(
    "assumptions", "an assume() is false before anything runs: there is nothing to explore"
)
INTERRUPTED: Final = BoundHit("interrupted", "interrupted before every interleaving was explored")


def memory_used() -> float:
    """The largest memory this process has had, in MiB; 0 where the system does not say (it has no getrusage).

    `ru_maxrss` counts KiB on Linux and bytes on macOS (getrusage(2)).
    """
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return 0.0
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak / (MEBIBYTE if sys.platform == "darwin" else 1024)
