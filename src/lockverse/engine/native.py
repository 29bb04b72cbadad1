"""A search in machine code, from linked code to a result: guesses, compiling, and what is done when a guess fails.

Ranges and locks are guessed from a few random runs, and a guess that fails is mended and the search begun again. A reduced
search decides; if it finds the scheme broken, the shortest race is looked for without reduction, and where that would
take too long the reduced search's race is given.

Loading this file loads LLVM. Leaves out what a search is (explore/) and why a reduction is right (reduction/).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.codegen.layout import Guesses, observe
from lockverse.codegen.lower import BROKEN_RULE, TAKEN_TWICE
from lockverse.codegen.model import make_model
from lockverse.codegen.plan import NO_PLAN, Plan
from lockverse.codegen.values import Unsupported as Unsupported
from lockverse.codegen.values import Values
from lockverse.explore.bounds import Bounds, least
from lockverse.explore.native import Compiled, NativeSearch, Void, shape_of
from lockverse.explore.search import Progress, Result, explore
from lockverse.explore.table import Functions, compiled_soon
from lockverse.explore.table import compiled as compiled_kernel
from lockverse.ir.coverage import Contended, Item
from lockverse.ir.program import Linked
from lockverse.ir.traps import Traps
from lockverse.jit.machine_code import Level, Library, brings_bits_together, compile, compile_soon, exported
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Disagreement, Moved
from lockverse.passes.coverage import items
from lockverse.passes.keep import without_dead
from lockverse.passes.specialise import specialise
from lockverse.reduction.follow import Follower
from lockverse.reduction.fusion import plan
from lockverse.reduction.sample import sample
from lockverse.reduction.symmetry import Groups, candidates, differing, groups, together

from .choose import Observers, Options, threads
from .race import in_steps
from .takings import contendable

RACE_STATES: Final = 20_000_000  # looked through for the shortest race of what a reduced search found broken
RESTARTS: Final = 200  # guesses mended in one search; each mends one more, so this many mean a fault of ours
QUICK_OPS: Final = 4_000  # ops of a model from which it is compiled with fewer passes: compiling grows faster than code


def search_compiled(
    linked: Linked, observers: Observers, bounds: Bounds, progress: Callable[[Progress], None], options: Options, traps: Traps, seen: set[Item]
) -> Result:
    """Explore every interleaving in machine code, as far as `bounds` let. Raises Unsupported."""
    return _Native(linked, observers, bounds, progress, options, traps, seen).search()


class _Native(Struct):
    linked: Linked
    observers: Observers
    bounds: Bounds
    progress: Callable[[Progress], None]
    options: Options
    traps: Traps
    seen: set[Item]  # of what there is to exercise
    guesses: Guesses = field(default_factory=Guesses)
    protected: dict[int, int] = field(default_factory=dict)
    whole: frozenset[int] = frozenset()  # locks whose owners have to be in the state
    items: set[Item] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def search(self) -> Result:
        machine = Interpreter(self.linked, self.bounds.ops, self.traps)
        started = machine.start().outcome
        if not isinstance(started, Moved):
            return explore(machine, self.observers(machine), self.bounds, self.progress)
        seen = sample(machine, started.state)
        self.seen |= machine.exercised()
        self.items = items(self.linked) | contendable(self.linked, self.seen)
        observe(self.guesses, self.linked, seen.states)
        self.protected = seen.protected()
        if not self.options.reductions:
            return self._run(self.linked, (), self.bounds)[0]
        result, made, follower = self._run(self._reduced(), self.options.reductions, self.bounds)
        failing = result.failing
        if failing is None or not (failing.schedule or failing.loop) or not result.engine.reductions:
            return result
        exact = self._exact()
        if exact is not None and exact.failing is not None:
            return exact
        if exact is not None and exact.complete:
            raise Disagreement("a reduced search finds something wrong where one without reduction does not")
        return replace(result, failing=in_steps(made, follower, failing, machine), shortest=False)

    def _exact(self) -> Result | None:
        """What a search without reduction says of a broken scheme; None if it was interrupted while it was compiled."""
        within = replace(self.bounds, states=least(self.bounds.states, RACE_STATES), seconds=self._left())
        try:
            return self._run(self.linked, (), within)[0]
        except KeyboardInterrupt:  # that the scheme is broken is known, and still worth telling
            return None

    def _reduced(self) -> Linked:
        return without_dead(self.linked) if "dead" in self.options.reductions else self.linked

    def _left(self) -> float | None:
        return None if self.bounds.seconds is None else max(self.bounds.seconds - (time.monotonic() - self.began), 0.0)

    def _run(self, linked: Linked, reductions: tuple[str, ...], bounds: Bounds) -> tuple[Result, Compiled, Follower]:
        """Search in machine code, beginning again with better guesses as long as one fails. The reductions of the result are
        those that found something to do."""
        alike = candidates(linked) if "symmetry" in reductions else ()
        forgets = linked != self.linked
        linked = specialise(linked, differing(linked, alike))
        machine = Interpreter(linked, bounds.ops, self.traps)
        values = Values(linked, together(linked, alike))
        spent = 0.0
        for _ in range(RESTARTS):
            merging = NO_PLAN
            if "local" in reductions or "locks" in reductions:
                merging = plan(values, self.protected, locks="locks" in reductions, watched=self._watched())
            made = self._compile(linked, values, merging, bounds, alike)
            follower = Follower(machine, merging)
            one = NativeSearch(made, machine, self.observers(machine), bounds, self.progress, follower, self.options.jobs or threads())
            try:
                result = one.run()
            except Void as problem:
                spent += one.compiled.seconds
                self._mend(made, problem)
                continue
            effects = {"dead": forgets, "symmetry": bool(made.model.exchanges)}
            used = tuple(name for name in reductions if effects.get(name, any(merging.going_on.values())))
            return replace(result, engine=replace(result.engine, compile_seconds=spent + one.compiled.seconds, reductions=used)), made, follower
        raise AssertionError(f"{RESTARTS} guesses in a row failed")

    def _compile(self, linked: Linked, values: Values, merging: Plan, bounds: Bounds, alike: Groups) -> Compiled:
        began, notes = time.monotonic(), self._notes()
        model = make_model(linked, values, self.guesses, bounds.ops, merging, lambda layout: groups(values, layout, merging, alike), without=self.whole, traps=self.traps, notes=notes, remembering=brings_bits_together(), endless=self.options.spinning)
        text, shape = model.text, shape_of(model.layout, self.options.exact)
        level: Level = "fast" if model.ops < QUICK_OPS else "quick"
        library, best = compile_soon(lambda: text, text, level, exported(text))
        functions, all_best = compiled_soon(shape)

        def better() -> tuple[Library, Functions]:
            return compile(text, level), compiled_kernel(shape)

        seconds = time.monotonic() - began
        return Compiled(model, library, functions, seconds, None if best and all_best else better, self.options.exact)

    def _notes(self) -> dict[Item, int]:
        """A number for each item that has not been seen yet."""
        return {item: number for number, item in enumerate(sorted(self.items - self.seen, key=repr))}

    def _watched(self) -> frozenset[int]:
        """The locks of which it is still to be seen whether anybody waits for them."""
        return frozenset(one.lock for one in self.items - self.seen if isinstance(one, Contended))

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

