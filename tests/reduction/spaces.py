"""Reduced spaces explored in Python: what the native search explores, made once more from the plan by the interpreter.

`Reduction` is what the engine makes of a program for some reductions; `essence` is all of a space that a reduction has to
keep: what can be wrong, what is at rest, what holds sometimes. Nothing here stops at the first thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.codegen.layout import Guesses, Layout, make_layout, observe, register_key
from lockverse.codegen.plan import FREE, NO_PLAN, Need, Plan
from lockverse.codegen.symmetry import Exchange, canonical, network
from lockverse.codegen.values import Values
from lockverse.diagnostics.model import Rejected
from lockverse.engine.takings import contendable
from lockverse.ir import ops
from lockverse.ir.coverage import Contended
from lockverse.ir.ops import Op
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.machine.interpreter import Interpreter, MachineState, Run
from lockverse.machine.protocol import Blocked, Faulted, Moved, Outcome, Pruned
from lockverse.passes.keep import without_dead
from lockverse.passes.specialise import specialise
from lockverse.reduction.follow import Follower
from lockverse.reduction.fusion import plan
from lockverse.reduction.sample import sample
from lockverse.reduction.symmetry import candidates, differing, groups, together

from ..support import linked_of, scheme_text

Packed = tuple[int, ...]
ROOM = 1 << 40  # what is counted in these tests stays below it


class Reduction(Struct, frozen=True):
    """A program as the engine compiles it for some reductions, with what it merges and which threads it exchanges."""

    linked: Linked
    values: Values
    layout: Layout
    plan: Plan
    exchanges: tuple[Exchange, ...]

    @property
    def merged(self) -> list[list[str]]:
        """For each thread, the kinds of the steps that can be merged."""
        return [[_kind(self.linked, thread, pc) for pc in sorted(self.plan.going_on.get(thread, {}))] for thread in range(len(self.linked.codes))]

    def pack(self, state: MachineState) -> Packed:
        """The state with its threads in order."""
        words = self.layout.encode(state)
        assert not isinstance(words, int)
        return canonical(words, self.exchanges)


def _kind(linked: Linked, thread: int, pc: int) -> str:
    step = linked.codes[thread].ops[pc]
    assert isinstance(step, ops.Step)
    return step.kind


def _started(linked: Linked) -> MachineState:
    started = Interpreter(linked).start().outcome
    assert isinstance(started, Moved)
    state: MachineState = started.state
    return state


def protected_in(linked: Linked) -> dict[int, int]:
    """The locks that a sample of executions takes for those that protect cells."""
    return sample(Interpreter(linked), _started(linked)).protected()


def watched_in(linked: Linked) -> frozenset[int]:
    """The locks that several threads may wait for, and that nobody waits for in that sample: whether somebody does is to be seen."""
    machine = Interpreter(linked)
    sample(machine, _started(linked))
    return frozenset(one.lock for one in contendable(linked) - machine.exercised() if isinstance(one, Contended))


def reduced(linked: Linked, names: tuple[str, ...], protected: Mapping[int, int] | None = None) -> Reduction:
    """What the engine makes of it; `protected` in place of what a sample says."""
    known = protected_in(linked) if protected is None else protected
    watched = watched_in(linked) if protected is None else frozenset()
    one = without_dead(linked) if "dead" in names else linked
    alike = candidates(one) if "symmetry" in names else ()
    one = specialise(one, differing(one, alike))
    values = Values(one, together(one, alike))
    merging = plan(values, known, locks="locks" in names, watched=watched) if "local" in names or "locks" in names else NO_PLAN
    guesses = Guesses()
    observe(guesses, one, [_started(one)])
    registers = {register_key(code, number) for code in one.codes for number in range(len(code.registers))}
    guesses.known = dict.fromkeys({*guesses.known, *registers}, (-ROOM, ROOM))
    layout = make_layout(one, values, guesses)
    return Reduction(one, values, layout, merging, network(layout, groups(values, layout, merging, alike)))


class Broken(Exception):
    """A protected cell was accessed without its lock: the cell."""


class Space(Struct):
    """A space explored to its end. `moves[state]` are where its moves lead, by thread and choice."""

    moves: dict[Packed, list[Packed]] = field(default_factory=dict)
    at_rest: set[Packed] = field(default_factory=set)
    ends: set[Packed] = field(default_factory=set)
    faults: set[tuple[Reason, int]] = field(default_factory=set)
    stuck: set[Packed] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    witnessed: set[int] = field(default_factory=set)
    transitions: int = 0


class Explorer:
    """Explores one: unreduced with NO_PLAN and no exchanges."""

    def __init__(self, one: Reduction, limit: int = 3_000) -> None:
        self.one, self.machine, self.limit = one, Interpreter(one.linked), limit
        self.follower = Follower(self.machine, one.plan)
        self.tasks = [thread.task for thread in one.linked.program.threads]

    def watch(self, op: Op, run: Run) -> None:
        """Held against every access: a protected cell only with its lock."""
        if isinstance(op, ops.Load | ops.Store):
            cell = run.value(op.address)
            lock = self.one.plan.protected.get(cell, FREE)
            if lock != FREE and run.memory[lock] != self.tasks[run.thread]:
                raise Broken(cell)

    def move(self, state: MachineState, thread: int, choice: int) -> Outcome:
        """A move as the Follower makes it, watched."""
        outcome = self.machine.step(state, thread, choice, self.watch)
        choices = getattr(outcome, "choices", 1)
        while isinstance(outcome, Moved) and self.follower.goes_on(outcome.state, thread):
            outcome = self.machine.step(outcome.state, thread, 0, self.watch)
        return outcome if isinstance(outcome, Blocked) else replace(outcome, choices=choices)

    def space(self) -> Space | None:
        """All of it; None if there are more states than the limit. Raises Broken."""
        found, one = Space(), self.one
        waiting = [one.pack(_started(one.linked))]
        found.moves[waiting[0]] = []
        for packed in waiting:
            self._expand(found, packed)
            for target in found.moves[packed]:
                if target not in found.moves:
                    found.moves[target] = []
                    waiting.append(target)
            if len(waiting) > self.limit:
                return None
        return found

    def _expand(self, found: Space, packed: Packed) -> None:
        state = self.one.layout.decode(packed)
        still = 0
        for thread in range(self.machine.threads):
            choice, choices = 0, 0 if self.machine.finished(state, thread) else 1
            still += not choices
            while choice < choices:
                outcome = self.move(state, thread, choice)
                if isinstance(outcome, Moved):
                    found.moves[packed].append(self.one.pack(outcome.state))
                elif isinstance(outcome, Faulted):
                    found.faults.add((outcome.reason, self._line(outcome.origin)))
                    found.ends.add(packed)
                elif isinstance(outcome, Pruned):
                    found.ends.add(packed)
                else:
                    still += 1
                found.transitions += not isinstance(outcome, Blocked)
                choices = getattr(outcome, "choices", 1)
                choice += 1
        self._look(found, packed, state, still == self.machine.threads)

    def _line(self, origin: int) -> int:
        return self.one.linked.origins[origin].statement

    def _look(self, found: Space, packed: Packed, state: MachineState, still: bool) -> None:
        at_rest = all(self.machine.at_rest(state, thread) for thread in range(self.machine.threads))
        if at_rest:
            found.at_rest.add(packed)
            found.ends.add(packed)
        elif still:
            found.stuck.add(packed)
        for number, prop in enumerate(self.one.linked.program.properties):
            kind, holds = Reason(prop.kind), self.machine.evaluate(state, number)
            if kind is Reason.SOMETIMES and holds is True:
                found.witnessed.add(number)
            elif kind is not Reason.SOMETIMES and holds is not True and (at_rest or kind is Reason.ALWAYS):
                found.broken.add(number)


def can_be_lost(space: Space) -> bool:
    """Whether from some state no execution ends, or stops at something wrong."""
    before: dict[Packed, list[Packed]] = {}
    for source, targets in space.moves.items():
        for target in targets:
            before.setdefault(target, []).append(source)
    ended = space.ends | space.stuck
    waiting = list(ended)
    while waiting:
        for source in before.get(waiting.pop(), ()):
            if source not in ended:
                ended.add(source)
                waiting.append(source)
    return len(ended) < len(space.moves)


Essence = tuple[object, ...]


def essence(space: Space, one: Reduction) -> Essence:
    """What a reduction keeps. States at rest are brought to the order of threads that `one` has."""
    at_rest = {canonical(packed, one.exchanges) for packed in space.at_rest}
    return (at_rest, space.faults, bool(space.stuck), space.broken, space.witnessed, can_be_lost(space))


def explored(one: Reduction, limit: int = 3_000) -> tuple[Space | None, Reduction]:
    """The reduced space; as the engine does, a guess that is belied is dropped, and all begins again."""
    while True:
        try:
            return Explorer(one, limit).space(), one
        except Broken as problem:
            left = {cell: lock for cell, lock in one.plan.protected.items() if cell != problem.args[0]}
            one = replace(one, plan=plan(one.values, left, locks=True, watched=watched_in(one.linked)))


def whole(one: Reduction, limit: int = 3_000) -> Space | None:
    """The space of the same code without merging and without exchanging."""
    return Explorer(replace(one, plan=NO_PLAN, exchanges=()), limit).space()


def keeps(one: Reduction, limit: int = 3_000) -> bool | None:
    """Whether the essence is kept; None if the space is too large to say."""
    full = whole(one, limit)
    if full is None:
        return None
    small, used = explored(one, limit)
    return small is not None and essence(small, used) == essence(full, used)


def also(one: Reduction, thread: int, *kinds: str, needs: tuple[Need, ...] = ()) -> Reduction:
    """A wrong twin: steps of these kinds of a thread are merged as well."""
    flow = one.values.flows[thread]
    more = {pc: needs for pc, op in enumerate(flow.code.ops) if isinstance(op, ops.Step) and op.kind in kinds and pc in flow.entry}
    mine = {**one.plan.going_on.get(thread, {}), **more}
    return replace(one, plan=replace(one.plan, going_on={**one.plan.going_on, thread: mine}))


# Random programs with locks: most of the grammar of tests/oracle fails by an overflow or a NULL soon


def locking(seed: int) -> str:
    """A random scheme file of two or three CPUs, often the same, that lock, count, try and look."""
    rng = Random(seed)

    def place() -> str:
        return rng.choice(["x.big", "x.big", "y.big", "x.n", "y.n", "x.slots[0]", "x.slots[k]"])

    def line() -> str:
        return rng.choice([
            f"{place()} = 1", f"{place()} = k", "x.big += 1", "y.big += 1", "x.big -= 1", "k = x.n & 1", f"k = {place()} & 1", "x.flag = True", "y.flag = x.flag",
            "atomic_inc(x.count)", "k = choose(0, 1)", "assume(k == 0)", f"assert {place()} < 3", "smp_mb()", "if x.big > 1:\n    y.flag = True",
            "if k:\n    y.n = 3", "WRITE_ONCE(x.n, 2)", "k = 0", "y.next = x", "rcu_read_lock()\nx.n = 1\nrcu_read_unlock()",
        ])  # fmt: skip

    def block(indent: str, depth: int) -> list[str]:
        found = []
        for _ in range(rng.randrange(1, 3)):
            kind = rng.randrange(9)
            inner = indent + "    "
            lock = rng.choice(["x.lock", "x.lock", "y.lock", "x.other"])
            if depth and kind < 4:
                found += [f"{indent}with {lock}:", *block(inner, depth - 1)]
            elif depth and kind == 4:
                found += [f"{indent}if spin_trylock({lock}):", *block(inner, depth - 1), f"{inner}spin_unlock({lock})"]
            elif depth and kind == 5 and rng.random() < 0.4:
                found += [f"{indent}if {rng.choice(['not ', ''])}spin_is_locked({lock}):", *block(inner, depth - 1)]
            elif depth and kind == 6:
                head = rng.choice(["for i in range(2):", "while x.big < 2:", "while not y.flag:"])
                found += [f"{indent}{head}", *block(inner, depth - 1), f"{inner}x.big += 1" if "big" in head else f"{inner}cpu_relax()"]
            else:
                found += [indent + one for one in line().split("\n")]
        return found

    threads = rng.choice([2, 2, 3])
    same, rests = rng.random() < 0.5, rng.random() < 0.2
    functions, cpus = [], []
    for number in range(1 if same else threads):
        functions += [f"def run{number}(x, y, k: u8):"]
        functions += ["    while True:", "        rest()", "        smp_mb()", *block("        ", 1)] if rests else block("    ", 2 if threads == 2 else 1)
        functions += ["", ""]
    for number in range(threads):
        cpus.append(f"cpu(run{0 if same else number}, {rng.choice(['x, y', 'x, y', 'y, x'])}, {rng.choice([0, 0, 1])})")
    properties = [one for one in ["always(lambda: x.big < 2)", "at_rest(lambda: x.big + y.big < 3)", "sometimes(lambda: y.flag)",
                                  "always(lambda: not (x.n == 1 and y.n == 1))", "at_rest(lambda: x.n != 1)"] if rng.random() < 0.25]  # fmt: skip
    return scheme_text("\n".join(functions), "\n".join(["x = node()", "y = node()", *cpus, *properties]))


def locking_linked(folder: Path, seed: int, change: Callable[[str], str] = str) -> Linked | None:
    """The linked code of that text, changed; None if it does not compile, or fails before its first step."""
    try:
        linked = linked_of(folder, change(locking(seed)))
    except Rejected:
        return None
    return linked if isinstance(Interpreter(linked).start().outcome, Moved) else None
