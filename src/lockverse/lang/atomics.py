"""atomic_t, atomic64_t, atomic_long_t and their whole family of functions, with the kernel's names and order of arguments.

Written once for atomic_t and given the other two types' names (Documentation/atomic_t.txt and the list in
include/linux/atomic/atomic-instrumented.h, Linux 6.1). Atomics wrap, as two's complement does there. An operation
without a result is relaxed, one with a result is full, and the suffixes say otherwise.

One departure: `try_cmpxchg` gives the pair (whether it worked, what was there), since Python cannot write through
`&old`. Leaves out reordering: the orders are recorded, not used.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from .step import named_step, place_macro
from .structs import struct
from .task import wait_until
from .types import ptr, s32, s64, wrapping


@struct(kind="atomic", opaque=True)
class atomic_t:
    """A 32-bit atomic integer; wraps."""

    counter: wrapping[s32]  # type: ignore[valid-type]


@struct(kind="atomic", opaque=True)
class atomic64_t:
    """A 64-bit atomic integer; wraps."""

    counter: wrapping[s64]  # type: ignore[valid-type]


@struct(kind="atomic", opaque=True)
class atomic_long_t:
    """An atomic long, 64 bits here; wraps."""

    counter: wrapping[s64]  # type: ignore[valid-type]


def ATOMIC_INIT(i: int) -> atomic_t:
    """An atomic_t that starts as `i`, for a scene."""
    return atomic_t(i)  # type: ignore[call-arg]


def ATOMIC64_INIT(i: int) -> atomic64_t:
    """An atomic64_t that starts as `i`, for a scene."""
    return atomic64_t(i)  # type: ignore[call-arg]


def ATOMIC_LONG_INIT(i: int) -> atomic_long_t:
    """An atomic_long_t that starts as `i`, for a scene."""
    return atomic_long_t(i)  # type: ignore[call-arg]


# The bodies, in the language. Each name of the family is one of them with its own types and order.


def _read(v: Any) -> Any:
    return v.counter


def _set(v: Any, i: Any) -> None:
    v.counter = i


def _add(i: Any, v: Any) -> None:
    v.counter = v.counter + i


def _sub(i: Any, v: Any) -> None:
    v.counter = v.counter - i


def _inc(v: Any) -> None:
    v.counter = v.counter + 1


def _dec(v: Any) -> None:
    v.counter = v.counter - 1


def _and(i: Any, v: Any) -> None:
    v.counter = v.counter & i


def _or(i: Any, v: Any) -> None:
    v.counter = v.counter | i


def _xor(i: Any, v: Any) -> None:
    v.counter = v.counter ^ i


def _andnot(i: Any, v: Any) -> None:
    v.counter = v.counter & ~i


def _add_return(i: Any, v: Any) -> Any:
    v.counter = v.counter + i
    return v.counter


def _sub_return(i: Any, v: Any) -> Any:
    v.counter = v.counter - i
    return v.counter


def _inc_return(v: Any) -> Any:
    v.counter = v.counter + 1
    return v.counter


def _dec_return(v: Any) -> Any:
    v.counter = v.counter - 1
    return v.counter


def _fetch_add(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old + i
    return old


def _fetch_sub(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old - i
    return old


def _fetch_inc(v: Any) -> Any:
    old = v.counter
    v.counter = old + 1
    return old


def _fetch_dec(v: Any) -> Any:
    old = v.counter
    v.counter = old - 1
    return old


def _fetch_and(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old & i
    return old


def _fetch_or(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old | i
    return old


def _fetch_xor(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old ^ i
    return old


def _fetch_andnot(i: Any, v: Any) -> Any:
    old = v.counter
    v.counter = old & ~i
    return old


def _xchg(v: Any, new: Any) -> Any:
    old = v.counter
    v.counter = new
    return old


def _cmpxchg(v: Any, old: Any, new: Any) -> Any:
    current = v.counter
    if current == old:
        v.counter = new
    return current


def _try_cmpxchg(v: Any, old: Any, new: Any) -> Any:
    current = v.counter
    if current == old:
        v.counter = new
        return True, current
    return False, current


def _sub_and_test(i: Any, v: Any) -> bool:
    v.counter = v.counter - i
    return bool(v.counter == 0)


def _dec_and_test(v: Any) -> bool:
    v.counter = v.counter - 1
    return bool(v.counter == 0)


def _inc_and_test(v: Any) -> bool:
    v.counter = v.counter + 1
    return bool(v.counter == 0)


def _add_negative(i: Any, v: Any) -> bool:
    v.counter = v.counter + i
    return bool(v.counter < 0)


def _fetch_add_unless(v: Any, a: Any, u: Any) -> Any:
    old = v.counter
    if old != u:
        v.counter = old + a
    return old


def _add_unless(v: Any, a: Any, u: Any) -> bool:
    if v.counter == u:
        return False
    v.counter = v.counter + a
    return True


def _inc_not_zero(v: Any) -> bool:
    if v.counter == 0:
        return False
    v.counter = v.counter + 1
    return True


def _inc_unless_negative(v: Any) -> bool:
    if v.counter < 0:
        return False
    v.counter = v.counter + 1
    return True


def _dec_unless_positive(v: Any) -> bool:
    if v.counter > 0:
        return False
    v.counter = v.counter - 1
    return True


def _dec_if_positive(v: Any) -> Any:
    left = v.counter - 1
    if left >= 0:
        v.counter = left
    return left


_PLAIN: Final = ("",)
_ORDERED: Final = ("", "_relaxed", "_acquire", "_release")

# name without prefix, body, suffixes, order without a suffix, what it does
_FAMILY: Final[tuple[tuple[str, Any, tuple[str, ...], str, str], ...]] = (
    ("read", _read, _PLAIN, "once", "Read it."),
    ("read_acquire", _read, _PLAIN, "acquire", "Read it."),
    ("set", _set, _PLAIN, "once", "Write `i`."),
    ("set_release", _set, _PLAIN, "release", "Write `i`."),
    ("add", _add, _PLAIN, "relaxed", "Add `i`."),
    ("sub", _sub, _PLAIN, "relaxed", "Subtract `i`."),
    ("inc", _inc, _PLAIN, "relaxed", "Add 1."),
    ("dec", _dec, _PLAIN, "relaxed", "Subtract 1."),
    ("and", _and, _PLAIN, "relaxed", "Keep the bits of `i`."),
    ("or", _or, _PLAIN, "relaxed", "Set the bits of `i`."),
    ("xor", _xor, _PLAIN, "relaxed", "Flip the bits of `i`."),
    ("andnot", _andnot, _PLAIN, "relaxed", "Clear the bits of `i`."),
    ("add_return", _add_return, _ORDERED, "full", "Add `i`; give the new value."),
    ("sub_return", _sub_return, _ORDERED, "full", "Subtract `i`; give the new value."),
    ("inc_return", _inc_return, _ORDERED, "full", "Add 1; give the new value."),
    ("dec_return", _dec_return, _ORDERED, "full", "Subtract 1; give the new value."),
    ("fetch_add", _fetch_add, _ORDERED, "full", "Add `i`; give the old value."),
    ("fetch_sub", _fetch_sub, _ORDERED, "full", "Subtract `i`; give the old value."),
    ("fetch_inc", _fetch_inc, _ORDERED, "full", "Add 1; give the old value."),
    ("fetch_dec", _fetch_dec, _ORDERED, "full", "Subtract 1; give the old value."),
    ("fetch_and", _fetch_and, _ORDERED, "full", "Keep the bits of `i`; give the old value."),
    ("fetch_or", _fetch_or, _ORDERED, "full", "Set the bits of `i`; give the old value."),
    ("fetch_xor", _fetch_xor, _ORDERED, "full", "Flip the bits of `i`; give the old value."),
    ("fetch_andnot", _fetch_andnot, _ORDERED, "full", "Clear the bits of `i`; give the old value."),
    ("xchg", _xchg, _ORDERED, "full", "Write `new`; give the old value."),
    ("cmpxchg", _cmpxchg, _ORDERED, "full", "Write `new` if it holds `old`; give what was there."),
    ("try_cmpxchg", _try_cmpxchg, _ORDERED, "full", "Write `new` if it holds `old`; give whether, and what was there."),
    ("sub_and_test", _sub_and_test, _PLAIN, "full", "Subtract `i`; give whether 0 is left."),
    ("dec_and_test", _dec_and_test, _PLAIN, "full", "Subtract 1; give whether 0 is left."),
    ("inc_and_test", _inc_and_test, _PLAIN, "full", "Add 1; give whether that makes 0."),
    ("add_negative", _add_negative, _ORDERED, "full", "Add `i`; give whether the result is negative."),
    ("fetch_add_unless", _fetch_add_unless, _PLAIN, "full", "Add `a` unless it holds `u`; give the old value."),
    ("add_unless", _add_unless, _PLAIN, "full", "Add `a` unless it holds `u`; give whether it was added."),
    ("inc_not_zero", _inc_not_zero, _PLAIN, "full", "Add 1 unless it is 0; give whether it was added."),
    ("inc_unless_negative", _inc_unless_negative, _PLAIN, "full", "Add 1 unless it is negative; give whether."),
    ("dec_unless_positive", _dec_unless_positive, _PLAIN, "full", "Subtract 1 unless it is positive; give whether."),
    ("dec_if_positive", _dec_if_positive, _PLAIN, "full", "Subtract 1 if the result is not negative; give that result."),
)  # fmt: skip


def _members(prefix: str, kind: type, integer: object) -> dict[str, FunctionType]:
    made = {}
    for stem, body, suffixes, order, doc in _FAMILY:
        types = {name: ptr[kind] if name == "v" else integer for name in body.__code__.co_varnames[: body.__code__.co_argcount]}
        for suffix in suffixes:
            name = f"{prefix}_{stem}{suffix}"
            made[name] = named_step(name, body, suffix.removeprefix("_") or order, types, doc)
    return made


_ALL: Final = {
    **_members("atomic", atomic_t, s32),
    **_members("atomic64", atomic64_t, s64),
    **_members("atomic_long", atomic_long_t, s64),
}


def _cond_read(name: str, order: str) -> Any:
    """`condition` is a lambda, which the compiler lowers where it stands: see access.py."""

    def conditional_read(v: Any, condition: Callable[[Any], object]) -> Any:
        wait_until(condition(v.counter))
        return v.counter

    conditional_read.__name__ = conditional_read.__qualname__ = name
    conditional_read.__doc__ = f"Wait until `condition` holds of what it holds; give that ({order})."
    return place_macro(name, order, "cond_read")(conditional_read)


_CONDITIONAL: Final = {
    f"{prefix}_cond_read_{order}": _cond_read(f"{prefix}_cond_read_{order}", order)
    for prefix in ("atomic", "atomic64", "atomic_long") for order in ("acquire", "relaxed")
}  # fmt: skip
globals().update(_ALL | _CONDITIONAL)

__all__ = ["ATOMIC64_INIT", "ATOMIC_INIT", "ATOMIC_LONG_INIT", "atomic64_t", "atomic_long_t", "atomic_t", *_ALL, *_CONDITIONAL]
