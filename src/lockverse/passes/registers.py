"""Which registers an op reads and writes, which ops can follow it, and the blocks: what every dataflow pass asks.

Leaves out memory: no pass moves a load or a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from lockverse.ir.ops import Branch, Call, Jump, Op, Reg, Return, Step

_WRITTEN = ("dst", "dsts")
# The fields of each kind of op that can hold what it reads: asking for them each time would be most of a pass's time.
_READ: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in _WRITTEN) for kind in get_args(Op)
}
_MAKES_ONE: Final = frozenset(kind for kind in get_args(Op) if "dst" in kind.__struct_fields__)


def reads(op: Op) -> tuple[int, ...]:
    """The registers an op reads."""
    return tuple(register for name in _READ[type(op)] for register in _registers(getattr(op, name)))


def writes(op: Op) -> tuple[int, ...]:
    """The registers an op writes."""
    if type(op) in _MAKES_ONE:
        return (op.dst.number,)  # type: ignore[union-attr]
    return tuple(register.number for register in op.dsts) if isinstance(op, Call) else ()


def _registers(value: object) -> tuple[int, ...]:
    if isinstance(value, Reg):
        return (value.number,)
    return tuple(one.number for one in value if isinstance(one, Reg)) if isinstance(value, tuple) else ()


def successors(op: Op, pc: int) -> tuple[int, ...]:
    """The positions that can come after the op at `pc` of a row."""
    if isinstance(op, Jump):
        return (op.target,)
    if isinstance(op, Branch):
        return (op.yes, op.no)
    return () if isinstance(op, Return) else (pc + 1,)


def block_ends(ops: Sequence[Op]) -> dict[int, int]:
    """For the first op of each block of a row, where it ends. Blocks begin at the entry, at the targets of jumps, after a
    terminator, and at every Step."""
    starts = {0}
    for pc, op in enumerate(ops):
        if isinstance(op, Jump | Branch | Return):
            starts.update((pc + 1, *successors(op, pc)))
        elif isinstance(op, Step):
            starts.add(pc)
    ordered = sorted(pc for pc in starts if pc < len(ops))
    return dict(zip(ordered, [*ordered[1:], len(ops)], strict=True))
