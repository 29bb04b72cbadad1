"""spinlock_t with softirqs or interrupts disabled: the _bh, _irq and _irqsave forms.

They disable first and wait then, as kernel/locking/spinlock.c of Linux 6.1 does without lock debugging: two steps where a handler
may come between; where the scene has none, preemption is disabled before as for spin_lock() and the rest is one step. Giving back is one step: a handler that comes between finds what it finds a
moment later. `flags = spin_lock_irqsave(lock)` gives what the kernel's macro stores.
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from .context import (
    after_spinning,
    before_spinning,
    disable_irqs,
    enable_irqs,
    enter_atomic,
    enter_bh,
    exit_atomic,
    exit_bh,
    local_bh_disable,
    local_irq_disable,
    local_irq_save,
    restore_irqs,
)
from .features import feature
from .ownership import give_back, take, try_to_take
from .spinlock import spin_lock, spinlock_t
from .step import step
from .types import ptr

# Softirqs


def spin_lock_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Disable softirqs and take the lock."""
    if feature("interrupts"):
        local_bh_disable()
        spin_lock(lock)
    else:
        before_spinning()
        spin_for_bh(lock)


@step("acquire", name="spin_lock_bh", takes="exclusive")
def spin_for_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """The lock itself, and the rest at once."""
    take(lock)
    after_spinning()
    enter_bh()


@step("acquire")
def spin_trylock_bh(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock, with softirqs disabled, if nobody holds it; give whether that worked."""
    if not try_to_take(lock):
        return False
    enter_atomic()
    enter_bh()
    return True


@step("release", gives="exclusive")
def spin_unlock_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back and enable softirqs."""
    give_back(lock)
    exit_atomic()
    exit_bh()


# Interrupts


def spin_lock_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Disable interrupts and take the lock."""
    if feature("interrupts"):
        local_irq_disable()
        spin_lock(lock)
    else:
        before_spinning()
        spin_for_irq(lock)


@step("acquire", name="spin_lock_irq", takes="exclusive")
def spin_for_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """The lock itself, and the rest at once."""
    take(lock)
    after_spinning()
    disable_irqs()


@step("acquire")
def spin_trylock_irq(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock, with interrupts disabled, if nobody holds it; give whether that worked."""
    if not try_to_take(lock):
        return False
    enter_atomic()
    disable_irqs()
    return True


@step("release", gives="exclusive")
def spin_unlock_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back and enable interrupts, whether or not they were before."""
    give_back(lock)
    exit_atomic()
    enable_irqs()


def spin_lock_irqsave(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Disable interrupts, take the lock, and give what spin_unlock_irqrestore() restores."""
    if feature("interrupts"):
        flags = local_irq_save()
        spin_lock(lock)
        return flags
    else:
        before_spinning()
        return spin_for_irqsave(lock)


@step("acquire", name="spin_lock_irqsave", takes="exclusive")
def spin_for_irqsave(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """The lock itself, and the rest at once."""
    take(lock)
    after_spinning()
    return disable_irqs()


def spin_lock_irqsave_nested(lock: ptr[spinlock_t], subclass: int) -> bool:  # type: ignore[valid-type]
    """As spin_lock_irqsave(), where a lock of the same kind is held and that is meant."""
    return spin_lock_irqsave(lock)


@step("acquire")
def spin_trylock_irqsave(lock: ptr[spinlock_t]) -> tuple[bool, bool]:  # type: ignore[valid-type]
    """Take the lock, with interrupts disabled, if nobody holds it: gives whether that worked, and the flags."""
    if not try_to_take(lock):
        return False, False
    enter_atomic()
    return True, disable_irqs()


@step("release", gives="exclusive")
def spin_unlock_irqrestore(lock: ptr[spinlock_t], flags: bool) -> None:  # type: ignore[valid-type]
    """Give the lock back and put interrupts back to how they were found."""
    give_back(lock)
    exit_atomic()
    restore_irqs(flags)


__all__ = [
    "spin_lock_bh", "spin_lock_irq", "spin_lock_irqsave", "spin_lock_irqsave_nested", "spin_trylock_bh", "spin_trylock_irq", "spin_trylock_irqsave",
    "spin_unlock_bh", "spin_unlock_irq", "spin_unlock_irqrestore",
]  # fmt: skip
