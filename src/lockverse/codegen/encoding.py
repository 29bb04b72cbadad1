"""How one value is held in a few bits: the field's encodings.

A set of values known beforehand is numbered: by a line through them, by a line with NULL put before it, or by a table.
An integer that is counted has a guessed range, and whoever writes it checks that the value fits. Leaves out where in a
state a field lies: layout.py.
"""

from __future__ import annotations

from msgspec import Struct


class Linear(Struct, frozen=True):
    """The value is low + stride * code, for `count` codes. `guarded`: a value may turn out not to fit."""

    low: int
    stride: int
    count: int
    guarded: bool = False

    @property
    def bits(self) -> int:
        """How many bits a code takes."""
        return (self.count - 1).bit_length()

    def encode(self, value: int) -> int | None:
        """The code of a value; None if it has none."""
        code, rest = divmod(value - self.low, self.stride)
        return code if rest == 0 and 0 <= code < self.count else None

    def decode(self, code: int) -> int:
        """The value of a code."""
        return self.low + self.stride * code


class OrNull(Struct, frozen=True):
    """Code 0 is the value 0; code c is low + stride * (c - 1): NULL, or one of a row of objects."""

    low: int
    stride: int
    count: int

    @property
    def bits(self) -> int:
        """How many bits a code takes."""
        return self.count.bit_length()

    def encode(self, value: int) -> int | None:
        """The code of a value; None if it has none."""
        code, rest = divmod(value - self.low, self.stride)
        return 0 if value == 0 else code + 1 if rest == 0 and 0 <= code < self.count else None

    def decode(self, code: int) -> int:
        """The value of a code."""
        return 0 if code == 0 else self.low + self.stride * (code - 1)


class Listed(Struct, frozen=True):
    """The value is `values[code]`, in ascending order."""

    values: tuple[int, ...]

    @property
    def bits(self) -> int:
        """How many bits a code takes."""
        return (len(self.values) - 1).bit_length()

    def encode(self, value: int) -> int | None:
        """The code of a value; None if it has none."""
        return self.values.index(value) if value in self.values else None

    def decode(self, code: int) -> int:
        """The value of a code."""
        return self.values[code]


class HeldBit(Struct, frozen=True):
    """The owner of a lock, of which a state says only whether there is one: holding.py knows who it is."""

    @property
    def bits(self) -> int:
        """How many bits a code takes."""
        return 1

    def encode(self, value: int) -> int | None:
        """1 if somebody holds the lock."""
        return int(value != 0)

    def decode(self, code: int) -> int:
        """The code: the owner follows from where the threads stand."""
        return code


Encoding = Linear | OrNull | Listed | HeldBit


def of_set(values: frozenset[int]) -> Encoding:
    """The encoding of a set of values, in as few bits as numbering them takes."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return Linear(ordered[0], 1, 1)
    span = ordered[-1] - ordered[0] + 1
    if (span - 1).bit_length() == (len(ordered) - 1).bit_length():
        return Linear(ordered[0], 1, span)
    stride = _stride(ordered)
    if stride:
        return Linear(ordered[0], stride, len(ordered))
    rest = ordered[1:]
    if ordered[0] == 0 and (stride := _stride(rest)):
        return OrNull(rest[0], stride, len(rest))
    return Listed(tuple(ordered))


def of_range(low: int, high: int) -> Linear:
    """The encoding of a guessed range: every value of it has a code, and a write of any other is noticed."""
    return Linear(low, 1, high - low + 1, guarded=True)


def _stride(ordered: list[int]) -> int:
    """The common difference of the values; 0 if there is none."""
    steps = {b - a for a, b in zip(ordered, ordered[1:], strict=False)}
    return 1 if not steps else steps.pop() if len(steps) == 1 else 0
