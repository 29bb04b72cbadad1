"""The queued spinlock (kernel/locking/qspinlock.c and include/asm-generic/qspinlock.h of Linux 6.1; Long and Zijlstra, 2015).

One word holds three things: the locked byte, the pending bit, and the tail, which names a CPU. The first to wait sets pending
and waits for the locked byte. Who comes while there is a pending CPU or a queue swaps itself in as the tail and waits in an MCS
queue of per-cpu nodes. The head of that queue waits until both the locked byte and the pending bit are clear, takes the lock, and
makes the next one the head, unless it is the last and its cmpxchg takes the tail away.

`pending_and_queue` is the algorithm. Broken: `no_pending_check` has the head of the queue wait for the locked byte alone, so it
gets in together with the pending CPU; `unlock_whole_word` clears the pending bit too, so a third CPU gets in on the fast path
while the pending one does.

This is the variant for 16K CPUs and more, in which pending and tail are changed by atomics on the whole word, whose fields are
narrower here: bit 0 is the locked byte, bit 1 pending, the rest the tail. _Q_PENDING_LOOPS is 1, as where an architecture says nothing.
With three CPUs one waits in the queue at most; with four, two. The broken variants begin with CPU0 in its critical section.

Left out: reordering; stores of the locked byte, for which atomic_or() and atomic_andnot() of it stand; nesting in interrupts, so one
node a CPU is enough; paravirt.
"""
from lockverse import *

_Q_LOCKED_VAL = 1 << 0
_Q_PENDING_VAL = 1 << 1
_Q_TAIL_CPU_OFFSET = 2
_Q_LOCKED_MASK = _Q_LOCKED_VAL
_Q_LOCKED_PENDING_MASK = _Q_LOCKED_VAL | _Q_PENDING_VAL


@struct
class mcs_spinlock:
    next: ptr["mcs_spinlock"]
    locked: u8


@struct
class qspinlock:
    val: atomic_t
    qnodes: array[mcs_spinlock, 4]
    inside: atomic_t


def decode_tail(lock, tail):
    return lock.qnodes[(tail >> _Q_TAIL_CPU_OFFSET) - 1]


def xchg_tail(lock, tail):
    val = atomic_read(lock.val)
    while True:
        ok, val = atomic_try_cmpxchg_relaxed(lock.val, val, val & _Q_LOCKED_PENDING_MASK | tail)
        if ok:
            return val


def queued_spin_trylock(lock):
    if atomic_read(lock.val):
        return False
    ok, _ = atomic_try_cmpxchg_acquire(lock.val, 0, _Q_LOCKED_VAL)
    return ok


def queue(lock, mask):
    """What comes after the label of that name. `mask` is what the head of the queue waits for."""
    tail = smp_processor_id() + 1 << _Q_TAIL_CPU_OFFSET
    node = decode_tail(lock, tail)
    node.locked = 0
    node.next = NULL
    if queued_spin_trylock(lock):
        return
    smp_wmb()
    old = xchg_tail(lock, tail)
    next: ptr[mcs_spinlock] = NULL
    if old & ~_Q_LOCKED_PENDING_MASK:
        prev = decode_tail(lock, old)
        WRITE_ONCE(prev.next, node)
        smp_cond_load_acquire(node.locked, lambda VAL: VAL)
        next = READ_ONCE(node.next)
    val = atomic_cond_read_acquire(lock.val, lambda VAL: not VAL & mask)
    if val & ~_Q_LOCKED_PENDING_MASK == tail:
        ok, _ = atomic_try_cmpxchg_relaxed(lock.val, val, _Q_LOCKED_VAL)
        if ok:
            return
    atomic_or(_Q_LOCKED_VAL, lock.val)
    if next == NULL:
        next = smp_cond_load_relaxed(node.next, lambda VAL: VAL)
    smp_store_release(next.locked, 1)


def pend(lock, val):
    """What comes before that label. Gives whether the lock was taken."""
    if val == _Q_PENDING_VAL:
        val = atomic_read(lock.val)
    if val & ~_Q_LOCKED_MASK:
        return False
    val = atomic_fetch_or_acquire(_Q_PENDING_VAL, lock.val)
    if val & ~_Q_LOCKED_MASK:
        if not val & _Q_PENDING_VAL:
            atomic_andnot(_Q_PENDING_VAL, lock.val)
        return False
    if val & _Q_LOCKED_MASK:
        atomic_cond_read_acquire(lock.val, lambda VAL: not VAL & _Q_LOCKED_MASK)
    atomic_add(_Q_LOCKED_VAL - _Q_PENDING_VAL, lock.val)
    return True


def queued_spin_lock(lock, mask):
    ok, val = atomic_try_cmpxchg_acquire(lock.val, 0, _Q_LOCKED_VAL)
    if not ok and not pend(lock, val):
        queue(lock, mask)


def queued_spin_unlock(lock):
    atomic_andnot(_Q_LOCKED_MASK, lock.val)


def queued_spin_unlock_whole_word(lock):
    atomic_set(lock.val, 0)


def critical_section(lock):
    atomic_inc(lock.inside)
    atomic_dec(lock.inside)


def task(lock, mask, unlock):
    queued_spin_lock(lock, mask)
    critical_section(lock)
    unlock(lock)


def holder(lock, unlock):
    atomic_dec(lock.inside)
    unlock(lock)


@scheme
def pending_and_queue(cpus: range(2, 5) = 4):
    lock = qspinlock()
    for _ in range(cpus):
        cpu(task, lock, _Q_LOCKED_PENDING_MASK, queued_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: atomic_read(lock.val) == 0, "nothing is left in the word")
    sometimes(lambda: atomic_read(lock.val) & _Q_PENDING_VAL, "a CPU is pending")
    if cpus > 3:
        sometimes(lambda: lock.qnodes[1].next == lock.qnodes[2], "CPU2 waits behind CPU1")


@scheme
def no_pending_check():
    lock = qspinlock(val=_Q_LOCKED_VAL, inside=1)
    cpu(holder, lock, queued_spin_unlock)
    for _ in range(2):
        cpu(task, lock, _Q_LOCKED_MASK, queued_spin_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")


@scheme
def unlock_whole_word():
    lock = qspinlock(val=_Q_LOCKED_VAL, inside=1)
    cpu(holder, lock, queued_spin_unlock_whole_word)
    for _ in range(2):
        cpu(task, lock, _Q_LOCKED_PENDING_MASK, queued_spin_unlock_whole_word)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
