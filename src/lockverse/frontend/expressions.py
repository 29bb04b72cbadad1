"""Expressions: constants, variables, loads, arithmetic, comparisons.

Order of evaluation is Python's: left to right, the value of an assignment before its target. Each load of a scalar
field or element is a step; an embedded object is an address, and naming it touches nothing.
Leaves out calls (calls.py) and conditions (conditions.py).
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Final

from lockverse.diagnostics.suggest import nearest
from lockverse.ir import ops
from lockverse.ir import types as ir

from . import calls, conditions
from .lowering import Lowering, describe
from .subset import EXPRESSIONS, OPERATORS
from .types import NOTHING, Constant, Literal, Null, Result, Tuple, Typed, Unknown, is_integer, join, promote, settled

_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.BitAnd: "and",
    ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "shr",
}  # fmt: skip
_COMPARISON: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Is: "eq", ast.IsNot: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip
_FOLD: Final[dict[str, Callable[[int, int], int]]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "and": lambda a, b: a & b,
    "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b,
}  # fmt: skip


def lower(f: Lowering, node: ast.expr) -> Result:
    """Emit what evaluates `node`."""
    handler = _HANDLERS.get(type(node))
    if handler is not None:
        return handler(f, node)
    name, instead = EXPRESSIONS.get(type(node), (type(node).__name__, ""))
    return f.error("K102", node, f"{name} is not part of the language", f"`{name}` stands here", help=instead)


def typed(f: Lowering, node: ast.expr) -> Typed:
    """`lower` for where a single plain value is needed."""
    value = lower(f, node)
    if isinstance(value, Typed):
        return value
    if isinstance(value, Constant) and callable(value.object) and not isinstance(value.object, type):
        return f.error("K103", node, "a function is used as a value", describe(value), help=f"call it: `{f.text(node)}(...)`")
    return f.error("K103", node, "this is not a value of the language", describe(value))


def _constant(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.Constant)
    if isinstance(node.value, float | complex | bytes) or node.value is ...:
        kind = type(node.value).__name__
        return f.error("K103", node, f"a value of type {kind} is not part of the language", f"`{kind}`", help="use an integer")
    return f.constant(node.value, node)


def _name(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.Name)
    return f.lookup(node)


def _tuple(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.Tuple)
    return Tuple(tuple(typed(f, item) for item in node.elts))


# Places


def place(f: Lowering, node: ast.expr) -> tuple[ops.Value, ir.Type] | None:
    """The address and type of a field or element; None if it is neither, or was reported."""
    if isinstance(node, ast.Attribute):
        return field_of(f, lower(f, node.value), node)
    if isinstance(node, ast.Subscript):
        return element_of(f, lower(f, node.value), node)
    f.error("K308", node, "this is not a place in memory", "a place is a field `x.f` or an element `a[i]`")
    return None


def field_of(f: Lowering, base: Result, node: ast.Attribute) -> tuple[ops.Value, ir.Type] | None:
    """The address and type of a field of the struct `base` points to."""
    if not isinstance(base, Typed):
        f.error("K202", node, f"`{f.text(node.value)}` has no fields", describe(base))
        return None
    if not isinstance(base.type, ir.Ptr) or not isinstance(base.type.target, ir.StructRef):
        _no_fields(f, base, node)
        return None
    struct = f.compiler.types.structs[base.type.target.name]
    found = struct.field(node.attr)
    if found is None:
        f.compiler.unknown_field(f, struct, node)
        return None
    if not f.vocabulary and f.compiler.is_opaque(struct):
        f.compiler.opaque_field(f, struct, node)
        return None
    address = f.temp(_pointer_to(found.type))
    f.emit(ops.Field(address, base.value, found.offset, f"{f.text(node.value)}.{node.attr}", f.at(node)))
    return address, found.type


def _no_fields(f: Lowering, base: Typed, node: ast.Attribute) -> None:
    if isinstance(base.type, Null):
        f.error("K205", node, "the type of this pointer cannot be told", "only NULL is ever stored in it",
                help="declare the variable: `p: ptr[TYPE] = NULL`")  # fmt: skip
    elif not isinstance(base.type, Unknown):
        per_cpu = isinstance(base.type, ir.Ptr) and isinstance(base.type.target, ir.Array) and base.type.target.per_cpu
        f.error("K202", node, f"`{f.text(node.value)}` has no field `{node.attr}`", f"it is a {base.type}",
                help=f"say of which CPU: `this_cpu_ptr({f.text(node.value)}).{node.attr}`" if per_cpu else "")  # fmt: skip


def _pointer_to(kind: ir.Type) -> ir.Scalar:
    # The address of a scalar is never a value of the language; it is typed as a plain number.
    return ir.Ptr(kind) if isinstance(kind, ir.StructRef | ir.Array) else ir.S64


def element_of(f: Lowering, base: Result, node: ast.Subscript) -> tuple[ops.Value, ir.Type] | None:
    """The address and type of an element of the array `base` points to."""
    if isinstance(base, Typed) and isinstance(base.type, Unknown):
        return None
    if not isinstance(base, Typed) or not isinstance(base.type, ir.Ptr) or not isinstance(base.type.target, ir.Array):
        f.error("K308", node, f"`{f.text(node.value)}` is not an array", describe(base))
        return None
    if isinstance(node.slice, ast.Slice):
        lower(f, node.slice)
        return None
    index = f.coerce(typed(f, node.slice), ir.S64, node.slice, "an index")
    array = base.type.target
    if isinstance(index, ops.Imm) and not 0 <= index.value < array.length:
        f.error("K306", node.slice, f"index {index.value} is outside the array", f"it has elements 0..{array.length - 1}")
        return None
    return element(f, base.value, array, index, node), array.element


def element(f: Lowering, base: ops.Value, array: ir.Array, index: ops.Value, node: ast.AST) -> ops.Reg:
    """The address of an element."""
    address = f.temp(_pointer_to(array.element))
    f.emit(ops.Element(address, base, index, array.length, f.compiler.types.size(array.element), f.at(node)))
    return address


def _access(f: Lowering, node: ast.expr) -> Result:
    """A field, an element, or a name out of a module or an enum."""
    assert isinstance(node, ast.Attribute | ast.Subscript)
    base = lower(f, node.value)
    if isinstance(node, ast.Attribute) and isinstance(base, Constant):
        return _member(f, base.object, node)
    if isinstance(node, ast.Subscript) and isinstance(base, Constant) and isinstance(base.object, list | tuple):
        return _item(f, base.object, node)
    found = field_of(f, base, node) if isinstance(node, ast.Attribute) else element_of(f, base, node)
    return NOTHING if found is None else from_place(f, *found, node)


def from_place(f: Lowering, address: ops.Value, kind: ir.Type, node: ast.AST) -> Typed:
    """The value at a place: loaded in a step of its own if it is a scalar, else the object's address."""
    if isinstance(kind, ir.StructRef | ir.Array):
        return Typed(address, ir.Ptr(kind))
    return f.plain_load(address, kind, node)


