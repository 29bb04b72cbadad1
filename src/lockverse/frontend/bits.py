"""Bit operations on places: set_bit, test_and_clear_bit and their like (lang/bits.py has their meaning).

Masks are worked out in the integer type of the place, which wraps here: the sign bit is a bit like another. Leaves out
finding the place: intrinsics.py.
"""

from __future__ import annotations

import ast
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.reason import Reason
from lockverse.lang.bits import PG_WAITERS
from lockverse.lang.step import PlaceInfo

from . import expressions
from .lowering import Lowering
from .types import VOID, Result, Typed

_OPERATORS: Final = {"set_bit": ast.BitOr(), "clear_bit": ast.BitAnd(), "change_bit": ast.BitXor()}
KINDS: Final[tuple[str, ...]] = ("test_bit", "clear_bit_is_negative", *_OPERATORS, *(f"test_and_{name}" for name in _OPERATORS))


def number(f: Lowering, node: ast.Call) -> ops.Value:
    """The number of the bit, which is the first argument."""
    return f.coerce(expressions.typed(f, node.args[0]), ir.S64, node.args[0], "the number of a bit")


def operate(f: Lowering, info: PlaceInfo, address: ops.Value, kind: ir.Scalar, nr: ops.Value, node: ast.Call) -> Result:
    """Lower the operation on bit `nr` of the place."""
    if not isinstance(kind, ir.Int):
        return f.error("K308", node.args[1], f"{info.name} takes an integer field or element", f"this is a {kind}")
    word = ir.Int(kind.bits, kind.signed, wraps=True)
    mask = mask_of(f, nr, word, node.args[0], node.args[1])
    if mask is None:
        return Typed(ops.Imm(0), ir.Bool())
    old = Typed(f.plain_load(address, kind, node, info.name, info.order).value, word)
    if info.kind == "test_bit":
        return is_set(f, old, mask, node)
    result: Result = Typed(ops.Imm(0), VOID)
    if info.kind == "clear_bit_is_negative":
        result = is_set(f, old, Typed(ops.Imm(word.reduce(1 << PG_WAITERS)), word), node)
    elif info.kind.startswith("test_and_"):
        result = is_set(f, old, mask, node)
    name = "clear_bit" if info.kind == "clear_bit_is_negative" else info.kind.removeprefix("test_and_")
    if name == "clear_bit":
        mask = inverted(f, mask, node)
    new = expressions.arithmetic(f, _OPERATORS[name], old, mask, node)
    if info.order == "plain":
        f.step(info.name, info.order, address, node)
    f.store(address, new.value, kind, node)
    return result


def mask_of(f: Lowering, nr: ops.Value, word: ir.Int, number: ast.expr, place: ast.expr) -> Typed | None:
    """The bit as a number; None if it is a constant outside the place. `number` and `place` are the arguments of the call."""
    if isinstance(nr, ops.Imm):
        if not 0 <= nr.value < word.bits:
            f.error("K306", number, f"bit {nr.value} is outside `{f.text(place)}`", f"it has bits 0..{word.bits - 1}")
            return None
        return Typed(ops.Imm(word.reduce(1 << nr.value)), word)
    for op, bound in (("ge", 0), ("lt", word.bits)):
        inside = f.temp(ir.Bool())
        f.emit(ops.Binary(inside, op, nr, ops.Imm(bound), ir.S64, f.at(number)))
        message = f"the bit is outside {f.text(place)}, which has bits 0..{word.bits - 1}"
        f.emit(ops.Check(inside, Reason.OVERFLOW, message, f.at(number)))
    mask = f.temp(word)
    f.emit(ops.Binary(mask, "shl", ops.Imm(1), nr, word, f.at(number)))
    return Typed(mask, word)


def inverted(f: Lowering, mask: Typed, node: ast.Call) -> Typed:
    """All bits but those of the mask."""
    assert isinstance(mask.type, ir.Int)
    if isinstance(mask.value, ops.Imm):
        return Typed(ops.Imm(mask.type.reduce(~mask.value.value)), mask.type)
    dst = f.temp(mask.type)
    f.emit(ops.Unary(dst, "invert", mask.value, mask.type, f.at(node)))
    return Typed(dst, mask.type)


def is_set(f: Lowering, old: Typed, mask: Typed, node: ast.Call) -> Typed:
    """Whether the word has a bit of the mask."""
    found = expressions.arithmetic(f, ast.BitAnd(), old, mask, node)
    return expressions.compare(f, ast.NotEq(), found, Typed(ops.Imm(0), found.type), node)
