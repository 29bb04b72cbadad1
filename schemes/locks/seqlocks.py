"""Readers that read again, and writers that must not meet (Documentation/locking/seqlock.rst, Linux 6.1).

`retries` reads until nobody has written meanwhile. `believes` does not look. `unserialised` has two writers of a seqcount and no lock
for them; `serialised` is a seqlock, which has one.
"""
from lockverse import *


@struct
class clock:
    lock: seqlock_t
    seq: seqcount_t
    sec: u8
    nsec: u8


def set_clock(c):
    write_seqlock(c.lock)
    c.sec += 1
    c.nsec += 1
    write_sequnlock(c.lock)


def set_clock_without(c):
    write_seqcount_begin(c.seq)
    c.sec += 1
    c.nsec += 1
    write_seqcount_end(c.seq)


def read_clock(c):
    while True:
        seq = read_seqbegin(c.lock)
        sec = c.sec
        nsec = c.nsec
        if not read_seqretry(c.lock, seq):
            break
    assert sec == nsec, "of one moment"


def read_clock_once(c):
    seq = read_seqbegin(c.lock)
    sec = c.sec
    nsec = c.nsec
    read_seqretry(c.lock, seq)
    assert sec == nsec, "of one moment"


@scheme
def retries():
    c = clock()
    cpu(set_clock, c)
    cpu(read_clock, c)


@scheme
def believes():
    c = clock()
    cpu(set_clock, c)
    cpu(read_clock_once, c)


@scheme
def unserialised():
    c = clock()
    cpu(set_clock_without, c)
    cpu(set_clock_without, c)


@scheme
def serialised():
    c = clock()
    cpu(set_clock, c)
    cpu(set_clock, c)
    at_rest(lambda: c.sec == 2 and c.nsec == 2)
