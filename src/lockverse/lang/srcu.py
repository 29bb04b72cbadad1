"""SRCU: read sections of a domain of their own, in which a reader may sleep.

As in rcu.py a grace period waits for the sections of its srcu_struct that are open when it begins, and for no others. The
index that srcu_read_lock() gives is what the kernel's counters need; here it is 0, and who is how deep in a section is kept
for each task (include/linux/srcu.h and Documentation/RCU/whatisRCU.rst, Linux 6.12).

Leaves out call_srcu, srcu_barrier, and sections that another task ends (srcu_down_read and srcu_up_read). A section that is
open at a CPU's end is not told there: whoever waits for it never goes on.
"""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from .context import check_may_sleep
from .environment import require
from .step import step
from .structs import struct
from .task import all_tasks, current_task, wait_until
from .types import array, ptr, u8, u64

TASKS = 64  # a mask has a bit for each


@struct(kind="srcu", opaque=True)
class srcu_struct:
    """A domain: how deep each task is in its sections, and for each task in synchronize_srcu() whose sections it waits for."""

    nesting: array[u8, TASKS]  # type: ignore[valid-type]
    blockers: array[u64, TASKS]  # type: ignore[valid-type]


@step("acquire")
def srcu_read_lock(ssp: ptr[srcu_struct]) -> int:  # type: ignore[valid-type]
    """Begin a section; gives the index to end it with."""
    task = current_task()
    ssp.nesting[task.pid] += 1
    return 0


@step("release")
def srcu_read_unlock(ssp: ptr[srcu_struct], idx: int) -> None:  # type: ignore[valid-type]
    """End a section."""
    task = current_task()
    require(ssp.nesting[task.pid] > 0, "rcu-imbalance", "srcu_read_unlock() outside a section of this srcu_struct")
    ssp.nesting[task.pid] -= 1
    if ssp.nesting[task.pid] == 0:
        for other in all_tasks():
            ssp.blockers[other.pid] &= ~(1 << task.pid)


def synchronize_srcu(ssp: ptr[srcu_struct]) -> None:  # type: ignore[valid-type]
    """Wait until every section of the domain that is open now has ended. Two steps."""
    synchronize_srcu_begin(ssp)
    synchronize_srcu_end(ssp)


def synchronize_srcu_expedited(ssp: ptr[srcu_struct]) -> None:  # type: ignore[valid-type]
    """As synchronize_srcu(): how long it takes is not modelled."""
    synchronize_srcu_begin(ssp)
    synchronize_srcu_end(ssp)


@step("full")
def synchronize_srcu_begin(ssp: ptr[srcu_struct]) -> None:  # type: ignore[valid-type]
    """Note which tasks are in a section."""
    task = current_task()
    require(ssp.nesting[task.pid] == 0, "rcu-self-wait", "synchronize_srcu() inside a section of the same srcu_struct waits for itself")
    check_may_sleep()
    for other in all_tasks():
        if ssp.nesting[other.pid] > 0:
            ssp.blockers[task.pid] |= 1 << other.pid


@step("full")
def synchronize_srcu_end(ssp: ptr[srcu_struct]) -> None:  # type: ignore[valid-type]
    """Wait until they all have left it."""
    task = current_task()
    wait_until(ssp.blockers[task.pid] == 0)


__all__ = [
    "srcu_read_lock", "srcu_read_unlock", "srcu_struct", "synchronize_srcu", "synchronize_srcu_expedited",
]  # fmt: skip
