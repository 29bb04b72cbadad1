"""Structs and arrays: the objects of shared memory.

`@struct` turns a class with annotations into one whose instances have just those fields, of those types. Scalars are
values; a field whose type is a struct, a lock, an atomic or an array is an object embedded there, made with its
owner and never replaced.

As ordinary Python they are ordinary objects, compared by identity as pointers are. Leaves out unions, bit-fields and
flexible arrays.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar, overload

from msgspec import Struct

from .errors import CheckFailed, NoSuchField, NullDereference, OutOfBounds, WrongType
from .null import NULL
from .step import intrinsic
from .types import ArrayType, IntegerType, PerCpuType, PointerType, convert, is_scalar, type_name, zero

T = TypeVar("T", bound=type)


class StructDeclaration(Struct):
    """What `@struct` was told: the class and its `kind` ("", "lock", "task" or "atomic"; see `ir.types.Struct`).

    `opaque` structs are the vocabulary's own: a scheme uses them through functions, not through their fields.
    """

    cls: type
    kind: str
    opaque: bool
    written: dict[str, object]  # the annotations as they were when the class was made
    names: dict[str, Any]  # of its module as it was loaded then: it may be loaded again under the same name
    annotations: dict[str, object] | None = None

    @property
    def fields(self) -> dict[str, object]:
        """The types of the fields by name, in order. Names in strings are looked up when first asked for, so that
        structs can point to each other. Raises NameError or WrongType for what is not a type."""
        if self.annotations is None:
            self.annotations = self._resolve()
        return self.annotations

    def _resolve(self) -> dict[str, object]:
        return {name: _field_type(self.cls, name, kind, self.names) for name, kind in self.written.items()}


def _field_type(owner: type, name: str, kind: object, names: dict[str, Any]) -> object:
    kind = resolve_type(kind, names)
    if is_scalar(kind) or isinstance(kind, ArrayType | PerCpuType) or declaration(kind) is not None:
        return kind
    raise WrongType(
        f"field `{name}` of struct {owner.__name__} has the type {type_name(kind)}, which is none of s8..u64, bool, "
        "an Enum, ptr[...], function, array[...], percpu[...], a @struct, a lock or an atomic"
    )


def resolve_type(kind: object, names: dict[str, Any]) -> object:
    """`kind` with the names in strings replaced by what they name in `names`. Raises NameError."""
    if isinstance(kind, str):
        return resolve_type(eval(kind, names), names)  # noqa: S307 - an annotation of the user's own file
    if isinstance(kind, PointerType):
        return PointerType(resolve_type(kind.target, names))
    if isinstance(kind, ArrayType):
        return ArrayType(resolve_type(kind.element, names), kind.length, kind.names)
    if isinstance(kind, PerCpuType):
        return PerCpuType(resolve_type(kind.element, names))
    return kind


def declaration(kind: object) -> StructDeclaration | None:
    """The declaration of a struct class, or None if `kind` is something else."""
    return kind.__dict__.get("__lockverse_struct__") if isinstance(kind, type) else None


@overload
def struct(cls: T) -> T: ...
@overload
def struct(*, kind: str = "", opaque: bool = False) -> Callable[[T], T]: ...
def struct(cls: Any = None, *, kind: str = "", opaque: bool = False) -> Any:
    """Declare a struct: its annotations are its fields. Use it without arguments; `kind` and `opaque` are for the
    vocabulary itself."""

    def decorate(cls: type) -> type:
        written = inspect.get_annotations(cls)
        made = type(cls.__name__, (_Struct, *cls.__bases__), _body(cls, written))
        made.__qualname__ = cls.__qualname__
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        setattr(made, "__lockverse_struct__", StructDeclaration(made, kind, opaque, written, names))  # noqa: B010
        return made

    return decorate if cls is None else decorate(cls)


def _body(cls: type, written: dict[str, object]) -> dict[str, Any]:
    names = tuple(written)
    defaults = {name: value for name, value in vars(cls).items() if name in names}
    # Python 3.14 keeps annotations behind these names; they belong to the class they were made for.
    dropped = ("__dict__", "__weakref__", "__annotate__", "__annotate_func__", "__annotations_cache__", *names)
    kept = {name: value for name, value in vars(cls).items() if name not in dropped}
    return {**kept, "__annotations__": written, "__slots__": names, "__lockverse_defaults__": defaults}


class _Struct:
    """The base of all structs: construction, checked assignment, a readable repr."""

    __slots__ = ("__lockverse_owner__", "__weakref__")
    __lockverse_struct__: StructDeclaration
    __lockverse_defaults__: dict[str, object]

    def __init__(self, *values: object, **named: object) -> None:
        fields = type(self).__lockverse_struct__.fields
        named = {**self.__lockverse_defaults__, **_by_name(type(self).__name__, fields, values, named)}
        for name, kind in fields.items():
            value = initial(kind, named.get(name), f"{type(self).__name__}.{name}")
            object.__setattr__(self, name, value)
            if not is_scalar(kind):
                object.__setattr__(value, "__lockverse_owner__", self)  # what container_of() finds

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__lockverse_struct__.fields.get(name)
        what = f"{type(self).__name__}.{name}"
        if kind is None:
            raise NoSuchField(f"struct {type(self).__name__} has no field `{name}`")
        if not is_scalar(kind):
            raise WrongType(f"{what} is an object embedded in its struct: it cannot be replaced")
        object.__setattr__(self, name, convert(kind, value, what))

    def __repr__(self) -> str:
        shown = (f"{name}={_brief(getattr(self, name))}" for name in type(self).__lockverse_struct__.fields)
        return f"{type(self).__name__}({', '.join(shown)})"


def _brief(value: object) -> str:
    # Structs point to each other in circles: what is pointed at is named by its type alone.
    return f"<{type(value).__name__}>" if isinstance(value, _Struct) else repr(value)


def _by_name(struct: str, fields: dict[str, object], values: tuple[object, ...], named: dict[str, object]) -> Any:
    if len(values) > len(fields):
        raise WrongType(f"struct {struct} has {len(fields)} fields, {len(values)} values were given")
    given = dict(zip(fields, values, strict=False))
    for name in named:
        if name not in fields:
            raise NoSuchField(f"struct {struct} has no field `{name}`; it has {', '.join(fields) or 'none'}")
        if name in given:
            raise WrongType(f"field `{name}` of struct {struct} is given twice")
    return {**given, **named}


def initial(kind: object, value: object, what: str) -> object:
    """What a field of type `kind` starts as when its owner was made with `value` for it (None: not given)."""
    if is_scalar(kind):
        return zero(kind) if value is None else convert(kind, value, what)
    if isinstance(kind, ArrayType | PerCpuType) and isinstance(value, Array) and value.type == kind:
        return value
    if isinstance(kind, ArrayType):
        return make_array(kind, value or (), what)
    if isinstance(kind, PerCpuType):
        return kind(value)
    if value is None:
        return kind()  # type: ignore[operator]
    if isinstance(value, kind):  # type: ignore[arg-type]
        return value
    # An atomic_t or another struct of one scalar may be given by that scalar: page(mapcount=0).
    if isinstance(value, int) and len(declaration(kind).fields) == 1:  # type: ignore[union-attr]
        return kind(value)  # type: ignore[operator]
    raise WrongType(f"{what} is a {type_name(kind)}: {value!r} cannot be stored in it")


# Lifetimes under plain Python


def zeroed(cls: type) -> Any:
    """An object of a struct with all scalars zero, whatever its fields start as otherwise."""
    made = cls()
    _zero(made)
    return made


def _zero(one: object) -> None:
    if isinstance(one, Array):
        for index in range(len(one.elements)) if is_scalar(one.type.element) else ():
            one[index] = zero(one.type.element)
    else:
        for name, kind in declaration(type(one)).fields.items():  # type: ignore[union-attr]
            if is_scalar(kind):
                setattr(one, name, zero(kind))
    for part in _embedded(one):
        _zero(part)


def _embedded(one: object) -> list[object]:
    """The objects embedded in another."""
    if isinstance(one, Array):
        return [] if is_scalar(one.type.element) else one.elements
    fields = declaration(type(one)).fields  # type: ignore[union-attr]
    return [getattr(one, name) for name, kind in fields.items() if not is_scalar(kind)]


def make_free(one: Any) -> None:
    """From here on every access to the object, and to the structs embedded in it, is a use after free."""
    for part in _embedded(one):
        make_free(part)
    if not isinstance(one, Array):
        object.__setattr__(one, "__class__", _freed(type(one)))  # type: ignore[arg-type]


def is_free(one: object) -> bool:
    """Whether an object was freed."""
    return "__lockverse_free__" in type(one).__dict__


@cache
def _freed(cls: type) -> type:
    """The class of the objects of a struct that are free."""

    def get(self: object, name: str) -> object:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise CheckFailed("use-after-free", f"use after free: field `{name}` of a {cls.__name__} is read, and that is free")

    def put(self: object, name: str, value: object) -> None:
        raise CheckFailed("use-after-free", f"use after free: field `{name}` of a {cls.__name__} is written, and that is free")

    body = {"__slots__": (), "__lockverse_struct__": declaration(cls), "__lockverse_free__": True}
    return type(cls.__name__, (cls,), {**body, "__getattribute__": get, "__setattr__": put, "__repr__": lambda _: f"{cls.__name__}(free)"})


class Array:
    """A fixed array: `a[i]`, `a[i] = v`, `len(a)`, iteration. An index is not negative: it is C's, not Python's."""

    __slots__ = ("__lockverse_owner__", "__weakref__", "_values", "type")

    def __init__(self, kind: ArrayType | PerCpuType, values: list[object]) -> None:
        self.type = kind
        self._values = values

    @property
    def elements(self) -> list[object]:
        """Those there are so far: of a fixed array all, of per-cpu data those of CPUs that were named."""
        return self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[object]:
        return iter(self._values)

    def __getitem__(self, index: int) -> Any:
        return self._values[self._checked(index)]

    def __setitem__(self, index: int, value: object) -> None:
        if not is_scalar(self.type.element):
            raise WrongType(f"an element of {self.type!r} is an object embedded there: it cannot be replaced")
        self._values[self._checked(index)] = convert(self.type.element, value, f"[{index}] of {self.type!r}")

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self._values):
            raise OutOfBounds(f"index {index} is outside 0..{len(self._values) - 1}")
        return int(index)

    def __repr__(self) -> str:
        return repr(self._values)


def make_array(kind: ArrayType, values: object, what: str = "") -> Array:
    """An array whose first elements are `values` and whose other elements are zero."""
    given = list(values)  # type: ignore[call-overload]
    if len(given) > kind.length:
        raise WrongType(f"{what or kind!r} has {kind.length} elements, {len(given)} values were given")
    given += [None] * (kind.length - len(given))
    return Array(kind, [initial(kind.element, value, f"{what}[{i}]") for i, value in enumerate(given)])


@intrinsic
def container_of(part: Any, kind: Any, member: str) -> Any:
    """The object of struct `kind` that has `part` embedded as that member: `container_of(k, session, "ref")`, or "stats.ref"."""
    if part is None or part is NULL:
        raise NullDereference(f"NULL dereference: container_of() of NULL, as {member} of a {type_name(kind)}")
    found = part
    for name in reversed(member.split(".")):
        owner = getattr(found, "__lockverse_owner__", None)
        if owner is None or getattr(owner, name, None) is not found:
            raise OutOfBounds(f"container_of(): {part!r} is not {member} of a {type_name(kind)}")
        found = owner
    if type(found) is not kind:
        raise OutOfBounds(f"container_of(): {part!r} is not {member} of a {type_name(kind)}")
    return found


def is_object(value: object) -> bool:
    """Whether that is an object of shared memory: a struct, a lock, an atomic or an array."""
    return isinstance(value, _Struct | Array)


__all__ = ["Array", "IntegerType", "StructDeclaration", "container_of", "declaration", "is_object", "make_array", "resolve_type", "struct"]
