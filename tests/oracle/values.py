"""Values in the oracle: arithmetic, comparison, conversion, what each atomic does. Written from docs/language.md and
Documentation/atomic_t.txt of Linux; leaves out memory and steps, which are in interpreter.py.
"""

from __future__ import annotations

import ast
import enum
import operator
from collections.abc import Callable
from typing import Any

from lockverse.lang.errors import Overflow
from lockverse.lang.null import NULL
from lockverse.lang.structs import is_object
from lockverse.lang.types import convert

U64 = (1 << 64) - 1


class Fault(Exception):
    """The step breaks a rule; `reason` is the word for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def atomic(verb: str, old: int, values: list[int], bits: int) -> tuple[int | None, Any]:
    """The new value (None: not written) and the result, by Documentation/atomic_t.txt."""
    if verb == "read":
        return None, old
    if verb in ("set", "xchg"):
        return values[0], old if verb == "xchg" else None
    if verb in ("cmpxchg", "try_cmpxchg"):
        new = values[1] if old == values[0] else None
        return new, old if verb == "cmpxchg" else (old == values[0], old)
    if verb == "add_unless":
        return (wrap(old + values[0], bits), True) if old != values[1] else (None, False)
    steps = {"add": 1, "sub": -1, "inc": 1, "dec": -1}
    parts = verb.split("_")
    core = parts[1] if parts[0] == "fetch" else parts[0]
    if core in ("and", "or", "xor", "andnot"):
        new = {"and": old & values[0], "or": old | values[0], "xor": old ^ values[0], "andnot": old & ~values[0]}[core]
        return wrap(new, bits), old if parts[0] == "fetch" else None
    by = steps[core] * (values[0] if core in ("add", "sub") else 1)
    new = wrap(old + by, bits)
    if parts[0] == "fetch":
        return new, old
    rest = "_".join(parts[1:])
    results = {"": None, "return": new, "negative": new < 0, "and_test": new == 0}
    if rest == "not_zero":
        return (new, True) if old else (None, False)
    return new, results[rest]


def wrap(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def converted(kind: Any, value: Any) -> Any:
    try:
        return convert(kind, value, "")
    except Overflow:
        raise Fault("overflow") from None


def plain(value: Any) -> Any:
    return None if value is NULL else id(value) if is_object(value) else value


def true(value: Any) -> bool:
    return bool(value) if not is_object(value) else True


def binary(op: ast.operator, a: Any, b: Any) -> Any:
    if isinstance(op, ast.FloorDiv | ast.Mod) and b == 0:
        raise Fault("division-by-zero")
    if isinstance(op, ast.LShift | ast.RShift) and not 0 <= b < 64:
        raise Fault("overflow")
    result = BINARY[type(op)](a, b)
    if not -(1 << 63) <= int(result) <= U64:
        raise Fault("overflow")
    return result


BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.eq, ast.IsNot: operator.ne,
}  # fmt: skip


def position_or_value(value: Any) -> object:
    """A value that can be compared with others: of an enum, the position of the member."""
    return list(type(value)).index(value) if isinstance(value, enum.Enum) else value
