"""What each step can touch: the cells it loads and stores, from the value sets of its addresses.

A step is its Step op and every op that can run before the next one. Leaves out what follows from it: dependence.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from lockverse.codegen.values import Access, Flow, Values
from lockverse.ir import ops
from lockverse.ir.ops import Op, Reg
from lockverse.passes.registers import reads, successors, writes


class StepFootprint(Struct):
    """One step of a thread's code. `plain`: nothing but loads, stores, checks and local work, so it can always run and has
    one outcome. `following` are the steps that can come next. `asking` are the ops among its loads whose value is only compared
    with the thread's own task."""

    pc: int
    step: ops.Step
    accesses: list[Access] = field(default_factory=list)
    plain: bool = True
    following: set[int] = field(default_factory=set)
    asking: set[int] = field(default_factory=set)

    def cells(self, kind: type[ops.Load] | type[ops.Store] | None = None) -> set[int]:
        """All cells it can load or store (of that kind only, if given)."""
        return {cell for one in self.accesses if kind is None or isinstance(one.op, kind) for cell in one.cells}


def steps_of(values: Values, flow: Flow) -> dict[int, StepFootprint]:
    """Every step of a thread's code that can be reached, by its position."""
    accesses = values.facts(flow).accesses
    asking = _asking(flow, accesses)
    return {pc: _step(flow, pc, op, accesses, asking) for pc, op in enumerate(flow.code.ops) if isinstance(op, ops.Step) and pc in flow.entry}


def _asking(flow: Flow, accesses: dict[int, Access]) -> set[int]:
    """The loads whose value is only compared with the thread's own task."""
    own = {op.dst.number for op in flow.code.ops if isinstance(op, ops.Self)}
    used: dict[int, list[Op]] = {}
    for op in flow.code.ops:
        for number in reads(op):
            used.setdefault(number, []).append(op)
        if not isinstance(op, ops.Self):
            own.difference_update(writes(op))
    return {
        pc for pc, one in accesses.items()
        if isinstance(one.op, ops.Load) and all(_is_comparison(op, one.op.dst, own) for op in used.get(one.op.dst.number, ()))
    }  # fmt: skip


def _is_comparison(op: Op, loaded: Reg, own: set[int]) -> bool:
    """Whether an op asks whether what was loaded is in a register that holds the thread's own task."""
    if not isinstance(op, ops.Binary) or op.op not in ("eq", "ne"):
        return False
    other = op.b if op.a == loaded else op.a
    return isinstance(other, Reg) and other.number in own


def _step(flow: Flow, pc: int, step: ops.Step, accesses: dict[int, Access], asking: set[int]) -> StepFootprint:
    found = StepFootprint(pc, step)
    seen, waiting = {pc}, [pc]
    while waiting:
        here = waiting.pop()
        op = flow.code.ops[here]
        if here in accesses:
            found.accesses.append(accesses[here])
            found.asking |= {here} & asking
        found.plain = found.plain and not isinstance(op, ops.Await | ops.Assume | ops.Choose)
        for target in _possible(flow, here, op):
            if isinstance(flow.code.ops[target], ops.Step):
                found.following.add(target)
            elif target not in seen:
                seen.add(target)
                waiting.append(target)
    found.accesses.sort(key=lambda one: one.pc)
    return found


def _possible(flow: Flow, pc: int, op: Op) -> list[int]:
    """What can come after an op, blocks no execution reaches aside."""
    jumps = isinstance(op, ops.Jump | ops.Branch)
    return [to for to in successors(op, pc) if not jumps or to in flow.entry]


def read_by_conditions(values: Values, conditions: Sequence[int]) -> set[int]:
    """The cells the properties of these indices look at."""
    found: set[int] = set()
    for index in conditions:
        for access in values.facts(values.conditions[index]).accesses.values():
            found |= access.cells
    return found
