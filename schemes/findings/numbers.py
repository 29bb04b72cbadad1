"""Numbers that another CPU changes between the look and the use: an overflow, an index, a divisor, and near misses of each.

Signed overflow is undefined in C, and UBSAN reports all three (lib/ubsan.c, Linux 6.1). Leaves out what a compiler makes of it.
"""

from lockverse import *


@struct
class table:
    used: s8
    size: u8
    slots: array[u8, 2]
    lock: spinlock_t


def charge(t, most, locked: bool):
    if locked:
        spin_lock(t.lock)
    if READ_ONCE(t.used) < most:
        WRITE_ONCE(t.used, READ_ONCE(t.used) + 1)
    if locked:
        spin_unlock(t.lock)


def shrink(t, to):
    WRITE_ONCE(t.size, to)


def last_slot(t, once: bool):
    size = READ_ONCE(t.size)
    if size > 0:
        if not once:
            size = READ_ONCE(t.size)
        WRITE_ONCE(t.slots[size - 1], 1)


def share(t, once: bool):
    size = READ_ONCE(t.size)
    if size > 0:
        if not once:
            size = READ_ONCE(t.size)
        part = 4 // size
        WRITE_ONCE(t.slots[0], part)


@scheme
def charged_past_the_end(locked: bool = False):
    t = table(used=126)
    cpu(charge, t, 127, locked)
    cpu(charge, t, 127, locked)


@scheme
def size_read_again_as_index(once: bool = False):
    t = table(size=2)
    cpu(shrink, t, 0)
    cpu(last_slot, t, once)


@scheme
def size_read_again_as_divisor(once: bool = False):
    t = table(size=2)
    cpu(shrink, t, 0)
    cpu(share, t, once)
