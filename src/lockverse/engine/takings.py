"""Which locks a thread may take where, and what it may hold by then, as far as the code tells.

A forward flow over each thread's ops to its least fixed point, with addresses from value sets (codegen/values.py). All it gives is
possible, not certain: what is made of it is confirmed by a search. Leaves out what is made of it: findings.py, and coverage.
"""

from __future__ import annotations

from collections.abc import Set
from itertools import combinations
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.coverage import Contended, Item
from lockverse.ir.program import Linked
from lockverse.passes import specialise
from lockverse.passes.registers import successors

if TYPE_CHECKING:
    from lockverse.codegen.values import Flow, Values


class Use(Struct, frozen=True):
    """A step of a thread that may take the lock `wanted`, holding at most `held` while it waits (one that only tries waits for
    nobody). `exclusive`: not as a reader."""

    thread: int
    wanted: int
    held: frozenset[int]
    waits: bool
    exclusive: bool


class Takings(Struct, frozen=True):
    """All takings of a program, and for each thread and lock the other locks that the thread holds alone whenever it takes that
    lock or may hold it."""

    uses: list[Use]
    guards: dict[tuple[int, int], frozenset[int]]


_NONE: Final = Takings([], {})
_known: list[tuple[Linked, bool, Takings]] = []  # of the program asked about last: it is asked about again at once


def takings(linked: Linked, *, unrolled: bool = False) -> list[Use]:
    """All takings of locks in a program; none if it has less than two, or an address that cannot be followed. `unrolled`: of code in which
    loops are, so that the locks of their rounds are told apart."""
    return _of(linked, unrolled=unrolled).uses


def _of(linked: Linked, *, unrolled: bool) -> Takings:
    _known[:] = [one for one in _known if one[0] is linked]
    for _, how, found in _known:
        if how == unrolled:
            return found
    _known.append((linked, unrolled, _takings(specialise.unrolled(linked) if unrolled else linked)))
    return _known[-1][2]


def _takings(linked: Linked) -> Takings:
    if sum(bool(isinstance(op, ops.Step) and op.takes) for code in linked.codes for op in code.ops) < 2:
        return _NONE
    # Not at the top: most small schemes are done without.
    from lockverse.codegen.values import Unsupported, Values

    try:
        values = Values(linked)
    except Unsupported:
        return _NONE
    found = Takings([], {})
    for flow in values.flows:
        _add(found, values, flow)
    return found


def contendable(linked: Linked, but: Set[Item] = frozenset()) -> set[Item]:
    """The locks that several threads may wait for, but for those of `but`. Two that hold a third lock alone all along do not; what is
    left is looked at once more where loops are unrolled, so that which lock it is is known."""
    found = _contendable(_of(linked, unrolled=False)) - but
    return found & _contendable(_of(linked, unrolled=True)) if found else found


def _contendable(found: Takings) -> set[Item]:
    wanting: dict[int, set[int]] = {}
    for one in found.uses:
        if one.waits:
            wanting.setdefault(one.wanted, set()).add(one.thread)
    return {
        Contended(lock) for lock, threads in wanting.items()
        if any(not found.guards[a, lock] & found.guards[b, lock] for a, b in combinations(threads, 2))
    }  # fmt: skip


def _add(found: Takings, values: Values, flow: Flow) -> None:
    """Add the takings of a thread's code, with the locks that may be held there, and those that are: forward flows over its ops to their
    fixed points."""
    locks = set(values.linked.program.locks)
    before: dict[int, tuple[frozenset[int], frozenset[int]]] = {0: (frozenset(), frozenset())}
    waiting = [0]
    uses: dict[tuple[int, int], Use] = {}
    while waiting:
        pc = waiting.pop()
        (may, must), op = before[pc], flow.code.ops[pc]
        if isinstance(op, ops.Step) and op.target is not None and pc in flow.entry:
            cells = frozenset(values.addresses(op.target, flow.entry[pc])) & locks
            tries = "trylock" in op.kind
            if op.takes or tries:
                for cell in cells:
                    uses[pc, cell] = Use(flow.thread, cell, may if op.takes else frozenset(), bool(op.takes), op.takes == "exclusive" or (tries and "read" not in op.kind))
                may |= cells
                must |= cells if op.takes == "exclusive" and len(cells) == 1 else frozenset()
            elif op.gives:
                must -= cells
                may -= cells if op.gives in ("exclusive", "shared") and len(cells) == 1 else frozenset()
        for target in successors(op, pc):
            known = before.get(target)
            met = (may, must) if known is None else (known[0] | may, known[1] & must)
            if met != known:
                before[target] = met
                waiting.append(target)
    found.uses.extend(uses.values())
    at = [(lock, before[pc][1]) for pc, lock in uses] + [(lock, must) for may, must in before.values() for lock in may]
    for lock, must in at:
        known_guards = found.guards.get((flow.thread, lock), must)
        found.guards[flow.thread, lock] = (known_guards & must) - {lock}
