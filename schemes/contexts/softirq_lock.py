"""A lock that a softirq takes: tasks take it with softirqs disabled. A hardirq handler may interrupt both.

`spin_lock_bh()` is what it takes. Disabling preemption alone does not: a softirq runs on the way out of an interrupt.
"""
from lockverse import *


@struct
class queue:
    length: s32
    lock: spinlock_t


def enqueue(q, bh):
    if bh:
        spin_lock_bh(q.lock)
        q.length += 1
        spin_unlock_bh(q.lock)
    else:
        spin_lock(q.lock)
        q.length += 1
        spin_unlock(q.lock)


def receive(q):
    spin_lock(q.lock)
    q.length += 1
    spin_unlock(q.lock)


def tick(q):
    WARN_ON(in_task(), "an interrupt is no task")


@scheme
def net_rx(bh: bool = True, cpus: range(1, 3) = 1):
    q = queue()
    tasks = [cpu(enqueue, q, bh) for _ in range(cpus)]
    softirq(receive, q, on=tasks[0])
    interrupt(tick, q, on=tasks[0])
    at_rest(lambda: cpus <= q.length <= cpus + 1, "every packet counts")
    sometimes(lambda: q.length == cpus + 1, "the softirq runs")
