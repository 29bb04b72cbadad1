"""SRCU's grace period in small (kernel/rcu/srcutree.c of Linux 6.1; McKenney 2006, Desnoyers 2012).

Two sets of per-cpu counters, and an index that says which one new readers use. A reader counts itself in in one set and out in the same.
A grace period waits until the set that is not in use has no readers, flips the index, and waits for the other set. It adds up who
left before it adds up who came: a reader that is seen to leave was seen to come.

`two_scans` is the algorithm. Broken: `one_scan` flips first and waits for the old set only: a reader that has read the index and not
yet counted itself can be a grace period late, and the next one flips back and does not look where it is. `sums_the_other_way`
adds up who came first, and takes the leaving of a late reader for that of one who is still there.

Left out: reordering, which the kernel's barriers A to E are about; the tree and its callbacks: one updater waits by itself.
"""
from lockverse import *


@struct
class foo:
    freed: bool


@struct
class counts:
    of: array[u8, 2]


@struct
class srcu_struct:
    srcu_idx: u8
    lock_count: percpu[counts]
    unlock_count: percpu[counts]
    head: ptr[foo]


def srcu_read_lock(ssp):
    idx = READ_ONCE(ssp.srcu_idx) & 1
    this_cpu_inc(ssp.lock_count.of[idx])
    smp_mb()
    return idx


def srcu_read_unlock(ssp, idx):
    smp_mb()
    this_cpu_inc(ssp.unlock_count.of[idx])


def unlocks(ssp, idx):
    sum = 0
    for cpu in for_each_possible_cpu():
        sum += READ_ONCE(ssp.unlock_count[cpu].of[idx])
    return sum


def locks(ssp, idx):
    sum = 0
    for cpu in for_each_possible_cpu():
        sum += READ_ONCE(ssp.lock_count[cpu].of[idx])
    return sum


def no_readers(ssp, idx):
    left = unlocks(ssp, idx)
    smp_mb()
    return locks(ssp, idx) == left


def no_readers_other_way(ssp, idx):
    came = locks(ssp, idx)
    smp_mb()
    return unlocks(ssp, idx) == came


def wait_for_readers(ssp, scan):
    idx = 1 ^ READ_ONCE(ssp.srcu_idx) & 1
    while not scan(ssp, idx):
        cpu_relax()


def flip(ssp):
    smp_mb()
    WRITE_ONCE(ssp.srcu_idx, ssp.srcu_idx + 1)
    smp_mb()


def synchronize_two_scans(ssp, scan):
    wait_for_readers(ssp, scan)
    flip(ssp)
    wait_for_readers(ssp, scan)


def synchronize_one_scan(ssp, scan):
    flip(ssp)
    wait_for_readers(ssp, scan)


def reader(ssp):
    idx = srcu_read_lock(ssp)
    p = READ_ONCE(ssp.head)
    if p != NULL:
        WARN_ON(READ_ONCE(p.freed), "read after it was freed")
    srcu_read_unlock(ssp, idx)


def updater(ssp, synchronize, scan, before):
    """`before`: grace periods before the one that matters."""
    for _ in range(before):
        synchronize(ssp, scan)
    p = ssp.head
    WRITE_ONCE(ssp.head, NULL)
    synchronize(ssp, scan)
    WRITE_ONCE(p.freed, True)


@scheme
def two_scans(readers: range(1, 3) = 1, before: range(0, 2) = 1):
    p = foo()
    ssp = srcu_struct(head=p)
    for _ in range(readers):
        cpu(reader, ssp)
    cpu(updater, ssp, synchronize_two_scans, no_readers, before)
    at_rest(lambda: p.freed, "the grace period ends")
    sometimes(lambda: ssp.lock_count[0].of[0] == 1 and ssp.srcu_idx == 1, "a reader in the old set is waited for")


@scheme
def one_scan():
    p = foo()
    ssp = srcu_struct(head=p)
    cpu(reader, ssp)
    cpu(updater, ssp, synchronize_one_scan, no_readers, 1)


@scheme
def sums_the_other_way():
    p = foo()
    ssp = srcu_struct(head=p)
    cpu(reader, ssp)
    cpu(reader, ssp)
    cpu(updater, ssp, synchronize_two_scans, no_readers_other_way, 0)
