"""Findings: data races, and locks taken in an order or a context that is wrong though no execution may show it.

What is wrong in an execution comes first. A search looks for data races on the way: the step that shows one is a fault (ir/traps.py), and if
that is all that was found, another search without says whether something else is wrong. Where locks could be taken in a circle, or by a
handler and where it can come, as far as the code tells, each such taking is looked for by a search of its own until no circle is left or
all of one have been found. A scheme whose code shows no such thing costs nothing.

A circle is one of lock objects, not of classes, over all executions; a lock that is never taken exclusively is in none. Lockdep's rules
otherwise: Documentation/locking/lockdep-design.rst, Linux 6.1. Leaves out the search: choose.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Failing, Progress, Result
from lockverse.ir.contexts import CONTEXTS
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.ir.traps import Taking, Traps
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, Moved, started
from lockverse.passes.meetings import singles

from .choose import Observers, Options, search
from .takings import Use, takings

Search = Callable[[Traps], Result]


def search_all(linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], options: Options) -> Result:
    """Explore every interleaving, as far as `bounds` let, and look for findings unless `options` says not to."""

    def run(traps: Traps) -> Result:
        return search(linked, observers, bounds, progress, options, traps)

    if not options.findings:
        return run(Traps())
    result = run(Traps(races=_can_race(linked)))
    if result.failing is not None and result.failing.reason is Reason.DATA_RACE:
        own = run(Traps())
        return result if own.failing is None else replace(own, also=(result.failing,))
    if result.failing is not None or not result.complete:
        return result
    found = _takings(linked, run)
    return result if found is None else found


def _can_race(linked: Linked) -> bool:
    """Whether there are two CPUs, and a plain access that is more than a thread's own business."""
    cpus = {thread.cpu for thread in linked.program.threads}
    return len(cpus) > 1 and any(one.plain for code in set(linked.codes) for one in singles(code).values())


# Locks


def _takings(linked: Linked, run: Search) -> Result | None:
    """A search that found locks taken in a circle, or where a handler that takes them can come."""
    uses = takings(linked)
    exclusive = {one.wanted for one in uses if one.exclusive}
    edges = {Taking(one.wanted, held) for one in uses for held in one.held if held != one.wanted and {held, one.wanted} <= exclusive}
    return _circle(linked, edges, run) or _inversion(linked, uses, run)


def _circle(linked: Linked, edges: set[Taking], run: Search) -> Result | None:
    """The last taking of a circle all of whose takings some execution does. All that are not known yet are looked for at once:
    mostly there is none, and one search says so."""
    done: dict[Taking, Result] = {}
    while unknown := _in_circles(edges) - done.keys():
        result = run(Traps(takings=frozenset(unknown)))
        if result.failing is None:
            if not result.complete:
                return result  # whether there is a circle is not known
            edges = edges - unknown
            continue
        found = _taken(linked, result.failing, unknown)
        done[found] = replace(result, failing=replace(result.failing, taking=found))
        if _in_circles(set(done)):
            break
    closed = _in_circles(set(done))
    if not closed:
        return None
    return min((done[one] for one in closed), key=lambda one: (-_length(one.failing), one.failing.taking if one.failing else None))


def _taken(linked: Linked, failing: Failing, among: set[Taking]) -> Taking:
    """Which of these takings a race ends with."""
    for one in sorted(among):
        machine = Interpreter(linked, traps=Traps(takings=frozenset({one})))
        state, outcome = started(machine), None
        for thread, choice in failing.schedule:
            outcome = machine.step(state, thread, choice)
            state = outcome.state if isinstance(outcome, Moved) else state
        if isinstance(outcome, Faulted):
            return one
    raise AssertionError("a race that takes no lock")


def _length(failing: Failing | None) -> int:
    return 0 if failing is None else len(failing.schedule)


def _in_circles(edges: set[Taking]) -> set[Taking]:
    """The edges between locks that lead back to where they begin."""
    following: dict[int, set[int]] = {}
    for one in edges:
        following.setdefault(one.held, set()).add(one.wanted)

    def reaches(start: int, goal: int) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            lock = waiting.pop()
            if lock == goal:
                return True
            new = following.get(lock, set()) - seen
            seen |= new
            waiting += new
        return False

    return {one for one in edges if reaches(one.wanted, one.held)}


def _inversion(linked: Linked, uses: list[Use], run: Search) -> Result | None:
    """A lock that a handler takes, taken where such a handler can come; readers do not wait for readers."""
    threads = linked.program.threads
    for context in ("hardirq", "softirq"):
        level = CONTEXTS.index(context)
        inside = {one.wanted for one in uses if threads[one.thread].context == context}
        alone = {one.wanted for one in uses if threads[one.thread].context == context and one.exclusive}
        below = {one.wanted for one in uses if CONTEXTS.index(threads[one.thread].context) < level and one.waits and (one.exclusive or one.wanted in alone)}
        for lock in sorted(inside & below):
            opened = Taking(lock, open_to=context, alone=lock not in alone)
            result = run(Traps(takings=frozenset({opened})))
            if result.failing is None:
                if not result.complete:
                    return result
                continue
            used = run(Traps(takings=frozenset({Taking(lock, inside=context)})))
            if used.failing is not None:
                return replace(result, failing=replace(result.failing, taking=opened))
            if not used.complete:
                return used
    return None
