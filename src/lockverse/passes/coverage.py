"""What a search may or may not exercise: ways that branches of the user's code go, trylocks that fail, handlers that fire, locks that are
waited for.

An item is a way of a statement's condition, a trylock's statement, a handler's thread, or a lock's address. The interpreter notes what it does; compiled
code notes only what has not been seen before it is made. Leaves out what is made of it: session.py, report/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockverse.ir import ops
from lockverse.ir.coverage import Fires, Item, Refused, Way
from lockverse.ir.program import Code, Linked

from .registers import successors
from .specialise import unrolled


def ways(linked: Linked, op: ops.Branch) -> Iterator[tuple[bool, Way]]:
    """For each way a branch can go that decides the condition of a statement: whether it is the way of `yes`, and the item."""
    statement = linked.origins[op.at].statement
    for taken, decided in ((True, op.yes_decides), (False, op.no_decides)):
        if decided is not None and statement:
            yield taken, Way(statement, decided)


def refusals(linked: Linked, code: Code) -> Mapping[tuple[int, bool], Refused]:
    """The ways of branches, by position and side, by which a trylock leaves its lock alone: from there its step stores nothing, the
    other way it does. What waits if a try fails (mutex_lock_interruptible()) is no trylock to who calls it."""
    found = {}
    for pc, op in enumerate(code.ops):
        if isinstance(op, ops.Step) and "trylock" in op.kind and not op.kind.endswith("_fast"):
            for at in _step(code, pc):
                branch = code.ops[at]
                if isinstance(branch, ops.Branch):
                    stores = {way: _stores(code, target) for way, target in ((True, branch.yes), (False, branch.no))}
                    found.update({(at, way): Refused(linked.origins[op.at].statement) for way in stores if not stores[way] and stores[not way]})
    return found


def _stores(code: Code, pc: int) -> bool:
    """Whether a step may still store something, from that op on."""
    return not isinstance(code.ops[pc], ops.Step) and any(isinstance(code.ops[at], ops.Store) for at in _step(code, pc))


def waits(code: Code, pc: int) -> bool:
    """Whether a step that has come to that op may still have to wait."""
    following = (at for target in successors(code.ops[pc], pc) if not isinstance(code.ops[target], ops.Step) for at in _step(code, target))
    return any(isinstance(code.ops[at], ops.Await) for at in following)


def _step(code: Code, pc: int) -> set[int]:
    """The ops from `pc` to the end of its step."""
    seen, waiting = {pc}, [pc]
    while waiting:
        here = waiting.pop()
        for target in successors(code.ops[here], here):
            if target not in seen and not isinstance(code.ops[target], ops.Step):
                seen.add(target)
                waiting.append(target)
    return seen


def items(linked: Linked) -> set[Item]:
    """All there may be to exercise in what the threads run, locks aside. Loops that count (`for`) are left out, as they end."""
    found: set[Item] = set()
    for code in dict.fromkeys(linked.codes):
        found |= _ways_of(linked, code)
        found.update(refusals(linked, code).values())
    found.update(Fires(number) for number, one in enumerate(linked.program.threads) if one.context != "task")
    return found


def possible(linked: Linked) -> set[Item]:
    """The ways of conditions that the scheme's parameters leave open: those in the code for its threads' own arguments."""
    return {way for code in dict.fromkeys(unrolled(linked).codes) for way in _ways_of(linked, code)}


def _ways_of(linked: Linked, code: Code) -> set[Item]:
    found = {way for op in code.ops if isinstance(op, ops.Branch) for _, way in ways(linked, op)}
    return {way for way in found if linked.program.statements[way.statement].kind != "for"}
