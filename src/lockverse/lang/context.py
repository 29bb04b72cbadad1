"""What a task may do where it is: preemption, softirqs and interrupts disabled, and whether it may sleep.

Each task has its own counts (Documentation/core-api/preempt... and include/linux/preempt.h of Linux 6.1: preempt_count is per task, or per
CPU where only one can be running; what keeps a CPU from switching keeps its counts the task's own). Leaves out what runs on a CPU
and when: the scene says it.
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from collections.abc import Callable

from .environment import require
from .features import feature, needs_feature
from .step import intrinsic, step
from .task import all_tasks, current_task, task_struct
from .types import ptr

# Parts of steps: a lock that keeps its holder from sleeping calls these inside its own.


def enter_atomic() -> None:
    """From here on the task may not sleep, nor be preempted. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        task.preempt_count += 1


def exit_atomic() -> None:
    """The end of what enter_atomic() began. Inside a step."""
    if feature("preempt_count"):
        task = current_task()
        require(task.preempt_count > 0, "preempt-imbalance", "preemption is enabled more often than it was disabled")
        task.preempt_count -= 1
        leave_reader()


def is_reader(task: ptr[task_struct]) -> bool:  # type: ignore[valid-type]
    """Whether a task keeps grace periods waiting. RCU's flavours are one since Linux 4.20: besides read sections these are all
    places where the task cannot be preempted, run softirqs or be interrupted (Documentation/RCU/Design/Requirements). Inside a step."""
    return (
        task.rcu_read_lock_nesting > 0
        or (task.preempt_count > 0)
        or (task.softirq_count > 0)
        or task.irqs_disabled
    )


def leave_reader() -> None:
    """If the task is in no reader any more, the grace periods that wait for it go on. Inside a step."""
    if feature("rcu"):
        task = current_task()
        if not is_reader(task):
            for other in all_tasks():
                other.rcu_blockers &= ~(1 << task.pid)
            run_callbacks()


def check_may_sleep() -> None:
    """A step that may sleep is broken where that is not allowed. Inside a step."""
    needs_feature("preempt_count")
    task = current_task()
    require(task.preempt_count == 0, "sleeping-while-atomic", "may sleep, with preemption disabled or a spinlock held")
    require(task.softirq_count == 0, "sleeping-while-atomic", "may sleep, with softirqs disabled")
    require(not task.irqs_disabled, "sleeping-while-atomic", "may sleep, with interrupts disabled")
    require(task.rcu_read_lock_nesting == 0, "sleeping-while-atomic", "may sleep inside an RCU read section")


# Under plain Python, what waits for readers


class _Waiting:
    callbacks: list[Callable[[], None]] = []


def after_readers(callback: Callable[[], None]) -> None:
    """Call it as soon as no task is a reader (plain Python only)."""
    _Waiting.callbacks.append(callback)
    run_callbacks()


@intrinsic
def run_callbacks() -> None:
    """Call what waits for readers, if there are none. In a search the contexts of rcu_callbacks.py do that."""
    while _Waiting.callbacks and not any(is_reader(task) for task in all_tasks()):
        _Waiting.callbacks.pop(0)()


# Steps


@step("plain")
def preempt_disable() -> None:
    """The task keeps its CPU until preempt_enable(). Nests."""
    needs_feature("preempt_count")
    enter_atomic()


@step("plain")
def preempt_enable() -> None:
    """The end of what preempt_disable() began."""
    exit_atomic()


@step("plain")
def might_sleep() -> None:
    """The task may sleep here: broken where it may not."""
    check_may_sleep()
