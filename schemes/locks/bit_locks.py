"""A bit of a word as a lock, beside bits that mean something else (include/linux/bit_spinlock.h, wait_bit.h, Linux 6.1).

`spins` counts under the bit. `kept` leaves it set: preemption stays disabled. `woken` clears a bit and wakes who waits for it; `asleep` wakes
those who wait for another.
"""
from lockverse import *

LOCK, BUSY = 0, 1


@struct
class head:
    flags: u8
    n: u8


def count(h):
    bit_spin_lock(LOCK, h.flags)
    h.n += 1
    bit_spin_unlock(LOCK, h.flags)


def count_and_keep(h):
    bit_spin_lock(LOCK, h.flags)
    h.n += 1


def wait(h):
    wait_on_bit(h.flags, BUSY, TASK_UNINTERRUPTIBLE)


def end(h):
    clear_bit(BUSY, h.flags)
    smp_mb__after_atomic()
    wake_up_bit(h.flags, BUSY)


def end_other(h):
    clear_bit(BUSY, h.flags)
    smp_mb__after_atomic()
    wake_up_bit(h.flags, LOCK)


@scheme
def spins():
    h = head(flags=2)
    cpu(count, h)
    cpu(count, h)
    at_rest(lambda: h.n == 2 and h.flags == 2)


@scheme
def kept():
    h = head()
    cpu(count, h)
    cpu(count_and_keep, h)


@scheme
def woken():
    h = head(flags=2)
    cpu(wait, h)
    cpu(wait, h)
    cpu(end, h)


@scheme
def asleep():
    h = head(flags=2)
    cpu(wait, h)
    cpu(end_other, h)
