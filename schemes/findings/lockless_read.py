"""A value that is written under a lock and read without: which of the accesses has to be marked.

After "Lock-Protected Writes With Lockless Reads" and "Lockless Reads and Writes" of tools/memory-model/Documentation/access-marking.txt,
Linux 6.1: a reader without the lock marks its read, and then the writer marks its write, but need not mark its own reads. A read that only
informs a human may be data_race(). Leaves out what a compiler does to a plain access.
"""

from lockverse import *


@struct
class counter:
    value: u32
    lock: spinlock_t


def count_plain(c):
    with c.lock:
        c.value += 1


def count_marked(c):
    with c.lock:
        WRITE_ONCE(c.value, c.value + 1)


def is_busy(c):
    return READ_ONCE(c.value) > 0


def is_busy_plain(c):
    return c.value > 0


def show(c):
    seen = data_race(c.value)
    WARN_ON(seen > 2)


@scheme
def only_the_reader_marks():
    c = counter()
    cpu(count_plain, c)
    cpu(is_busy, c)


@scheme
def only_the_writer_marks():
    c = counter()
    cpu(count_marked, c)
    cpu(is_busy_plain, c)


@scheme
def both_mark():
    c = counter()
    cpu(count_marked, c)
    cpu(count_marked, c)
    cpu(is_busy, c)
    at_rest(lambda: c.value == 2, "the lock keeps the writers apart")


@scheme
def for_a_human():
    c = counter()
    cpu(count_plain, c)
    cpu(count_plain, c)
    cpu(show, c)
    at_rest(lambda: c.value == 2, "the lock keeps the writers apart")
