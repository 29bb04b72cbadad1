"""A counter of one CPU that its interrupt handler changes too: a load, the handler, a store, and the handler's change is lost.

"mm: memcontrol: fix NR_WRITEBACK leak in memcg and system stats" (c3cc39118c36, 4.16): the count of pages under writeback creeps
up. `how` is what keeps the two apart: interrupts disabled; preemption disabled, which keeps no interrupt away; nothing.
"""
from lockverse import *


class How(Enum):
    interrupts_disabled = auto()
    preemption_disabled = auto()
    nothing = auto()


@struct
class stats:
    nr_writeback: s32
    ended: bool


def set_writeback(s, how):
    if how == How.interrupts_disabled:
        flags = local_irq_save()
        s.nr_writeback += 1
        local_irq_restore(flags)
    elif how == How.preemption_disabled:
        preempt_disable()
        s.nr_writeback += 1
        preempt_enable()
    else:
        s.nr_writeback += 1


def end_writeback(s):
    s.nr_writeback -= 1
    WRITE_ONCE(s.ended, True)


@scheme
def nr_writeback(how: How = How.interrupts_disabled):
    s = stats(nr_writeback=1)
    task0 = cpu(set_writeback, s, how)
    interrupt(end_writeback, s, on=task0)
    at_rest(lambda: s.nr_writeback == 2 - s.ended, "one more page is under writeback, and one less if the handler fired")
    sometimes(lambda: s.nr_writeback == 0, "the handler fires first")
