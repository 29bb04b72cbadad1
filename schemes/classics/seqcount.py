"""A seqcount reader (Documentation/locking/seqlock.rst of Linux 6.1): read, and read again if a writer was at work.

The writer makes the count odd, changes two fields that belong together, and makes it even. `retry` rereads until the
count is even and has not changed. `no_retry` looks only that no writer is at work when it starts. `writer_forgets` never
makes the count even again, so the reader never gets through: it spins for ever.
"""
from lockverse import *


@struct
class pair:
    seq: u32
    a: s32
    b: s32


def write_pair(p):
    WRITE_ONCE(p.seq, READ_ONCE(p.seq) + 1)
    WRITE_ONCE(p.a, 1)
    WRITE_ONCE(p.b, 1)
    WRITE_ONCE(p.seq, READ_ONCE(p.seq) + 1)


def write_pair_and_forget(p):
    WRITE_ONCE(p.seq, READ_ONCE(p.seq) + 1)
    WRITE_ONCE(p.a, 1)
    WRITE_ONCE(p.b, 1)


def read_retry(p):
    while True:
        seq = READ_ONCE(p.seq)
        if seq % 2 == 1:
            continue
        a = READ_ONCE(p.a)
        b = READ_ONCE(p.b)
        if READ_ONCE(p.seq) == seq:
            break
    assert a == b, "the two fields belong together"


def read_no_retry(p):
    while READ_ONCE(p.seq) % 2 == 1:
        cpu_relax()
    a = READ_ONCE(p.a)
    b = READ_ONCE(p.b)
    assert a == b, "the two fields belong together"


@scheme
def retry():
    p = pair()
    cpu(write_pair, p)
    cpu(read_retry, p)


@scheme
def no_retry():
    p = pair()
    cpu(write_pair, p)
    cpu(read_no_retry, p)


@scheme
def writer_forgets():
    p = pair()
    cpu(write_pair_and_forget, p)
    cpu(read_retry, p)
