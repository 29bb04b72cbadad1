"""Sleeping and waking (set_current_state() in include/linux/sched.h and try_to_wake_up() in kernel/sched/core.c of Linux 6.1).

Who waits for a condition says so first, by its state, looks at the condition then, and calls schedule() if it does not hold. Who
makes it true does that first, and wakes then: a task that is not running any more is made to run. Whatever the order of the four
steps, either the sleeper sees the condition or the waker sees the state, so no wake-up is lost.

`handshake` is the algorithm. Broken: `test_before_state` looks at the condition and sets the state then, and the wake-up that
comes in between finds a task that runs; `wake_before_condition` has the waker wake first.

Left out: reordering, which set_current_state() and try_to_wake_up() keep away by a full barrier each; run queues, for which see
try_to_wake_up.py: here schedule() waits for its own state to be TASK_RUNNING.
"""
from lockverse import *


class State(Enum):
    TASK_RUNNING = auto()
    TASK_UNINTERRUPTIBLE = auto()


TASK_RUNNING, TASK_UNINTERRUPTIBLE = State


@struct
class task:
    state: State
    condition: bool
    slept: bool


def schedule(p):
    if READ_ONCE(p.state) == TASK_RUNNING:
        return
    WRITE_ONCE(p.slept, True)
    while READ_ONCE(p.state) != TASK_RUNNING:
        cpu_relax()


def wake_up_process(p):
    return cmpxchg(p.state, TASK_UNINTERRUPTIBLE, TASK_RUNNING) == TASK_UNINTERRUPTIBLE


def sleeper(p):
    while True:
        smp_store_mb(p.state, TASK_UNINTERRUPTIBLE)
        if READ_ONCE(p.condition):
            break
        schedule(p)
    WRITE_ONCE(p.state, TASK_RUNNING)


def sleeper_tests_first(p):
    while not READ_ONCE(p.condition):
        smp_store_mb(p.state, TASK_UNINTERRUPTIBLE)
        schedule(p)
    WRITE_ONCE(p.state, TASK_RUNNING)


def waker(p):
    WRITE_ONCE(p.condition, True)
    wake_up_process(p)


def waker_wakes_first(p):
    wake_up_process(p)
    WRITE_ONCE(p.condition, True)


def bystander(p):
    """Wakes for a reason of its own."""
    wake_up_process(p)


@scheme
def handshake(spurious: range(0, 3) = 1):
    p = task()
    cpu(sleeper, p)
    cpu(waker, p)
    for _ in range(spurious):
        cpu(bystander, p)
    at_rest(lambda: p.state == TASK_RUNNING and p.condition, "it runs, and for the right reason")
    sometimes(lambda: p.slept and p.state == TASK_UNINTERRUPTIBLE, "it sleeps")


@scheme
def test_before_state():
    p = task()
    cpu(sleeper_tests_first, p)
    cpu(waker, p)


@scheme
def wake_before_condition():
    p = task()
    cpu(sleeper, p)
    cpu(waker_wakes_first, p)
