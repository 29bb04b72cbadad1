"""References: what a thread that may stay before a step still points to.

A thread at rest keeps an object alive by a variable that it may yet read, as the kernel's memory leak detector takes stacks
into account. The registers that are live there and hold a pointer, or the address of a field, are noted at the step. Live
ones alone: a variable that is never read again refers to nothing, and dropping it must not make a difference.

Leaves out threads that cannot stay where they are, and programs without pools.
"""

from __future__ import annotations

from msgspec.structs import replace

from lockverse.ir.ops import Container, Element, Field, Reg, Step
from lockverse.ir.program import Program, Register
from lockverse.ir.types import Ptr

from .layout import Row
from .liveness import live_before
from .registers import writes


def note_references(row: Row, registers: tuple[Register, ...], program: Program) -> Row:
    """The row with `Step.holds` where a thread may rest."""
    if not program.pools or not any(isinstance(op, Step) and op.rest for op in row.ops):
        return row
    pointers = {number for number, one in enumerate(registers) if isinstance(one.type, Ptr)}
    pointers |= {number for op in row.ops if isinstance(op, Field | Container | Element) for number in writes(op)}
    live = live_before(row.ops)
    ops = tuple(
        replace(op, holds=tuple(Reg(number) for number in sorted(live[pc] & pointers))) if isinstance(op, Step) and op.rest else op
        for pc, op in enumerate(row.ops)
    )
    return replace(row, ops=ops)
