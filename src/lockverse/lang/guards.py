"""`with scoped_guard(rwsem_read, x.sem):`, for locks that can be held in two ways.

The kernel's scoped_guard(rwsem_read, &sem), and its names for what is taken (include/linux/cleanup.h of Linux 6.6, rwsem.h,
spinlock.h): a rwlock_t with read_lock and write_lock, a rw_semaphore with rwsem_read and rwsem_write. Leaves out guard(), which
holds to the end of a function: Python has no such scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .rwlock import read_lock, read_unlock, write_lock, write_unlock
from .rwsem import down_read, down_write, up_read, up_write
from .step import intrinsic


class Guard:
    """A way to hold a lock: what takes it, and what gives it back."""

    def __init__(self, take: Callable[[Any], None], give: Callable[[Any], None]) -> None:
        self.take, self.give = take, give


rwsem_read = Guard(down_read, up_read)
rwsem_write = Guard(down_write, up_write)
FUNCTIONS = {read_lock: Guard(read_lock, read_unlock), write_lock: Guard(write_lock, write_unlock)}


def guard_of(name: object) -> Guard | None:
    """The guard a scheme means by a name."""
    return name if isinstance(name, Guard) else FUNCTIONS.get(name)  # type: ignore[call-overload]


@contextmanager
def _held(guard: Guard, lock: Any) -> Iterator[None]:
    guard.take(lock)
    try:
        yield
    finally:
        guard.give(lock)


@intrinsic
def scoped_guard(name: object, lock: Any) -> AbstractContextManager[None]:
    """Hold the lock in that way while what is inside runs. Stands only in a `with`."""
    guard = guard_of(name)
    if guard is None:
        raise TypeError("scoped_guard() takes read_lock, write_lock, rwsem_read or rwsem_write")
    return _held(guard, lock)


__all__ = ["rwsem_read", "rwsem_write", "scoped_guard"]
