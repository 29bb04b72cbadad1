"""rwlock_t: a spinlock that many may hold for reading, or one for writing.

What a waiting writer does to new readers, and why a reader may not take the lock again, is said in ownership.py. Names and meaning:
include/linux/rwlock.h and kernel/locking/qrwlock.c, Linux 6.1. Leaves out interrupts (rwlock_forms.py), and
rwlock_is_contended(): who waits is not part of a state.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import after_spinning, before_spinning, enter_atomic, exit_atomic
from .ownership import give_back, give_back_shared, take, take_shared, try_to_take, try_to_take_shared
from .step import step
from .structs import struct
from .task import task_struct
from .types import ptr, u64


@struct(kind="lock", opaque=True)
class rwlock_t:
    """A reader-writer spinlock: its writer, and a bit for each reader."""

    owner: ptr[task_struct]
    readers: u64


def read_lock(lock: ptr[rwlock_t]) -> None:
    """Wait until nobody holds the lock for writing, and hold it for reading."""
    before_spinning()
    spin_to_read(lock)


@step("acquire", name="read_lock", takes="shared")
def spin_to_read(lock: ptr[rwlock_t]) -> None:
    """The lock itself."""
    take_shared(lock)
    after_spinning()


@step("acquire")
def read_trylock(lock: ptr[rwlock_t]) -> bool:
    """Hold the lock for reading if nobody holds it for writing; give whether that worked."""
    if not try_to_take_shared(lock):
        return False
    enter_atomic()
    return True


@step("release", gives="shared")
def read_unlock(lock: ptr[rwlock_t]) -> None:
    """The end of what read_lock() began."""
    give_back_shared(lock)
    exit_atomic()


def write_lock(lock: ptr[rwlock_t]) -> None:
    """Wait until nobody holds the lock, and hold it for writing."""
    before_spinning()
    spin_to_write(lock)


@step("acquire", name="write_lock", takes="exclusive")
def spin_to_write(lock: ptr[rwlock_t]) -> None:
    """The lock itself."""
    take(lock)
    after_spinning()


def write_lock_nested(lock: ptr[rwlock_t], subclass: int) -> None:
    """As write_lock(), where a lock of the same kind is held and that is meant."""
    before_spinning()
    spin_to_write_nested(lock, subclass)


@step("acquire", name="write_lock_nested", takes="exclusive")
def spin_to_write_nested(lock: ptr[rwlock_t], subclass: int) -> None:
    """The lock itself."""
    take(lock)
    after_spinning()


@step("acquire")
def write_trylock(lock: ptr[rwlock_t]) -> bool:
    """Hold the lock for writing if nobody holds it; give whether that worked."""
    if not try_to_take(lock):
        return False
    enter_atomic()
    return True


@step("release", gives="exclusive")
def write_unlock(lock: ptr[rwlock_t]) -> None:
    """The end of what write_lock() began."""
    give_back(lock)
    exit_atomic()


__all__ = ["read_lock", "read_trylock", "read_unlock", "rwlock_t", "write_lock", "write_lock_nested", "write_trylock", "write_unlock"]
