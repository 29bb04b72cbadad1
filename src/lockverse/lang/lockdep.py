"""lockdep_assert_held() and its like: whoever calls this must hold the lock, or must not.

Whether a task holds a lock changes only by what it does itself, so these are no steps. They take every lock that is held by a
task: spinlocks, rwlocks, mutexes, rw_semaphores, seqlocks (include/linux/lockdep.h, Linux 6.1). lockdep_assert_not_held() is broken
by the task alone, as there. Leaves out what no task holds: semaphores, seqcounts, bit locks.
"""

from __future__ import annotations

from typing import Any

from .environment import require
from .ownership import holds_shared
from .step import rides_along
from .task import current_task


@rides_along
def lockdep_is_held(lock: Any) -> bool:
    """Whether the task holds the lock, shared or not."""
    if hasattr(lock, "readers"):
        return lock.owner == current_task() or holds_shared(lock)
    else:
        return bool(lock.owner == current_task())


@rides_along
def lockdep_assert_held(lock: Any) -> None:
    """The task holds the lock, shared or not."""
    require(lockdep_is_held(lock), "lock-not-held", "a lock that must be held here is not")


@rides_along
def lockdep_assert_held_write(lock: Any) -> None:
    """The task holds the lock for itself alone."""
    require(lock.owner == current_task(), "lock-not-held", "a lock that must be held for writing here is not")


@rides_along
def lockdep_assert_held_read(lock: Any) -> None:
    """The task holds the lock shared."""
    require(holds_shared(lock), "lock-not-held", "a lock that must be held for reading here is not")


@rides_along
def lockdep_assert_not_held(lock: Any) -> None:
    """The task does not hold the lock."""
    require(not lockdep_is_held(lock), "lock-not-held", "a lock that must not be held here is")


__all__ = [
    "lockdep_assert_held", "lockdep_assert_held_read", "lockdep_assert_held_write", "lockdep_assert_not_held", "lockdep_is_held",
]  # fmt: skip
