"""Completions (kernel/sched/completion.c and kernel/sched/swait.c of Linux 6.1).

A count of what is done and a queue of waiters, both under one spinlock. complete() adds one and wakes the first in the queue;
wait_for_completion() sleeps in the queue until the count is not 0, and takes one. So as many waiters get through as there are calls of
complete(), whichever comes first. All under the lock, so that a completion may lie on the waiter's stack: when the waiter has seen
the count under the lock, complete() has done all but give the lock back.

`complete` is the algorithm. Broken: `done_is_a_flag` has a flag for the count, and two calls before there is a waiter let one
through; `on_the_stack` has the waiter poll the count without the lock and go, and complete() goes on with what is gone.

Left out: signals, timeouts, complete_all(), interrupts. The queue is singly linked, and finish_swait() knows of two waiters only.
"""
from lockverse import *

TASK_RUNNING = 0
TASK_UNINTERRUPTIBLE = 2


@struct
class swait_queue:
    state: u8
    queued: bool
    next: ptr["swait_queue"]


@struct
class completion:
    lock: spinlock_t
    done: u8
    first: ptr[swait_queue]
    last: ptr[swait_queue]
    gone: bool


def schedule(wait):
    while READ_ONCE(wait.state) != TASK_RUNNING:
        cpu_relax()


def prepare_to_swait(x, wait):
    if wait.queued:
        return
    wait.queued = True
    wait.next = NULL
    if x.first == NULL:
        x.first = wait
    else:
        x.last.next = wait
    x.last = wait


def finish_swait(x, wait):
    WRITE_ONCE(wait.state, TASK_RUNNING)
    if wait.queued:
        wait.queued = False
        if x.first == wait:
            x.first = wait.next
        else:
            x.first.next = wait.next
            x.last = x.first


def swake_up_locked(x):
    curr = x.first
    if curr == NULL:
        return
    cmpxchg(curr.state, TASK_UNINTERRUPTIBLE, TASK_RUNNING)
    x.first = curr.next
    curr.queued = False


def complete_counted(x):
    spin_lock(x.lock)
    WRITE_ONCE(x.done, x.done + 1)
    swake_up_locked(x)
    WARN_ON(READ_ONCE(x.gone), "complete() of what is gone")
    spin_unlock(x.lock)


def complete_flagged(x):
    spin_lock(x.lock)
    WRITE_ONCE(x.done, 1)
    swake_up_locked(x)
    spin_unlock(x.lock)


def wait_for_completion(x, wait):
    spin_lock(x.lock)
    if x.done == 0:
        while True:
            prepare_to_swait(x, wait)
            WRITE_ONCE(wait.state, TASK_UNINTERRUPTIBLE)
            spin_unlock(x.lock)
            schedule(wait)
            spin_lock(x.lock)
            if x.done:
                break
        finish_swait(x, wait)
    WRITE_ONCE(x.done, x.done - 1)
    spin_unlock(x.lock)


def poll(x):
    while not READ_ONCE(x.done):
        cpu_relax()


def on_stack(x, wait):
    wait_for_completion(x, wait)
    WRITE_ONCE(x.gone, True)


def on_stack_polls(x):
    poll(x)
    WRITE_ONCE(x.gone, True)


@scheme
def complete(waiters: range(1, 3) = 2):
    x = completion()
    waits = [swait_queue() for _ in range(waiters)]
    for wait in waits:
        cpu(on_stack if waiters == 1 else wait_for_completion, x, wait)
    for _ in range(waiters):
        cpu(complete_counted, x)
    at_rest(lambda: x.done == 0 and x.first == NULL, "all are through, and all that was done is taken")
    sometimes(lambda: x.first != NULL and x.first.state == TASK_UNINTERRUPTIBLE, "a waiter sleeps")
    sometimes(lambda: x.done == waiters, "all is done before anybody takes it")


@scheme
def done_is_a_flag():
    x = completion()
    waits = [swait_queue() for _ in range(2)]
    for wait in waits:
        cpu(wait_for_completion, x, wait)
    for _ in range(2):
        cpu(complete_flagged, x)


@scheme
def on_the_stack():
    x = completion()
    cpu(on_stack_polls, x)
    cpu(complete_counted, x)
