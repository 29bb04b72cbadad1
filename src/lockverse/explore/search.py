"""Breadth-first search through every interleaving, without reduction.

States are expanded level by level, so the first level with something wrong in it has the shortest races; the search
stops at the end of that level. How things are counted:

- states: distinct states reached, the initial one among them;
- transitions: moves made, (state, thread, choice), those to states already known and those that fail among them;
- depth: the longest of the shortest ways to a state.

The order of everything is that of the threads and choices, so the same scheme gives the same result to the byte.
Leaves out what is wrong with a state: observers say so. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from lockverse.ir.coverage import Item
from lockverse.ir.reason import Reason
from lockverse.ir.traps import Taking
from lockverse.machine.protocol import Blocked, Faulted, Machine, Moved, Outcome, Pruned, TooLong

from .bounds import INTERRUPTED, NOTHING_TO_EXPLORE, BoundHit, Bounds, hit, memory_used, out_of_memory
from .graph import Edge, Graph
from .observer import Expansion, Observer, Violation
from .shortest import Move, Schedule, Target, shortest

LOOK_EVERY = 256  # states between two looks at the clock and at memory
FAULT_RANK = 1_000_000  # what the scheme asked for is told before what nobody asked for


class Failing(Struct, frozen=True):
    """How a scheme fails: `schedule` leads there (and for a fault, its last move is the one that fails). `condition` is
    the index of the property, if one failed; `loop` are the moves that then repeat for ever. `starter` is the thread that
    failed before any step, if one did. `taking` is what was found of a lock, and `chain` the other takings
    that make it a finding, with the schedules that end with them."""

    reason: Reason
    schedule: Schedule
    switches: int
    condition: int | None = None
    loop: Schedule = ()
    starter: int | None = None
    taking: Taking | None = None
    chain: tuple[tuple[Schedule, Taking], ...] = ()


class Engine(Struct, frozen=True):
    """What searched: "reference" or "native". For the latter the bits of a packed state, whether states are told apart
    exactly, and CPU seconds of compiling and of the search. `merged` are the reductions used."""

    name: str = "reference"
    bits: int = 0
    exact: bool = True
    compile_seconds: float = 0.0
    cpu_seconds: float = 0.0
    jobs: int = 1
    reductions: tuple[str, ...] = ()


class Result(Struct, frozen=True):
    """What a search found. `complete`: every interleaving was explored. Neither failing nor a bound: nothing is wrong.
    `completed` counts the states in which every thread is at rest (those that have finished are): if there are none,
    assumptions cut all short. `shortest`: no race is shorter than that of `failing`. `also` is what else was found, `never` what there
    is in the program that no execution does, if the search was complete."""

    states: int
    transitions: int
    depth: int
    completed: int
    seconds: float
    complete: bool
    failing: Failing | None = None
    bound: BoundHit | None = None
    engine: Engine = Engine()
    shortest: bool = True
    also: tuple[Failing, ...] = ()
    never: tuple[Item, ...] = ()


class Progress(Struct, frozen=True):
    """How far a search is."""

    states: int
    transitions: int
    depth: int
    frontier: int
    seconds: float


class _Candidate(Struct):
    """Something wrong: at a state, or (with `last`) at a move from it."""

    state: int
    last: Move | None
    violation: Violation


class _Search(Struct):
    machine: Machine
    observers: Sequence[Observer]
    bounds: Bounds
    progress: Callable[[Progress], None]
    graph: Graph = field(default_factory=Graph)
    transitions: int = 0
    depth: int = 0
    completed: int = 0
    began: float = field(default_factory=time.monotonic)
    candidates: list[_Candidate] = field(default_factory=list)

    def run(self) -> Result:
        started = self.machine.start()
        if isinstance(started.outcome, Faulted):
            return self._result(Failing(started.outcome.reason, (), 0, starter=started.thread))
        if isinstance(started.outcome, TooLong):
            return self._result(bound=hit("ops", started.outcome.ops))
        if isinstance(started.outcome, Pruned):
            return self._result(bound=NOTHING_TO_EXPLORE)
        self.graph.add(started.outcome.state, 0)
        self._look(0, [observer.on_state(started.outcome.state) for observer in self.observers])
        try:
            return self._levels()
        except KeyboardInterrupt:
            return self._result(bound=INTERRUPTED)
        except MemoryError:
            return self._result(bound=out_of_memory())

    def _levels(self) -> Result:
        frontier = [0]
        while frontier and not self.candidates:
            if self.bounds.depth is not None and self.depth >= self.bounds.depth and self._unfinished(frontier):
                return self._result(bound=hit("depth", self.bounds.depth))
            following: list[int] = []
            for count, number in enumerate(frontier):
                if count % LOOK_EVERY == 0 and (bound := self._bound(len(frontier) - count)) is not None:
                    return self._result(bound=bound)
                bound = self._expand(number, following)
                if bound is not None:
                    return self._result(bound=bound)
            frontier = following
            self.depth += bool(frontier)
        if not self.candidates:
            self._explored()
        return self._result(self._best() if self.candidates else None, complete=not frontier)

    def _unfinished(self, frontier: list[int]) -> bool:
        threads = range(self.machine.threads)
        return any(not self.machine.finished(self.graph.states[n], thread) for n in frontier for thread in threads)

    def _bound(self, frontier: int) -> BoundHit | None:
        seconds = time.monotonic() - self.began
        self.progress(Progress(len(self.graph.states), self.transitions, self.depth, frontier, seconds))
        if self.bounds.seconds is not None and seconds >= self.bounds.seconds:
            return hit("seconds", self.bounds.seconds)
        if self.bounds.memory is not None and memory_used() >= self.bounds.memory:
            return hit("memory", self.bounds.memory)
        return None

    def _expand(self, number: int, following: list[int]) -> BoundHit | None:
        """Make all moves from a state."""
        state = self.graph.states[number]
        finished = blocked = pruned = 0
        for thread in range(self.machine.threads):
            if self.machine.finished(state, thread):
                finished += 1
                continue
            choice, choices = 0, 1
            while choice < choices:
                outcome = self.machine.step(state, thread, choice)
                if isinstance(outcome, TooLong):
                    return hit("ops", outcome.ops)
                if isinstance(outcome, Blocked):
                    blocked += 1
                    break
                choices = outcome.choices
                self.transitions += 1
                pruned += isinstance(outcome, Pruned)
                bound = self._arrive(number, (thread, choice), outcome, following)
                if bound is not None:
                    return bound
                choice += 1
        self._expanded(number, finished, blocked, pruned)
        return None

    def _expanded(self, number: int, finished: int, blocked: int, pruned: int) -> None:
        """All moves from a state are made: what does that make of it?"""
        state, threads = self.graph.states[number], self.machine.threads
        at_rest = finished == threads or all(self.machine.at_rest(state, thread) for thread in range(threads))
        self.completed += at_rest
        if pruned or at_rest:
            self.graph.ends.add(number)
        expansion = Expansion(finished, blocked, pruned, at_rest)
        self._look(number, [observer.on_expanded(state, expansion) for observer in self.observers])

    def _arrive(self, number: int, move: Move, outcome: Outcome, following: list[int]) -> BoundHit | None:
        if isinstance(outcome, Faulted):
            self.candidates.append(_Candidate(number, move, Violation(outcome.reason, FAULT_RANK)))
        if not isinstance(outcome, Moved):
            return None
        target, new = self.graph.add(outcome.state, self.graph.levels[number] + 1)
        self.graph.into[target].append(Edge(number, *move))
        if new:
            if self.bounds.states is not None and target >= self.bounds.states:
                return hit("states", self.bounds.states)
            following.append(target)
            self._look(target, [observer.on_state(outcome.state) for observer in self.observers])
        return None

    def _look(self, number: int, found: Sequence[Violation | None]) -> None:
        self.candidates += [_Candidate(number, None, violation) for violation in found if violation is not None]

    def _explored(self) -> None:
        for observer in self.observers:
            for number, violation in observer.on_explored(self.graph):
                self.candidates.append(_Candidate(number, None, violation))

    def _best(self) -> Failing:
        """The shortest; of these the one with the fewest switches; of these the lowest rank; of these the first."""

        def length(one: _Candidate) -> int:
            return self.graph.levels[one.state] + (one.last is not None)

        least = min(length(one) for one in self.candidates)
        found = [one for one in self.candidates if length(one) == least]
        race = shortest(self.graph, [Target(one.state, one.last, one.violation.rank) for one in found])
        violation = found[race.target].violation
        return Failing(violation.reason, race.schedule, race.switches, violation.condition, violation.loop)

    def _result(self, failing: Failing | None = None, bound: BoundHit | None = None, complete: bool = False) -> Result:
        return Result(
            len(self.graph.states), self.transitions, self.depth, self.completed,
            time.monotonic() - self.began, complete and bound is None, failing, bound,
        )  # fmt: skip


def _silent(progress: Progress) -> None:
    """Tell nobody."""


def explore(
    machine: Machine, observers: Sequence[Observer], bounds: Bounds, progress: Callable[[Progress], None] = _silent
) -> Result:
    """Explore every interleaving of `machine`, or as far as `bounds` let. `progress` is told now and then; Ctrl-C ends the
    search with a result."""
    return _Search(machine, observers, bounds, progress).run()
