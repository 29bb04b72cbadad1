"""From the types a scheme declares to those of the IR, and how types meet: joins, promotions, what may be stored where.

Integers: a variable without a declared type is 64 bits wide; arithmetic is done in 64 bits, unsigned if an operand is
u64, or in the wrapping type of an operand. Narrower types are checked where they are stored.

Leaves out positions and messages: callers know what they were doing.
"""

from __future__ import annotations

from types import FunctionType
from typing import TypeAlias

from msgspec import Struct

from lockverse.ir import types as ir
from lockverse.ir.ops import Imm, Value
from lockverse.lang import structs as lang_structs
from lockverse.lang import types as lang
from lockverse.lang.errors import WrongType


class Unknown(Struct, frozen=True):
    """The type of what cannot be typed yet, or was reported already: fits everything, says nothing."""

    def __str__(self) -> str:
        return "unknown"


class Null(Struct, frozen=True):
    """The type of NULL alone: becomes the pointer type it meets."""

    def __str__(self) -> str:
        return "NULL"


class Literal(Struct, frozen=True):
    """The type of an integer constant: becomes the integer type it meets."""

    def __str__(self) -> str:
        return "integer"


class Void(Struct, frozen=True):
    """The type of a call that returns nothing."""

    def __str__(self) -> str:
        return "nothing"


ValueType: TypeAlias = ir.Int | ir.Bool | ir.Enum | ir.Ptr | Unknown | Null | Literal | Void
UNKNOWN, NULL, LITERAL, VOID = Unknown(), Null(), Literal(), Void()


class Typed(Struct, frozen=True):
    """A value and its type."""

    value: Value
    type: ValueType


class Tuple(Struct, frozen=True):
    """Several values at once: what `return a, b` gives and `x, y = ...` takes."""

    items: tuple[Typed, ...]


class Constant(Struct, frozen=True):
    """Something that exists only while compiling: a function, a type, a module, a string, a range."""

    object: object


Result: TypeAlias = Typed | Tuple | Constant
NOTHING = Typed(Imm(0), UNKNOWN)


def is_integer(kind: ValueType) -> bool:
    """Whether values of the type can be computed with: integers, and bools, which count 0 and 1."""
    return isinstance(kind, ir.Int | ir.Bool | Literal)


def promote(a: ValueType, b: ValueType) -> ir.Int:
    """The type arithmetic on two integers is done in."""
    for kind in (a, b):
        if isinstance(kind, ir.Int) and kind.wraps:
            return kind
    return ir.U64 if ir.U64 in (a, b) else ir.S64


def widened(kind: ValueType) -> ValueType:
    """The type of a variable that is only known to hold values of `kind`."""
    if isinstance(kind, ir.Int) and not kind.wraps:
        return ir.U64 if kind == ir.U64 else ir.S64
    return kind


def join(a: ValueType, b: ValueType) -> ValueType | None:
    """The type of a variable that holds both, or None if there is none."""
    a, b = widened(a), widened(b)
    if a == b or isinstance(b, Unknown):
        return a
    if isinstance(a, Unknown):
        return b
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Null) and may_be_null(other):
            return other
        if isinstance(one, Literal) and isinstance(other, ir.Int):
            return other
    if isinstance(a, ir.Int) and isinstance(b, ir.Int):
        return ir.U64 if ir.U64 in (a, b) or any(one.bits == 64 and not one.signed for one in (a, b)) else ir.S64
    return None


def settled(kind: ValueType) -> ir.Scalar | None:
    """The type a register gets, or None while it is not known."""
    if isinstance(kind, Literal):
        return ir.S64
    return None if isinstance(kind, Unknown | Null | Void) else kind


def fits(value: ValueType, place: ir.Scalar) -> bool:
    """Whether a value of the first type may be stored in a place of the second (integers: their range is checked
    when it happens)."""
    if isinstance(value, Unknown):
        return True
    if isinstance(place, ir.Int):
        return is_integer(value)
    return value == place or (may_be_null(place) and isinstance(value, Null))


def may_be_null(kind: ValueType) -> bool:
    """Whether NULL is a value of that type: a pointer, to an object or to a function."""
    return isinstance(kind, ir.Ptr) or (isinstance(kind, ir.Enum) and kind.functions)


