"""`with scoped_guard(rwsem_read, x.sem):`, for locks that can be held in several ways.

The kernel's scoped_guard(rwsem_read, &sem), and its names for what is taken (include/linux/cleanup.h, rwsem.h, spinlock.h and
local_lock.h, of 6.6 and later): a spinlock_t with spinlock_bh, spinlock_irq or spinlock_irqsave, a raw_spinlock_t with raw_spinlock_...,
a rw_semaphore with rwsem_read or rwsem_write; what is not named so there is named by the function that takes it. Leaves out guard(),
which holds to the end of a function: Python has no such scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .folio import folio_lock, folio_unlock
from .local_locks import (
    local_lock,
    local_lock_irq,
    local_lock_irqsave,
    local_unlock,
    local_unlock_irq,
    local_unlock_irqrestore,
)
from .raw_spinlock import (
    raw_spin_lock_bh,
    raw_spin_lock_irq,
    raw_spin_lock_irqsave,
    raw_spin_unlock_bh,
    raw_spin_unlock_irq,
    raw_spin_unlock_irqrestore,
)
from .rwlock import read_lock, read_unlock, write_lock, write_unlock
from .rwlock_forms import (
    read_lock_bh,
    read_lock_irq,
    read_lock_irqsave,
    read_unlock_bh,
    read_unlock_irq,
    read_unlock_irqrestore,
    write_lock_bh,
    write_lock_irq,
    write_lock_irqsave,
    write_unlock_bh,
    write_unlock_irq,
    write_unlock_irqrestore,
)
from .rwsem import down_read, down_write, up_read, up_write
from .seqlock import read_seqlock_excl, read_sequnlock_excl, write_seqlock, write_sequnlock
from .spinlock_forms import (
    spin_lock_bh,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_unlock_bh,
    spin_unlock_irq,
    spin_unlock_irqrestore,
)
from .step import intrinsic


class Guard:
    """A way to hold a lock: what takes it, and what gives it back; that takes the flags, if the first gives them."""

    def __init__(self, take: Callable[[Any], Any], give: Callable[..., None]) -> None:
        self.take, self.give = take, give


rwsem_read = Guard(down_read, up_read)
rwsem_write = Guard(down_write, up_write)
spinlock_bh = Guard(spin_lock_bh, spin_unlock_bh)
spinlock_irq = Guard(spin_lock_irq, spin_unlock_irq)
spinlock_irqsave = Guard(spin_lock_irqsave, spin_unlock_irqrestore)
raw_spinlock_bh = Guard(raw_spin_lock_bh, raw_spin_unlock_bh)
raw_spinlock_irq = Guard(raw_spin_lock_irq, raw_spin_unlock_irq)
raw_spinlock_irqsave = Guard(raw_spin_lock_irqsave, raw_spin_unlock_irqrestore)
FUNCTIONS = {take: Guard(take, give) for take, give in (
    (read_lock, read_unlock), (read_lock_bh, read_unlock_bh), (read_lock_irq, read_unlock_irq), (read_lock_irqsave, read_unlock_irqrestore),
    (write_lock, write_unlock), (write_lock_bh, write_unlock_bh), (write_lock_irq, write_unlock_irq), (write_lock_irqsave, write_unlock_irqrestore),
    (local_lock, local_unlock), (local_lock_irq, local_unlock_irq), (local_lock_irqsave, local_unlock_irqrestore),
    (write_seqlock, write_sequnlock), (read_seqlock_excl, read_sequnlock_excl), (folio_lock, folio_unlock),
)}  # fmt: skip


def guard_of(name: object) -> Guard | None:
    """The guard a scheme means by a name."""
    return name if isinstance(name, Guard) else FUNCTIONS.get(name)  # type: ignore[call-overload]


@contextmanager
def _held(guard: Guard, lock: Any) -> Iterator[None]:
    flags = guard.take(lock)
    try:
        yield
    finally:
        guard.give(*((lock,) if flags is None else (lock, flags)))


@intrinsic
def scoped_guard(name: object, lock: Any) -> AbstractContextManager[None]:
    """Hold the lock in that way while what is inside runs. Stands only in a `with`."""
    guard = guard_of(name)
    if guard is None:
        raise TypeError("scoped_guard() takes rwsem_read and its like, or read_lock and its like")
    return _held(guard, lock)


__all__ = [
    "raw_spinlock_bh", "raw_spinlock_irq", "raw_spinlock_irqsave", "rwsem_read", "rwsem_write", "scoped_guard", "spinlock_bh",
    "spinlock_irq", "spinlock_irqsave",
]  # fmt: skip
