"""raw_spinlock_t: a spinlock that stays one under PREEMPT_RT.

Without PREEMPT_RT the two are the same (include/linux/spinlock.h, Linux 6.1), so the bodies are those of spinlock.py and of
spinlock_forms.py. Leaves out PREEMPT_RT.
"""

from __future__ import annotations

from typing import Any

from . import spinlock, spinlock_forms
from .context import before_spinning, local_bh_disable, local_irq_disable, local_irq_save
from .features import feature
from .step import named_step
from .structs import struct
from .task import task_struct
from .types import ptr


@struct(kind="lock", opaque=True)
class raw_spinlock_t:
    """A raw spinlock. `with lock:` takes it and gives it back."""

    owner: ptr[task_struct]  # type: ignore[valid-type]

    def __enter__(self) -> None:
        raw_spin_lock(self)

    def __exit__(self, *problem: object) -> None:
        raw_spin_unlock(self)


def _raw(name: str, body: Any, order: str) -> Any:
    return named_step(name, body, order, {"lock": ptr[raw_spinlock_t]}, f"As {name.removeprefix('raw_')}().")


_spin_for = _raw("raw_spin_lock", spinlock.spin_for, "acquire")
_spin_for_nested = _raw("raw_spin_lock_nested", spinlock.spin_for_nested, "acquire")
_spin_for_bh = _raw("raw_spin_lock_bh", spinlock_forms.spin_for_bh, "acquire")
_spin_for_irq = _raw("raw_spin_lock_irq", spinlock_forms.spin_for_irq, "acquire")
_spin_for_irqsave = _raw("raw_spin_lock_irqsave", spinlock_forms.spin_for_irqsave, "acquire")


def raw_spin_lock(lock: ptr[raw_spinlock_t]) -> None:  # type: ignore[valid-type]
    """As spin_lock()."""
    before_spinning()
    _spin_for(lock)


def raw_spin_lock_nested(lock: ptr[raw_spinlock_t], subclass: int) -> None:  # type: ignore[valid-type]
    """As spin_lock_nested()."""
    before_spinning()
    _spin_for_nested(lock, subclass)


def raw_spin_lock_bh(lock: ptr[raw_spinlock_t]) -> None:  # type: ignore[valid-type]
    """As spin_lock_bh()."""
    if feature("interrupts"):
        local_bh_disable()
        raw_spin_lock(lock)
    else:
        before_spinning()
        _spin_for_bh(lock)


def raw_spin_lock_irq(lock: ptr[raw_spinlock_t]) -> None:  # type: ignore[valid-type]
    """As spin_lock_irq()."""
    if feature("interrupts"):
        local_irq_disable()
        raw_spin_lock(lock)
    else:
        before_spinning()
        _spin_for_irq(lock)


def raw_spin_lock_irqsave(lock: ptr[raw_spinlock_t]) -> bool:  # type: ignore[valid-type]
    """As spin_lock_irqsave()."""
    if feature("interrupts"):
        flags = local_irq_save()
        raw_spin_lock(lock)
        return flags
    else:
        before_spinning()
        return _spin_for_irqsave(lock)  # type: ignore[no-any-return]


def raw_spin_lock_irqsave_nested(lock: ptr[raw_spinlock_t], subclass: int) -> bool:  # type: ignore[valid-type]
    """As spin_lock_irqsave_nested()."""
    return raw_spin_lock_irqsave(lock)


raw_spin_trylock = _raw("raw_spin_trylock", spinlock.spin_trylock, "acquire")
raw_spin_unlock = _raw("raw_spin_unlock", spinlock.spin_unlock, "release")
raw_spin_trylock_bh = _raw("raw_spin_trylock_bh", spinlock_forms.spin_trylock_bh, "acquire")
raw_spin_trylock_irq = _raw("raw_spin_trylock_irq", spinlock_forms.spin_trylock_irq, "acquire")
raw_spin_trylock_irqsave = _raw("raw_spin_trylock_irqsave", spinlock_forms.spin_trylock_irqsave, "acquire")
raw_spin_unlock_bh = _raw("raw_spin_unlock_bh", spinlock_forms.spin_unlock_bh, "release")
raw_spin_unlock_irq = _raw("raw_spin_unlock_irq", spinlock_forms.spin_unlock_irq, "release")
raw_spin_unlock_irqrestore = _raw("raw_spin_unlock_irqrestore", spinlock_forms.spin_unlock_irqrestore, "release")
raw_spin_is_locked = _raw("raw_spin_is_locked", spinlock.spin_is_locked, "once")

setattr(raw_spinlock_t, "__lockverse_guard__", (raw_spin_lock, raw_spin_unlock))  # noqa: B010

__all__ = [
    "raw_spin_is_locked", "raw_spin_lock", "raw_spin_lock_bh", "raw_spin_lock_irq", "raw_spin_lock_irqsave",
    "raw_spin_lock_irqsave_nested", "raw_spin_lock_nested", "raw_spin_trylock", "raw_spin_trylock_bh", "raw_spin_trylock_irq",
    "raw_spin_trylock_irqsave", "raw_spin_unlock", "raw_spin_unlock_bh", "raw_spin_unlock_irq", "raw_spin_unlock_irqrestore",
    "raw_spinlock_t",
]  # fmt: skip
