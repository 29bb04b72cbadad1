"""Sleeping and waking by hand (Documentation/memory-barriers.txt, "Sleep and wake-up functions", Linux 6.1).

A sleeper says that it is about to sleep, then looks whether it need not, then sleeps; a waker makes that so, then wakes. `says_late`
looks first: woken between the look and the word, it sleeps for ever. `wakes_early` wakes before there is a reason to.
"""
from lockverse import *


@struct
class event:
    indicated: bool
    sleeper: ptr[task_struct]


def sleep(e):
    while True:
        set_current_state(TASK_UNINTERRUPTIBLE)
        if READ_ONCE(e.indicated):
            break
        schedule()
    __set_current_state(TASK_RUNNING)


def sleep_late(e):
    while not READ_ONCE(e.indicated):
        set_current_state(TASK_UNINTERRUPTIBLE)
        schedule()


def wake(e):
    WRITE_ONCE(e.indicated, True)
    wake_up_process(e.sleeper)


def wake_early(e):
    wake_up_process(e.sleeper)
    WRITE_ONCE(e.indicated, True)


@scheme
def in_order():
    e = event()
    e.sleeper = cpu(sleep, e)
    cpu(wake, e)


@scheme
def says_late():
    e = event()
    e.sleeper = cpu(sleep_late, e)
    cpu(wake, e)


@scheme
def wakes_early():
    e = event()
    e.sleeper = cpu(sleep, e)
    cpu(wake_early, e)
