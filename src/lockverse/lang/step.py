"""How the vocabulary says what it is: one step, a macro on a place, or something the compiler itself knows.

A function marked `@step` is written in the language and is one atomic step. It runs under plain Python as it stands,
and the compiler compiles the same body. Leaves out the steps themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from msgspec import Struct

F = TypeVar("F", bound=Callable[..., Any])


class StepInfo(Struct, frozen=True):
    """A step's name as users know it, and its order: plain, once, relaxed, acquire, release or full. `takes` is "exclusive" or
    "shared" for one that waits for the lock that is its first argument; it is empty for all others, a trylock among them. `gives` is
    "exclusive" or "shared" for one that gives that lock back, and "downgrade" for one whose task holds it shared from then on."""

    name: str
    order: str
    takes: str = ""
    gives: str = ""


class PlaceInfo(Struct, frozen=True):
    """A macro on a place: its name, its order, and `kind`, which says what it does there: read, write, xchg, cmpxchg,
    try_cmpxchg, cond_load, cond_read, or one of those of lang/bits.py, lang/bit_lock.py or lang/percpu_data.py. `per_cpu`: the place is in per-cpu data,
    that of the CPU which runs it. `check` is a part of the step that looks whether it may be used here; with `given`, it takes the
    macro's second argument."""

    name: str
    order: str
    kind: str
    per_cpu: bool = False
    check: Any = None
    given: bool = False


def step(order: str, *, name: str = "", takes: str = "", gives: str = "") -> Callable[[F], F]:
    """Mark a function as one atomic step of that order. `name` is what a reader knows it by, where that is another function
    which calls it; `takes` and `gives` are as in StepInfo."""

    def decorate(function: F) -> F:
        setattr(function, "__lockverse_step__", StepInfo(name or function.__name__, order, takes, gives))  # noqa: B010
        return function

    return decorate


def named_step(name: str, body: FunctionType, order: str, types: dict[str, object], doc: str) -> FunctionType:
    """A step with the body of another under a name of its own, whose parameters have the given types. It takes and gives back what
    that one does."""
    made = FunctionType(body.__code__, body.__globals__, name, body.__defaults__, body.__closure__)
    made.__annotations__ = {**body.__annotations__, **types}
    made.__doc__, made.__module__, made.__qualname__ = doc, body.__module__, name
    like = getattr(body, "__lockverse_step__", StepInfo(name, order))
    return step(order, takes=like.takes, gives=like.gives)(made)


def rides_along(function: F) -> F:
    """Mark a function of the vocabulary as no step of its own: it rides along with the step before it. It is a part of that one,
    or looks only at what nobody but the task itself changes, as whether it holds a lock."""
    setattr(function, "__lockverse_rides__", True)  # noqa: B010
    return function


def own_cpu(function: F) -> F:
    """Mark a function as one whose first argument may be per-cpu data, or in it: that of the CPU that runs it is meant."""
    setattr(function, "__lockverse_own_cpu__", True)  # noqa: B010
    return function


def place_macro(name: str, order: str, kind: str, *, per_cpu: bool = False, check: Any = None, given: bool = False) -> Callable[[F], F]:
    """Mark a function as a macro one of whose arguments is a place."""

    def decorate(function: F) -> F:
        setattr(function, "__lockverse_place__", PlaceInfo(name, order, kind, per_cpu, check, given))  # noqa: B010
        return function

    return decorate


def intrinsic(function: F) -> F:
    """Mark a function as one the compiler knows by its name."""
    setattr(function, "__lockverse_intrinsic__", function.__name__)  # noqa: B010
    return function
