"""A lock that an interrupt handler takes, and under it one that is elsewhere taken with interrupts enabled.

Lockdep's "HARDIRQ-safe -> HARDIRQ-unsafe lock order" (Documentation/locking/lockdep-design.rst, Linux 6.1, "Multi-lock dependency
rules"): a CPU that holds the second is interrupted and waits for the first, whose holder waits for the second. Here the two never
come together, as the one sets up what the other needs. Leaves out what the locks protect.
"""

from lockverse import *


@struct
class device:
    queue: spinlock_t  # the handler takes it
    table: spinlock_t
    ready: bool


def set_up(d):
    spin_lock(d.table)
    spin_unlock(d.table)
    smp_store_release(d.ready, True)


def set_up_with_interrupts_off(d):
    flags = spin_lock_irqsave(d.table)
    spin_unlock_irqrestore(d.table, flags)
    smp_store_release(d.ready, True)


def submit(d):
    if smp_load_acquire(d.ready):
        flags = spin_lock_irqsave(d.queue)
        spin_lock(d.table)
        spin_unlock(d.table)
        spin_unlock_irqrestore(d.queue, flags)


def handle(d):
    spin_lock(d.queue)
    spin_unlock(d.queue)


@scheme
def table_taken_with_interrupts_on():
    d = device()
    c = cpu(set_up, d)
    cpu(submit, d)
    interrupt(handle, d, on=c)


@scheme
def table_taken_with_interrupts_off():
    d = device()
    c = cpu(set_up_with_interrupts_off, d)
    cpu(submit, d)
    interrupt(handle, d, on=c)
