"""Peterson's filter lock for n CPUs (Peterson, 1981), each of which enters and leaves for ever, at the grain of the peers' m2.

`inside` is a ghost: the step that wins the last level counts it up. Leaves out what is done inside.
"""
# ruff: noqa: F403, F405
from lockverse import *
from lockverse.lang.step import step

MOST = 6


@struct
class filter_lock:
    inside: u8
    level: array[u8, MOST]
    victim: array[u8, MOST]


@step("once")
def reads_lower_level(f, k, level, last):
    """Whether CPU k is below `level`; it was the last obstacle to the inside if `last`."""
    lower = f.level[k] < level
    if lower and last:
        f.inside = f.inside + 1
    return lower


@step("once")
def reads_other_victim(f, level, me, last):
    """Whether another CPU is the victim of `level`; that was the last obstacle to the inside if `last`."""
    other = f.victim[level] != me
    if other and last:
        f.inside = f.inside + 1
    return other


@step("once")
def leave(f, me):
    f.level[me] = 0
    f.inside = f.inside - 1


def climb(f, me: u8, level: u8, n: u8):
    WRITE_ONCE(f.level[me], level)
    WRITE_ONCE(f.victim[level], me)
    k: u8 = 1 if me == 0 else 0
    while True:
        following: u8 = k + 2 if k + 1 == me else k + 1
        if reads_lower_level(f, k, level, level + 1 == n and following >= n):
            if following >= n:
                return
            k = following
        elif reads_other_victim(f, level, me, level + 1 == n):
            return


def enter_and_leave(f, me: u8, n: u8):
    level: u8 = 0
    while True:
        rest()
        climb(f, me, 1, n)
        level = 2
        while level < n:
            climb(f, me, level, n)
            level += 1
        level = 0
        leave(f, me)


@scheme
def filter(n: range(2, 7) = 3):
    f = filter_lock()
    for i in range(n):
        cpu(enter_and_leave, f, i, n)
    always(lambda: f.inside <= 1, "one at a time")
