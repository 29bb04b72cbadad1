"""Liveness: the registers whose value may still be read, before every op.

The textbook backward dataflow to its least fixed point (Aho, Lam, Sethi and Ullman, "Compilers", 2nd edition, section
9.2.5). Leaves out memory, which is always live.
"""

from __future__ import annotations

from lockverse.ir.ops import Op

from .registers import reads, successors, writes


def live_before(ops: tuple[Op, ...]) -> list[frozenset[int]]:
    """For each op of a row, the registers that are live just before it."""
    live: list[frozenset[int]] = [frozenset()] * len(ops)
    before: list[list[int]] = [[] for _ in ops]
    for pc, op in enumerate(ops):
        for target in successors(op, pc):
            before[target].append(pc)
    waiting = list(range(len(ops)))
    while waiting:
        pc = waiting.pop()
        after = frozenset().union(*(live[target] for target in successors(ops[pc], pc)))
        found = (after - frozenset(writes(ops[pc]))) | frozenset(reads(ops[pc]))
        if found != live[pc]:
            live[pc] = found
            waiting += before[pc]
    return live
