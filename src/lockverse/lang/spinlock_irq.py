"""spinlock_t with softirqs or interrupts disabled: the _bh, _irq and _irqsave forms.

They disable first and wait then, as kernel/locking/spinlock.c of Linux 6.1 does without lock debugging: two steps where a handler
may come between, one where the scene has none. Giving back is one step: a handler that comes between finds what it finds a
moment later. `flags = spin_lock_irqsave(lock)` gives what the kernel's macro stores.
"""

# mypy: disable-error-code="attr-defined,no-any-return"

from __future__ import annotations

from .context import disable_irqs, enter_bh, exit_bh, local_bh_disable, local_irq_disable, local_irq_save, restore_irqs
from .features import feature
from .spinlock import spin_lock, spin_trylock, spin_unlock, spinlock_t, take_in_atomic
from .step import step
from .task import current_task
from .types import ptr

# Softirqs


def spin_lock_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Disable softirqs and take the lock."""
    if feature("interrupts"):
        local_bh_disable()
        spin_lock(lock)
    else:
        _lock_bh(lock)


@step("acquire", name="spin_lock_bh", takes="exclusive")
def _lock_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    take_in_atomic(lock)
    enter_bh()


@step("acquire")
def spin_trylock_bh(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock, with softirqs disabled, if nobody holds it; give whether that worked."""
    if not spin_trylock(lock):
        return False
    enter_bh()
    return True


@step("release", gives="exclusive")
def spin_unlock_bh(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back and enable softirqs."""
    spin_unlock(lock)
    exit_bh()


# Interrupts


def spin_lock_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Disable interrupts and take the lock."""
    if feature("interrupts"):
        local_irq_disable()
        spin_lock(lock)
    else:
        _lock_irq(lock)


@step("acquire", name="spin_lock_irq", takes="exclusive")
def _lock_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    take_in_atomic(lock)
    disable_irqs()


@step("acquire")
def spin_trylock_irq(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Take the lock, with interrupts disabled, if nobody holds it; give whether that worked."""
    if not spin_trylock(lock):
        return False
    disable_irqs()
    return True


@step("release", gives="exclusive")
def spin_unlock_irq(lock: ptr[spinlock_t]) -> None:  # type: ignore[valid-type]
    """Give the lock back and enable interrupts, whether or not they were before."""
    spin_unlock(lock)
    current_task().irqs_disabled = False


def spin_lock_irqsave(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    """Disable interrupts, take the lock, and give what spin_unlock_irqrestore() restores."""
    if feature("interrupts"):
        flags = local_irq_save()
        spin_lock(lock)
        return flags
    else:
        return _lock_irqsave(lock)


@step("acquire", name="spin_lock_irqsave", takes="exclusive")
def _lock_irqsave(lock: ptr[spinlock_t]) -> bool:  # type: ignore[valid-type]
    take_in_atomic(lock)
    return disable_irqs()


@step("acquire")
def spin_trylock_irqsave(lock: ptr[spinlock_t]) -> tuple[bool, bool]:  # type: ignore[valid-type]
    """Take the lock, with interrupts disabled, if nobody holds it: gives whether that worked, and the flags."""
    if not spin_trylock(lock):
        return False, False
    return True, disable_irqs()


@step("release", gives="exclusive")
def spin_unlock_irqrestore(lock: ptr[spinlock_t], flags: bool) -> None:  # type: ignore[valid-type]
    """Give the lock back and put interrupts back to how they were found."""
    spin_unlock(lock)
    restore_irqs(flags)

__all__ = [
    "spin_lock_bh", "spin_lock_irq", "spin_lock_irqsave", "spin_trylock_bh", "spin_trylock_irq", "spin_trylock_irqsave",
    "spin_unlock_bh", "spin_unlock_irq", "spin_unlock_irqrestore",
]  # fmt: skip
