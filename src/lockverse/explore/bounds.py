"""The bounds of a search: each has a name, a default with its reason, and words for when it was hit.

A bound that was hit gives the verdict unknown, never a pass. Leaves out how the bounds are set from a command line.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

from msgspec import Struct

MEBIBYTE: Final = 1 << 20


class Bounds(Struct, frozen=True):
    """How far a search may go. None means no bound."""

    states: int | None = None  # memory is the bound: a state takes 8 bytes in machine code, and a thousand here
    depth: int | None = 100_000  # steps of one execution; a path this long is a loop that counts
    seconds: float | None = 600.0  # wall-clock; longer than anybody waits without being told
    memory: int | None = 4096  # MiB of this process; leaves room on a machine of 8 GiB
    ops: int = 1_000_000  # in one step, between two looks at memory


class BoundHit(Struct, frozen=True):
    """The bound that stopped a search: its name as in Bounds ("interrupted" for Ctrl-C), and what to tell the user."""

    name: str
    message: str


def hit(name: str, value: float) -> BoundHit:
    """The words for a bound that was hit at that value."""
    what, unit = _WORDS[name]
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,g}"
    return BoundHit(name, f"the bound of {shown} {unit} on {what} was hit; --max-{name} N moves it")


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


def out_of_memory() -> BoundHit:
    """The words for when the system gives no more, whatever the bound."""
    return BoundHit("memory", f"the system has no more memory: the search had {memory_used():,.0f} MiB")


def least(bound: int | None, other: int) -> int:
    """The lower of a bound, if there is one, and a number."""
    return other if bound is None else min(bound, other)


def memory_used() -> float:
    """The memory of this process, in MiB: what it has now where the system says (Linux), else the most it ever had, else 0
    (Windows).

    The second number of /proc/self/statm are pages in memory (proc_pid_statm(5)). `ru_maxrss` counts bytes on macOS and
    KiB elsewhere (getrusage(2)).
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE
    except OSError:
        pass
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return 0.0
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak / (MEBIBYTE if sys.platform == "darwin" else 1024)
