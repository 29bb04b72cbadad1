"""Memory barriers: steps that touch nothing.

The search is sequentially consistent, so they order nothing that is not ordered; they are kept as steps so that a
trace shows them. Leaves out weak memory altogether: docs/fidelity.md says what that means for a verdict.
"""

from __future__ import annotations

from .step import step


@step("full")
def smp_mb() -> None:
    """A full barrier."""


@step("acquire")
def smp_rmb() -> None:
    """A read barrier."""


@step("release")
def smp_wmb() -> None:
    """A write barrier."""


@step("full")
def smp_mb__before_atomic() -> None:
    """A full barrier before an atomic that is not ordered itself."""


@step("full")
def smp_mb__after_atomic() -> None:
    """A full barrier after an atomic that is not ordered itself."""


@step("full")
def smp_mb__after_spinlock() -> None:
    """Makes a lock just taken a full barrier."""


@step("full")
def smp_mb__after_unlock_lock() -> None:
    """Makes giving one lock back and taking another a full barrier."""


@step("acquire")
def smp_acquire__after_ctrl_dep() -> None:
    """Makes a branch on a value that was read an acquire of it."""


__all__ = [
    "smp_acquire__after_ctrl_dep", "smp_mb", "smp_mb__after_atomic", "smp_mb__after_spinlock", "smp_mb__after_unlock_lock",
    "smp_mb__before_atomic", "smp_rmb", "smp_wmb",
]  # fmt: skip
