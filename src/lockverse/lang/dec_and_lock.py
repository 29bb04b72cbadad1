"""A count that is taken to zero under a lock only: atomic_dec_and_lock() and its like.

Order of steps: lib/dec_and_lock.c and kernel/locking/mutex.c (atomic_dec_and_mutex_lock), Linux 6.1. refcount_t has its own (refcount.py).
"""

# mypy: disable-error-code="attr-defined,valid-type"

from __future__ import annotations

from .atomics import atomic_add_unless, atomic_dec_and_test, atomic_t
from .mutexes import mutex, mutex_lock, mutex_unlock
from .spinlock import spin_lock, spin_unlock, spinlock_t
from .spinlock_forms import spin_lock_irqsave, spin_unlock_irqrestore
from .types import ptr


def atomic_dec_and_lock(atomic: ptr[atomic_t], lock: ptr[spinlock_t]) -> bool:
    """Take one off; if that leaves none, do it with the lock held. Gives whether none is left, and then the lock is held."""
    if atomic_add_unless(atomic, -1, 1):
        return False
    spin_lock(lock)
    if atomic_dec_and_test(atomic):
        return True
    spin_unlock(lock)
    return False


def atomic_dec_and_lock_irqsave(atomic: ptr[atomic_t], lock: ptr[spinlock_t]) -> tuple[bool, bool]:
    """As atomic_dec_and_lock(), the lock taken with interrupts disabled: `last, flags = ...`."""
    if atomic_add_unless(atomic, -1, 1):
        return False, False
    flags = spin_lock_irqsave(lock)
    if atomic_dec_and_test(atomic):
        return True, flags
    spin_unlock_irqrestore(lock, flags)
    return False, False


def atomic_dec_and_mutex_lock(cnt: ptr[atomic_t], lock: ptr[mutex]) -> bool:
    """As atomic_dec_and_lock(), with a mutex."""
    if atomic_add_unless(cnt, -1, 1):
        return False
    mutex_lock(lock)
    if atomic_dec_and_test(cnt):
        return True
    mutex_unlock(lock)
    return False


__all__ = ["atomic_dec_and_lock", "atomic_dec_and_lock_irqsave", "atomic_dec_and_mutex_lock"]
