"""Two flags in one word, each changed by its own CPU (Documentation/atomic_bitops.txt of Linux 6.1).

`plain` uses __set_bit(), a load and a store: whoever stores last takes back the other's bit. That is right only while nobody
else can see the word. `atomic` uses set_bit(). `locked` keeps __set_bit() and takes a bit of another word as a lock, as the kernel's bit
spinlocks do; `unlocked_with_plain` has lock and flags in one word, and gives the lock back with __clear_bit() meanwhile.
"""
from lockverse import *

PG_locked = 0
PG_dirty = 1
PG_uptodate = 2


@struct
class page:
    flags: u32
    bits: u32


def set_plain(p, bit):
    __set_bit(bit, p.flags)


def set_atomic(p, bit):
    set_bit(bit, p.flags)


def set_locked(p, bit):
    while test_and_set_bit_lock(PG_locked, p.bits):
        cpu_relax()
    __set_bit(bit, p.flags)
    clear_bit_unlock(PG_locked, p.bits)


def set_locked_or_note(p, bit):
    if not test_and_set_bit_lock(PG_locked, p.flags):
        __clear_bit(PG_locked, p.flags)
    set_bit(bit, p.flags)


@scheme
def plain():
    p = page()
    cpu(set_plain, p, PG_dirty)
    cpu(set_plain, p, PG_uptodate)
    at_rest(lambda: test_bit(PG_dirty, p.flags) and test_bit(PG_uptodate, p.flags), "both flags are set")


@scheme
def atomic():
    p = page()
    cpu(set_atomic, p, PG_dirty)
    cpu(set_atomic, p, PG_uptodate)
    at_rest(lambda: test_bit(PG_dirty, p.flags) and test_bit(PG_uptodate, p.flags), "both flags are set")


@scheme
def locked():
    p = page()
    cpu(set_locked, p, PG_dirty)
    cpu(set_locked, p, PG_uptodate)
    at_rest(lambda: p.flags == BIT(PG_dirty) | BIT(PG_uptodate), "both flags are set")


@scheme
def unlocked_with_plain():
    p = page()
    cpu(set_locked_or_note, p, PG_dirty)
    cpu(set_locked_or_note, p, PG_uptodate)
    at_rest(lambda: p.flags == BIT(PG_dirty) | BIT(PG_uptodate), "both flags are set")
