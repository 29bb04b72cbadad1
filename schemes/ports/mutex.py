"""The mutex: fast path, slow path and handoff (kernel/locking/mutex.c of Linux 6.1; Molnar 2006, Zijlstra 2016).

One word holds the owner and three flags. The fast path is a cmpxchg from 0 to the owner, and back. Who does not get it enters itself in
a queue under wait_lock, sets the flag WAITERS, tries again, and sleeps; unlock sees WAITERS and wakes the first in the queue. Anybody may
take the mutex before the one that was woken runs; one that is first and finds it taken sets the flag HANDOFF, and the next unlock makes
it the owner instead of nobody, with the flag PICKUP, which it takes off.

`handoff` is the algorithm: one at a time, no wake-up is lost, a mutex that nobody owns has neither HANDOFF nor PICKUP (the kernel warns
of those). The first task comes twice. Broken: `no_second_try` sets WAITERS and sleeps, and an unlock between its last try and the flag has
woken nobody; `unlock_by_store` gives the mutex back by a store, and the flag WAITERS that was just set is gone, with the wake-up;
`handoff_ignored` gives the mutex back to nobody although HANDOFF is set.

Left out: reordering; optimistic spinning and its MCS queue; signals, ww_mutex, debugging. A task is a number, its state is in the mutex,
and schedule() waits for it to be TASK_RUNNING. is_first() looks at the queue without wait_lock, as the kernel does.
"""
from lockverse import *

TASK_RUNNING = 0
TASK_UNINTERRUPTIBLE = 2
WAITERS = 1
HANDOFF = 2
PICKUP = 4
FLAGS = 7
NOBODY = 0


@struct
class mutex:
    owner: atomic_long_t
    wait_lock: spinlock_t
    queue: array[u8, 4]
    states: array[u8, 4]
    inside: atomic_t


def wake_up(lock, task):
    cmpxchg(lock.states[task], TASK_UNINTERRUPTIBLE, TASK_RUNNING)


def schedule(lock, task):
    while READ_ONCE(lock.states[task]) != TASK_RUNNING:
        cpu_relax()


def mutex_trylock_common(lock, curr, handoff):
    owner = atomic_long_read(lock.owner)
    while True:
        flags = owner & FLAGS
        task = owner >> 3
        if task == NOBODY:
            WARN_ON(flags & (HANDOFF | PICKUP), "a flag of an owner, and no owner")
            task = curr
        elif flags & PICKUP and task == curr:
            flags &= ~PICKUP
        elif not flags & PICKUP and handoff and not flags & HANDOFF:
            flags |= HANDOFF
        else:
            return False
        ok, owner = atomic_long_try_cmpxchg_acquire(lock.owner, owner, task << 3 | flags)
        if ok:
            return task == curr


def add_waiter(lock, task):
    last = 0
    while lock.queue[last] != NOBODY:
        last += 1
    WRITE_ONCE(lock.queue[last], task)
    if last == 0:
        atomic_long_or(WAITERS, lock.owner)


def remove_waiter(lock, task):
    found = False
    for i in range(3):
        found = found or lock.queue[i] == task
        if found:
            WRITE_ONCE(lock.queue[i], lock.queue[i + 1])
    if lock.queue[0] == NOBODY:
        atomic_long_andnot(FLAGS, lock.owner)


def is_first(lock, task):
    return READ_ONCE(lock.queue[0]) == task


def mutex_lock_slowpath(lock, curr, second_try):
    if mutex_trylock_common(lock, curr, False):
        return
    with lock.wait_lock:
        if mutex_trylock_common(lock, curr, False):
            return
        add_waiter(lock, curr)
        smp_store_mb(lock.states[curr], TASK_UNINTERRUPTIBLE)
        while not (second_try and mutex_trylock_common(lock, curr, False)):
            spin_unlock(lock.wait_lock)
            schedule(lock, curr)
            first = is_first(lock, curr)
            smp_store_mb(lock.states[curr], TASK_UNINTERRUPTIBLE)
            taken = mutex_trylock_common(lock, curr, first)
            spin_lock(lock.wait_lock)
            if taken:
                break
        WRITE_ONCE(lock.states[curr], TASK_RUNNING)
        remove_waiter(lock, curr)


def release(lock, honours):
    """Gives the flags that were found with the mutex; it is still owned if HANDOFF is among them."""
    owner = atomic_long_read(lock.owner)
    while not (honours and owner & HANDOFF):
        ok, owner = atomic_long_try_cmpxchg_release(lock.owner, owner, owner & FLAGS)
        if ok:
            break
    return owner & FLAGS


def mutex_handoff(lock, next):
    owner = atomic_long_read(lock.owner)
    ok = False
    while not ok:
        new = owner & WAITERS
        if next != NOBODY:
            new |= next << 3 | PICKUP
        ok, owner = atomic_long_try_cmpxchg_release(lock.owner, owner, new)


def mutex_unlock_slowpath(lock, honours):
    flags = release(lock, honours)
    if flags == 0:
        return
    spin_lock(lock.wait_lock)
    next = lock.queue[0]
    if honours and flags & HANDOFF:
        mutex_handoff(lock, next)
    spin_unlock(lock.wait_lock)
    if next != NOBODY:
        wake_up(lock, next)


def mutex_lock(lock, curr, second_try):
    ok, _ = atomic_long_try_cmpxchg_acquire(lock.owner, NOBODY, curr << 3)
    if not ok:
        mutex_lock_slowpath(lock, curr, second_try)


def mutex_unlock(lock, curr):
    ok, _ = atomic_long_try_cmpxchg_release(lock.owner, curr << 3, NOBODY)
    if not ok:
        mutex_unlock_slowpath(lock, True)


def mutex_unlock_by_store(lock, curr):
    if atomic_long_read(lock.owner) == curr << 3:
        atomic_long_set(lock.owner, NOBODY)
    else:
        mutex_unlock_slowpath(lock, True)


def mutex_unlock_ignores_handoff(lock, curr):
    mutex_unlock_slowpath(lock, False)


def critical_section(lock):
    atomic_inc(lock.inside)
    atomic_dec(lock.inside)


def task(lock, curr, rounds, unlock):
    for _ in range(rounds):
        mutex_lock(lock, curr, True)
        critical_section(lock)
        unlock(lock, curr)


def task_no_second_try(lock, curr):
    mutex_lock(lock, curr, False)
    critical_section(lock)
    mutex_unlock(lock, curr)


@scheme
def handoff(tasks: range(2, 4) = 2):
    lock = mutex()
    cpu(task, lock, 1, 2, mutex_unlock)
    for curr in range(2, tasks + 1):
        cpu(task, lock, curr, 1, mutex_unlock)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
    at_rest(lambda: atomic_long_read(lock.owner) == 0, "nothing is left in the word")
    sometimes(lambda: atomic_long_read(lock.owner) & PICKUP, "a mutex is handed over")


@scheme
def no_second_try():
    lock = mutex()
    cpu(task_no_second_try, lock, 1)
    cpu(task_no_second_try, lock, 2)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")


@scheme
def unlock_by_store():
    lock = mutex()
    cpu(task, lock, 1, 1, mutex_unlock_by_store)
    cpu(task, lock, 2, 1, mutex_unlock_by_store)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")


@scheme
def handoff_ignored():
    lock = mutex()
    cpu(task, lock, 1, 2, mutex_unlock_ignores_handoff)
    cpu(task, lock, 2, 1, mutex_unlock_ignores_handoff)
    always(lambda: atomic_read(lock.inside) <= 1, "one at a time")
