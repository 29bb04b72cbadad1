"""Which locks a thread may take where, and what it may hold by then, as far as the code tells.

A forward flow over each thread's ops to its least fixed point, with addresses from value sets (codegen/values.py). All it gives is
possible, not certain: what is made of it is confirmed by a search. Leaves out what is made of it: findings.py, and coverage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockverse.ir import ops
from lockverse.ir.coverage import Contended, Item
from lockverse.ir.program import Linked
from lockverse.passes.registers import successors

if TYPE_CHECKING:
    from lockverse.codegen.values import Flow, Values


@dataclass(frozen=True, slots=True)
class Use:
    """A step of a thread that may take the lock `wanted`, holding at most `held` while it waits (one that only tries waits for
    nobody). `exclusive`: not as a reader."""

    thread: int
    wanted: int
    held: frozenset[int]
    waits: bool
    exclusive: bool


_known: tuple[Linked, list[Use]] | None = None  # of the program asked about last: it is asked about again at once


def takings(linked: Linked) -> list[Use]:
    """All takings of locks in a program; none if it has less than two, or an address that cannot be followed."""
    global _known  # noqa: PLW0603 - a cache of one
    if _known is None or _known[0] is not linked:
        _known = linked, _takings(linked)
    return _known[1]


def _takings(linked: Linked) -> list[Use]:
    if sum(bool(isinstance(op, ops.Step) and op.takes) for code in linked.codes for op in code.ops) < 2:
        return []
    # Not at the top: most small schemes are done without.
    from lockverse.codegen.values import Unsupported, Values

    try:
        values = Values(linked)
    except Unsupported:
        return []
    return [one for flow in values.flows for one in _uses(values, flow)]


def contendable(linked: Linked) -> set[Item]:
    """The locks that several threads may wait for."""
    wanting: dict[int, set[int]] = {}
    for one in takings(linked):
        if one.waits:
            wanting.setdefault(one.wanted, set()).add(one.thread)
    return {Contended(lock) for lock, threads in wanting.items() if len(threads) > 1}


def _uses(values: Values, flow: Flow) -> Iterable[Use]:
    """The takings of a thread's code, with the locks that may be held there: a forward flow over its ops to the least fixed point."""
    locks = set(values.linked.program.locks)
    before: dict[int, frozenset[int]] = {0: frozenset()}
    waiting = [0]
    found: dict[tuple[int, int], Use] = {}
    while waiting:
        pc = waiting.pop()
        held, op = before[pc], flow.code.ops[pc]
        if isinstance(op, ops.Step) and op.target is not None and pc in flow.entry:
            cells = frozenset(values.addresses(op.target, flow.entry[pc])) & locks
            tries = "trylock" in op.kind
            if op.takes or tries:
                for cell in cells:
                    found[pc, cell] = Use(flow.thread, cell, held if op.takes else frozenset(), bool(op.takes), op.takes == "exclusive" or (tries and "read" not in op.kind))
                held |= cells
            elif op.gives in ("exclusive", "shared") and len(cells) == 1:
                held -= cells
        for target in successors(op, pc):
            known = before.get(target)
            if known is None or not held <= known:
                before[target] = held | (known or frozenset())
                waiting.append(target)
    return found.values()
