"""Function pointers: fields that hold a function, and calls through them.

Which functions are ever stored in a field is known when the scheme has been compiled, so it is compiled again until no new one
is met (types.Functions). A call branches by which it is. Leaves out variables that take a function which no field holds.
"""

from __future__ import annotations

import ast
from types import FunctionType

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.reason import Reason

from . import calls, conditions, expressions
from .lowering import Lowering
from .types import NOTHING, VOID, Constant, Result, Typed, join, settled


def pointer(f: Lowering, value: Result, kind: ir.Type) -> Result:
    """A function as a field of type `function` holds it; any other value as it is."""
    if isinstance(kind, ir.Enum) and kind.functions and isinstance(value, Constant) and isinstance(value.object, FunctionType):
        return Typed(ops.Imm(f.compiler.types.functions.number(kind.name, value.object)), kind)
    return value


def operand(f: Lowering, node: ast.expr, kind: ir.Scalar) -> Typed:
    """The value of `node`, for a place of that type."""
    if isinstance(kind, ir.Enum) and kind.functions:
        value = pointer(f, expressions.lower(f, node), kind)
        if isinstance(value, Typed):
            return value
    return expressions.typed(f, node)


def call(f: Lowering, target: Typed, node: ast.Call) -> Result:
    """Call what a pointer points to."""
    assert isinstance(target.type, ir.Enum)
    if node.keywords:
        return f.error("K302", node, "a function pointer is called by position", "this call has keywords")
    given = [calls.Argument(expressions.lower(f, one), one) for one in node.args]
    known = f.compiler.types.functions.known.get(target.type.name, ())
    there = f.temp(ir.Bool())
    f.emit(ops.Binary(there, "ne", target.value, ops.Imm(0), target.type, f.at(node)))
    f.emit(ops.Check(there, Reason.NULL_DEREFERENCE, f"NULL dereference: {f.text(node.func)} is NULL", f.at(node)))
    after = f.build.block()
    ends: list[tuple[Result, int]] = []
    for number, function in enumerate(known, 1):
        this, following = f.build.block(), f.build.block()
        if number == len(known):
            f.jump(this, node)
        else:
            same = f.temp(ir.Bool())
            f.emit(ops.Binary(same, "eq", target.value, ops.Imm(number), target.type, f.at(node)))
            f.emit(ops.Branch(same, this, following, f.at(node), *conditions.UNDECIDED))
        f.build.enter(this)
        ends.append((_call_one(f, function, given, node), f.build.position))
        f.build.enter(following)
    return _result(f, ends, after, node)


def _call_one(f: Lowering, function: FunctionType, given: list[calls.Argument], node: ast.Call) -> Result:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    if len(names) != len(given):
        return f.error("K302", node, f"this may be `{function.__name__}`, which takes {len(names)} arguments", f"this gives {len(given)}")
    return calls.emit_call(f, function, dict(zip(names, given, strict=True)), node)


def _result(f: Lowering, ends: list[tuple[Result, int]], after: int, node: ast.Call) -> Result:
    """What the calls give, if all give one value: then that of the one that was made."""
    kinds = [value.type if isinstance(value, Typed) else VOID for value, _ in ends]
    kind = kinds[0] if kinds else VOID
    for one in kinds:
        joined = join(kind, one) if kind != VOID and one != VOID else VOID
        if joined is None:
            return f.error("K301", node, "the functions this may be give different types", f"a {kind} and a {one}")
        kind = joined
    scalar = None if kind == VOID else settled(kind)
    result = f.temp(scalar or ir.S64)
    for value, block in ends:
        f.build.enter(block)
        if scalar is not None and isinstance(value, Typed):
            f.emit(ops.Copy(result, value.value, f.at(node)))
        f.jump(after, node)
    if not ends:
        return NOTHING  # none is known yet
    f.build.enter(after)
    return Typed(result, scalar) if scalar is not None else Typed(ops.Imm(0), kind)
