"""spinlock_t: the lock is the task that holds it, or nobody's.

Taking a lock one already holds, and giving back a lock another holds, are faults, as lockdep reports them
(kernel/locking/lockdep.c and lib/spinlock debugging, Linux 6.1). A waiting CPU is simply not able to go on, so
waiting costs no states. Who waits has preemption disabled already (include/linux/spinlock_api_smp.h), which is a step of its own
where another task may be waiting for the CPU. Leaves out softirqs and interrupts: spinlock_irq.py.
"""

# mypy: disable-error-code="attr-defined,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import enter_atomic, exit_atomic, preempt_disable
from .environment import require
from .features import feature
from .null import NULL
from .step import step
from .structs import struct
from .task import current_task, task_struct, wait_until
from .types import ptr


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
    if feature("shared_cpus"):
        preempt_disable()
        take(lock)
    else:
        take_in_atomic(lock)


@step("acquire", name="spin_lock", takes="exclusive")
def take(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """The lock itself, where the task's CPU is its own already."""
    require(lock.owner != current_task(), "recursive-locking", "this lock is already held by who wants it")
    wait_until(lock.owner == NULL)
    lock.owner = current_task()


@step("acquire", name="spin_lock", takes="exclusive")
def take_in_atomic(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """The lock, and what keeps its holder from sleeping."""
    take(lock)
    enter_atomic()


@step("acquire")
def spin_trylock(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock if nobody holds it; give whether that worked. Never waits."""
    if lock.owner != NULL:
        return False
    lock.owner = current_task()
    enter_atomic()
    return True


@step("release")
def spin_unlock(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back. Only its holder may."""
    require(lock.owner == current_task(), "unlock-by-stranger", "spin_unlock() of a lock this CPU does not hold")
    lock.owner = NULL
    exit_atomic()


@step("once")
def spin_is_locked(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Whether anybody holds the lock just now."""
    return lock.owner != NULL


setattr(spinlock_t, "__lockverse_guard__", (spin_lock, spin_unlock))  # noqa: B010

__all__ = [
    "spin_is_locked", "spin_lock", "spin_trylock", "spin_unlock", "spinlock_t",
]  # fmt: skip
