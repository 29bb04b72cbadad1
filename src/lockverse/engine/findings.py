"""Findings: data races, and locks taken in an order or a context that is wrong though no execution may show it.

What is wrong in an execution comes first. A search looks for data races on the way: the step that shows one is a fault (ir/traps.py), and if
that is all that was found, another search without says whether something else is wrong. Where locks could be taken in a circle, or by a
handler and where it can come, as far as the code tells, each such taking is looked for by a search of its own until no circle is left or
all of one have been found. Where a handler takes one lock, and another that is taken under it is open to such handlers, that is an
inversion too. A scheme whose code shows no such thing costs nothing.

A circle is one of lock objects, not of classes, over all executions; a lock that is never taken exclusively is in none. Lockdep's rules
otherwise: Documentation/locking/lockdep-design.rst, Linux 6.1. Leaves out the search: choose.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Failing, Progress, Result
from lockverse.explore.shortest import Schedule
from lockverse.ir.contexts import CONTEXTS
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.ir.traps import Taking, Traps
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, Moved, started
from lockverse.passes.meetings import singles

from .choose import Observers, Options, search
from .takings import Use, takings
from .walks import seen

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
    edges = _edges(uses)
    if _in_circles(edges):  # where loops are unrolled the locks of their rounds are told apart, and mostly no circle is left to search for
        edges &= _edges(takings(linked, unrolled=True))
    known = _Known(linked, run)
    try:
        return _circle(known, set(edges)) or _inversion(known, uses, set(edges))
    except _Incomplete as stop:
        return stop.result


def _edges(uses: Sequence[Use]) -> set[Taking]:
    """Which locks may be waited for holding which others, where nobody is just a reader."""
    exclusive = {one.wanted for one in uses if one.exclusive}
    return {Taking(one.wanted, held) for one in uses for held in one.held if held != one.wanted and {held, one.wanted} <= exclusive}


class _Incomplete(Exception):
    """A search hit a bound: whether there is such a taking is not known."""

    def __init__(self, result: Result) -> None:
        self.result = result


class _Known(Struct):
    """What is known of takings: a search that found each, or None if there is none in any execution."""

    linked: Linked
    run: Search
    results: dict[Taking, Result | None] = field(default_factory=dict)

    def look(self, among: set[Taking]) -> None:
        """Search for all of these at once, which says of one where it is, or of all that they are nowhere."""
        result = self.run(Traps(takings=frozenset(among)))
        if result.failing is not None:
            self.results[_taken(self.linked, result.failing, among)] = result
        elif not result.complete:
            raise _Incomplete(result)
        else:
            self.results.update(dict.fromkeys(among))

    def find(self, one: Taking) -> bool:
        """Whether some execution does it."""
        if one not in self.results:
            self.look({one})
        return self.results[one] is not None

    def schedule(self, one: Taking) -> Schedule:
        """One that ends with it."""
        result = self.results[one]
        assert result is not None and result.failing is not None
        return result.failing.schedule

    def told(self, chain: Sequence[Taking]) -> Result:
        """The search that found the first, with the others that make it a finding."""
        result = self.results[chain[0]]
        assert result is not None and result.failing is not None
        others = tuple((self.schedule(one), one) for one in chain[1:])
        return replace(result, failing=replace(result.failing, taking=chain[0], chain=others))


def _circle(known: _Known, edges: set[Taking]) -> Result | None:
    """The last taking of a circle all of whose takings some execution does. Those that random executions do are taken for granted until
    they alone make a circle; all others are looked for at once: mostly there is none, and one search says so."""
    likely = seen(known.linked, _in_circles(edges)) if _in_circles(edges) else set()
    while True:
        closed = _in_circles({one for one, result in known.results.items() if result is not None})
        if closed:
            last = min(closed, key=lambda one: (-len(known.schedule(one)), one))
            return known.told((last, *(_way(closed, last.wanted, last.held) or ())))
        unknown = _in_circles(edges) - known.results.keys()
        if not unknown:
            return None
        known.look(unknown - likely or unknown)
        edges -= {one for one, result in known.results.items() if result is None}


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


def _way(edges: set[Taking], first: int, last: int) -> tuple[Taking, ...] | None:
    """The shortest way from one lock to another, each taken with the one before held; None if there is none."""
    ways: dict[int, tuple[Taking, ...]] = {first: ()}
    waiting = [first]
    for lock in waiting:
        for one in sorted(one for one in edges if one.held == lock and one.wanted not in ways):
            ways[one.wanted] = (*ways[lock], one)
            waiting.append(one.wanted)
    return ways.get(last)


def _in_circles(edges: set[Taking]) -> set[Taking]:
    """The edges between locks that lead back to where they begin."""
    return {one for one in edges if _way(edges, one.wanted, one.held) is not None}


def _inversion(known: _Known, uses: list[Use], edges: set[Taking]) -> Result | None:
    """A lock taken where a handler can come that takes it, or that takes another under which it is taken; readers do not wait for readers."""
    threads = known.linked.program.threads
    for context in ("hardirq", "softirq"):
        level = CONTEXTS.index(context)
        inside = {one.wanted for one in uses if threads[one.thread].context == context}
        alone = {one.wanted for one in uses if threads[one.thread].context == context and one.exclusive}
        lower = [one for one in uses if CONTEXTS.index(threads[one.thread].context) < level and one.waits]
        below = {one.wanted for one in lower if one.exclusive or one.wanted in alone}
        pairs = [(lock, lock) for lock in inside & below] + [(safe, one.wanted) for safe in inside for one in lower if safe != one.wanted]
        for safe, unsafe in sorted(set(pairs), key=lambda pair: (pair[0] != pair[1], pair)):
            opened = Taking(unsafe, open_to=context, alone=safe == unsafe and safe not in alone)
            chain = _inverted(known, opened, Taking(safe, inside=context), edges)
            if chain:
                return known.told(chain)
    return None


def _inverted(known: _Known, opened: Taking, inside: Taking, edges: set[Taking]) -> tuple[Taking, ...]:
    """The takings that make an inversion of these two, all of which some execution does; empty if there are none."""
    while (way := _way(edges, inside.wanted, opened.wanted)) is not None:
        if not (known.find(opened) and known.find(inside)):
            return ()
        missing = {one for one in way if not known.find(one)}
        if not missing:
            return (opened, inside, *way)
        edges -= missing
    return ()
