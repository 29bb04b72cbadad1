"""Locks whose holder is known from where the threads stand, so that a state need only say whether they are held.

Along each thread's code a lock at a known address is held or not: taken by a store of the thread's own task, given back by
a store of NULL. If every position of every thread has one answer, the owner in a state is the thread that stands where it
holds the lock. That nobody takes a lock that is held is checked whenever one is taken (the kernel's primitives wait for it
anyway); and it is given back only by code that holds it, else the lock is left out here.

Left out: locks at computed addresses, locks a trylock may or may not have taken, and locks a property looks at.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct, field

from lockverse.ir import ops
from lockverse.passes.registers import successors

from .values import Flow, Values

Held: TypeAlias = frozenset[int]


class Holding(Struct):
    """The locks this is known of, by the address of their owner, and `held[thread][pc]`: those of them that the thread holds
    before that op."""

    locks: set[int] = field(default_factory=set)
    held: list[dict[int, Held]] = field(default_factory=list)

    def holder(self, lock: int, positions: list[int]) -> int | None:
        """The thread that holds a lock when the threads stand at these positions."""
        return next((thread for thread, pc in enumerate(positions) if lock in self.held[thread].get(pc, ())), None)


def holding(values: Values, without: frozenset[int]) -> Holding:
    """What is known of a program's locks; those in `without` are left out."""
    found = Holding(set(values.linked.program.locks) - without)
    for flow in values.conditions:
        found.locks.difference_update(*(one.cells for one in values.facts(flow).accesses.values()))
    stores = [_stores(values, flow, found) for flow in values.flows]
    for flow, mine in zip(values.flows, stores, strict=True):
        found.held.append(_held(values, flow, mine, found))
    for flow, mine in zip(values.flows, stores, strict=True):
        for pc, (lock, taken) in mine.items():
            if not taken and lock not in found.held[flow.thread].get(pc, ()):
                found.locks.discard(lock)
    return found


def _stores(values: Values, flow: Flow, found: Holding) -> dict[int, tuple[int, bool]]:
    """By op: the lock that is taken or given back there. Locks that are accessed in any other way are left out."""
    task = values.linked.program.threads[flow.thread].task
    kept = {number for registers in flow.code.keep for number in registers}
    mine: dict[int, tuple[int, bool]] = {}
    for pc, one in values.facts(flow).accesses.items():
        if isinstance(one.op, ops.Load):
            if len(one.cells) > 1 or one.op.dst.number in kept:
                found.locks.difference_update(one.cells)
        elif len(one.cells) == 1 and one.stored in (frozenset((task,)), frozenset((0,))):
            mine[pc] = (next(iter(one.cells)), one.stored == frozenset((task,)))
        else:
            found.locks.difference_update(one.cells)
    return {pc: (lock, taken) for pc, (lock, taken) in mine.items() if lock in found.locks}


def _held(values: Values, flow: Flow, stores: dict[int, tuple[int, bool]], found: Holding) -> dict[int, Held]:
    """The locks held before each op; a lock that two paths disagree on is left out."""
    ends = values.ends(flow.code)
    known: dict[int, Held] = {0: frozenset()}
    at: dict[int, Held] = {}
    waiting = [0]
    while waiting:
        start = waiting.pop()
        held = known[start]
        for pc in range(start, ends[start]):
            at[pc] = held
            if pc in stores:
                lock, taken = stores[pc]
                held = held | {lock} if taken else held - {lock}
        for target in successors(flow.code.ops[ends[start] - 1], ends[start] - 1):
            if target not in flow.entry:
                continue
            if target not in known:
                known[target] = held
                waiting.append(target)
            else:
                found.locks -= known[target] ^ held
    return at
