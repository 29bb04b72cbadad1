"""What the operations of the intermediate representation compute, on exact integers.

One table for whoever works on values: the interpreter, which runs them, and the analyses, which run them on sets of
values. Ranges, wrapping and division by zero are the caller's business (see `ops.Binary`). Leaves out memory.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

COMPUTE: Final[Mapping[str, Callable[[int, int], int]]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv, "mod": operator.mod,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor, "shl": operator.lshift, "shr": operator.rshift,
}  # fmt: skip
COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip
SHIFT_LIMIT: Final = 64  # a shift by this much or more, or by less than 0, is an overflow
