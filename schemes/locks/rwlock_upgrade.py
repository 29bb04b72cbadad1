"""A read lock cannot be made a write lock (Documentation/locking/spinlocks.rst, Linux 6.1).

`upgrade` waits for the readers to go, and is one. `again` gives the lock back, takes it for writing, and looks again whether there is still
something to do. `trusts` does not look again.
"""
from lockverse import *


@struct
class cache:
    lock: rwlock_t
    entries: u8


def fill_upgrading(c):
    read_lock(c.lock)
    if c.entries == 0:
        write_lock(c.lock)
        c.entries += 1
        write_unlock(c.lock)
    read_unlock(c.lock)


def is_empty(c):
    with scoped_guard(read_lock, c.lock):
        return c.entries == 0


def fill_again(c):
    if is_empty(c):
        with scoped_guard(write_lock, c.lock):
            if c.entries == 0:
                c.entries += 1


def fill_trusting(c):
    if is_empty(c):
        with scoped_guard(write_lock, c.lock):
            c.entries += 1


@scheme
def upgrade():
    c = cache()
    cpu(fill_upgrading, c)
    cpu(fill_upgrading, c)


@scheme
def again():
    c = cache()
    cpu(fill_again, c)
    cpu(fill_again, c)
    at_rest(lambda: c.entries == 1, "filled once")


@scheme
def trusts():
    c = cache()
    cpu(fill_trusting, c)
    cpu(fill_trusting, c)
    at_rest(lambda: c.entries == 1, "filled once")
