"""An NMI comes whatever is disabled: its handler may only try a lock.

Interrupts disabled keep no NMI away, so waiting for a lock there is a deadlock (Documentation/locking/locktypes, lib/nmi_backtrace.c, Linux 6.1).
"""
from lockverse import *


@struct
class log:
    lines: s32
    lost: s32
    lock: spinlock_t


def write(b):
    flags = spin_lock_irqsave(b.lock)
    b.lines += 1
    spin_unlock_irqrestore(b.lock, flags)


def backtrace(b, tries):
    if tries:
        if not spin_trylock(b.lock):
            b.lost += 1
            return
    else:
        spin_lock(b.lock)
    b.lines += 1
    spin_unlock(b.lock)


@scheme
def from_nmi(tries: bool = True):
    b = log()
    task0 = cpu(write, b)
    nmi(backtrace, b, tries, on=task0)
    at_rest(lambda: 1 <= b.lines + b.lost <= 2, "every line is written or known to be lost")
    sometimes(lambda: b.lost == 1, "the NMI comes while the lock is held")
