"""Conditions: `and`, `or`, `not` and comparisons that decide where control goes, without making a value first.

The branch that settles the condition of a statement says so (`Branch.yes_decides`), which is how a trace knows that a
branch was NOT TAKEN. Leaves out everything below a comparison: expressions.py.
"""

from __future__ import annotations

import ast

from lockverse.ir import ops
from lockverse.ir import types as ir

from . import expressions
from .lowering import Lowering
from .types import Literal, Null, Typed, Unknown, may_be_null

# What going to `yes` and what going to `no` say of the statement: its condition came out true, false, or nothing yet.
Outcomes = tuple[bool | None, bool | None]
UNDECIDED: Outcomes = (None, None)
DECIDES: Outcomes = (True, False)


def branch(f: Lowering, node: ast.expr, yes: int, no: int, outcomes: Outcomes, *, strict: bool = False) -> None:
    """Go to block `yes` if `node` is true and to `no` if not. `strict`: only bools will do, since Python would make
    an operand of `and` or `or` the value."""
    if isinstance(node, ast.BoolOp):
        _shortcut(f, node, yes, no, outcomes, strict=strict)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        branch(f, node.operand, no, yes, (outcomes[1], outcomes[0]))
    elif isinstance(node, ast.Compare) and len(node.ops) > 1:
        _chain(f, node, yes, no, outcomes)
    else:
        value = truth(f, expressions.typed(f, node), node, strict=strict)
        f.emit(ops.Branch(value, yes, no, f.at(node), *outcomes))


def _shortcut(f: Lowering, node: ast.BoolOp, yes: int, no: int, outcomes: Outcomes, *, strict: bool) -> None:
    """`a and b and c`: each operand but the last settles the whole only one way."""
    conjunction = isinstance(node.op, ast.And)
    assigned: frozenset[str] | None = None
    for index, operand in enumerate(node.values[:-1]):
        following = f.build.block()
        if conjunction:
            branch(f, operand, following, no, (None, outcomes[1]), strict=strict)
        else:
            branch(f, operand, yes, following, (outcomes[0], None), strict=strict)
        f.build.enter(following)
        if index == 0:
            assigned = f.assigned  # a walrus in a later operand may not have run
    branch(f, node.values[-1], yes, no, outcomes, strict=strict)
    f.assigned = assigned


def _chain(f: Lowering, node: ast.Compare, yes: int, no: int, outcomes: Outcomes) -> None:
    """`a < b < c` is `a < b and b < c` with b evaluated once."""
    left = expressions.typed(f, node.left)
    for index, (op, operand) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right = expressions.typed(f, operand)
        value = expressions.compare(f, op, left, right, node)
        last = index == len(node.ops) - 1
        following = yes if last else f.build.block()
        f.emit(ops.Branch(value.value, following, no, f.at(node), outcomes[0] if last else None, outcomes[1]))
        if not last:
            f.build.enter(following)
        left = right


def truth(f: Lowering, value: Typed, node: ast.expr, *, strict: bool = False) -> ops.Value:
    """A value as a condition: an integer that is not 0, a pointer that is not NULL."""
    if strict and not isinstance(value.type, ir.Bool | Unknown):
        zero = "NULL" if isinstance(value.type, Null) or may_be_null(value.type) else "0"
        f.error(
            "K301", node, "`and` and `or` used as values take bools", f"this is a {value.type}",
            help=f"write `{f.text(node)} != {zero}`",
        )  # fmt: skip
    elif isinstance(value.type, ir.Enum) and not value.type.functions:
        f.error("K301", node, "an enum is not a condition", f"this is {value.type}", help="compare it with a member")
    elif not isinstance(value.type, ir.Bool | ir.Int | ir.Enum | ir.Ptr | Literal | Null | Unknown):
        f.error("K301", node, "this is not a condition", "returns nothing")
    return value.value


def as_value(f: Lowering, node: ast.expr) -> Typed:
    """`a and b`, `a or b` or a chained comparison as a bool."""
    result = f.temp(ir.Bool())
    yes, no, after = f.build.block(), f.build.block(), f.build.block()
    branch(f, node, yes, no, UNDECIDED, strict=True)
    for block, value in ((yes, 1), (no, 0)):
        f.build.enter(block)
        f.emit(ops.Copy(result, ops.Imm(value), f.at(node)))
        f.jump(after, node)
    f.build.enter(after)
    return Typed(result, ir.Bool())
