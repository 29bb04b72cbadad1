"""Which engine searches, and what is done when a guess of its fails.

Small schemes are done by the reference search before LLVM is loaded. What is larger is compiled and searched in machine
code, with the reductions asked for; ranges and locks are guessed from a few random runs, and a guess that fails is
mended and the search begun again. A reduced search decides; if it finds the scheme broken, the shortest race is looked
for without reduction, and where that would take too long the reduced search's race is given.

Leaves out what a search is (explore/) and why a reduction is right (reduction/).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lockverse.codegen.layout import Guesses, MachineState, observe
from lockverse.codegen.model import make_model
from lockverse.codegen.plan import NO_PLAN, Plan
from lockverse.codegen.values import Unsupported, Values
from lockverse.explore.bounds import Bounds
from lockverse.explore.native import BROKEN_RULE, TAKEN_TWICE, Compiled, NativeSearch, Void, shape_of
from lockverse.explore.observer import Observer
from lockverse.explore.search import Failing, Progress, Result, explore
from lockverse.explore.shortest import Schedule, switches
from lockverse.explore.table import compiled as compiled_kernel
from lockverse.ir.program import Linked
from lockverse.jit.machine_code import compile
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, Moved, Outcome
from lockverse.passes.keep import without_dead
from lockverse.passes.progress import may_repeat
from lockverse.passes.specialise import specialise
from lockverse.reduction import REDUCTIONS
from lockverse.reduction.follow import Follower
from lockverse.reduction.fusion import plan
from lockverse.reduction.sample import sample
from lockverse.reduction.symmetry import Groups, candidates, differing, groups, together

FIRST_STATES: Final = 1_500  # for the reference search: some hundredths of a second, less than loading LLVM takes
RACE_STATES: Final = 20_000_000  # looked through for the shortest race of what a reduced search found broken
RESTARTS: Final = 200  # guesses mended in one search; each mends one more, so this many mean a fault of ours
QUICK_OPS: Final = 4_000  # ops of a model from which it is compiled with fewer passes: compiling grows faster than code


@dataclass(frozen=True, slots=True)
class Options:
    """How to search. `engine` is "auto", "reference" or "native"; `jobs` 0 is as many threads as there are cores."""

    engine: str = "auto"
    reductions: tuple[str, ...] = REDUCTIONS
    jobs: int = 0
    spinning: bool = True  # whether endless spinning is looked for


Observers = Callable[[Interpreter], Sequence[Observer]]


def search(linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], options: Options) -> Result:
    """Explore every interleaving, as far as `bounds` let."""
    if options.engine != "native":
        first = bounds if options.engine == "reference" else replace(bounds, states=_least(bounds.states, FIRST_STATES))
        machine = Interpreter(linked, bounds.ops)
        result = explore(machine, observers(machine), first, progress)
        if first == bounds or result.bound is None or result.bound.name != "states":
            return result
    try:
        return _Native(linked, observers, bounds, progress, options).search()
    except Unsupported:
        machine = Interpreter(linked, bounds.ops)
        return explore(machine, observers(machine), bounds, progress)


def _least(a: int | None, b: int) -> int:
    return b if a is None else min(a, b)


@dataclass(slots=True)
class _Native:
    linked: Linked
    observers: Observers
    bounds: Bounds
    progress: Callable[[Progress], None]
    options: Options
    guesses: Guesses = field(default_factory=Guesses)
    protected: dict[int, int] = field(default_factory=dict)
    whole: frozenset[int] = frozenset()  # locks whose owners have to be in the state
    began: float = field(default_factory=time.monotonic)

    def search(self) -> Result:
        machine = Interpreter(self.linked, self.bounds.ops)
        started = machine.start().outcome
        if not isinstance(started, Moved):
            return explore(machine, self.observers(machine), self.bounds, self.progress)
        seen = sample(machine, started.state)
        observe(self.guesses, self.linked, seen.states)
        self.protected = seen.protected()
        if not self.options.reductions:
            return self._run(self.linked, (), self.bounds)[0]
        result, made, follower = self._run(self._reduced(), self.options.reductions, self.bounds)
        if result.failing is None or not result.failing.schedule:
            return result
        within = replace(self.bounds, states=_least(self.bounds.states, RACE_STATES), seconds=self._left())
        exact = self._run(self.linked, (), within)[0]
        if exact.failing is not None:
            return exact
        return replace(result, failing=_in_steps(made, follower, result.failing, started.state))

    def _reduced(self) -> Linked:
        return without_dead(self.linked) if "dead" in self.options.reductions else self.linked

    def _left(self) -> float | None:
        return None if self.bounds.seconds is None else max(self.bounds.seconds - (time.monotonic() - self.began), 0.0)

    def _run(self, linked: Linked, reductions: tuple[str, ...], bounds: Bounds) -> tuple[Result, Compiled, Follower]:
        """Search in machine code, beginning again with better guesses as long as one fails."""
        alike = candidates(linked) if "symmetry" in reductions else ()
        linked = specialise(linked, differing(linked, alike))
        machine = Interpreter(linked, bounds.ops)
        values = Values(linked, together(linked, alike))
        spent = 0.0
        for _ in range(RESTARTS):
            merging = NO_PLAN
            if "local" in reductions or "locks" in reductions:
                merging = plan(values, self.protected, locks="locks" in reductions)
            made = self._compile(linked, values, merging, bounds, alike)
            spent += made.seconds
            follower = Follower(machine, merging)
            one = NativeSearch(made, machine, self.observers(machine), bounds, self.progress, follower, self._jobs())
            try:
                result = one.run()
            except Void as problem:
                self._mend(made, problem)
                continue
            return replace(result, engine=replace(result.engine, compile_seconds=spent, reductions=reductions)), made, follower
        raise AssertionError(f"{RESTARTS} guesses in a row failed")

    def _compile(self, linked: Linked, values: Values, merging: Plan, bounds: Bounds, alike: Groups) -> Compiled:
        began = time.monotonic()
        model = make_model(linked, values, self.guesses, bounds.ops, merging, lambda layout: groups(values, layout, merging, alike), without=self.whole)
        library = compile(model.text, "fast" if model.ops < QUICK_OPS else "quick")
        functions = compiled_kernel(shape_of(model.layout))
        repeats = self.options.spinning and any(may_repeat(code) for code in dict.fromkeys(linked.codes))
        return Compiled(model, library, functions, time.monotonic() - began, repeats)

    def _mend(self, made: Compiled, problem: Void) -> None:
        if problem.guard == TAKEN_TWICE:
            self.whole |= {problem.value}
            return
        if problem.guard == BROKEN_RULE:
            del self.protected[problem.value]
            return
        key, kind = made.model.layout.guards[problem.guard]
        value = problem.value if kind.signed else problem.value & (1 << 64) - 1
        self.guesses.widen(key, value, kind)

    def _jobs(self) -> int:
        return self.options.jobs or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0])


def _in_steps(made: Compiled, follower: Follower, failing: Failing, state: MachineState) -> Failing:
    """The race of a reduced search, each of its moves as the steps it is made of, by the threads that really take them."""
    schedule, actual = _steps(made, follower, failing.schedule, state)
    loop: Schedule = ()
    if failing.loop:
        begin = here = actual
        while not loop or here != begin:  # with threads in order it closes at once, really once all have had each role
            more, here = _steps(made, follower, failing.loop, here)
            loop += more
    return replace(failing, schedule=schedule, switches=switches(schedule), loop=loop)


def _steps(made: Compiled, follower: Follower, moves: Schedule, state: MachineState) -> tuple[Schedule, MachineState]:
    steps: list[tuple[int, int]] = []
    for thread, choice in moves:
        wanted, _ = follower.move(made.ordered(state), thread, choice)
        for mover in [thread, *range(follower.machine.threads)]:
            if follower.machine.finished(state, mover):
                continue
            outcome, count = follower.move(state, mover, choice)
            if _alike(made, outcome, wanted):
                break
        else:
            raise AssertionError("no thread takes the step that its twin takes")
        steps += [(mover, choice), *[(mover, 0)] * (count - 1)]
        if isinstance(outcome, Moved):
            state = outcome.state
    return tuple(steps), state


def _alike(made: Compiled, a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes are the same but for the order of the threads."""
    if isinstance(a, Moved) and isinstance(b, Moved):
        return made.ordered(a.state) == made.ordered(b.state)
    if isinstance(a, Faulted) and isinstance(b, Faulted):
        return a.reason == b.reason
    return type(a) is type(b)
