"""spinlock_t: the lock is the task that holds it, or nobody's, and its holder may not sleep.

Taking a lock one already holds, and giving back a lock another holds, are faults: ownership.py says more. Who waits has preemption
disabled already (include/linux/spinlock_api_smp.h, Linux 6.1), which is a step of its own where another task may be waiting for
the CPU. The subclass of spin_lock_nested() tells lockdep that the order of two locks of one class is meant; here each lock is
itself, and it changes nothing. Leaves out softirqs and interrupts: spinlock_forms.py.
"""

# mypy: disable-error-code="attr-defined,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import after_spinning, before_spinning, enter_atomic, exit_atomic
from .ownership import give_back, is_held, take, try_to_take
from .step import step
from .structs import struct
from .task import task_struct
from .types import ptr

SINGLE_DEPTH_NESTING = 1


@struct(kind="lock", opaque=True)
class spinlock_t:
    """A spinlock. `with lock:` takes it and gives it back."""

    owner: ptr[task_struct]  # type: ignore[valid-type]

    def __enter__(self) -> None:
        spin_lock(self)

    def __exit__(self, *problem: object) -> None:
        spin_unlock(self)


def spin_lock(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Wait until nobody holds the lock, and take it."""
    before_spinning()
    spin_for(lock)


@step("acquire", name="spin_lock", takes="exclusive")
def spin_for(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """The lock itself."""
    take(lock)
    after_spinning()


def spin_lock_nested(lock: ptr[spinlock_t], subclass: int) -> None:  # type: ignore[valid-type]
    """As spin_lock(), where a lock of the same kind is held and that is meant."""
    before_spinning()
    spin_for_nested(lock, subclass)


@step("acquire", name="spin_lock_nested", takes="exclusive")
def spin_for_nested(lock: ptr[spinlock_t], subclass: int) -> None:  # type: ignore[valid-type]
    """The lock itself."""
    take(lock)
    after_spinning()


@step("acquire")
def spin_trylock(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock if nobody holds it; give whether that worked. Never waits."""
    if not try_to_take(lock):
        return False
    enter_atomic()
    return True


@step("release", gives="exclusive")
def spin_unlock(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back. Only its holder may."""
    give_back(lock)
    exit_atomic()


@step("once")
def spin_is_locked(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Whether anybody holds the lock just now."""
    return is_held(lock)


setattr(spinlock_t, "__lockverse_guard__", (spin_lock, spin_unlock))  # noqa: B010

__all__ = [
    "SINGLE_DEPTH_NESTING", "spin_is_locked", "spin_lock", "spin_lock_nested", "spin_trylock", "spin_unlock", "spinlock_t",
]  # fmt: skip
