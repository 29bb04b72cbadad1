"""Locks that are held too long, too often, or not at all: what lockdep says of one lock, and near misses of each.

After "bad unlock balance", "possible recursive locking", "lock held when returning to user space" and lockdep_assert_held() of
kernel/locking/lockdep.c, Linux 6.1. Leaves out what the locks protect but for a count.
"""

from lockverse import *


@struct
class device:
    lock: spinlock_t
    count: u32


def update(d):
    lockdep_assert_held(d.lock)
    d.count += 1


def add_checked(d, most):
    spin_lock(d.lock)
    if d.count >= most:
        spin_unlock(d.lock)
        return
    update(d)
    spin_unlock(d.lock)


def add_forgetful(d, most):
    spin_lock(d.lock)
    if d.count >= most:
        return
    update(d)
    spin_unlock(d.lock)


def add_twice_unlocked(d, most):
    spin_lock(d.lock)
    if d.count >= most:
        spin_unlock(d.lock)
    else:
        update(d)
    spin_unlock(d.lock)


def add_and_report(d, most):
    spin_lock(d.lock)
    add_checked(d, most)
    spin_unlock(d.lock)


def add_bare(d, most):
    if READ_ONCE(d.count) < most:
        update(d)


def two_of(function):
    d = device()
    cpu(function, d, 1)
    cpu(function, d, 1)


@scheme
def both_ways_unlock():
    two_of(add_checked)


@scheme
def one_way_keeps_it():
    two_of(add_forgetful)


@scheme
def one_way_unlocks_twice():
    two_of(add_twice_unlocked)


@scheme
def taken_by_caller_and_callee():
    two_of(add_and_report)


@scheme
def not_taken():
    two_of(add_bare)
