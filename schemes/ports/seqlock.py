"""A sequence lock written by hand (include/linux/seqlock.h of Linux 6.1; Lameter, "Effective synchronization on Linux/NUMA", 2005).

Data of two words, writers that exclude each other by a spinlock, and a count that is odd while one is at work. Readers take no
lock: they wait for an even count, read, and read again if the count has changed.

`seqlock` is the algorithm. Broken: `no_retry` does not look at the count again, so a writer in between goes unnoticed;
`no_lock` has two writers count at once, which makes the count even while both are at work.

Left out: reordering, so the smp_rmb() and smp_wmb() say nothing here, though on a machine all depends on them; a writer that is
preempted and the readers that spin meanwhile. The kernel's `sequence++` is a plain load and store, which KCSAN is told to take
for atomic: here the store is marked. The data is marked as well, since readers race with a writer by design.
"""
from lockverse import *


@struct
class sequence_lock:
    sequence: u32
    lock: spinlock_t


@struct
class pair:
    sl: sequence_lock
    a: s32
    b: s32
    retried: bool


def read_seqbegin(sl):
    while True:
        seq = READ_ONCE(sl.sequence)
        if not seq & 1:
            smp_rmb()
            return seq
        cpu_relax()


def read_seqretry(sl, start):
    smp_rmb()
    return READ_ONCE(sl.sequence) != start


def write_seqcount_begin(sl):
    WRITE_ONCE(sl.sequence, READ_ONCE(sl.sequence) + 1)
    smp_wmb()


def write_seqcount_end(sl):
    smp_wmb()
    WRITE_ONCE(sl.sequence, READ_ONCE(sl.sequence) + 1)


def update(p, n):
    WRITE_ONCE(p.a, n)
    WRITE_ONCE(p.b, n)


def writer(p, n):
    with p.sl.lock:
        write_seqcount_begin(p.sl)
        update(p, n)
        write_seqcount_end(p.sl)


def writer_no_lock(p, n):
    write_seqcount_begin(p.sl)
    update(p, n)
    write_seqcount_end(p.sl)


def reader(p):
    while True:
        seq = read_seqbegin(p.sl)
        a = READ_ONCE(p.a)
        b = READ_ONCE(p.b)
        if not read_seqretry(p.sl, seq):
            break
        WRITE_ONCE(p.retried, True)
    assert a == b, "the two words belong together"


def reader_no_retry(p):
    read_seqbegin(p.sl)
    a = READ_ONCE(p.a)
    b = READ_ONCE(p.b)
    assert a == b, "the two words belong together"


@scheme
def seqlock(readers: range(1, 3) = 1, writers: range(1, 3) = 2):
    p = pair()
    for n in range(writers):
        cpu(writer, p, n + 1)
    for _ in range(readers):
        cpu(reader, p)
    at_rest(lambda: p.a == p.b and p.sl.sequence == 2 * writers, "every write counted")
    sometimes(lambda: p.retried, "a reader had to read again")


@scheme
def no_retry():
    p = pair()
    cpu(writer, p, 1)
    cpu(reader_no_retry, p)


@scheme
def no_lock():
    p = pair()
    cpu(writer_no_lock, p, 1)
    cpu(writer_no_lock, p, 2)
    cpu(reader, p)
