"""Loads that wait for a condition on what they read: smp_cond_load_acquire() and atomic_cond_read_acquire().

The condition is a lambda, lowered where it stands, between the load and the step's Await: its parameter is the value, and
it looks at nothing else in memory, since the kernel's loop would look at that in steps of its own. Leaves out finding the
place: intrinsics.py.
"""

from __future__ import annotations

import ast

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang.step import PlaceInfo

from . import expressions, intrinsics
from .lowering import OBSERVER, VALUES, Lowering, describe
from .types import NOTHING, Result, Typed


def load(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, node: ast.Call) -> Result:
    """smp_cond_load_acquire(x.f, lambda VAL: ...)."""
    condition = node.args[1]
    if f.mode == OBSERVER:
        return f.error("K305", node, "a property cannot wait", "it reads one state as a whole")
    if not isinstance(condition, ast.Lambda) or len(condition.args.args) != 1 or condition.args.defaults:
        return f.error("K103", condition, f"{info.name} takes a condition on the value", "this is not one",
                       help=f"write `{info.name}({f.text(node.args[0])}, lambda VAL: ...)`")  # fmt: skip
    value = f.plain_load(address, kind, node, info.name, info.order)
    f.emit(ops.Await(_holds(f, condition, value), f.at(node)))
    return value


def atomic(f: Lowering, info: PlaceInfo, node: ast.Call) -> Result:
    """atomic_cond_read_acquire(x.count, lambda VAL: ...): the same, of the integer in an atomic."""
    wanted = info.name.partition("_cond_")[0] + "_t"
    pointer = expressions.typed(f, node.args[0])
    if not isinstance(pointer.type, ir.Ptr) or pointer.type.target != ir.StructRef(wanted):
        return NOTHING if pointer == NOTHING else f.error("K301", node.args[0], f"{info.name} takes an {wanted}", describe(pointer))
    counter = f.compiler.types.structs[wanted].fields[0]
    assert isinstance(counter.type, ir.Int)
    address = f.temp(ir.S64)
    f.emit(ops.Field(address, pointer.value, counter.offset, f.text(node.args[0]), f.at(node)))
    return load(f, info, address, counter.type, node)


def _holds(f: Lowering, condition: ast.Lambda, value: Typed) -> ops.Value:
    """The condition of the value that was read."""
    name = condition.args.args[0].arg
    hidden, bound, mode = f.variables.pop(name, None), f.constants.get(name), f.mode
    f.constants[name], f.mode = value, VALUES
    holds = intrinsics.condition_value(f, condition.body)
    f.mode = mode
    if bound is None:
        del f.constants[name]
    else:
        f.constants[name] = bound
    if hidden is not None:
        f.variables[name] = hidden
    return holds
