"""Who holds a lock: the parts that the steps of all locks are made of.

A lock is the task that holds it, or nobody's; one that can be held shared has a mask of readers besides, a bit for each task.
Taking a lock one already holds, and giving back a lock one does not hold, are faults, as lockdep reports them
(kernel/locking/lockdep.c, Linux 6.1). Holding a lock shared twice is one too: lockdep has reported it since 5.10 for all
readers that a waiting writer can come between, which are those outside of interrupts.

A task that waits is simply not able to go on, so waiting costs no states. Nor does it keep anybody out: in the kernel a waiting
writer holds new readers up, here it does not, which is more interleavings, not fewer. What only that queue can bring about, a
deadlock of readers behind writers or a trylock that fails for a writer that waits, is left out; the first is a cycle of lock
order all the same. Leaves out the locks themselves.
"""

# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

from .environment import require
from .null import NULL
from .task import current_task, wait_until


def holds_shared(lock: Any) -> bool:
    """Whether the task is one of the lock's readers."""
    return (lock.readers >> current_task().pid) & 1 != 0


def is_held(lock: Any) -> bool:
    """Whether anybody holds the lock."""
    if hasattr(lock, "readers"):
        return lock.owner != NULL or lock.readers != 0
    else:
        return bool(lock.owner != NULL)


def check_not_held(lock: Any) -> None:
    """The task may take the lock only if it does not hold it."""
    require(lock.owner != current_task(), "recursive-locking", "takes a lock that it already holds")
    if hasattr(lock, "readers"):
        require(not holds_shared(lock), "recursive-locking", "takes a lock that it already holds shared")


def take(lock: Any) -> None:
    """Wait until nobody holds the lock, and take it."""
    check_not_held(lock)
    if hasattr(lock, "readers"):
        wait_until(lock.owner == NULL and lock.readers == 0)
    else:
        wait_until(lock.owner == NULL)
    lock.owner = current_task()


def try_to_take(lock: Any) -> bool:
    """Take the lock if nobody holds it; give whether that worked."""
    if is_held(lock):
        return False
    lock.owner = current_task()
    return True


def give_back(lock: Any) -> None:
    """Give the lock back. Only its holder may."""
    require(lock.owner == current_task(), "unlock-by-stranger", "gives back a lock that it does not hold")
    lock.owner = NULL


def take_shared(lock: Any) -> None:
    """Wait until nobody holds the lock for itself, and become a reader."""
    check_not_held(lock)
    wait_until(lock.owner == NULL)
    lock.readers |= 1 << current_task().pid


def try_to_take_shared(lock: Any) -> bool:
    """Become a reader if nobody holds the lock for itself; give whether that worked."""
    require(not holds_shared(lock), "recursive-locking", "takes a lock that it already holds shared")
    if lock.owner != NULL:
        return False
    lock.readers |= 1 << current_task().pid
    return True


def give_back_shared(lock: Any) -> None:
    """Be a reader no longer."""
    require(holds_shared(lock), "unlock-by-stranger", "gives back a lock that it does not hold shared")
    lock.readers &= ~(1 << current_task().pid)