def _item(f: Lowering, items: Sequence[object], node: ast.Subscript) -> Result:
    """One of the objects that the scene keeps in a Python list: there while compiling only, so the index is a constant."""
    index = typed(f, node.slice)
    if isinstance(index.type, Unknown):
        return NOTHING
    if not isinstance(index.value, ops.Imm) or not is_integer(index.type):
        return f.error("K308", node.slice, f"`{f.text(node.value)}` is a Python list, and has elements only while compiling",
                       "an index that changes", help="put the objects in an `array[T, N]` of a struct")  # fmt: skip
    if not 0 <= index.value.value < len(items):
        return f.error("K306", node.slice, f"index {index.value.value} is outside the list", f"it has {len(items)} elements")
    return f.constant(items[index.value.value], node)


def _member(f: Lowering, owner: object, node: ast.Attribute) -> Result:
    if isinstance(owner, type) and issubclass(owner, enum.Enum):
        if node.attr in owner.__members__:
            return f.constant(owner[node.attr], node)
        close = nearest(node.attr, owner.__members__)
        return f.error(
            "K203", node, f"enum {owner.__name__} has no member `{node.attr}`", "no such member",
            help=f"did you mean `{owner.__name__}.{close}`?" if close else f"its members are {', '.join(owner.__members__)}",
        )  # fmt: skip
    if isinstance(owner, ModuleType) and hasattr(owner, node.attr):
        return f.constant(getattr(owner, node.attr), node)
    if isinstance(owner, ModuleType):
        close = nearest(node.attr, vars(owner))
        return f.error("K201", node, f"module `{owner.__name__}` has no `{node.attr}`", "no such name",
                       help=f"did you mean `{close}`?" if close else "")  # fmt: skip
    return f.error("K202", node, f"`{f.text(node.value)}` has no fields", describe(Constant(owner)))


# Arithmetic


def _binary(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.BinOp)
    left, right = typed(f, node.left), typed(f, node.right)
    return arithmetic(f, node.op, left, right, node)


def arithmetic(f: Lowering, op: ast.operator, left: Typed, right: Typed, node: ast.AST) -> Typed:
    """left op right, for integers."""
    name = _ARITHMETIC.get(type(op))
    if name is None:
        symbol, instead = OPERATORS[type(op)]
        return f.error("K106", node, f"`{symbol}` is not part of the language", "this operator", help=instead)
    if isinstance(left.type, Unknown) or isinstance(right.type, Unknown):
        return NOTHING
    for value in (left, right):
        if not is_integer(value.type):
            return f.error("K301", node, "arithmetic takes integers", f"an operand is {_article(value)}")
    if isinstance(left.value, ops.Imm) and isinstance(right.value, ops.Imm) and name in _FOLD and _literals(left, right):
        return f.integer(_FOLD[name](left.value.value, right.value.value), node)
    return _emit_binary(f, name, left, right, node)


