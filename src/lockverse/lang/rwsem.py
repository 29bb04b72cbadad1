"""struct rw_semaphore: a mutex that many may hold for reading, or one for writing.

What a waiting writer does to new readers, and why a reader may not take the lock again, is said in ownership.py. Names and meaning:
include/linux/rwsem.h and kernel/locking/rwsem.c, Linux 6.1. A signal ends a wait as in mutexes.py. Leaves out the variants in which
another task gives the lock back (up_read_non_owner()), and rwsem_is_contended(): who waits is not part of a state.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import check_may_sleep
from .environment import choose
from .mutexes import EINTR
from .ownership import (
    check_not_held,
    give_back,
    give_back_shared,
    is_held,
    take,
    take_shared,
    try_to_take,
    try_to_take_shared,
)
from .step import step
from .structs import struct
from .task import current_task, task_struct
from .types import ptr, u64


@struct(kind="lock", opaque=True)
class rw_semaphore:
    """A reader-writer semaphore: its writer, and a bit for each reader."""

    owner: ptr[task_struct]
    readers: u64


@step("acquire", takes="shared")
def down_read(sem: ptr[rw_semaphore]) -> None:
    """Wait until nobody holds the lock for writing, and hold it for reading. May sleep."""
    check_may_sleep()
    take_shared(sem)


@step("acquire", takes="shared")
def down_read_nested(sem: ptr[rw_semaphore], subclass: int) -> None:
    """As down_read(), where a lock of the same kind is held and that is meant."""
    check_may_sleep()
    take_shared(sem)


@step("acquire")
def down_read_trylock(sem: ptr[rw_semaphore]) -> bool:
    """Hold the lock for reading if nobody holds it for writing; give whether that worked. Never sleeps."""
    return try_to_take_shared(sem)


@step("release", gives="shared")
def up_read(sem: ptr[rw_semaphore]) -> None:
    """The end of what down_read() began."""
    give_back_shared(sem)


@step("acquire", takes="exclusive")
def down_write(sem: ptr[rw_semaphore]) -> None:
    """Wait until nobody holds the lock, and hold it for writing. May sleep."""
    check_may_sleep()
    take(sem)


@step("acquire", takes="exclusive")
def down_write_nested(sem: ptr[rw_semaphore], subclass: int) -> None:
    """As down_write(), where a lock of the same kind is held and that is meant."""
    check_may_sleep()
    take(sem)


@step("acquire")
def down_write_trylock(sem: ptr[rw_semaphore]) -> bool:
    """Hold the lock for writing if nobody holds it; give whether that worked. Never sleeps."""
    return try_to_take(sem)


@step("release", gives="exclusive")
def up_write(sem: ptr[rw_semaphore]) -> None:
    """The end of what down_write() began."""
    give_back(sem)


@step("release", gives="downgrade")
def downgrade_write(sem: ptr[rw_semaphore]) -> None:
    """From holding the lock for writing to holding it for reading, and nobody in between."""
    give_back(sem)
    sem.readers |= 1 << current_task().pid


@step("once")
def rwsem_is_locked(sem: ptr[rw_semaphore]) -> bool:
    """Whether anybody holds the lock just now."""
    return is_held(sem)


# Waits that a signal may end: see mutexes.py.


@step("acquire")
def down_read_trylock_fast(sem: ptr[rw_semaphore]) -> bool:
    """Hold the lock for reading if that needs no waiting."""
    check_may_sleep()
    check_not_held(sem)
    return try_to_take_shared(sem)


@step("acquire")
def down_write_trylock_fast(sem: ptr[rw_semaphore]) -> bool:
    """Hold the lock for writing if that needs no waiting."""
    check_may_sleep()
    check_not_held(sem)
    return try_to_take(sem)


def down_read_interruptible(sem: ptr[rw_semaphore]) -> int:
    """As down_read(), but a signal may end the wait. Gives 0, or -EINTR."""
    if down_read_trylock_fast(sem):
        return 0
    if choose(bool):
        return -EINTR
    down_read(sem)
    return 0


def down_read_killable(sem: ptr[rw_semaphore]) -> int:
    """As down_read_interruptible(); only a signal that kills ends the wait."""
    return down_read_interruptible(sem)


def down_write_killable(sem: ptr[rw_semaphore]) -> int:
    """As down_write(), but a signal that kills may end the wait. Gives 0, or -EINTR."""
    if down_write_trylock_fast(sem):
        return 0
    if choose(bool):
        return -EINTR
    down_write(sem)
    return 0


__all__ = [
    "down_read", "down_read_interruptible", "down_read_killable", "down_read_nested", "down_read_trylock", "down_write",
    "down_write_killable", "down_write_nested", "down_write_trylock", "downgrade_write", "rw_semaphore", "rwsem_is_locked", "up_read",
    "up_write",
]  # fmt: skip
