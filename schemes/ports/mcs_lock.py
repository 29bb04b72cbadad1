"""The MCS lock (kernel/locking/mcs_spinlock.h of Linux 6.1; Mellor-Crummey and Scott, ACM TOCS 9, 1991, section 2.4).

A queue of nodes, one a CPU. Who comes swaps its node in as the tail, links it behind the one that was there, and waits in its
own node until that one hands over. Who leaves and sees no successor takes the tail away, if that is still its own node; if it is
not, a successor is about to link itself, and is waited for. One CPU at a time, in the order of the swaps.

`queue` is the algorithm; `rounds` is how often each CPU goes through, with the same node. Broken: `no_wait_for_next` leaves when
it sees no successor: one that has swapped and not linked yet waits for ever. `tail_stored` takes the tail away by a store, not
by a cmpxchg, and a successor with it.

Left out: reordering, so acquire and release say nothing here; interrupts, whose handlers need nodes of their own.
"""
from lockverse import *


@struct
class mcs_spinlock:
    next: ptr["mcs_spinlock"]
    locked: u8
    served: bool


@struct
class mcs_lock:
    tail: ptr[mcs_spinlock]
    inside: atomic_t


def mcs_spin_lock(lock, node):
    node.locked = 0
    node.next = NULL
    prev = xchg(lock.tail, node)
    if prev == NULL:
        return prev
    WRITE_ONCE(prev.next, node)
    smp_cond_load_acquire(node.locked, lambda VAL: VAL)
    return prev


def mcs_spin_unlock(lock, node):
    next = READ_ONCE(node.next)
    if next == NULL:
        if cmpxchg_release(lock.tail, node, NULL) == node:
            return
        while next == NULL:
            next = READ_ONCE(node.next)
    smp_store_release(next.locked, 1)


def mcs_spin_unlock_no_wait(lock, node):
    next = READ_ONCE(node.next)
    if next == NULL:
        cmpxchg_release(lock.tail, node, NULL)
    else:
        smp_store_release(next.locked, 1)


def mcs_spin_unlock_store(lock, node):
    next = READ_ONCE(node.next)
    if next == NULL:
        WRITE_ONCE(lock.tail, NULL)
    else:
        smp_store_release(next.locked, 1)


def critical_section(lock, prev, node):
    atomic_inc(lock.inside)
    # With one round this is the order of the swaps; with more it is asked of the first round only.
    WARN_ON(prev != NULL and not READ_ONCE(prev.served), "served before the one in front of it")
    WRITE_ONCE(node.served, True)
    atomic_dec(lock.inside)


def task(lock, node, rounds, unlock):
    for _ in range(rounds):
        prev = mcs_spin_lock(lock, node)
        critical_section(lock, prev, node)
        unlock(lock, node)


@scheme
def queue(cpus: range(2, 4) = 3, rounds: range(1, 3) = 1):
    lock = mcs_lock()
    nodes = [mcs_spinlock() for _ in range(cpus)]
    for node in nodes:
        cpu(task, lock, node, rounds, mcs_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: lock.tail == NULL, "nobody is left in the queue")
    sometimes(lambda: nodes[0].next == nodes[1], "CPU1 waits behind CPU0")


@scheme
def no_wait_for_next(cpus: range(2, 4) = 2):
    lock = mcs_lock()
    nodes = [mcs_spinlock() for _ in range(cpus)]
    for node in nodes:
        cpu(task, lock, node, 1, mcs_spin_unlock_no_wait)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")


@scheme
def tail_stored(cpus: range(2, 4) = 2):
    lock = mcs_lock()
    nodes = [mcs_spinlock() for _ in range(cpus)]
    for node in nodes:
        cpu(task, lock, node, 1, mcs_spin_unlock_store)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
