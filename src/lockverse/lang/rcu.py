"""RCU: read sections, and synchronize_rcu, which waits for the readers that were there when it began.

A grace period notes who is a reader (context.is_reader), and who is none any more crosses itself off. That is the guarantee of
Documentation/RCU/Design/Requirements (Linux 6.12) and no more: readers that begin later are not waited for, and a
CPU is a reader where the kernel promises so, not wherever some configuration happens not to switch.

Leaves out callbacks, which are in rcu_callbacks.py, and polled grace periods (get_state_synchronize_rcu).
"""

from __future__ import annotations

from .context import check_may_sleep, enter_atomic, enter_bh, exit_atomic, exit_bh, is_reader, leave_reader
from .environment import require
from .features import needs_feature
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
    leave_reader()


@step("acquire")
def rcu_read_lock_sched() -> None:
    """As preempt_disable(): a read section that rcu_dereference_sched() may stand in."""
    needs_feature("preempt_count")
    enter_atomic()


@step("release")
def rcu_read_unlock_sched() -> None:
    """The end of what rcu_read_lock_sched() began."""
    exit_atomic()


@step("acquire")
def rcu_read_lock_bh() -> None:
    """As local_bh_disable(): a read section that rcu_dereference_bh() may stand in."""
    needs_feature("preempt_count")
    enter_bh()


@step("release")
def rcu_read_unlock_bh() -> None:
    """The end of what rcu_read_lock_bh() began."""
    exit_bh()


def synchronize_rcu() -> None:
    """Wait until every reader that is there now has gone. Two steps: the grace period begins, and ends."""
    synchronize_rcu_begin()
    synchronize_rcu_end()


def synchronize_rcu_expedited() -> None:
    """As synchronize_rcu(): how long it takes is not modelled."""
    synchronize_rcu_begin()
    synchronize_rcu_end()


def synchronize_net() -> None:
    """As synchronize_rcu()."""
    synchronize_rcu_begin()
    synchronize_rcu_end()


@step("full")
def synchronize_rcu_begin() -> None:
    """Note which tasks are readers."""
    needs_feature("rcu")
    task = current_task()
    require(not is_reader(task), "rcu-self-wait", "synchronize_rcu() inside a reader waits for itself")
    check_may_sleep()
    for other in all_tasks():
        if is_reader(other):
            task.rcu_blockers |= 1 << other.pid


@step("full")
def synchronize_rcu_end() -> None:
    """Wait until they all have gone."""
    task = current_task()
    wait_until(task.rcu_blockers == 0)


__all__ = [
    "rcu_read_lock", "rcu_read_lock_bh", "rcu_read_lock_sched", "rcu_read_unlock", "rcu_read_unlock_bh", "rcu_read_unlock_sched", "synchronize_net", "synchronize_rcu",
    "synchronize_rcu_expedited",
]  # fmt: skip
