"""Per-cpu data: this_cpu_add() and its like, per_cpu(), loops over the CPUs.

Per-cpu data is an array with an element a CPU. In the place a macro takes, it stands for the element of the CPU that runs
this: `this_cpu_inc(x.stats.faults)` is about a field of x.stats[smp_processor_id()]. Leaves out how many CPUs there are, which the
scene says.
"""

from __future__ import annotations

import ast
from typing import Final, TypeAlias

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang.step import PlaceInfo

from . import expressions, intrinsics
from .lowering import Lowering, describe
from .types import LITERAL, NOTHING, VOID, Constant, Result, Typed, Unknown

_OPERATORS: Final[dict[str, ast.operator]] = {
    "add": ast.Add(), "sub": ast.Sub(), "inc": ast.Add(), "dec": ast.Sub(), "and": ast.BitAnd(), "or": ast.BitOr(),
}  # fmt: skip
_Spot: TypeAlias = tuple[ops.Value, ir.Type]  # an address, and the type of what is there
COUNTING: Final = ("inc", "dec", "inc_return", "dec_return")  # by 1
COMPUTING: Final = ("add", "sub", "and", "or", "add_return", "sub_return")


def _data_of(kind: object) -> ir.Array | None:
    """What a pointer of that type points to, if it is per-cpu data."""
    target = kind.target if isinstance(kind, ir.Ptr) else None
    return target if isinstance(target, ir.Array) and target.per_cpu else None


class _Path:
    """Finding a place with per-cpu data on the way to it. `met`: some was."""

    def __init__(self, f: Lowering) -> None:
        self.f, self.met = f, False

    def place(self, node: ast.expr) -> _Spot | None:
        """The address and type of what `node` names, on this CPU; None if it is none, which is reported."""
        found = self._find(node)
        if isinstance(found, tuple):
            if self.met or _data_of(found[1]) is None:
                return found
            found = self.f.plain_load(*found, node)  # type: ignore[arg-type]  # a pointer to per-cpu data stands for that, `*p` in C
        data = _data_of(found.type) if isinstance(found, Typed) else None
        if data is not None and isinstance(found, Typed):
            return self._own(found.value, data, node)
        if found is not None and not (isinstance(found, Typed) and isinstance(found.type, Unknown)):
            self.f.error("K308", node, "this is not a place in per-cpu data", describe(found))
        return None

    def pointer(self, node: ast.expr) -> Result:
        """What `node` names, as an argument: structs and arrays by their address."""
        return self._base(node)

    def _find(self, node: ast.expr) -> _Spot | Result | None:
        """A place, if `node` is a field or an element; else its value."""
        if not isinstance(node, ast.Attribute | ast.Subscript):
            return expressions.lower(self.f, node)
        base = self._base(node.value)
        if isinstance(base, Constant):
            return expressions.lower(self.f, node)
        found = expressions.field_of(self.f, base, node) if isinstance(node, ast.Attribute) else expressions.element_of(self.f, base, node)
        return None if found is None else self._own(*found, node)

    def _base(self, node: ast.expr) -> Result:
        """What `node` is as the base of a place."""
        found = self._find(node)
        if found is None:
            return NOTHING
        value = expressions.from_place(self.f, *found, node) if isinstance(found, tuple) else found
        data = _data_of(value.type) if isinstance(value, Typed) else None
        if data is None or not isinstance(value, Typed):
            return value
        return expressions.from_place(self.f, *self._own(value.value, data, node), node)

    def _own(self, address: ops.Value, kind: ir.Type, node: ast.expr) -> _Spot:
        """Of per-cpu data the element of this CPU; all else is what it is."""
        if not isinstance(kind, ir.Array) or not kind.per_cpu:
            return address, kind
        self.met = True
        return expressions.element(self.f, address, kind, intrinsics.processor(self.f, node), node), kind.element


def place(f: Lowering, info: PlaceInfo, node: ast.expr) -> _Spot | None:
    """The place a macro takes, on the CPU that runs it; None if it is none, or was reported."""
    path = _Path(f)
    found = path.place(node)
    if found is not None and not path.met:
        f.error("K308", node, f"{info.name} takes a place in per-cpu data", "nothing here is per-cpu data",
                help="declare the field as `percpu[...]`")  # fmt: skip
        return None
    return found


def argument(f: Lowering, node: ast.expr) -> Result:
    """The first argument of a function marked as `own_cpu`: per-cpu data in it is that of the CPU that runs this."""
    return _Path(f).pointer(node)


def compute(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    """this_cpu_add and its like: one step, or a plain load and a plain store."""
    if not isinstance(kind, ir.Int):
        return f.error("K308", node.args[0], f"{info.name} takes an integer", f"this is a {kind}")
    by = Typed(ops.Imm(1), LITERAL) if info.kind in COUNTING else expressions.typed(f, node.args[1])
    old = f.plain_load(address, kind, node, info.name, info.order)
    new = expressions.arithmetic(f, _OPERATORS[info.kind.removesuffix("_return")], old, by, node)
    if isinstance(new.type, Unknown):
        return NOTHING
    value = f.coerce(new, kind, node, f"`{f.text(node.args[0])}`")
    if info.order == "plain":
        f.step(info.name, info.order, address, node)
    f.store(address, value, kind, node)
    return Typed(value, kind) if info.kind.endswith("_return") else Typed(ops.Imm(0), VOID)


# Functions


def _data(f: Lowering, node: ast.Call, usage: str, count: int) -> tuple[ops.Value, ir.Array] | None:
    """The per-cpu data that is the first argument."""
    if not intrinsics.arguments(f, node, count, count, usage):
        return None
    value = expressions.lower(f, node.args[0])
    data = _data_of(value.type) if isinstance(value, Typed) else None
    if data is not None and isinstance(value, Typed):
        return value.value, data
    if not (isinstance(value, Typed) and isinstance(value.type, Unknown)):
        f.error("K301", node.args[0], f"{f.text(node.func)}() takes per-cpu data", describe(value), help="declare the field as `percpu[...]`")
    return None


def per_cpu(f: Lowering, node: ast.Call) -> Result:
    """per_cpu(x.count, cpu), per_cpu_ptr(x.stats, cpu)."""
    found = _data(f, node, f"{f.text(node.func)}(x.field, cpu)", 2)
    if found is None:
        return NOTHING
    index = f.coerce(expressions.typed(f, node.args[1]), ir.S64, node.args[1], "the number of a CPU")
    return _at(f, *found, index, node, pointer=f.text(node.func).endswith("per_cpu_ptr"))


def this_cpu_ptr(f: Lowering, node: ast.Call) -> Result:
    """this_cpu_ptr(x.stats)."""
    found = _data(f, node, f"{f.text(node.func)}(x.field)", 1)
    return NOTHING if found is None else _at(f, *found, intrinsics.processor(f, node), node, pointer=True)


def _at(f: Lowering, base: ops.Value, array: ir.Array, index: ops.Value, node: ast.Call, *, pointer: bool) -> Result:
    if pointer and not isinstance(array.element, ir.StructRef | ir.Array):
        return f.error("K301", node.args[0], f"a {array.element} has no address of its own", "per-cpu data of that type",
                       help="use this_cpu_read() and its like, or the place `x.field[cpu]`")  # fmt: skip
    return expressions.from_place(f, expressions.element(f, base, array, index, node), array.element, node)


def count(f: Lowering, node: ast.Call) -> Result:
    """num_possible_cpus()."""
    intrinsics.arguments(f, node, 0, 0, f"{f.text(node.func)}()")
    return Typed(ops.Imm(f.compiler.types.cpus), LITERAL)
