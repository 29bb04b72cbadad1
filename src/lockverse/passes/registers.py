"""Which registers an op reads and writes, and which ops can follow it: what every dataflow pass asks.

Leaves out memory: no pass moves a load or a store.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final, get_args

from lockverse.ir.ops import Branch, Call, Jump, Op, Reg, Return

_WRITTEN = ("dst", "dsts")
# The fields of each kind of op that can hold what it reads: asking for them each time would be most of a pass's time.
_READ: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(part.name for part in fields(kind) if part.name not in _WRITTEN) for kind in get_args(Op)
}
_MAKES_ONE: Final = frozenset(kind for kind in get_args(Op) if any(part.name == "dst" for part in fields(kind)))


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
