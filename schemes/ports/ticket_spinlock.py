"""The ticket spinlock (include/asm-generic/spinlock.h of Linux 6.1; Reed and Kanodia, Communications of the ACM 22, 1979).

One word: the high half is the next ticket, the low half the ticket that is served. A CPU draws a ticket with one fetch_add and
waits until it is called; unlock calls the next one by a store to the low half alone. One CPU at a time, in the order of tickets.

`fetch_add` is the algorithm, `with_trylock` adds arch_spin_trylock(). Broken: `unlock_whole_word` stores both halves, so a
ticket that is drawn meanwhile is drawn again; `too_few_tickets` has tickets of one bit, and more CPUs than those can tell apart.
Tickets have 16 bits in the kernel and `BITS` here.

Left out: reordering, so the acquire, the release and the smp_mb() after the wait say nothing here; the store of half a word, for
which an atomic_add() stands that changes the low half only: nobody but the holder writes that half, so it comes to the same.
"""
from lockverse import *

BITS = 4


@struct
class arch_spinlock_t:
    val: atomic_t
    inside: atomic_t
    served: atomic_t


def arch_spin_lock(lock, bits):
    mask = (1 << bits) - 1
    val = atomic_fetch_add(1 << bits, lock.val)
    ticket = val >> bits & mask
    if ticket == val & mask:
        return ticket
    atomic_cond_read_acquire(lock.val, lambda VAL: VAL & mask == ticket)
    smp_mb()
    return ticket


def arch_spin_trylock(lock, bits):
    old = atomic_read(lock.val)
    if old >> bits != old & (1 << bits) - 1:
        return False
    ok, _ = atomic_try_cmpxchg(lock.val, old, old + (1 << bits))
    return ok


def arch_spin_unlock(lock, bits):
    mask = (1 << bits) - 1
    owner = atomic_read(lock.val) & mask
    atomic_add((owner + 1 & mask) - owner, lock.val)


def arch_spin_unlock_whole_word(lock, bits):
    val = atomic_read(lock.val)
    atomic_set_release(lock.val, val + 1)


def critical_section(lock, ticket):
    atomic_inc(lock.inside)
    WARN_ON(atomic_fetch_inc(lock.served) != ticket, "served out of turn")
    atomic_dec(lock.inside)


def task(lock, bits, unlock):
    ticket = arch_spin_lock(lock, bits)
    critical_section(lock, ticket)
    unlock(lock, bits)


def task_trylock(lock, bits):
    if arch_spin_trylock(lock, bits):
        ticket = atomic_read(lock.val) & (1 << bits) - 1
        critical_section(lock, ticket)
        arch_spin_unlock(lock, bits)


def next_ticket(lock):
    return atomic_read(lock.val) >> BITS


def owner(lock):
    return atomic_read(lock.val) & (1 << BITS) - 1


@scheme
def fetch_add(cpus: range(2, 5) = 3):
    lock = arch_spinlock_t()
    for _ in range(cpus):
        cpu(task, lock, BITS, arch_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: owner(lock) == next_ticket(lock), "every ticket was served")
    sometimes(lambda: next_ticket(lock) - owner(lock) == cpus, "all have drawn a ticket, one is served")


@scheme
def with_trylock(cpus: range(2, 4) = 2):
    lock = arch_spinlock_t()
    cpu(task_trylock, lock, BITS)
    for _ in range(cpus - 1):
        cpu(task, lock, BITS, arch_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: owner(lock) == next_ticket(lock), "every ticket was served")
    sometimes(lambda: next_ticket(lock) == cpus, "trylock succeeds")


@scheme
def unlock_whole_word(cpus: range(2, 4) = 2):
    lock = arch_spinlock_t()
    for _ in range(cpus):
        cpu(task, lock, BITS, arch_spin_unlock_whole_word)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: owner(lock) == next_ticket(lock), "every ticket was served")


@scheme
def too_few_tickets():
    lock = arch_spinlock_t()
    for _ in range(3):
        cpu(task, lock, 1, arch_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
