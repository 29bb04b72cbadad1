"""What lockdep asks where a pointer that RCU protects is read: "suspicious RCU usage".

rcu_dereference() stands in rcu_read_lock(), and in nothing else that happens to be a reader; its variants say what they stand
in. These are the conditions of include/linux/rcupdate.h and srcu.h of Linux 6.12 under CONFIG_PROVE_RCU, one for one, so
that whatever is reported here is reported there. rcu_dereference_raw() and rcu_access_pointer() are never reported.

Parts of steps. Leaves out rcu_dereference_raw_check(), and that no CPU is idle or offline here.
"""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from .environment import require
from .features import needs_feature
from .srcu import srcu_struct
from .step import rides_along
from .task import current_task
from .types import ptr


@rides_along
def check_rcu_reader() -> None:
    """rcu_read_lock_held()."""
    task = current_task()
    require(task.rcu_read_lock_nesting > 0, "suspicious-rcu-usage", "rcu_dereference() outside rcu_read_lock()")


@rides_along
def check_rcu_reader_or(c: bool) -> None:
    """The condition given, or rcu_read_lock_held()."""
    task = current_task()
    require(c or task.rcu_read_lock_nesting > 0, "suspicious-rcu-usage", "rcu_dereference_check() where neither its condition nor rcu_read_lock() protects")


@rides_along
def check_bh_reader() -> None:
    """rcu_read_lock_bh_held(): softirqs or interrupts are disabled, as they are in a handler."""
    needs_feature("preempt_count")
    task = current_task()
    require(task.softirq_count > 0 or task.irqs_disabled or task.in_handler, "suspicious-rcu-usage", "rcu_dereference_bh() with softirqs enabled")


@rides_along
def check_sched_reader() -> None:
    """rcu_read_lock_sched_held(): the task cannot be preempted."""
    needs_feature("preempt_count")
    task = current_task()
    disabled = task.preempt_count > 0 or task.softirq_count > 0 or task.irqs_disabled or task.in_handler
    require(disabled, "suspicious-rcu-usage", "rcu_dereference_sched() with preemption enabled")


@rides_along
def check_protected(c: bool) -> None:
    """The condition given."""
    require(c, "suspicious-rcu-usage", "rcu_dereference_protected() where its condition does not hold")


@rides_along
def check_srcu_reader(ssp: ptr[srcu_struct]) -> None:  # type: ignore[valid-type]
    """srcu_read_lock_held()."""
    task = current_task()
    require(ssp.nesting[task.pid] > 0, "suspicious-rcu-usage", "srcu_dereference() outside srcu_read_lock() of its srcu_struct")
