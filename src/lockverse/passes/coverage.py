"""What a search may or may not exercise: ways that branches of the user's code go, handlers that fire, locks that are waited for.

An item is a way of a statement's condition, a handler's thread, or a lock's address. The interpreter notes what it does; compiled
code notes only what has not been seen before it is made. Leaves out what is made of it: session.py, report/.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockverse.ir import ops
from lockverse.ir.coverage import Fires, Item, Way
from lockverse.ir.ops import Reg
from lockverse.ir.program import Code, Linked

from .registers import reads, writes


def ways(linked: Linked, op: ops.Branch) -> Iterator[tuple[bool, Way]]:
    """For each way a branch can go that decides the condition of a statement: whether it is the way of `yes`, and the item."""
    statement = linked.origins[op.at].statement
    for taken, decided in ((True, op.yes_decides), (False, op.no_decides)):
        if decided is not None and statement:
            yield taken, Way(statement, decided)


def _open(code: Code) -> set[int]:
    """The registers that can hold what comes out of memory, or of a choice."""
    found: set[int] = set()
    grown = True
    while grown:
        before = len(found)
        for op in code.ops:
            if isinstance(op, ops.Load | ops.Choose) or any(number in found for number in reads(op)):
                found.update(writes(op))
        grown = len(found) > before
    return found


def items(linked: Linked) -> set[Item]:
    """All there is to exercise in what the threads run, locks aside. Loops that count (`for`) are left out, as they end, and
    conditions that look at nothing but what the scheme passed: they go the way its parameters say."""
    found: set[Item] = set()
    for code in dict.fromkeys(linked.codes):
        open_ = _open(code)
        for op in code.ops:
            if isinstance(op, ops.Branch) and isinstance(op.condition, Reg) and op.condition.number in open_:
                found.update(way for _, way in ways(linked, op) if linked.program.statements[way.statement].kind != "for")
    found.update(Fires(number) for number, one in enumerate(linked.program.threads) if one.context != "task")
    return found
