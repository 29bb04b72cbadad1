"""The lost update: two CPUs add 1 to the same counter. The first race in every book.

`plain` is a load and a store; `atomic` is one step; `locked` takes a spinlock over the two.
"""
from lockverse import *


@struct
class counter:
    n: u32
    a: atomic_t
    lock: spinlock_t


def add_plain(c):
    c.n += 1


def add_atomic(c):
    atomic_inc(c.a)


def add_locked(c):
    with c.lock:
        c.n += 1


@scheme
def plain():
    c = counter()
    cpu(add_plain, c)
    cpu(add_plain, c)
    at_rest(lambda: c.n == 2, "both additions count")


@scheme
def atomic(cpus: range(1, 5) = 2):
    c = counter()
    for _ in range(cpus):
        cpu(add_atomic, c)
    at_rest(lambda: atomic_read(c.a) == cpus, "every addition counts")


@scheme
def locked(cpus: range(1, 4) = 2):
    c = counter()
    for _ in range(cpus):
        cpu(add_locked, c)
    at_rest(lambda: c.n == cpus, "every addition counts")
