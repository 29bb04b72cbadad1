"""What a thread's code looks for besides faults of the program: accesses that meet, locks taken in an order that is wrong.

The conditions are those of the interpreter (machine/interpreter.py, which is the specification), worked out on the packed state; only
pairs of accesses that can be to one cell, and are not both made with one lock held, get code. Leaves out which traps there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from lockverse.ir import ops
from lockverse.ir.contexts import CLOSED_BY, CONTEXTS, keepers
from lockverse.ir.ops import Imm, Value
from lockverse.ir.program import Code
from lockverse.ir.traps import Taking, Traps
from lockverse.passes.meetings import Single, singles

from .layout import Layout
from .text import literal
from .values import Env, Values

if TYPE_CHECKING:
    from .lower import Function


class TrapWriter(Struct):
    """Writes the looks at traps into the functions of a model's threads."""

    layout: Layout
    values: Values
    traps: Traps
    known: dict[int, dict[int, Single]] = field(default_factory=dict)

    def step(self, function: Function, at: int, op: ops.Step, env: Env) -> None:
        """A step of a thread has begun: a fault if it is one of the traps."""
        if self.traps.races:
            self._race(function, at, env)
        if op.takes and self.traps.takings:
            self._taking(function, op, env)

    def _singles(self, code: Code) -> dict[int, Single]:
        if id(code) not in self.known:
            self.known[id(code)] = dict(singles(code))
        return self.known[id(code)]

    # Data races

    def _race(self, function: Function, at: int, env: Env) -> None:
        mine = self._singles(function.code).get(at)
        if mine is None or not mine.plain:
            return
        cells = self._cells(mine, env)
        met = "false"
        for thread, pc, one in self._others(function.flow.thread, at, mine, cells):
            met = function.out.binary("or", met, self._stands(function, mine, env, thread, pc, one), "i1")
        if met != "false":
            function.out.unless(function.out.binary("xor", met, "true", "i1"), "fault")

    def _others(self, thread: int, at: int, mine: Single, cells: frozenset[int]) -> Iterator[tuple[int, int, Single]]:
        """The accesses of threads on other CPUs that can conflict."""
        threads = self.layout.linked.program.threads
        for flow in self.values.flows:
            if flow.thread == thread or threads[flow.thread].cpu == threads[thread].cpu:
                continue
            for pc, one in self._singles(flow.code).items():
                if not (mine.writes or one.writes) or pc not in self.layout.threads[flow.thread].standing:
                    continue
                if not self._together(thread, at, flow.thread, pc) and self._cells(one, flow.entry[pc]) & cells:
                    yield flow.thread, pc, one

    def _together(self, thread: int, at: int, other: int, pc: int) -> bool:
        """Whether two threads would hold one lock if they stood there, so that they never do."""
        held = self.layout.holding.held
        return bool(held[thread].get(at, frozenset()) & held[other].get(pc, frozenset()) & self.layout.holding.locks)

    def _stands(self, function: Function, mine: Single, env: Env, thread: int, pc: int, one: Single) -> str:
        """An i1: that thread stands before that access, and it is to the same cell."""
        out, here = function.out, function.access.stands(thread, pc)
        a, b = self._cells(mine, env), self._cells(one, self.values.flows[thread].entry[pc])
        if len(a) == 1 and a == b and not one.offset:
            return here
        theirs = self._theirs(function, thread, pc, one.target)
        if one.offset:
            here = out.binary("and", here, out.compare("ne", theirs, "0"), "i1")  # NULL and an offset are no cell
            theirs = out.binary("add", theirs, str(one.offset))
        return out.binary("and", here, out.compare("eq", function.operand(mine.target, env), theirs), "i1")

    def _cells(self, one: Single, env: Env) -> frozenset[int]:
        """The cells that an access can be to."""
        return frozenset(address + one.offset for address in self.values.addresses(one.target, env))

    def _theirs(self, function: Function, thread: int, pc: int, value: Value) -> str:
        """What an operand of another thread's holds."""
        return literal(value.value) if isinstance(value, Imm) else function.access.kept(self.layout.threads[thread].standing[pc], value.number)

    # Locks

    def _taking(self, function: Function, op: ops.Step, env: Env) -> None:
        assert op.target is not None
        cells = self.values.addresses(op.target, env)
        thread = self.layout.linked.program.threads[function.flow.thread]
        for one in sorted(self.traps.takings):
            if one.wanted in cells and one.inside in ("", thread.context) and not (one.alone and op.takes != "exclusive"):
                met = function.out.compare("eq", function.operand(op.target, env), str(one.wanted))
                for condition in self._conditions(function, one):
                    met = function.out.binary("and", met, condition, "i1")
                function.out.unless(function.out.binary("xor", met, "true", "i1"), "fault")

    def _conditions(self, function: Function, one: Taking) -> Iterator[str]:
        program, number = self.layout.linked.program, function.flow.thread
        if one.held:
            yield function.out.binary("or", function.holds(one.held), function.holds_shared(one.held), "i1")
        if not one.open_to:
            return
        if CONTEXTS.index(program.threads[number].context) >= CONTEXTS.index(one.open_to):
            yield "false"
        for closing in CLOSED_BY[one.open_to]:
            offset = program.task_offset(closing)
            assert offset is not None
            cell = program.threads[number].task + offset
            if self.values.cells[cell] != frozenset((0,)):
                yield function.out.compare("eq", function.access.read_at("0", [cell]), "0")

    def wanted_by_another(self, function: Function, lock: int) -> str:
        """An i1: another thread stands before a step that waits for the lock. Not where both would hold one lock there."""
        found = "false"
        for flow in self.values.flows:
            for pc in self.layout.threads[flow.thread].standing if flow.thread != function.flow.thread else ():
                step = flow.code.ops[pc]
                if self._together(function.flow.thread, function.at, flow.thread, pc):
                    continue
                if isinstance(step, ops.Step) and step.takes and step.target is not None and lock in self.values.addresses(step.target, flow.entry[pc]):
                    here = function.access.stands(flow.thread, pc)
                    same = function.out.compare("eq", self._theirs(function, flow.thread, pc, step.target), str(lock))
                    waits = function.out.binary("and", function.out.binary("and", here, same, "i1"), self._has_cpu(function, flow.thread), "i1")
                    found = function.out.binary("or", found, waits, "i1")
        return found

    def _has_cpu(self, function: Function, thread: int) -> str:
        """An i1: nothing keeps that thread off its CPU."""
        found = "true"
        for one in keepers(self.layout.linked.program, thread, begins=False):
            if self.values.cells[one.cell] != frozenset((0,)):
                found = function.out.binary("and", found, function.out.compare("eq", function.access.read_at("0", [one.cell]), "0"), "i1")
        return found
