"""From the scene's Python objects to cells: who lives where, under what name, with what first value.

An object gets its cells when it is first asked for, together with everything embedded in it and, at the end, all it
points to. Names come from the scheme function's own variables, then from the path that leads to the object.

Leaves out objects nothing refers to: a scheme pays for what it uses.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from types import FunctionType

from msgspec.structs import replace

from lockverse.ir import types as ir
from lockverse.ir.program import Cell, Object, Pool
from lockverse.lang.null import Null
from lockverse.lang.scene import PoolDeclaration
from lockverse.lang.structs import Array, is_object

from .types import TypeTable


class Memory:
    """The cells of a scene. Cell 0 is NULL's."""

    def __init__(self, types: TypeTable) -> None:
        self.types = types
        self.cells: list[Cell] = [Cell("NULL", ir.Bool(), 0)]
        self.objects: list[Object] = []
        self.locks: list[int] = []
        self.heads: list[int] = []  # the rcu_heads
        self.constants: set[int] = set()  # cells of pooled objects that stay what they are when the object is freed
        self.permanent = 0
        self.problems: list[str] = []  # what cannot be laid out as the scene has it
        self._addresses: dict[int, int] = {}
        self._kept: list[object] = []  # an object's id() is its key: it must not be collected meanwhile
        self._values: dict[int, object] = {}
        self._names: dict[int, str] = {}

    def name_all(self, names: Mapping[str, object]) -> None:
        """Name objects after the variables they are in; lists, tuples and dicts name what is in them."""
        for name, value in names.items():
            self._name(name, value)

    def _name(self, name: str, value: object) -> None:
        if is_object(value):
            self._kept.append(value)
            self._names.setdefault(id(value), name)
        elif isinstance(value, list | tuple):
            self.name_all({f"{name}[{i}]": one for i, one in enumerate(value)})
        elif isinstance(value, dict):
            self.name_all({f"{name}[{key!r}]": one for key, one in value.items()})

    def address(self, value: object, name: str = "") -> int:
        """The address of an object, laid out if this is the first time."""
        if id(value) not in self._addresses:
            kind = self.types.object_type(value)
            name = self._names.get(id(value), name) or self._number(_type_word(kind))
            self.objects.append(Object(name, kind, len(self.cells)))
            self._lay_out(name, kind, value)
        return self._addresses[id(value)]

    def _number(self, word: str) -> str:
        """A name for an object that has none."""
        number, taken = len(self.objects), {one.name for one in self.objects}
        while f"{word}#{number}" in taken:
            number += 1
        return f"{word}#{number}"

    def pool(self, declared: PoolDeclaration) -> Pool:
        """Lay out a pool: the cells that say what is allocated, and its objects side by side."""
        kind = self.types.object_type(declared.objects[0])
        assert isinstance(kind, ir.StructRef)
        if not self.permanent:
            self.permanent = self._switch("all that is in no pool", 1)
        names = [self._names.get(id(one), f"{declared.name}#{number}") for number, one in enumerate(declared.objects)]
        allocated = len(self.cells)
        for number, name in enumerate(names):
            self._switch(f"{name} is allocated", int(number < declared.taken))
        first = len(self.cells)
        for name, one in zip(names, declared.objects, strict=True):
            self.objects.append(Object(name, kind, len(self.cells)))
            self._lay_out(name, kind, one)
        return Pool(declared.name, kind, first, self.types.size(kind), len(names), allocated)

    def _switch(self, name: str, initial: int) -> int:
        self.cells.append(Cell(name, ir.Bool(), initial))
        return len(self.cells) - 1

    def _lay_out(self, name: str, kind: ir.Type, value: object) -> None:
        if isinstance(kind, ir.StructRef):
            self._lay_out_struct(name, self.types.structs[kind.name], value)
        elif isinstance(kind, ir.Array):
            assert isinstance(value, Array)
            self._enter(value)
            for index in range(kind.length):
                named = getattr(value.type, "names", ())
                self._lay_out(f"{name}[{named[index] if named else index}]", kind.element, value[index])
            if len(value.elements) > kind.length:
                self.problems.append(f"{name} has a value for CPU {len(value.elements) - 1}, and the last CPU is {kind.length - 1}")
        else:
            self._values[len(self.cells)] = value
            self.cells.append(Cell(name, kind, 0))

    def _lay_out_struct(self, name: str, struct: ir.Struct, value: object) -> None:
        if struct.kind == "lock":
            self.locks.append(len(self.cells))
        elif struct.kind == "rcu_head":
            self.heads.append(len(self.cells))
            self.constants.add(len(self.cells))
        self._enter(value)
        for field in struct.fields:
            # An atomic's only field is the vocabulary's own: readers know the atomic itself.
            inner = name if struct.kind == "atomic" else f"{name}.{field.name}"
            self._lay_out(inner, field.type, getattr(value, field.name))
        if not struct.fields:
            self.cells.append(Cell(name, ir.Bool(), 0))

    def _enter(self, value: object) -> None:
        self._kept.append(value)
        self._addresses[id(value)] = len(self.cells)

    def tasks(self, tasks: Iterable[object]) -> int:
        """Lay out the task_structs side by side and give the address of the first."""
        addresses = [self.address(task, f"task{number}") for number, task in enumerate(tasks)]
        return addresses[0]

    def finish(self) -> None:
        """Give all cells their first values, laying out what pointers lead to until nothing new is found."""
        done = 1
        while done < len(self.cells):
            cell = self.cells[done]
            if done in self._values:
                first = self._scalar(self._values[done], cell)
                self.cells[done] = Cell(cell.name, cell.type, first)
            done += 1

    def set(self, address: int, value: int) -> None:
        """Give a cell its first value."""
        self.cells[address] = replace(self.cells[address], initial=value)

    def _scalar(self, value: object, cell: Cell) -> int:
        if is_object(value):
            return self.address(value, cell.name)
        if isinstance(value, FunctionType) and isinstance(cell.type, ir.Enum):
            return self.types.functions.number(cell.type.name, value)
        if isinstance(value, enum.Enum):
            return list(type(value).__members__).index(value.name)
        if callable(value) and not isinstance(value, Null):
            self.problems.append(f"{cell.name} is a `{type(value).__name__}`, and not a function of the scheme's")
        return int(value) if isinstance(value, int) else 0


def _type_word(kind: ir.StructRef | ir.Array) -> str:
    return kind.name if isinstance(kind, ir.StructRef) else "array"
