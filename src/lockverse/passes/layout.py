"""Layout: the blocks of a function in one row, so that a position in it is one number.

Blocks go in reverse postorder, so that code reads downwards; a jump to an empty block goes where that one goes, and a
jump to what comes next is left out. Right because none of this changes which ops run, in which order.

Leaves out anything that would move, merge or drop another op: a reader of the steps finds all of them.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from lockverse.ir.ops import Branch, Jump, Op

from .inline import Inlined


class Row(Struct, frozen=True):
    """The ops in a row; `frame_of[pc]` is the frame whose code `ops[pc]` is."""

    ops: tuple[Op, ...]
    frame_of: tuple[int, ...]


def lay_out(function: Inlined) -> Row:
    """The function in a row; the targets of Jump and Branch are indices into it."""
    order = _reverse_postorder(function)
    following = dict(zip(order, [*order[1:], -1], strict=True))
    row: list[tuple[Op, int]] = []
    start: dict[int, int] = {}
    for block in order:
        start[block] = len(row)
        for op in function.blocks[block]:
            if not (isinstance(op, Jump) and _final(function, op.target) == following[block]):
                row.append((op, function.frame_of[block]))
    return Row(tuple(_aim(function, op, start) for op, _ in row), tuple(frame for _, frame in row))


def _final(function: Inlined, block: int) -> int:
    """Where a jump to `block` ends up. A ring of empty blocks (a loop that does nothing) stays where it is."""
    seen = set()
    while len(function.blocks[block]) == 1 and isinstance(jump := function.blocks[block][0], Jump) and block not in seen:
        seen.add(block)
        block = jump.target
    return block


def _aim(function: Inlined, op: Op, start: dict[int, int]) -> Op:
    if isinstance(op, Jump):
        return replace(op, target=start[_final(function, op.target)])
    if isinstance(op, Branch):
        return replace(op, yes=start[_final(function, op.yes)], no=start[_final(function, op.no)])
    return op


def _targets(function: Inlined, block: int) -> tuple[int, ...]:
    last = function.blocks[block][-1]
    if isinstance(last, Jump):
        return (_final(function, last.target),)
    return (_final(function, last.yes), _final(function, last.no)) if isinstance(last, Branch) else ()


def _reverse_postorder(function: Inlined) -> list[int]:
    first = _final(function, 0)
    done: list[int] = []
    seen = {first}
    waiting = [(first, iter(reversed(_targets(function, first))))]
    while waiting:
        block, targets = waiting[-1]
        new = next((target for target in targets if target not in seen), None)
        if new is None:
            done.append(block)
            waiting.pop()
        else:
            seen.add(new)
            waiting.append((new, iter(reversed(_targets(function, new)))))
    return done[::-1]
