"""raw_spinlock_t: a spinlock that stays one under PREEMPT_RT.

Without PREEMPT_RT the two are the same (include/linux/spinlock.h, Linux 6.1), so the bodies are those of spinlock.py. Leaves out
interrupts, as that does, and PREEMPT_RT.
"""

from __future__ import annotations

from typing import Any

from . import spinlock
from .context import before_spinning
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


def raw_spin_lock(lock: ptr[raw_spinlock_t]) -> None:  # type: ignore[valid-type]
    """As spin_lock()."""
    before_spinning()
    _spin_for(lock)


def raw_spin_lock_nested(lock: ptr[raw_spinlock_t], subclass: int) -> None:  # type: ignore[valid-type]
    """As spin_lock_nested()."""
    before_spinning()
    _spin_for_nested(lock, subclass)


raw_spin_trylock = _raw("raw_spin_trylock", spinlock.spin_trylock, "acquire")
raw_spin_unlock = _raw("raw_spin_unlock", spinlock.spin_unlock, "release")
raw_spin_is_locked = _raw("raw_spin_is_locked", spinlock.spin_is_locked, "once")

setattr(raw_spinlock_t, "__lockverse_guard__", (raw_spin_lock, raw_spin_unlock))  # noqa: B010

__all__ = ["raw_spin_is_locked", "raw_spin_lock", "raw_spin_lock_nested", "raw_spin_trylock", "raw_spin_unlock", "raw_spinlock_t"]
