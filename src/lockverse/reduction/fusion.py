"""Where a thread goes on at once: the plan that merges steps, made from dependence.py's rules.

`local` merges steps on cells that are nobody else's; `locks` also those that give back a lock, and those on cells that a
lock protects. A position is left out where a loop would otherwise have none left, so that a merged move is finite and
every loop comes to states where all threads are tried.

Leaves out guessing which lock protects what: locksets.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from lockverse.codegen.plan import FREE, Need, Plan
from lockverse.codegen.values import Access, Flow, Values
from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.reason import LOOKED_AT_REST, Reason
from lockverse.passes.registers import writes

from .dependence import Cells, releases
from .footprints import StepFootprint, read_by_conditions, steps_of


def plan(values: Values, protected: Mapping[int, int], *, locks: bool, watched: frozenset[int] = frozenset()) -> Plan:
    """The plan for a program. `protected[cell]` is the lock guessed to protect it; `locks` allows what leans on locks. The locks that are
    `watched` are not given back at once: whether anybody waits for them is to be seen."""
    threads = [steps_of(values, flow) for flow in values.flows]
    cells = Cells(values, threads)
    kinds = [Reason(one.kind) for one in values.linked.program.properties]
    visible = read_by_conditions(values, [i for i, kind in enumerate(kinds) if kind not in LOOKED_AT_REST])
    readers = values.linked.program.readers()
    visible |= watched | {readers[lock] for lock in watched if lock in readers}
    shared = {cell: lock for cell, lock in protected.items() if locks}
    found = {}
    for flow, steps in zip(values.flows, threads, strict=True):
        mine = {
            pc: needs for pc, step in steps.items()
            if (needs := _needs(flow, step, cells, visible, shared, locks=locks)) is not None
        }  # fmt: skip
        for pc in _loops(steps, set(mine)):
            del mine[pc]
        found[flow.thread] = mine
    return Plan(found, shared)


def _needs(
    flow: Flow, step: StepFootprint, cells: Cells, visible: set[int], protected: Mapping[int, int], *, locks: bool
) -> tuple[Need, ...] | None:
    """What must be held for a step to be taken at once; None if it never is."""
    if not step.plain or step.step.rest or step.cells(ops.Store) & visible:
        return None
    if releases(step.step) and not locks:
        return None
    needs = []
    for access in step.accesses:
        wanted = {}
        for cell in access.cells:
            lock = FREE if cells.is_free(cell, step, access) else protected.get(cell)
            if lock is None:
                return None
            wanted[cell] = lock
        if any(wanted.values()):
            needs.append(Need(_known_before(flow, step, access), wanted))
    return tuple(needs)


def _known_before(flow: Flow, step: StepFootprint, access: Access) -> Imm | Reg | None:
    """The address of an access, if the thread has it before the step begins."""
    address = access.op.address
    if isinstance(address, Imm):
        return address
    between = flow.code.ops[step.pc : access.pc]
    simple = step.pc < access.pc and not any(isinstance(op, ops.Jump | ops.Branch) for op in between)
    written = {number for op in between for number in writes(op)}
    return address if simple and address.number in flow.code.keep[step.pc] and address.number not in written else None


def _loops(steps: Mapping[int, StepFootprint], chosen: set[int]) -> set[int]:
    """Positions to leave out of `chosen` so that no loop is in it: those a depth-first walk comes back to."""
    left: set[int] = set()
    done: set[int] = set()
    for root in sorted(chosen):
        open_: list[tuple[int, list[int]]] = [(root, sorted(steps[root].following))] if root not in done else []
        path = {root}
        while open_:
            pc, rest = open_[-1]
            if not rest:
                open_.pop()
                path.discard(pc)
                done.add(pc)
                continue
            target = rest.pop(0)
            if target in path:
                left.add(target)
            elif target in chosen and target not in done:
                path.add(target)
                open_.append((target, sorted(steps[target].following)))
    return left
