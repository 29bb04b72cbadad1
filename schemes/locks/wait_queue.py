"""A wait queue, and three ways not to wake who is on it (the comments in include/linux/wait.h of Linux 6.1 warn of them).

`asks_first` looks whether anybody waits before it makes the condition true: who comes to wait in between is not seen and sees nothing.
`other_state` wakes who waits interruptibly only. `under_lock` waits with the mutex held that the waker needs.
"""
from lockverse import *


@struct
class buffer:
    full: bool
    wq: wait_queue_head_t
    lock: mutex


def take(b):
    wait_event(b.wq, READ_ONCE(b.full))


def take_interruptibly(b):
    while wait_event_interruptible(b.wq, READ_ONCE(b.full)) != 0:
        pass


def take_under_lock(b):
    with b.lock:
        wait_event(b.wq, b.full)


def fill(b):
    WRITE_ONCE(b.full, True)
    wake_up(b.wq)


def fill_if_waited_for(b):
    WRITE_ONCE(b.full, True)
    if waitqueue_active(b.wq):
        wake_up(b.wq)


def fill_after_asking(b):
    waiting = waitqueue_active(b.wq)
    WRITE_ONCE(b.full, True)
    if waiting:
        wake_up(b.wq)


def fill_interruptibly(b):
    WRITE_ONCE(b.full, True)
    wake_up_interruptible(b.wq)


def fill_under_lock(b):
    with b.lock:
        b.full = True
    wake_up(b.wq)


@scheme
def wakes():
    b = buffer()
    cpu(take, b)
    cpu(take, b)
    cpu(fill, b)


@scheme
def asks():
    b = buffer()
    cpu(take, b)
    cpu(fill_if_waited_for, b)


@scheme
def asks_first():
    b = buffer()
    cpu(take, b)
    cpu(fill_after_asking, b)


@scheme
def other_state():
    b = buffer()
    cpu(take, b)
    cpu(fill_interruptibly, b)


@scheme
def same_state():
    b = buffer()
    cpu(take_interruptibly, b)
    cpu(fill_interruptibly, b)


@scheme
def under_lock():
    b = buffer()
    cpu(take_under_lock, b)
    cpu(fill_under_lock, b)
