"""wait_on_bit() and wake_up_bit() (kernel/sched/wait_bit.c and kernel/sched/wait.c of Linux 6.1; the folio lock waits in this way).

A waiter enters itself in the wait queue and sets its state, both under the lock of the queue, and tests the bit then; if it is set
it sleeps. Who clears the bit looks, after that, whether there is anybody in the queue, and takes the lock of the queue only then. As in
wake_up_process.py, the waiter enters and tests, the waker clears and looks: one of the two sees the other.

`handshake` is the algorithm; a third CPU takes the bit again if it finds it clear. Broken: `looks_before_clear` looks whether anybody
waits before the bit is cleared: that is what a machine may do without the smp_mb__after_atomic() between the two, written out;
`tests_before_queue` has the waiter test the bit, enter itself then, and sleep without another test.

Left out: reordering; the hash of queues, so all that wait here wait for this bit; exclusive waiters (wait_on_bit_lock). The queue is a
set of waiters, a bit each: whom it wakes first makes no difference to those who all wake up.
"""
from lockverse import *

TASK_RUNNING = 0
TASK_UNINTERRUPTIBLE = 2
PG_locked = 0


@struct
class wait_queue_head:
    lock: spinlock_t
    entries: u32


@struct
class page:
    flags: u32
    wq: wait_queue_head
    states: array[u8, 3]


def schedule(p, me):
    while READ_ONCE(p.states[me]) != TASK_RUNNING:
        cpu_relax()


def prepare_to_wait(p, me):
    with p.wq.lock:
        WRITE_ONCE(p.wq.entries, p.wq.entries | 1 << me)
        smp_store_mb(p.states[me], TASK_UNINTERRUPTIBLE)


def finish_wait(p, me):
    WRITE_ONCE(p.states[me], TASK_RUNNING)
    if READ_ONCE(p.wq.entries) & 1 << me:
        with p.wq.lock:
            WRITE_ONCE(p.wq.entries, p.wq.entries & ~(1 << me))


def wait_on_bit(p, me):
    while True:
        prepare_to_wait(p, me)
        if test_bit(PG_locked, p.flags):
            schedule(p, me)
        if not test_bit_acquire(PG_locked, p.flags):
            break
    finish_wait(p, me)


def wait_on_bit_tests_before_queue(p, me):
    while test_bit(PG_locked, p.flags):
        prepare_to_wait(p, me)
        schedule(p, me)
    finish_wait(p, me)


def waitqueue_active(p):
    return READ_ONCE(p.wq.entries) != 0


def wake_up(p):
    with p.wq.lock:
        for waiter in range(3):
            if p.wq.entries & 1 << waiter and not test_bit(PG_locked, p.flags):
                old = cmpxchg(p.states[waiter], TASK_UNINTERRUPTIBLE, TASK_RUNNING)
                if old == TASK_UNINTERRUPTIBLE:
                    WRITE_ONCE(p.wq.entries, p.wq.entries & ~(1 << waiter))


def unlock(p):
    clear_bit_unlock(PG_locked, p.flags)
    smp_mb__after_atomic()
    if waitqueue_active(p):
        wake_up(p)


def trylock_and_unlock(p):
    if not test_and_set_bit_lock(PG_locked, p.flags):
        unlock(p)


def unlock_looks_first(p):
    active = waitqueue_active(p)
    clear_bit_unlock(PG_locked, p.flags)
    if active:
        wake_up(p)


@scheme
def handshake(waiters: range(1, 3) = 1):
    p = page(flags=BIT(PG_locked))
    for me in range(waiters):
        cpu(wait_on_bit, p, me)
    cpu(unlock, p)
    cpu(trylock_and_unlock, p)
    at_rest(lambda: p.wq.entries == 0 and p.states[0] == TASK_RUNNING, "nobody is left in the queue")
    sometimes(lambda: p.states[0] == TASK_UNINTERRUPTIBLE and p.wq.entries, "a waiter sleeps")


@scheme
def looks_before_clear():
    p = page(flags=BIT(PG_locked))
    cpu(wait_on_bit, p, 0)
    cpu(unlock_looks_first, p)


@scheme
def tests_before_queue():
    p = page(flags=BIT(PG_locked))
    cpu(wait_on_bit_tests_before_queue, p, 0)
    cpu(unlock, p)
