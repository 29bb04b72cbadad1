"""The choice: the reference search first, and machine code for what it does not finish soon.

Leaves out how a search in machine code comes about: native.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lockverse.explore.bounds import INTERRUPTED, Bounds, least
from lockverse.explore.observer import Observer
from lockverse.explore.search import Progress, Result, explore
from lockverse.ir.coverage import Item, Way
from lockverse.ir.program import Linked
from lockverse.ir.traps import NO_TRAPS, Traps
from lockverse.machine.interpreter import Interpreter
from lockverse.passes.coverage import items, possible
from lockverse.reduction import REDUCTIONS

from .takings import contendable

FIRST_STATES: Final = 1_500  # for the reference search: some hundredths of a second, less than loading LLVM takes
FIRST_STEPS: Final = 4_500  # likewise, of all threads: with many of them a state takes as many times longer
COMPILED_AT_ONCE: Final = 1_000  # ops
MOST_JOBS: Final = 8  # threads, unless more are asked for: all of them share one table, and so the machine's memory bus
STATES_AN_OP: Final = 2  # likewise for long code, which takes long to compile: about as long as these states take


class Options(Struct, frozen=True):
    """How to search. `engine` is "auto", "reference" or "native"; `jobs` 0 is a thread a core, up to MOST_JOBS."""

    engine: str = "auto"
    reductions: tuple[str, ...] = REDUCTIONS
    jobs: int = 0
    spinning: bool = True  # whether endless spinning is looked for
    strict: bool = False  # whether what no execution does is a failure
    findings: bool = True  # whether data races and the order of locks are looked at
    exact: bool = False  # whether states are never told apart by fingerprints


def threads() -> int:
    """How many there are to search with, unless a user says."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, MOST_JOBS)


Observers: TypeAlias = Callable[[Interpreter], Sequence[Observer]]


def search(
    linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], options: Options, traps: Traps = NO_TRAPS
) -> Result:
    """Explore every interleaving, as far as `bounds` let; what `traps` says is a fault too."""
    result = _search(linked, observers, bounds, progress, options, traps)
    if not any(isinstance(one, Way) for one in result.never):
        return result
    open_ = possible(linked)
    return replace(result, never=tuple(one for one in result.never if not isinstance(one, Way) or one in open_))


def _search(
    linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], options: Options, traps: Traps
) -> Result:
    """What is never exercised includes the ways that the scheme's parameters rule out."""
    seen: set[Item] = set()
    if options.engine == "reference":
        return _reference(linked, observers, bounds, progress, traps, seen)
    first = Result(0, 0, 0, 0, 0.0, False)
    if options.engine == "auto":
        first_states = max(min(FIRST_STATES, FIRST_STEPS // max(len(linked.codes), 1)), _size(linked) * STATES_AN_OP)
        within = replace(bounds, states=least(bounds.states, first_states))
        first = _reference(linked, observers, within, progress, traps, seen)
        if within == bounds or first.bound is None or first.bound.name != "states":
            return first
    # Not at the top: LLVM and all that is about it take longer to load than most schemes take to check.
    from .native import Unsupported, search_compiled

    try:
        return search_compiled(linked, observers, bounds, progress, options, traps, seen)
    except Unsupported:
        return _reference(linked, observers, bounds, progress, traps, seen)
    except KeyboardInterrupt:  # while compiling; a search that runs has a result of its own
        return replace(first, bound=INTERRUPTED)


def _size(linked: Linked) -> int:
    """The ops of the code beyond what is compiled in a moment."""
    return max(sum(len(code.ops) for code in set(linked.codes)) - COMPILED_AT_ONCE, 0)


def _reference(linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], traps: Traps, seen: set[Item]) -> Result:
    """`seen` gains what was exercised."""
    machine = Interpreter(linked, bounds.ops, traps)
    result = explore(machine, observers(machine), bounds, progress)
    seen |= machine.exercised()
    if not result.complete or result.failing is not None:
        return result
    return replace(result, never=tuple(sorted((items(linked) | contendable(linked, seen)) - seen, key=repr)))
