"""Sections that one way out of a function does not end: preemption, interrupts and RCU readers, and near misses of each.

After the checks of schedule_debug() and of debug_check_no_locks_held() of Linux 6.1, which see a count that is left over only when
somebody looks. Leaves out what the sections are for.
"""

from lockverse import *


@struct
class device:
    busy: bool


def with_preemption_off(d, ends: bool):
    preempt_disable()
    if READ_ONCE(d.busy) and not ends:
        return
    preempt_enable()


def with_interrupts_off(d, ends: bool):
    local_irq_disable()
    if READ_ONCE(d.busy) and not ends:
        return
    local_irq_enable()


def as_reader(d, ends: bool):
    rcu_read_lock()
    if READ_ONCE(d.busy) and not ends:
        return
    rcu_read_unlock()


def make_busy(d):
    WRITE_ONCE(d.busy, True)


@scheme
def preemption_stays_off(ends: bool = False):
    d = device()
    cpu(make_busy, d)
    cpu(with_preemption_off, d, ends)


@scheme
def interrupts_stay_off(ends: bool = False):
    d = device()
    cpu(make_busy, d)
    cpu(with_interrupts_off, d, ends)


@scheme
def reader_stays(ends: bool = False):
    d = device()
    cpu(make_busy, d)
    cpu(as_reader, d, ends)
