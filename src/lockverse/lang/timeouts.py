"""Sleeping for a time, and waiting no longer than that. Times are not modelled: any of them may be over at any moment.

Names and meaning: kernel/time/timer.c (schedule_timeout, msleep), include/linux/wait.h, kernel/sched/completion.c, Linux 6.1. So none of
these sleeps for ever, and none is a deadlock. What is left of the time is 1 here. wait_event_timeout() is known to the compiler
(frontend/sleeping.py). Leaves out how long anything takes.
"""

# mypy: disable-error-code="attr-defined,no-any-return,valid-type"

from __future__ import annotations

from .completions import completion, wait_for_completion_fast
from .context import check_may_schedule, check_may_sleep
from .step import intrinsic, step
from .task import TASK_RUNNING, current_task
from .types import ptr, u32
from .wait import wait_queue_head_t


@step("full", name="schedule_timeout")
def sleep_for() -> bool:
    """Sleep until somebody wakes the task or the time is over; gives whether it is over. The task is TASK_RUNNING after it."""
    check_may_schedule()
    task = current_task()
    over = task.state != TASK_RUNNING
    task.state = TASK_RUNNING
    return over


def schedule_timeout(timeout: int) -> int:
    """Sleep until somebody wakes the task or the time is over: gives 0 if it is over, else what is left."""
    if sleep_for():
        return 0
    return 1


@step("plain")
def msleep(msecs: u32) -> None:
    """Sleep for a while."""
    check_may_sleep()


@step("plain")
def ssleep(seconds: u32) -> None:
    """Sleep for a while."""
    check_may_sleep()


@step("plain")
def usleep_range(least: u32, most: u32) -> None:
    """Sleep for a while."""
    check_may_sleep()


def wait_for_completion_timeout(x: ptr[completion], timeout: int) -> int:
    """As wait_for_completion(), for a time: gives 0 if that was over first, else what is left."""
    if wait_for_completion_fast(x):
        return 1
    return 0


@intrinsic
def wait_event_timeout(wq_head: wait_queue_head_t, condition: object, timeout: int) -> int:
    """As wait_event(), for a time: gives 0 if that was over and the condition still false, else what is left."""
    check_may_sleep()
    return int(bool(condition))


__all__ = ["msleep", "schedule_timeout", "ssleep", "usleep_range", "wait_event_timeout", "wait_for_completion_timeout"]
