"""The types of the intermediate representation.

Memory is a flat sequence of cells; a scalar fills one cell, a struct or an array the cells of its parts in order. A
pointer is the index of its object's first cell, and 0 is NULL. Integers have the kernel's widths; one that `wraps` is
reduced to its width, any other leaving its range is a fault.

Leaves out: bytes. A cell has no size in bytes and no alignment, so nothing here says anything about torn accesses.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Int(msgspec.Struct, frozen=True):
    """An integer of `bits` bits: 8, 16, 32 or 64."""

    bits: int
    signed: bool
    wraps: bool = False

    @property
    def low(self) -> int:
        """The least value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest value."""
        return (1 << (self.bits - self.signed)) - 1

    def holds(self, value: int) -> bool:
        """Whether `value` is in range."""
        return self.low <= value <= self.high

    def reduce(self, value: int) -> int:
        """`value` modulo two to the `bits`, in range: what two's complement hardware keeps."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if self.signed and value > self.high else value

    def __str__(self) -> str:
        name = f"{'s' if self.signed else 'u'}{self.bits}"
        return f"wrapping[{name}]" if self.wraps else name


class Bool(msgspec.Struct, frozen=True):
    """False (0) or True (1)."""

    def __str__(self) -> str:
        return "bool"


class Enum(msgspec.Struct, frozen=True):
    """One of `members`; a value is the position of its member. `functions`: they are the functions that a field of that name
    may point to, after NULL."""

    name: str
    members: tuple[str, ...]
    functions: bool = False

    def __str__(self) -> str:
        return "function" if self.functions else f"enum {self.name}"


class StructRef(msgspec.Struct, frozen=True):
    """The struct of that name in the program's table; as the type of a field, the struct embedded there."""

    name: str

    def __str__(self) -> str:
        return self.name


class Array(msgspec.Struct, frozen=True):
    """`length` elements side by side; of per-cpu data, one a CPU."""

    element: Type
    length: int
    per_cpu: bool = False

    def __str__(self) -> str:
        return f"{'percpu' if self.per_cpu else 'array'}[{self.element}, {self.length}]"


class Ptr(msgspec.Struct, frozen=True):
    """The address of a struct or an array, or NULL."""

    target: StructRef | Array

    def __str__(self) -> str:
        return f"ptr[{self.target}]"


Scalar: TypeAlias = Int | Bool | Enum | Ptr
Type: TypeAlias = Int | Bool | Enum | Ptr | StructRef | Array

S64 = Int(64, signed=True)
U64 = Int(64, signed=False)


class Field(msgspec.Struct, frozen=True):
    """A field and its offset in cells from the start of its struct."""

    name: str
    type: Type
    offset: int


class Struct(msgspec.Struct, frozen=True):
    """A struct: its fields in order, its size in cells, and `kind`, which says what it is to an observer.

    `kind` is "" for a struct of the scheme, "lock" for a lock whose first field is the task that holds it, "task" for
    the record each CPU keeps of itself, and "atomic" for the atomic_t family.
    """

    name: str
    fields: tuple[Field, ...]
    size: int
    kind: str = ""

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)
