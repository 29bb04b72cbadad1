"""Two locks of one kind, the lower address first (double_rq_lock() in kernel/sched/sched.h, Linux 6.1).

`migrate` orders them; `crossed` takes the source's first.
"""
from lockverse import *


@struct
class rq:
    lock: raw_spinlock_t
    nr_running: u8


def move(source, target):
    lockdep_assert_held(source.lock)
    lockdep_assert_held(target.lock)
    source.nr_running -= 1
    target.nr_running += 1


def migrate_in_order(source, target, low, high):
    raw_spin_lock(low.lock)
    raw_spin_lock_nested(high.lock, SINGLE_DEPTH_NESTING)
    move(source, target)
    raw_spin_unlock(high.lock)
    raw_spin_unlock(low.lock)


def migrate_as_it_comes(source, target):
    raw_spin_lock(source.lock)
    raw_spin_lock_nested(target.lock, SINGLE_DEPTH_NESTING)
    move(source, target)
    raw_spin_unlock(target.lock)
    raw_spin_unlock(source.lock)


def migrate_half(source, target):
    with source.lock:
        move(source, target)


@scheme
def migrate():
    rq0 = rq(nr_running=1)
    rq1 = rq(nr_running=1)
    cpu(migrate_in_order, rq0, rq1, rq0, rq1)
    cpu(migrate_in_order, rq1, rq0, rq0, rq1)
    at_rest(lambda: rq0.nr_running == 1 and rq1.nr_running == 1)


@scheme
def crossed():
    rq0 = rq(nr_running=1)
    rq1 = rq(nr_running=1)
    cpu(migrate_as_it_comes, rq0, rq1)
    cpu(migrate_as_it_comes, rq1, rq0)


@scheme
def half():
    rq0 = rq(nr_running=1)
    rq1 = rq(nr_running=1)
    cpu(migrate_half, rq0, rq1)
