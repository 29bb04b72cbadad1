"""struct mutex: a lock whose holder may sleep, and whoever waits for it does.

Names and meaning: include/linux/mutex.h and kernel/locking/mutex.c, Linux 6.1. A signal ends a wait of
mutex_lock_interruptible(), never one that need not be: so what the environment decides, it decides only where the lock is held.
Leaves out timeouts, wound/wait mutexes, and who spins before he sleeps, which nobody can tell.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import check_may_sleep
from .environment import choose
from .null import NULL
from .ownership import check_not_held, give_back, take, try_to_take
from .step import step
from .structs import struct
from .task import task_struct
from .types import ptr

EINTR = 4


@struct(kind="lock", opaque=True)
class mutex:
    """A mutex. `with lock:` takes it and gives it back."""

    owner: ptr[task_struct]

    def __enter__(self) -> None:
        mutex_lock(self)

    def __exit__(self, *problem: object) -> None:
        mutex_unlock(self)


@step("acquire", takes="exclusive")
def mutex_lock(lock: ptr[mutex]) -> None:
    """Wait until nobody holds the mutex, and take it. May sleep."""
    check_may_sleep()
    take(lock)


@step("acquire", takes="exclusive")
def mutex_lock_nested(lock: ptr[mutex], subclass: int) -> None:
    """As mutex_lock(), where a mutex of the same kind is held and that is meant."""
    check_may_sleep()
    take(lock)


@step("acquire")
def mutex_trylock(lock: ptr[mutex]) -> bool:
    """Take the mutex if nobody holds it; give whether that worked. Never sleeps."""
    return try_to_take(lock)


@step("release", gives="exclusive")
def mutex_unlock(lock: ptr[mutex]) -> None:
    """Give the mutex back. Only its holder may."""
    give_back(lock)


@step("once")
def mutex_is_locked(lock: ptr[mutex]) -> bool:
    """Whether anybody holds the mutex just now."""
    return lock.owner != NULL


# A wait that a signal may end: three steps where the lock is held, and one where it is not.


@step("acquire")
def mutex_trylock_fast(lock: ptr[mutex]) -> bool:
    """Take the mutex if that needs no waiting."""
    check_may_sleep()
    check_not_held(lock)
    return try_to_take(lock)


def mutex_lock_interruptible(lock: ptr[mutex]) -> int:
    """As mutex_lock(), but a signal may end the wait. Gives 0, or -EINTR."""
    if mutex_trylock_fast(lock):
        return 0
    if choose(bool):
        return -EINTR
    mutex_lock(lock)
    return 0


def mutex_lock_killable(lock: ptr[mutex]) -> int:
    """As mutex_lock_interruptible(); only a signal that kills ends the wait."""
    return mutex_lock_interruptible(lock)


setattr(mutex, "__lockverse_guard__", (mutex_lock, mutex_unlock))  # noqa: B010

__all__ = [
    "EINTR", "mutex", "mutex_is_locked", "mutex_lock", "mutex_lock_interruptible", "mutex_lock_killable", "mutex_lock_nested",
    "mutex_trylock", "mutex_unlock",
]  # fmt: skip
