"""rwlock_t with softirqs or interrupts disabled: the _bh, _irq and _irqsave forms.

What is a step is said in spinlock_forms.py. Names: include/linux/rwlock.h, Linux 6.1, which has one trylock among them. A handler that
only reads needs no such form in those who read, and needs it in those who write. Leaves out the nested forms.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"

from __future__ import annotations

from .context import (
    after_spinning,
    before_spinning,
    disable_irqs,
    enable_irqs,
    enter_bh,
    exit_bh,
    local_bh_disable,
    local_irq_disable,
    local_irq_save,
    restore_irqs,
)
from .features import feature
from .ownership import take, take_shared
from .rwlock import read_lock, read_unlock, rwlock_t, write_lock, write_trylock, write_unlock
from .step import step
from .types import ptr

# To read


def read_lock_bh(lock: ptr[rwlock_t]) -> None:
    """Disable softirqs and hold the lock for reading."""
    if feature("interrupts"):
        local_bh_disable()
        read_lock(lock)
    else:
        before_spinning()
        _spin_to_read_bh(lock)


@step("acquire", name="read_lock_bh", takes="shared")
def _spin_to_read_bh(lock: ptr[rwlock_t]) -> None:
    take_shared(lock)
    after_spinning()
    enter_bh()


@step("release", gives="shared")
def read_unlock_bh(lock: ptr[rwlock_t]) -> None:
    """The end of what read_lock_bh() began: softirqs are enabled."""
    read_unlock(lock)
    exit_bh()


def read_lock_irq(lock: ptr[rwlock_t]) -> None:
    """Disable interrupts and hold the lock for reading."""
    if feature("interrupts"):
        local_irq_disable()
        read_lock(lock)
    else:
        before_spinning()
        _spin_to_read_irq(lock)


@step("acquire", name="read_lock_irq", takes="shared")
def _spin_to_read_irq(lock: ptr[rwlock_t]) -> None:
    take_shared(lock)
    after_spinning()
    disable_irqs()


@step("release", gives="shared")
def read_unlock_irq(lock: ptr[rwlock_t]) -> None:
    """The end of what read_lock_irq() began: interrupts are enabled, whether or not they were before."""
    read_unlock(lock)
    enable_irqs()


def read_lock_irqsave(lock: ptr[rwlock_t]) -> bool:
    """Disable interrupts, hold the lock for reading, and give what read_unlock_irqrestore() restores."""
    if feature("interrupts"):
        flags = local_irq_save()
        read_lock(lock)
        return flags
    else:
        before_spinning()
        return _spin_to_read_irqsave(lock)


@step("acquire", name="read_lock_irqsave", takes="shared")
def _spin_to_read_irqsave(lock: ptr[rwlock_t]) -> bool:
    take_shared(lock)
    after_spinning()
    return disable_irqs()


@step("release", gives="shared")
def read_unlock_irqrestore(lock: ptr[rwlock_t], flags: bool) -> None:
    """The end of what read_lock_irqsave() began: interrupts are put back to how they were found."""
    read_unlock(lock)
    restore_irqs(flags)

# To write


def write_lock_bh(lock: ptr[rwlock_t]) -> None:
    """Disable softirqs and hold the lock for writing."""
    if feature("interrupts"):
        local_bh_disable()
        write_lock(lock)
    else:
        before_spinning()
        _spin_to_write_bh(lock)


@step("acquire", name="write_lock_bh", takes="exclusive")
def _spin_to_write_bh(lock: ptr[rwlock_t]) -> None:
    take(lock)
    after_spinning()
    enter_bh()


@step("release", gives="exclusive")
def write_unlock_bh(lock: ptr[rwlock_t]) -> None:
    """The end of what write_lock_bh() began: softirqs are enabled."""
    write_unlock(lock)
    exit_bh()


def write_lock_irq(lock: ptr[rwlock_t]) -> None:
    """Disable interrupts and hold the lock for writing."""
    if feature("interrupts"):
        local_irq_disable()
        write_lock(lock)
    else:
        before_spinning()
        _spin_to_write_irq(lock)


@step("acquire", name="write_lock_irq", takes="exclusive")
def _spin_to_write_irq(lock: ptr[rwlock_t]) -> None:
    take(lock)
    after_spinning()
    disable_irqs()


@step("release", gives="exclusive")
def write_unlock_irq(lock: ptr[rwlock_t]) -> None:
    """The end of what write_lock_irq() began: interrupts are enabled, whether or not they were before."""
    write_unlock(lock)
    enable_irqs()


def write_lock_irqsave(lock: ptr[rwlock_t]) -> bool:
    """Disable interrupts, hold the lock for writing, and give what write_unlock_irqrestore() restores."""
    if feature("interrupts"):
        flags = local_irq_save()
        write_lock(lock)
        return flags
    else:
        before_spinning()
        return _spin_to_write_irqsave(lock)


@step("acquire", name="write_lock_irqsave", takes="exclusive")
def _spin_to_write_irqsave(lock: ptr[rwlock_t]) -> bool:
    take(lock)
    after_spinning()
    return disable_irqs()


@step("release", gives="exclusive")
def write_unlock_irqrestore(lock: ptr[rwlock_t], flags: bool) -> None:
    """The end of what write_lock_irqsave() began: interrupts are put back to how they were found."""
    write_unlock(lock)
    restore_irqs(flags)


@step("acquire")
def write_trylock_irqsave(lock: ptr[rwlock_t]) -> tuple[bool, bool]:
    """Hold the lock for writing, with interrupts disabled, if nobody holds it: gives whether that worked, and the flags."""
    if not write_trylock(lock):
        return False, False
    return True, disable_irqs()


__all__ = [
    "read_lock_bh", "read_lock_irq", "read_lock_irqsave", "read_unlock_bh", "read_unlock_irq", "read_unlock_irqrestore",
    "write_lock_bh", "write_lock_irq", "write_lock_irqsave", "write_trylock_irqsave", "write_unlock_bh", "write_unlock_irq",
    "write_unlock_irqrestore",
]  # fmt: skip
