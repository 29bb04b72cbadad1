"""Code that asks whether a CPU at rest refers to an object: for the property that nothing is leaked.

Where a thread stands says which of its registers refer to something (Step.holds); they are read from the packed state like
any others. Leaves out which registers those are: passes/references.py.
"""

from __future__ import annotations

from lockverse.ir import ops

from .access import Access
from .layout import Layout
from .text import Writer


def referred(out: Writer, access: Access, layout: Layout, base: str, size: int) -> str:
    """An i1: a register of a CPU at rest holds the address of one of the `size` cells from `base` on."""
    found = "false"
    for number, mine in enumerate(layout.threads):
        for pc, standing in mine.standing.items() if layout.linked.program.threads[number].cpu >= 0 else ():
            step = layout.linked.codes[number].ops[pc]
            assert isinstance(step, ops.Step)
            for register in step.holds:
                offset = out.binary("sub", access.kept(standing, register.number), base)
                inside = out.binary("and", access.stands(number, pc), out.compare("ult", offset, str(size)), "i1")
                found = out.binary("or", found, inside, "i1")
    return found
