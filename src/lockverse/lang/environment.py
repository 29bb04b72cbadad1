"""Checks, what the environment decides, and where a CPU may stay: WARN_ON and BUG_ON, assume, choose, rest, and hints.

None but `choose` is a step: they look at values the task already has. Leaves out assert, which is Python's.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

from .errors import AssumptionFailed, CheckFailed
from .step import intrinsic


@intrinsic
def require(condition: object, reason: str, message: str) -> None:
    """A rule of the vocabulary: the run is broken for `reason` if `condition` is false."""
    if not condition:
        raise CheckFailed(reason, message)


@intrinsic
def WARN_ON(condition: object, message: str = "WARN_ON") -> bool:
    """The run is broken if `condition` is true. Gives the condition, so that `if WARN_ON(x): return` reads as in C."""
    if condition:
        raise CheckFailed("warning", message)
    return False


@intrinsic
def WARN_ON_ONCE(condition: object, message: str = "WARN_ON_ONCE") -> bool:
    """As WARN_ON: a search ends at the first anyway."""
    return WARN_ON(condition, message)


@intrinsic
def VM_WARN_ON(condition: object, message: str = "VM_WARN_ON") -> bool:
    """As WARN_ON."""
    return WARN_ON(condition, message)


@intrinsic
def VM_WARN_ON_ONCE(condition: object, message: str = "VM_WARN_ON_ONCE") -> bool:
    """As WARN_ON."""
    return WARN_ON(condition, message)


@intrinsic
def BUG_ON(condition: object, message: str = "BUG_ON") -> bool:
    """The run is broken if `condition` is true."""
    if condition:
        raise CheckFailed("bug", message)
    return False


@intrinsic
def VM_BUG_ON(condition: object, message: str = "VM_BUG_ON") -> bool:
    """As BUG_ON."""
    return BUG_ON(condition, message)


@intrinsic
def assume(condition: object) -> None:
    """Look only at executions in which `condition` is true here."""
    if not condition:
        raise AssumptionFailed("assume() was given something false")


def _first(options: Sequence[Any]) -> Any:
    return options[0]


class _Chooser:
    pick: Callable[[Sequence[Any]], Any] = staticmethod(_first)


def set_chooser(pick: Callable[[Sequence[Any]], Any]) -> None:
    """How `choose` picks under plain Python: by default the first. `random.choice` is another."""
    _Chooser.pick = staticmethod(pick)


@intrinsic
def choose(*options: Any) -> Any:
    """The environment picks: `choose(range(low, high))`, `choose(a, b, c)`, `choose(bool)`, `choose(SomeEnum)`.

    A search tries every choice.
    """
    if len(options) == 1:
        only = options[0]
        if only is bool:
            return _Chooser.pick((False, True))
        if isinstance(only, range) or (isinstance(only, type) and issubclass(only, enum.Enum)):
            return _Chooser.pick(list(only))
    return _Chooser.pick(options)


@intrinsic
def rest() -> None:
    """The CPU may stay here for ever: it is at rest before its next step, as one that has finished is. No step."""


@intrinsic
def cpu_relax() -> None:
    """A hint in a busy loop. No step: the loop's own accesses are."""


@intrinsic
def barrier() -> None:
    """A compiler barrier. No step: nothing is reordered here."""


@intrinsic
def data_race(value: Any) -> Any:
    """The value: says that a plain access may race and that this is meant."""
    return value


@intrinsic
def likely(condition: Any) -> Any:
    """The condition: a hint to the compiler, and to the reader."""
    return condition


@intrinsic
def unlikely(condition: Any) -> Any:
    """The condition: a hint to the compiler, and to the reader."""
    return condition
