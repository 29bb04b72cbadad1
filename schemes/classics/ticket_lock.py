"""A ticket lock (Mellor-Crummey and Scott, ACM TOCS 9, 1991, section 2.2): take a number, wait until it is called.

`fetch_add` draws the ticket in one step. `read_then_write` draws it in two: two CPUs can hold the same number.
"""
from lockverse import *


@struct
class ticket_lock:
    next: atomic_t
    owner: atomic_t
    inside: atomic_t


def critical_section(lock):
    atomic_inc(lock.inside)
    atomic_dec(lock.inside)


def wait_and_enter(lock, ticket):
    while atomic_read(lock.owner) != ticket:
        cpu_relax()
    critical_section(lock)
    atomic_inc(lock.owner)


def lock_fetch_add(lock):
    wait_and_enter(lock, atomic_fetch_inc(lock.next))


def lock_read_then_write(lock):
    ticket = atomic_read(lock.next)
    atomic_set(lock.next, ticket + 1)
    wait_and_enter(lock, ticket)


@scheme
def fetch_add(cpus: range(2, 4) = 2):
    lock = ticket_lock()
    for _ in range(cpus):
        cpu(lock_fetch_add, lock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")


@scheme
def read_then_write():
    lock = ticket_lock()
    cpu(lock_read_then_write, lock)
    cpu(lock_read_then_write, lock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