def _emit_binary(f: Lowering, name: str, left: Typed, right: Typed, node: ast.AST) -> Typed:
    both_bools = isinstance(left.type, ir.Bool) and isinstance(right.type, ir.Bool)
    if both_bools and name in ("and", "or", "xor"):
        result: ir.Int | ir.Bool = ir.Bool()
    else:
        # A shift's amount has no say in its type.
        result = promote(left.type, left.type if name in ("shl", "shr") else right.type)
    dst = f.temp(result)
    f.emit(ops.Binary(dst, name, left.value, right.value, result, f.at(node)))
    return Typed(dst, result)


def _literals(left: Typed, right: Typed) -> bool:
    return isinstance(left.type, Literal) and isinstance(right.type, Literal)


def _article(value: Typed) -> str:
    return "NULL" if isinstance(value.type, Null) else f"a {value.type}"


def _unary(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.UnaryOp)
    value = typed(f, node.operand)
    if isinstance(node.op, ast.Not):
        dst = f.temp(ir.Bool())
        f.emit(ops.Unary(dst, "not", conditions.truth(f, value, node.operand), ir.Bool(), f.at(node)))
        return Typed(dst, ir.Bool())
    if isinstance(value.type, Unknown):
        return value
    if not is_integer(value.type):
        return f.error("K301", node, "arithmetic takes integers", f"the operand is {_article(value)}")
    if isinstance(node.op, ast.UAdd):
        return value
    name = "neg" if isinstance(node.op, ast.USub) else "invert"
    if isinstance(value.value, ops.Imm) and isinstance(value.type, Literal):
        return f.integer(-value.value.value if name == "neg" else ~value.value.value, node)
    kind = promote(value.type, value.type)
    dst = f.temp(kind)
    f.emit(ops.Unary(dst, name, value.value, kind, f.at(node)))
    return Typed(dst, kind)


# Comparison


def _compare(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.Compare)
    if len(node.ops) > 1:
        return conditions.as_value(f, node)
    left = typed(f, node.left)
    return compare(f, node.ops[0], left, typed(f, node.comparators[0]), node)


def compare(f: Lowering, op: ast.cmpop, left: Typed, right: Typed, node: ast.AST) -> Typed:
    """left op right, as a bool."""
    name = _COMPARISON.get(type(op))
    if name is None:
        symbol, instead = OPERATORS[type(op)]
        return f.error("K106", node, f"`{symbol}` is not part of the language", "this operator", help=instead)
    if isinstance(left.type, Unknown) or isinstance(right.type, Unknown):
        return NOTHING
    integers = is_integer(left.type) and is_integer(right.type)
    if not integers and (join(left.type, right.type) is None or name not in ("eq", "ne")):
        return f.error("K301", node, "these two cannot be compared so", f"{_article(left)} and {_article(right)}")
    kind = promote(left.type, right.type) if integers else settled(left.type) or settled(right.type) or ir.S64
    dst = f.temp(ir.Bool())
    f.emit(ops.Binary(dst, name, left.value, right.value, kind, f.at(node)))
    return Typed(dst, ir.Bool())


# The rest


def _boolean(f: Lowering, node: ast.expr) -> Result:
    return conditions.as_value(f, node)


def _conditional(f: Lowering, node: ast.expr) -> Result:
    """`a if c else b`."""
    assert isinstance(node, ast.IfExp)
    yes, no, after = f.build.block(), f.build.block(), f.build.block()
    conditions.branch(f, node.test, yes, no, conditions.UNDECIDED)
    arms: list[tuple[Typed, int]] = []
    assigned = f.assigned
    for block, arm in ((yes, node.body), (no, node.orelse)):
        f.build.enter(block)
        f.assigned = assigned
        arms.append((typed(f, arm), f.build.position))
    joined = join(arms[0][0].type, arms[1][0].type)
    if joined is None:
        f.error("K301", node, "the two sides have different types", f"{_article(arms[0][0])} and {_article(arms[1][0])}")
    kind = settled(joined) if joined is not None else None
    result = f.temp(kind or ir.S64)
    for value, block in arms:
        f.build.enter(block)
        f.emit(ops.Copy(result, value.value, f.at(node)))
        f.jump(after, node)
    f.build.enter(after)
    if joined is None or isinstance(joined, Unknown):
        return NOTHING
    return Typed(ops.Imm(0), joined) if kind is None else Typed(result, kind)


def _walrus(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.NamedExpr)
    f.assign(node.target.id, lower(f, node.value), node, node.value)
    return f.read(node.target.id, node)


def _call(f: Lowering, node: ast.expr) -> Result:
    assert isinstance(node, ast.Call)
    return calls.call(f, node)


_HANDLERS: Final[dict[type[ast.expr], Callable[[Lowering, ast.expr], Result]]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Tuple: _tuple, ast.Attribute: _access, ast.Subscript: _access,
    ast.BinOp: _binary, ast.UnaryOp: _unary, ast.Compare: _compare, ast.BoolOp: _boolean, ast.IfExp: _conditional,
    ast.NamedExpr: _walrus, ast.Call: _call,
}  # fmt: skip
