"""The whole atomic family under plain Python, against a table written from Documentation/atomic_t.txt of Linux 6.1.

The table gives, for each function, the value before, the arguments besides the variable, the value after, the result.
"""

from __future__ import annotations

import pytest

import lockverse
from lockverse import (
    ATOMIC64_INIT,
    ATOMIC_INIT,
    ATOMIC_LONG_INIT,
    atomic64_t,
    atomic_cond_read_acquire,
    atomic_cond_read_relaxed,
    atomic_long_t,
    atomic_t,
)
from lockverse.lang.errors import WouldBlock

TOP, LOW = (1 << 31) - 1, -(1 << 31)
V = "v"  # where the variable stands among the arguments
TABLE: dict[str, list[tuple[int, tuple[object, ...], int, object]]] = {
    "read": [(5, (V,), 5, 5)], "read_acquire": [(5, (V,), 5, 5)], "set": [(5, (V, 7), 7, None)], "set_release": [(5, (V, 7), 7, None)],
    "add": [(5, (3, V), 8, None), (TOP, (1, V), LOW, None)], "sub": [(5, (3, V), 2, None), (LOW, (1, V), TOP, None)],
    "inc": [(5, (V,), 6, None), (TOP, (V,), LOW, None)], "dec": [(5, (V,), 4, None), (LOW, (V,), TOP, None)],
    "and": [(12, (10, V), 8, None)], "or": [(12, (10, V), 14, None)], "xor": [(12, (10, V), 6, None)], "andnot": [(12, (10, V), 4, None)],
    "add_return": [(5, (3, V), 8, 8), (TOP, (1, V), LOW, LOW)], "sub_return": [(5, (3, V), 2, 2)], "inc_return": [(5, (V,), 6, 6), (TOP, (V,), LOW, LOW)],
    "dec_return": [(5, (V,), 4, 4), (0, (V,), -1, -1)], "fetch_add": [(5, (3, V), 8, 5), (TOP, (1, V), LOW, TOP)], "fetch_sub": [(5, (3, V), 2, 5)],
    "fetch_inc": [(5, (V,), 6, 5)], "fetch_dec": [(5, (V,), 4, 5)], "fetch_and": [(12, (10, V), 8, 12)], "fetch_or": [(12, (10, V), 14, 12)],
    "fetch_xor": [(12, (10, V), 6, 12)], "fetch_andnot": [(12, (10, V), 4, 12)], "xchg": [(5, (V, 7), 7, 5)],
    "cmpxchg": [(5, (V, 5, 7), 7, 5), (5, (V, 6, 7), 5, 5)], "try_cmpxchg": [(5, (V, 5, 7), 7, (True, 5)), (5, (V, 6, 7), 5, (False, 5))],
    "sub_and_test": [(3, (3, V), 0, True), (4, (3, V), 1, False)], "dec_and_test": [(1, (V,), 0, True), (2, (V,), 1, False), (0, (V,), -1, False)],
    "inc_and_test": [(-1, (V,), 0, True), (0, (V,), 1, False)], "add_negative": [(0, (-1, V), -1, True), (1, (-1, V), 0, False), (TOP, (1, V), LOW, True)],
    "fetch_add_unless": [(5, (V, 2, 5), 5, 5), (4, (V, 2, 5), 6, 4)], "add_unless": [(5, (V, 2, 5), 5, False), (4, (V, 2, 5), 6, True)],
    "inc_not_zero": [(0, (V,), 0, False), (1, (V,), 2, True), (-1, (V,), 0, True)], "inc_unless_negative": [(-1, (V,), -1, False), (0, (V,), 1, True)],
    "dec_unless_positive": [(1, (V,), 1, False), (0, (V,), -1, True)], "dec_if_positive": [(1, (V,), 0, 0), (0, (V,), 0, -1), (-5, (V,), -5, -6)],
}  # fmt: skip
ORDERED = {
    "add_return", "sub_return", "inc_return", "dec_return", "fetch_add", "fetch_sub", "fetch_inc", "fetch_dec", "fetch_and", "fetch_or", "fetch_xor",
    "fetch_andnot", "xchg", "cmpxchg", "try_cmpxchg", "add_negative",
}  # fmt: skip


def _names() -> list[tuple[str, str, type, int]]:
    """Every function: its name, its row, its type, its width."""
    found = []
    for prefix, kind, bits in (("atomic", atomic_t, 32), ("atomic64", atomic64_t, 64), ("atomic_long", atomic_long_t, 64)):
        for stem in TABLE:
            for suffix in ("", "_relaxed", "_acquire", "_release") if stem in ORDERED else ("",):
                found.append((f"{prefix}_{stem}{suffix}", stem, kind, bits))
    return found


def _wide(value: object, bits: int) -> object:
    """The rows are for 32 bits: the two ends of the range stand for those of 64."""
    if isinstance(value, bool) or bits == 32:
        return value
    if isinstance(value, tuple):
        return tuple(_wide(one, bits) for one in value)
    return {TOP: (1 << 63) - 1, LOW: -(1 << 63)}.get(value, value)  # type: ignore[call-overload]


@pytest.mark.parametrize(("name", "row", "kind", "bits"), _names(), ids=[one[0] for one in _names()])
def test_family(name: str, row: str, kind: type, bits: int) -> None:
    function = getattr(lockverse, name)
    for before, arguments, after, result in TABLE[row]:
        variable = kind(_wide(before, bits))
        given = [variable if one is V else one for one in arguments]
        assert function(*given) == _wide(result, bits)
        assert variable.counter == _wide(after, bits)  # type: ignore[attr-defined]
        assert isinstance(variable.counter, int)  # type: ignore[attr-defined]


def test_there_are_no_others() -> None:
    from lockverse.lang.atomics import __all__ as names

    waiting = {f"{prefix}_cond_read_{order}" for prefix in ("atomic", "atomic64", "atomic_long") for order in ("acquire", "relaxed")}
    types = {"ATOMIC_INIT", "ATOMIC64_INIT", "ATOMIC_LONG_INIT", "atomic_t", "atomic64_t", "atomic_long_t"}
    assert set(names) - {one[0] for one in _names()} == waiting | types


def test_waiting() -> None:
    """Under plain Python nobody changes the value while one waits."""
    variable = ATOMIC_INIT(3)
    assert atomic_cond_read_acquire(variable, lambda VAL: VAL > 2) == 3
    with pytest.raises(WouldBlock):
        atomic_cond_read_relaxed(variable, lambda VAL: VAL > 3)
    assert (ATOMIC64_INIT(1).counter, ATOMIC_LONG_INIT(2).counter) == (1, 2)


def test_orders() -> None:
    """Without a result relaxed, with one full, and what the suffix says (atomic_t.txt, ORDERING)."""
    order = {name: getattr(lockverse, name).__lockverse_step__.order for name, *_ in _names()}
    assert (order["atomic_add"], order["atomic_add_return"], order["atomic_dec_and_test"]) == ("relaxed", "full", "full")
    assert (order["atomic_fetch_or_release"], order["atomic64_xchg_relaxed"], order["atomic_read_acquire"]) == ("release", "relaxed", "acquire")
