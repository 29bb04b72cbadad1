"""Bit operations: set_bit and its family, on any integer field or element.

Each is one step on the place that is its second argument, `set_bit(nr, x.flags)`, but for those that begin with two
underscores: these are a plain load and a plain store, two steps, and lose what happens in between. Names, order of
arguments and memory orders: Documentation/atomic_bitops.txt and include/linux/bitops.h of Linux 6.1. The compiler knows
them by their PlaceInfo; the bodies here are what they mean under plain Python.

A bit outside the width of the place is an error. Leaves out bitmaps of several words, and searches in them.
"""

# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import Overflow, WrongType
from .places import Place, caller_place
from .step import place_macro
from .types import IntegerType, s32, u64, wrapped

PG_WAITERS = 7  # the bit clear_bit_unlock_is_negative_byte() looks at: the sign of the lowest byte


def BIT(nr: int) -> int:
    """The number that has only that bit."""
    return u64(1) << nr


def _change(name: str, old: int, mask: int) -> int:
    """What a place that holds `old` holds after the operation."""
    if "set" in name:
        return old | mask
    return old & ~mask if "clear" in name else old ^ mask


def _operation(name: str, kind: str, order: str, doc: str) -> Callable[[int, Any], None]:
    def operation(nr: int, place: Any) -> None:
        found = caller_place(1)
        mask = _mask(nr, found)
        found.set(_change(kind, _old(found), mask))

    return _named(operation, name, kind, order, doc)


def _tested(name: str, kind: str, order: str, doc: str) -> Callable[[int, Any], bool]:
    def operation(nr: int, place: Any) -> bool:
        found = caller_place(1)
        mask, old = _mask(nr, found), _old(found)
        found.set(_change(kind.removeprefix("test_and_"), old, mask))
        return bool(old & mask)

    return _named(operation, name, kind, order, doc)


def _reader(name: str, order: str) -> Callable[[int, Any], bool]:
    def read(nr: int, place: Any) -> bool:
        found = caller_place(1)
        return bool(_old(found) & _mask(nr, found))

    return _named(read, name, "test_bit", order, f"Give whether bit `nr` of the place is set ({order}).")


def _old(place: Place) -> int:
    kind = s32 if place.kind is int else place.kind
    assert isinstance(kind, IntegerType)
    return wrapped(kind)(place.get())


def _mask(nr: int, place: Place) -> int:
    """The bit, in the integer type of the place. Raises Overflow if it has none, WrongType if it is no integer."""
    kind = s32 if place.kind is int else place.kind
    if not isinstance(kind, IntegerType):
        raise WrongType(f"a bit operation takes an integer field or element, not a {kind!r}")
    if not 0 <= nr < kind.bits:
        raise Overflow(f"bit {nr} is outside a {kind}: it has bits 0..{kind.bits - 1}")
    return wrapped(kind)(1 << nr)


def has_bit(nr: int, place: Place) -> bool:
    """Whether the bit of a place is set."""
    return bool(_old(place) & _mask(nr, place))


def put_bit(nr: int, place: Place, value: bool) -> None:
    """Set the bit of a place, or clear it."""
    place.set(_change("set" if value else "clear", _old(place), _mask(nr, place)))


def _named(function: Any, name: str, kind: str, order: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return place_macro(name, order, kind)(function)


set_bit = _operation("set_bit", "set_bit", "relaxed", "Set bit `nr` of the place (relaxed).")
clear_bit = _operation("clear_bit", "clear_bit", "relaxed", "Clear bit `nr` of the place (relaxed).")
change_bit = _operation("change_bit", "change_bit", "relaxed", "Flip bit `nr` of the place (relaxed).")
clear_bit_unlock = _operation("clear_bit_unlock", "clear_bit", "release", "Clear bit `nr` of the place (release).")
__set_bit = _operation("__set_bit", "set_bit", "plain", "Set bit `nr` of the place: a plain load and a plain store.")
__clear_bit = _operation("__clear_bit", "clear_bit", "plain", "Clear bit `nr` of the place: a plain load and a plain store.")
__change_bit = _operation("__change_bit", "change_bit", "plain", "Flip bit `nr` of the place: a plain load and a plain store.")

test_bit = _reader("test_bit", "once")
test_bit_acquire = _reader("test_bit_acquire", "acquire")
test_and_set_bit = _tested("test_and_set_bit", "test_and_set_bit", "full", "Set bit `nr`; give whether it was set (full).")
test_and_clear_bit = _tested("test_and_clear_bit", "test_and_clear_bit", "full", "Clear bit `nr`; give whether it was set (full).")
test_and_change_bit = _tested("test_and_change_bit", "test_and_change_bit", "full", "Flip bit `nr`; give whether it was set (full).")
test_and_set_bit_lock = _tested("test_and_set_bit_lock", "test_and_set_bit", "acquire", "Set bit `nr`; give whether it was set (acquire).")
__test_and_set_bit = _tested("__test_and_set_bit", "test_and_set_bit", "plain", "Set bit `nr`, plain; give whether it was set.")
__test_and_clear_bit = _tested("__test_and_clear_bit", "test_and_clear_bit", "plain", "Clear bit `nr`, plain; give whether it was set.")
__test_and_change_bit = _tested("__test_and_change_bit", "test_and_change_bit", "plain", "Flip bit `nr`, plain; give whether it was set.")


@place_macro("clear_bit_unlock_is_negative_byte", "release", "clear_bit_is_negative")
def clear_bit_unlock_is_negative_byte(nr: int, place: Any) -> bool:
    """Clear bit `nr`, below 7; give whether bit 7, the waiters' bit of a page, is set (release)."""
    found = caller_place(1)
    mask, waiters = _mask(nr, found), _mask(PG_WAITERS, found)
    found.set(_old(found) & ~mask)
    return bool(found.get() & waiters)


__all__ = ["BIT", *(name for name, value in list(globals().items()) if hasattr(value, "__lockverse_place__"))]
