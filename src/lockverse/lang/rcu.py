"""RCU: read sections, and synchronize_rcu, which waits for the sections that were open when it began.

A reader's section is its nesting count; a grace period notes whose sections are open and each outermost unlock crosses
itself off. That is the guarantee of Documentation/RCU/Design/Requirements (Linux 6.1) and no more: sections that begin
later are not waited for. Leaves out call_rcu, kfree_rcu, SRCU and quiescent states by preemption.
"""

from __future__ import annotations

from .environment import require
from .step import step
from .task import all_tasks, current_task, wait_until


@step("acquire")
def rcu_read_lock() -> None:
    """Begin a read section; sections nest."""
    task = current_task()
    task.rcu_read_lock_nesting += 1


@step("release")
def rcu_read_unlock() -> None:
    """End a read section. The outermost lets the grace periods go on that wait for it."""
    task = current_task()
    require(task.rcu_read_lock_nesting > 0, "rcu-imbalance", "rcu_read_unlock() outside a read section")
    task.rcu_read_lock_nesting -= 1
    if task.rcu_read_lock_nesting == 0:
        for other in all_tasks():
            other.rcu_blockers &= ~(1 << task.pid)


def synchronize_rcu() -> None:
    """Wait until every read section that is open now has ended. Two steps: the grace period begins, and ends."""
    synchronize_rcu_begin()
    synchronize_rcu_end()


@step("full")
def synchronize_rcu_begin() -> None:
    """Note which tasks are in a read section."""
    task = current_task()
    require(task.rcu_read_lock_nesting == 0, "rcu-self-wait", "synchronize_rcu() inside a read section waits for itself")
    for other in all_tasks():
        if other.rcu_read_lock_nesting > 0:
            task.rcu_blockers |= 1 << other.pid


@step("full")
def synchronize_rcu_end() -> None:
    """Wait until they all have left it."""
    task = current_task()
    wait_until(task.rcu_blockers == 0)
