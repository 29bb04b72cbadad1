"""The types a scheme declares its fields, arrays and variables with: s8 to u64, wrapping[...], ptr[...], array[...],
percpu[...].

Widths are the kernel's. A value that does not fit raises Overflow, as it is a fault in a search, unless the type is
`wrapping[...]`: its values are reduced to the width, and so is all arithmetic with them.

Leaves out bit-fields, floating point and unions.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import Any

from msgspec import Struct

from .errors import Overflow, WrongType
from .null import NULL


class IntegerType(Struct, frozen=True):
    """An integer of `bits` bits. Calling it converts: `u8(x)` is x if it fits, and raises Overflow if not."""

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

    def __call__(self, value: int = 0) -> int:
        number = int(value)
        if self.wraps:
            return wrapped(self)(number)
        if not self.low <= number <= self.high:
            raise Overflow(f"{number} does not fit {self} ({self.low}..{self.high})")
        return number

    def __repr__(self) -> str:
        name = f"{'s' if self.signed else 'u'}{self.bits}"
        return f"wrapping[{name}]" if self.wraps else name


s8, s16, s32, s64 = (IntegerType(bits, signed=True) for bits in (8, 16, 32, 64))
u8, u16, u32, u64 = (IntegerType(bits, signed=False) for bits in (8, 16, 32, 64))


class _Wrapping:
    """`wrapping[u8]` is u8 that wraps."""

    def __getitem__(self, item: IntegerType) -> IntegerType:
        if not isinstance(item, IntegerType):
            raise WrongType(f"wrapping[...] takes an integer type such as u8, not {item!r}")
        return IntegerType(item.bits, item.signed, wraps=True)


wrapping = _Wrapping()


class WrappedInt(int):
    """A value of a wrapping type: arithmetic with it stays in its width. Subclasses are made by `wrapped`."""

    type: IntegerType


def _arithmetic(name: str) -> Any:
    plain = getattr(int, name)

    def operation(self: WrappedInt, *others: int) -> Any:
        result = plain(self, *others)
        return result if result is NotImplemented else type(self)(result)

    return operation


_OPERATORS = ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "lshift", "rshift")
_DUNDERS = [f"__{side}{name}__" for name in _OPERATORS for side in ("", "r")] + ["__neg__", "__invert__"]


@cache
def wrapped(kind: IntegerType) -> type[WrappedInt]:
    """The class of the values of a wrapping type."""

    def new(cls: type[WrappedInt], value: int = 0) -> WrappedInt:
        number = int(value) & ((1 << kind.bits) - 1)
        if kind.signed and number > kind.high:
            number -= 1 << kind.bits
        return int.__new__(cls, number)

    body: dict[str, Any] = {name: _arithmetic(name) for name in _DUNDERS}
    return type(repr(kind), (WrappedInt,), {**body, "__new__": new, "__slots__": (), "type": kind})


class PointerType(Struct, frozen=True):
    """`ptr[page]`: NULL or a `page`. The target may be a string for a struct that is declared later."""

    target: object

    def __repr__(self) -> str:
        return f"ptr[{type_name(self.target)}]"


class _Pointer:
    def __getitem__(self, target: object) -> PointerType:
        return PointerType(target)


ptr = _Pointer()


class FunctionPointer(Struct, frozen=True):
    """The type `function`: a field of it holds NULL or a function, which `x.release(x)` calls."""

    def __repr__(self) -> str:
        return "function"


function = FunctionPointer()


class ArrayType(Struct, frozen=True):
    """`array[s32, 4]`: four of them side by side. Calling it makes one: `array[s32, 4]()`, `array[s32, 4]([1, 2])`.
    `array[s32, "first", "second"]` has two, and readers see their names."""

    element: object
    length: int
    names: tuple[str, ...] = ()

    def __call__(self, values: object = ()) -> Any:
        from .structs import make_array  # a struct's fields may be arrays, and an array's elements structs

        return make_array(self, values)

    def __repr__(self) -> str:
        return f"array[{type_name(self.element)}, {self.length}]"


class _Array:
    def __getitem__(self, item: tuple[object, ...]) -> ArrayType:
        if isinstance(item, tuple) and len(item) > 1 and all(isinstance(name, str) for name in item[1:]):
            return ArrayType(item[0], len(item) - 1, item[1:])  # type: ignore[arg-type]
        if not isinstance(item, tuple) or len(item) != 2:
            raise WrongType("write array[TYPE, LENGTH], such as array[s32, 4]")
        element, length = item
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise WrongType(f"the length of an array is a constant of at least 1, not {length!r}")
        return ArrayType(element, length)


array = _Array()


class PerCpuType(Struct, frozen=True):
    """`percpu[s64]`: one for each CPU. Calling it makes them: `percpu[s64]()` all zero, `percpu[s64](5)` all 5, `percpu[s64]([1, 2])`."""

    element: object

    def __call__(self, values: object = None) -> Any:
        from .percpu_data import make_percpu  # as of arrays

        return make_percpu(self, values)

    def __repr__(self) -> str:
        return f"percpu[{type_name(self.element)}]"


class _PerCpu:
    def __getitem__(self, element: object) -> PerCpuType:
        return PerCpuType(element)


percpu = _PerCpu()


def type_name(kind: object) -> str:
    """A type as a scheme writes it."""
    if isinstance(kind, str):
        return kind
    return kind.__name__ if isinstance(kind, type) else repr(kind)


def is_scalar(kind: object) -> bool:
    """Whether a field of that type holds a value, rather than being an object of its own."""
    return isinstance(kind, IntegerType | PointerType | FunctionPointer) or kind in (bool, int) or is_enum(kind)


def is_enum(kind: object) -> bool:
    """Whether that is an enum class."""
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def zero(kind: object) -> object:
    """What a field of that scalar type holds when nothing is said: 0, False, NULL, the first member of an enum."""
    if isinstance(kind, PointerType | FunctionPointer):
        return NULL
    if is_enum(kind):
        return next(iter(kind))  # type: ignore[call-overload]
    return False if kind is bool else convert(kind, 0, "")


def convert(kind: object, value: object, what: str) -> object:
    """`value` as the scalar type `kind` stores it.

    Raises Overflow or WrongType, naming `what` is stored to.
    """
    if isinstance(kind, IntegerType) or kind is int:
        return _convert_integer(s32 if kind is int else kind, value, what)  # type: ignore[arg-type]
    if isinstance(kind, PointerType):
        return _convert_pointer(kind, value, what)
    if isinstance(kind, FunctionPointer):
        return _convert_function(value, what)
    if isinstance(value, kind):  # type: ignore[arg-type]
        return value
    raise WrongType(f"{what} is a {type_name(kind)}: {value!r} cannot be stored in it")


def _convert_integer(kind: IntegerType, value: object, what: str) -> int:
    if not isinstance(value, int):
        raise WrongType(f"{what} is a {kind}: {value!r} cannot be stored in it")
    if not kind.wraps and not kind.low <= value <= kind.high:
        raise Overflow(f"{value} does not fit {what} ({kind}: {kind.low}..{kind.high})")
    return wrapped(kind)(value) if kind.wraps else int(value)


def _convert_pointer(kind: PointerType, value: object, what: str) -> object:
    if value is None or value is NULL:
        return NULL
    if points_to(value, kind.target):
        return value
    raise WrongType(f"{what} is a {kind}: {value!r} cannot be stored in it")


def _convert_function(value: object, what: str) -> object:
    if value is None or value is NULL:
        return NULL
    if callable(value):
        return value
    raise WrongType(f"{what} is a function: {value!r} cannot be stored in it")


def points_to(value: object, target: object) -> bool:
    """Whether `value` is an object that `ptr[target]` may point to."""
    if isinstance(target, ArrayType | PerCpuType):
        return getattr(value, "type", None) == target
    if isinstance(target, str):
        return type(value).__name__ == target
    return isinstance(target, type) and isinstance(value, target)
