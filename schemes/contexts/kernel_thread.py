"""A kernel thread that is asked to stop just before it sleeps.

kthread_stop() sets a flag and wakes the thread. A thread that looks at the flag first and says only then that it is about to sleep
misses both: nobody wakes it again, and kthread_stop() waits for ever. Documentation of kthread_should_stop() and include/linux/wait.h
(Linux 6.1) have the order that is right: first the state, then the look.
"""
from lockverse import *


@struct
class device:
    work: u8
    done: u8


def worker(d, state_first):
    if state_first:
        set_current_state(TASK_INTERRUPTIBLE)
    while not kthread_should_stop():
        if not state_first:
            set_current_state(TASK_INTERRUPTIBLE)
        schedule()
        if state_first:
            set_current_state(TASK_INTERRUPTIBLE)
    __set_current_state(TASK_RUNNING)
    d.done += 1


def remove(d, thread):
    kthread_stop(thread)
    assert d.done == 1, "the thread has returned"


@scheme
def stopped(state_first: bool = True):
    d = device()
    thread = kthread(worker, d, state_first)
    cpu(remove, d, thread)
    at_rest(lambda: d.done == 1)
