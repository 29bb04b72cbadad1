"""Threads that are interchangeable: the same code, the same arguments, and nobody who tells them apart.

Exchanging two such threads turns an execution into an execution, and leaves every property as it was. So of the states
that differ only by who is who, one is enough (Ip and Dill, "Better verification through symmetry", Formal Methods in
System Design 9, 1996; together with ample sets: Emerson, Jha and Peled, TACAS 1997: the plan must treat the threads
alike, and it does, as it is made from code and cells). Threads are told apart by

- arguments: those that the code changes may differ, as they are part of the state, others may not;
- the number of the CPU: whoever reads a pid, computes with the address of a task, compares its order, or has bits by pid
  (RCU's blockers, the readers of a lock), or looks into another's task_struct (to wake it), forbids it; asking whether a lock's owner is the thread itself, or anybody, is what remains;
- pointers to tasks outside of locks: a register that keeps one forbids it;
- properties that look at locks or tasks.

Leaves out objects that are interchangeable (pages of one kind, say), and loops over threads in a fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from lockverse.codegen.layout import Layout
from lockverse.codegen.plan import Plan
from lockverse.codegen.symmetry import exchange
from lockverse.codegen.values import Access, Flow, Values
from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.program import Code, Linked
from lockverse.ir.types import Ptr, StructRef
from lockverse.passes.registers import reads, writes

from .footprints import read_by_conditions

Groups = tuple[tuple[int, ...], ...]
_TASK: Final = Ptr(StructRef("task_struct"))


def candidates(linked: Linked) -> Groups:
    """Threads with the same code and arguments, in groups of two and more."""
    found: dict[tuple[Code, tuple[int | None, ...]], list[int]] = {}
    changed: dict[Code, set[int]] = {}
    for number, (code, thread) in enumerate(zip(linked.codes, linked.program.threads, strict=True)):
        if code not in changed:
            changed[code] = {register for op in code.ops for register in writes(op)}
        fixed = tuple(None if i in changed[code] else value for i, value in enumerate(thread.arguments))
        found.setdefault((code, fixed), []).append(number)
    return tuple(tuple(group) for group in found.values() if len(group) > 1)


def groups(values: Values, layout: Layout, plan: Plan, among: Groups) -> Groups:
    """Those of the candidates that nobody tells apart."""
    if not among or _told_apart(values, layout):
        return ()
    found: list[list[int]] = []
    for group in among:
        mine = [group[0]]
        for thread in group[1:]:
            if _alike(layout, plan, mine[-1], thread):
                mine.append(thread)
        found.append(mine)
    kept = tuple(tuple(mine) for mine in found if len(mine) > 1)
    return kept if all(_alike(layout, plan, a, b) for mine in kept for a, b in pairwise(mine)) else ()


def _alike(layout: Layout, plan: Plan, a: int, b: int) -> bool:
    return exchange(layout, a, b) is not None and plan.going_on.get(a) == plan.going_on.get(b)


def _told_apart(values: Values, layout: Layout) -> bool:
    """Whether anything looks at which thread is which."""
    program = values.linked.program
    struct = program.structs["task_struct"]
    offsets = {field.name: field.offset for field in struct.fields}
    tasks = [thread.task for thread in program.threads]
    own = {task + offset for task in tasks for offset in range(struct.size)}
    pids = {task + offsets[field] for task in tasks for field in ("pid", "cpu")}
    blockers = [layout.cells[task + offsets["rcu_blockers"]] for task in tasks]
    if any(one is not None for one in blockers):
        return True
    if read_by_conditions(values, range(len(values.conditions))) & (own | set(program.locks)):
        return True
    if any(access.cells & pids for flow in values.flows for access in values.facts(flow).accesses.values()):
        return True
    if any(_looks_at_others(values, flow, layout, own) for flow in values.flows):
        return True
    if any(_computes_with_tasks(values, flow) for flow in values.flows):
        return True
    return _keeps_tasks(values, own)


def _looks_at_others(values: Values, flow: Flow, layout: Layout, own: set[int]) -> bool:
    """Whether a code accesses a cell of a task other than its own that ever changes."""
    task = values.linked.program.threads[flow.thread].task
    mine = range(task, task + values.linked.program.structs["task_struct"].size)
    touched = {cell for access in values.facts(flow).accesses.values() for cell in access.cells & own}
    return any(layout.cells[cell] is not None for cell in touched if cell not in mine)


def _computes_with_tasks(values: Values, flow: Flow) -> bool:
    """Whether a code does anything with the address of a task but compare it for equality, with another or with NULL, store it
    as a lock's owner, and look at the task's own cells."""
    locks = set(values.linked.program.locks)
    accesses = values.facts(flow).accesses
    tasks = _tasks(values, flow)
    return any(_tells(op, pc, tasks, locks, accesses) for pc, op in enumerate(flow.code.ops))


def _tasks(values: Values, flow: Flow) -> set[int]:
    """The registers of a code that hold its own task's address, a lock's owner, or the address of a cell of one."""
    locks = set(values.linked.program.locks)
    accesses = values.facts(flow).accesses
    tasks: set[int] = set()
    grown = True
    while grown:
        before = len(tasks)
        for pc, op in enumerate(flow.code.ops):
            owner = isinstance(op, ops.Load) and pc in accesses and bool(accesses[pc].cells & locks)
            passed_on = isinstance(op, ops.Copy | ops.Field) and any(number in tasks for number in reads(op))
            if isinstance(op, ops.Self) or owner or passed_on:
                tasks.update(writes(op))
        grown = len(tasks) > before
    return tasks


def _tells(op: ops.Op, pc: int, tasks: set[int], locks: set[int], accesses: Mapping[int, Access]) -> bool:
    if not any(number in tasks for number in reads(op)):
        return False
    if isinstance(op, ops.Binary) and op.op in ("eq", "ne"):
        return not all(one == Imm(0) or (isinstance(one, Reg) and one.number in tasks) for one in (op.a, op.b))
    if isinstance(op, ops.Store) and isinstance(op.src, Reg) and op.src.number in tasks:
        return pc in accesses and not accesses[pc].cells <= locks
    return not isinstance(op, ops.Copy | ops.Field | ops.Load | ops.Store)


def _keeps_tasks(values: Values, own: set[int]) -> bool:
    """Whether a register that is kept between steps can name several tasks' cells."""
    for flow in values.flows:
        pointers = {number for number, one in enumerate(flow.code.registers) if one.type == _TASK}
        tasks = _tasks(values, flow) | pointers
        for pc, env in flow.entry.items():
            for number in tasks.intersection(flow.code.keep[pc]):
                known = env[number]
                if known is not None and len(known) > 1 and known & own:
                    return True
    return False


def together(values_of: Linked, among: Groups) -> Sequence[frozenset[int]]:
    """For each thread, the threads whose arguments it may have: its group's, or its own."""
    mine = {thread: frozenset(group) for group in among for thread in group}
    return [mine.get(thread, frozenset((thread,))) for thread in range(len(values_of.codes))]


def differing(linked: Linked, among: Groups) -> dict[int, frozenset[int]]:
    """For each thread of a group, the arguments in which its members differ."""
    found: dict[int, frozenset[int]] = {}
    for group in among:
        several = [linked.program.threads[thread].arguments for thread in group]
        unlike = frozenset(i for i, values in enumerate(zip(*several, strict=True)) if len(set(values)) > 1)
        found.update(dict.fromkeys(group, unlike))
    return found
