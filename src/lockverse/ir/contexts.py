"""What keeps a thread off its CPU: handlers that run there, and tasks that have disabled preemption, softirqs or interrupts.

Threads that share a CPU take turns. A task goes on while no handler runs on its CPU and no other task there has disabled
preemption, softirqs or interrupts; a handler goes on while none of a higher level runs; and a handler begins where its level
is enabled. Each condition is that some field of another thread's task_struct is 0.

Rules: Documentation/core-api/irq and include/linux/preempt.h of Linux 6.1. Hardirqs do not nest in each other, nor softirqs; a
hardirq interrupts a softirq, an NMI interrupts all but another NMI. Leaves out time slices: a task can lose its CPU wherever
preemption is enabled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from .program import Program

CONTEXTS: Final = ("task", "softirq", "hardirq", "nmi")  # each interrupts those before it
ENTRIES: Final = ("interrupt", "softirq", "nmi")  # the kinds of the steps with which a handler begins
CLOSED_BY: Final = {"hardirq": ("irqs_disabled",), "softirq": ("irqs_disabled", "softirq_count")}  # fields of a task that keep handlers away
GUARD: Final = "guard"  # the name of the registers in which it is worked out whether a step may be taken: what these load is no access


class Keeper(Struct, frozen=True):
    """A cell that keeps a thread off its CPU while it is not 0, and the thread whose it is."""

    cell: int
    thread: int


def shares_its_cpu(program: Program, number: int) -> bool:
    """Whether a thread depends on who else is on its CPU."""
    return any(one.cpu == program.threads[number].cpu for other, one in enumerate(program.threads) if other != number)


def keepers(program: Program, number: int, *, begins: bool) -> Iterator[Keeper]:
    """What has to be 0 for a thread to take a step; `begins` for a handler's first."""
    me = program.threads[number]
    level = CONTEXTS.index(me.context)
    for other, one in enumerate(program.threads):
        if one.cpu == me.cpu and other != number:
            for field in _fields(level, CONTEXTS.index(one.context), begins=begins):
                offset = program.task_offset(field)
                assert offset is not None
                yield Keeper(one.task + offset, other)


def _fields(mine: int, other: int, *, begins: bool) -> Iterator[str]:
    if other > mine or (begins and other == mine):
        yield "in_handler"
    elif mine == 0:
        yield from ("preempt_count", "softirq_count", "irqs_disabled")
    elif begins and CONTEXTS[mine] != "nmi":
        yield "irqs_disabled"
    if begins and CONTEXTS[mine] == "softirq" and other == 0:
        yield "softirq_count"
