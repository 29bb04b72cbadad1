"""R9: a per-cpu counter is read, an interrupt counts down, and what was read is written back with one added: the decrement is lost.

NR_WRITEBACK crept up until c3cc39118c36 ("mm: memcontrol: fix NR_WRITEBACK leak in memcg and system stats", 4.16): the end of writeback runs in interrupts, so
the update has to have them disabled, or be one instruction. The interrupt comes where the environment chooses, on the CPU of the task. Left out: the batch
that the per-cpu part is of.
"""
from lockverse import *


@struct
class percpu_counter:
    nr_writeback: s64
    pending: bool


def completion_interrupt(c):
    c.nr_writeback -= 1
    c.pending = False


def interrupt_may_come(c):
    if c.pending and choose(bool):
        completion_interrupt(c)


def mod_memcg_state(c):
    interrupt_may_come(c)
    value = c.nr_writeback
    interrupt_may_come(c)
    c.nr_writeback = value + 1


@patch(mod_memcg_state)
def mod_memcg_state_irqsave(c):
    interrupt_may_come(c)
    value = c.nr_writeback
    c.nr_writeback = value + 1


def start_writeback(c):
    mod_memcg_state(c)
    if c.pending:
        completion_interrupt(c)


@scheme
def started_while_another_ends(fixed: bool = False):
    if fixed:
        apply(mod_memcg_state_irqsave)
    c = percpu_counter(nr_writeback=1, pending=True)
    cpu(start_writeback, c)
    at_rest(lambda: c.nr_writeback == 1, "one has ended, one has started")
