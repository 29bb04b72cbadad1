"""Memory barriers: steps that touch nothing.

The search is sequentially consistent, so they order nothing that is not ordered; they are kept as steps so that a
trace shows them. Leaves out weak memory altogether: docs/language.md says what that means for a verdict.
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

__all__ = [
    "smp_mb", "smp_mb__after_atomic", "smp_mb__before_atomic", "smp_rmb", "smp_wmb",
]  # fmt: skip
