"""call_rcu, kfree_rcu and rcu_barrier: what is done once the readers have gone.

Each rcu_head of a scene has a context of its own that runs the callback queued there: callbacks of the kernel run in any order,
and on several CPUs at once. They run with softirqs disabled, so they may not sleep, and are readers themselves. A head that is
queued and queued again is a fault, as debug objects report it (kernel/rcu/tree.c and lib/debugobjects.c, Linux 6.12). The
state of a queued callback lies in the task of its context and not in the rcu_head: so RCU looks at no memory that may be free.

Under plain Python a callback runs as soon as no task is a reader. Leaves out order between callbacks of one CPU, which the
kernel does not promise where tasks may move to another one, and call_srcu.
"""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .context import after_readers, check_may_sleep, is_reader, leave_reader
from .environment import require
from .features import feature, needs_feature
from .null import NULL
from .slab import free
from .step import intrinsic, rides_along, step
from .structs import struct
from .task import all_tasks, current_task, task_struct, wait_until
from .types import ptr, u8


@struct(kind="rcu_head", opaque=True)
class rcu_head:
    """What call_rcu() queues, embedded in the object it is about. `context` is the task that runs its callback."""

    context: ptr[task_struct]  # type: ignore[valid-type]


# What the compiler calls by name; see frontend/callbacks.py


@intrinsic
def queue_callback(head: Any, function: Callable[[Any], None]) -> None:
    """Queue the callback `function` of a head. Inside a step."""
    after_readers(lambda: function(head))


@intrinsic
def queue_free(object: Any, member: str) -> None:
    """Queue the freeing of an object, by its rcu_head of that name, or its only one. Inside a step."""
    if object is not NULL and object is not None:
        after_readers(lambda: free(object))


@intrinsic
def callback_contexts() -> list[task_struct]:
    """The tasks that run callbacks. Stands only in a for loop."""
    return []


# Parts of steps


def enqueue(head: ptr[rcu_head], number: u8) -> None:  # type: ignore[valid-type]
    """Queue callback `number` of a head: its grace period begins."""
    needs_feature("rcu")
    needs_feature("call_rcu")
    needs_feature("preempt_count")
    context = head.context
    require(context.rcu_callback == 0, "double-free", "call_rcu() of an rcu_head that is queued already")
    context.rcu_callback = number
    for other in all_tasks():
        if is_reader(other):
            context.rcu_blockers |= 1 << other.pid


@rides_along
def enter_callback() -> None:
    """A callback runs with softirqs disabled."""
    task = current_task()
    task.softirq_count += 1


@rides_along
def callback_done() -> None:
    """A callback has ended: who is in rcu_barrier() for it goes on."""
    if feature("rcu_barrier"):
        mine = 1 << current_task().pid
        for other in all_tasks():
            if other.rcu_barrier_later & mine != 0:
                other.rcu_barrier_later &= ~mine
            else:
                other.rcu_barrier &= ~mine


# Steps


@step("plain")
def call_rcu(head: ptr[rcu_head], function: Any) -> None:  # type: ignore[valid-type]
    """Call function(head) once every reader that is there now has gone."""
    queue_callback(head, function)


@step("plain")
def kfree_rcu(object: Any, member: Any = "") -> None:
    """Free an object once every reader that is there now has gone. `member` names its rcu_head; it is not needed where there is
    only one. NULL is no object."""
    queue_free(object, member)


@step("acquire", name="rcu_do_batch")
def begin_callback() -> u8:  # type: ignore[valid-type]
    """Wait for a callback whose readers have gone; give its number."""
    task = current_task()
    wait_until(task.rcu_callback != 0 and task.rcu_blockers == 0)
    number = task.rcu_callback
    task.rcu_callback = 0
    return number


@step("release", name="rcu_do_batch")
def leave_callback() -> None:
    """A callback that is a function of the scheme has ended."""
    task = current_task()
    require(task.rcu_read_lock_nesting == 0, "rcu-imbalance", "a callback ends inside an RCU read section")
    require(task.preempt_count == 0, "preempt-imbalance", "a callback ends with preemption disabled or a spinlock held")
    task.softirq_count -= 1
    leave_reader()
    callback_done()


def rcu_barrier() -> None:
    """Wait until every callback that is queued now has ended. Two steps."""
    rcu_barrier_begin()
    rcu_barrier_end()


@step("full")
def rcu_barrier_begin() -> None:
    """Note which callbacks are queued or running."""
    needs_feature("rcu_barrier")
    check_may_sleep()
    task = current_task()
    for context in callback_contexts():
        if context.rcu_callback != 0 or context.softirq_count > 0:
            task.rcu_barrier |= 1 << context.pid
        if context.rcu_callback != 0 and context.softirq_count > 0:
            task.rcu_barrier_later |= 1 << context.pid


@step("full")
def rcu_barrier_end() -> None:
    """Wait until they all have ended."""
    task = current_task()
    wait_until(task.rcu_barrier == 0)


__all__ = [
    "call_rcu", "kfree_rcu", "rcu_barrier", "rcu_head",
]  # fmt: skip
