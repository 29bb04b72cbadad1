"""Peterson's lock (Peterson, "Myths about the mutual exclusion problem", Information Processing Letters 12, 1981).

`turn_last` is the algorithm. `turn_first` writes the turn before the flag, the textbook mistake: both get in. Memory is
sequentially consistent here; on real machines the algorithm needs a full barrier besides.
"""
from lockverse import *


@struct
class peterson:
    flag: array[bool, 2]
    turn: u8
    inside: atomic_t


def critical_section(p):
    atomic_inc(p.inside)
    atomic_dec(p.inside)


def enter_turn_last(p, me):
    other = 1 - me
    WRITE_ONCE(p.flag[me], True)
    WRITE_ONCE(p.turn, other)
    while READ_ONCE(p.flag[other]) and READ_ONCE(p.turn) == other:
        cpu_relax()
    critical_section(p)
    WRITE_ONCE(p.flag[me], False)


def enter_turn_first(p, me):
    other = 1 - me
    WRITE_ONCE(p.turn, other)
    WRITE_ONCE(p.flag[me], True)
    while READ_ONCE(p.flag[other]) and READ_ONCE(p.turn) == other:
        cpu_relax()
    critical_section(p)
    WRITE_ONCE(p.flag[me], False)


@scheme
def turn_last():
    p = peterson()
    cpu(enter_turn_last, p, 0)
    cpu(enter_turn_last, p, 1)
    always(lambda: atomic_read(p.inside) <= 1, "one at a time")


@scheme
def turn_first():
    p = peterson()
    cpu(enter_turn_first, p, 0)
    cpu(enter_turn_first, p, 1)
    always(lambda: atomic_read(p.inside) <= 1, "one at a time")
