"""Sleeping and waking: the state of a task, schedule(), wait queues.

A task that is not TASK_RUNNING and calls schedule() sleeps until somebody makes it TASK_RUNNING; if nobody does, that is a
deadlock, and a lost wakeup is one. A wait queue is the set of the tasks on it. wait_event() is the kernel's loop: it looks at the
condition, puts the task on the queue, looks again, sleeps, and looks again (include/linux/wait.h, kernel/sched/wait.c and
try_to_wake_up() in kernel/sched/core.c, Linux 6.1). Waking all that is on a queue is one step, since each who is woken sees only
himself. A task that sleeps in wait_event_idle() may do so for ever: it is at rest there, and the kernel's watch for hung tasks
looks away as well.

Leaves out exclusive waiters, so wake_up() wakes all; timeouts; wait queue entries of one's own, as the task is its entry; signals
where a function does not say that one may come.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .completions import ERESTARTSYS
from .context import check_may_schedule, check_may_sleep
from .environment import choose
from .step import intrinsic, step
from .structs import struct
from .task import TASK_RUNNING, all_tasks, current_task, task_struct, wait_until
from .types import ptr, u16, u64

TASK_INTERRUPTIBLE = 0x1
TASK_UNINTERRUPTIBLE = 0x2
TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE
TASK_KILLABLE = 0x100 | TASK_UNINTERRUPTIBLE
TASK_IDLE = 0x400 | TASK_UNINTERRUPTIBLE


@struct(kind="wait_queue", opaque=True)
class wait_queue_head_t:
    """A wait queue: a bit for each task on it."""

    waiters: u64


# The bare handshake

get_current = current_task


@step("full")
def set_current_state(state: u16) -> None:
    """Say that the task is about to sleep, or not to, and order that before all that comes next."""
    task = current_task()
    task.state = state


@step("plain")
def __set_current_state(state: u16) -> None:
    """As set_current_state(), without the order."""
    task = current_task()
    task.state = state


@step("full")
def schedule() -> None:
    """Sleep until the task is TASK_RUNNING. Nothing, if it is."""
    check_may_schedule()
    wait_until(current_task().state == TASK_RUNNING)


@step("full")
def wake_up_process(p: ptr[task_struct]) -> bool:
    """Make a task that sleeps, or is about to, TASK_RUNNING; gives whether it was not."""
    if (p.state & TASK_NORMAL) == 0:
        return False
    p.state = TASK_RUNNING
    return True


# Wait queues


def wake(wq_head: ptr[wait_queue_head_t], states: int) -> None:
    """Wake those on the queue that sleep in one of these states, and take them off. Inside a step."""
    for task in all_tasks():
        if (wq_head.waiters >> task.pid) & 1 and task.state & states:
            task.state = TASK_RUNNING
            wq_head.waiters &= ~(1 << task.pid)


@step("plain")
def init_waitqueue_head(wq_head: ptr[wait_queue_head_t]) -> None:
    """Nobody waits."""
    wq_head.waiters = 0


@step("full")
def wake_up(wq_head: ptr[wait_queue_head_t]) -> None:
    """Wake all who wait."""
    wake(wq_head, TASK_NORMAL)


@step("full")
def wake_up_all(wq_head: ptr[wait_queue_head_t]) -> None:
    """Wake all who wait."""
    wake(wq_head, TASK_NORMAL)


@step("full")
def wake_up_interruptible(wq_head: ptr[wait_queue_head_t]) -> None:
    """Wake all who wait interruptibly, and nobody else."""
    wake(wq_head, TASK_INTERRUPTIBLE)


@step("full")
def wake_up_interruptible_all(wq_head: ptr[wait_queue_head_t]) -> None:
    """Wake all who wait interruptibly, and nobody else."""
    wake(wq_head, TASK_INTERRUPTIBLE)


@step("once")
def waitqueue_active(wq_head: ptr[wait_queue_head_t]) -> bool:
    """Whether anybody waits just now."""
    return wq_head.waiters != 0


@step("once")
def wq_has_sleeper(wq_head: ptr[wait_queue_head_t]) -> bool:
    """As waitqueue_active(), behind a full barrier."""
    return wq_head.waiters != 0


@step("full")
def prepare_to_wait(wq_head: ptr[wait_queue_head_t], state: u16) -> None:
    """Put the task on the queue, and say that it is about to sleep."""
    task = current_task()
    wq_head.waiters |= 1 << task.pid
    task.state = state


@step("full", name="schedule")
def sleep_on(wq_head: ptr[wait_queue_head_t]) -> None:
    """As schedule(), and a reader is told where the task sleeps."""
    check_may_schedule()
    wait_until(current_task().state == TASK_RUNNING)


@step("plain")
def finish_wait(wq_head: ptr[wait_queue_head_t]) -> None:
    """The task sleeps no more, and is off the queue."""
    task = current_task()
    task.state = TASK_RUNNING
    wq_head.waiters &= ~(1 << task.pid)


# What the compiler knows: the condition is evaluated again and again. See frontend/sleeping.py.


@intrinsic
def wait_event(wq_head: wait_queue_head_t, condition: object) -> None:
    """Sleep until `condition` is true: it is evaluated before each sleep, and whenever the queue is woken."""
    check_may_sleep()
    wait_until(condition)


@intrinsic
def wait_event_idle(wq_head: wait_queue_head_t, condition: object) -> None:
    """As wait_event(), for one who waits for work: it may sleep for ever, and is at rest while it does."""
    wait_event(wq_head, condition)


@intrinsic
def wait_event_interruptible(wq_head: wait_queue_head_t, condition: object) -> int:
    """As wait_event(), but a signal may end it. Gives 0, or -ERESTARTSYS."""
    check_may_sleep()
    if not condition and choose(bool):
        return -ERESTARTSYS
    wait_until(condition)
    return 0


@intrinsic
def wait_event_killable(wq_head: wait_queue_head_t, condition: object) -> int:
    """As wait_event_interruptible(); only a signal that kills ends it."""
    return wait_event_interruptible(wq_head, condition)


__all__ = [
    "TASK_IDLE", "TASK_INTERRUPTIBLE", "TASK_KILLABLE", "TASK_NORMAL", "TASK_RUNNING", "TASK_UNINTERRUPTIBLE", "__set_current_state",
    "finish_wait", "get_current", "init_waitqueue_head", "prepare_to_wait", "schedule", "set_current_state", "wait_event",
    "wait_event_idle", "wait_event_interruptible", "wait_event_killable", "wait_queue_head_t", "waitqueue_active", "wake_up", "wake_up_all",
    "wake_up_interruptible", "wake_up_interruptible_all", "wake_up_process", "wq_has_sleeper",
]  # fmt: skip