class Functions:
    """The functions that are stored in fields of type `function`, by the field: "percpu_ref.release". A scheme is compiled again
    until it stores none that was not known before."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[FunctionType, ...]] = {}
        self._met: dict[str, dict[FunctionType, None]] = {}

    def type(self, field: str) -> ir.Enum:
        """The type of a field."""
        return ir.Enum(field, ("NULL", *(one.__name__ for one in self.known.get(field, ()))), functions=True)

    def number(self, field: str, function: FunctionType) -> int:
        """What a field holds that points to that function; NULL while it is not known."""
        self._met.setdefault(field, {})[function] = None
        known = self.known.get(field, ())
        return known.index(function) + 1 if function in known else 0

    def grow(self) -> bool:
        """Know what was met; whether that is more than before."""
        found = {field: tuple(dict.fromkeys((*self.known.get(field, ()), *met))) for field, met in self._met.items()}
        grown = found != self.known
        self.known = found
        return grown


class TypeTable:
    """The structs a scheme uses, under names that are unique in the program. Per-cpu data has an element for each of `cpus`."""

    def __init__(self) -> None:
        self.cpus = 1
        self.functions = Functions()
        self.structs: dict[str, ir.Struct] = {}
        self.classes: dict[str, type] = {}
        self._names: dict[type, str] = {}

    def convert(self, kind: object) -> ir.Type:
        """The IR's type for a declared one. Raises WrongType or NameError for what is none."""
        if isinstance(kind, lang.IntegerType):
            return ir.Int(kind.bits, kind.signed, kind.wraps)
        if isinstance(kind, lang.PointerType):
            return ir.Ptr(self._target(kind.target))
        if isinstance(kind, lang.ArrayType):
            return ir.Array(self.convert(kind.element), kind.length)
        if isinstance(kind, lang.PerCpuType):
            return ir.Array(self.convert(kind.element), self.cpus, per_cpu=True)
        if kind in (bool, int):
            return ir.Bool() if kind is bool else ir.Int(32, signed=True)
        if lang.is_enum(kind):
            return ir.Enum(kind.__name__, tuple(kind.__members__))  # type: ignore[attr-defined]
        return ir.StructRef(self.struct(kind))

    def _target(self, kind: object) -> ir.StructRef | ir.Array:
        found = self.convert(kind)
        if not isinstance(found, ir.StructRef | ir.Array):
            raise WrongType(f"ptr[...] points to a struct or an array, not to a {found}")
        return found

    def struct(self, cls: object) -> str:
        """The name of a struct class, entered in `structs` with its layout. Raises WrongType if it is none."""
        declared = lang_structs.declaration(cls)
        if declared is None or not isinstance(cls, type):
            raise WrongType(f"{lang.type_name(cls)} is not a type of the language")
        if cls not in self._names:
            name = cls.__name__
            while name in self.classes:
                name += "_"
            self._names[cls], self.classes[name] = name, cls
            self._lay_out(name, declared)
        return self._names[cls]

    def _lay_out(self, name: str, declared: lang_structs.StructDeclaration) -> None:
        fields, offset = [], 0
        for field, kind in declared.fields.items():
            pointer = isinstance(kind, lang.FunctionPointer)
            converted = self.functions.type(f"{name}.{field}") if pointer else self.convert(kind)
            fields.append(ir.Field(field, converted, offset))
            offset += self.size(converted)
        self.structs[name] = ir.Struct(name, tuple(fields), max(offset, 1), declared.kind)

    def size(self, kind: ir.Type) -> int:
        """How many cells an object of the type fills. An empty struct fills one, so that its address is its own."""
        if isinstance(kind, ir.StructRef):
            if kind.name not in self.structs:
                raise WrongType(f"struct {kind.name} contains itself; use ptr[{kind.name}]")
            return self.structs[kind.name].size
        return kind.length * self.size(kind.element) if isinstance(kind, ir.Array) else 1

    def object_type(self, value: object) -> ir.StructRef | ir.Array:
        """The type of an object of the scene."""
        if isinstance(value, lang_structs.Array):
            found = self.convert(value.type)
            assert isinstance(found, ir.Array)
            return found
        return ir.StructRef(self.struct(type(value)))
