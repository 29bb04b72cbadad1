"""Keep: which registers belong to a thread's state where it stands.

A user's variables do until their function returns, so that a state is what a reader would write down; the compiler's
own registers do only while their value may still be read. Right because a register that is not kept is not read
before it is written again: a temporary by liveness, a variable because each call sets its own first.

Without dead variables, these too are kept only while live. That is a reduction (it merges states that behave alike), and
it is made of linked code, by who asks for it.
"""

from __future__ import annotations

from msgspec.structs import replace

from lockverse.ir.ops import Op, Step
from lockverse.ir.program import Code, Linked, Register

from .inline import Frame
from .layout import Row
from .liveness import live_before


def keep(row: Row, registers: tuple[Register, ...], frames: tuple[Frame, ...]) -> tuple[tuple[int, ...], ...]:
    """For each op of the row: the registers kept before it if a thread can stand there (it is a Step), else nothing."""
    live = live_before(row.ops)
    found = []
    for pc, op in enumerate(row.ops):
        kept: set[int] = set()
        if isinstance(op, Step):
            kept = _variables(row.frame_of[pc], registers, frames) | live[pc]
        found.append(tuple(sorted(kept)))
    return tuple(found)


def _variables(frame: int, registers: tuple[Register, ...], frames: tuple[Frame, ...]) -> set[int]:
    found: set[int] = set()
    while frame >= 0:
        found.update(number for number in frames[frame].registers if registers[number].kind != "temp")
        frame = frames[frame].parent
    return found


def live_only(row: tuple[Op, ...]) -> tuple[tuple[int, ...], ...]:
    """As `keep`, of just the registers that may still be read."""
    live = live_before(row)
    return tuple(tuple(sorted(live[pc])) if isinstance(op, Step) else () for pc, op in enumerate(row))


def without_dead(linked: Linked) -> Linked:
    """The same code, with only what may still be read kept between steps."""
    made: dict[Code, Code] = {}
    for code in linked.codes:
        if code not in made:
            made[code] = replace(code, keep=live_only(code.ops))
    return replace(linked, codes=tuple(made[code] for code in linked.codes))
