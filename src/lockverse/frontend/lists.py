"""Loops over the kernel's lists: `for pos in list_for_each_entry(head, node, "link"):` and its kin.

The loop goes from list_head to list_head, a step each, until it is back at the head; its variable is the object round the
list_head, which is no access. Leaves out what else is done to lists: that is written in the language (lang/lists.py).
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType
from typing import Final

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang import lists as lang

from . import calls, containers, expressions, intrinsics
from .lowering import OBSERVER, Lowering, describe
from .types import NOTHING, Constant, Result, Typed, Unknown

PLAIN, SAFE, RCU = "list_for_each_entry", "list_for_each_entry_safe", "list_for_each_entry_rcu"
LOOPS: Final = (PLAIN, SAFE, RCU)
_CHECK: Final[FunctionType] = vars(lang)["check_list_reader"]


class Walk:
    """One loop while it is lowered: `at` is the list_head it has come to, `following` the next one of a safe loop."""

    def __init__(self, f: Lowering, node: ast.Call, name: str, head: ops.Value) -> None:
        self.f, self.node, self.name, self.head = f, node, name, head
        self.kind = ir.Ptr(_list_head(f))
        self.at, self.following = f.temp(self.kind), f.temp(self.kind)

    def begin(self) -> None:
        """Come to the first."""
        self._go(self.at, self.head, check=self.name == RCU)

    def more(self) -> ops.Value:
        """Whether it has not come back to the head."""
        more = self.f.temp(ir.Bool())
        self.f.emit(ops.Binary(more, "ne", self.at, self.head, self.kind, self.f.at(self.node)))
        return more

    def item(self) -> Typed:
        """The object it has come to."""
        if self.name == SAFE:
            self._go(self.following, self.at)
        found = containers.around(self.f, Typed(self.at, self.kind), self.node)
        return found if isinstance(found, Typed) else NOTHING

    def next(self) -> None:
        """Come to the next."""
        if self.name == SAFE:
            self.f.emit(ops.Copy(self.at, self.following, self.f.at(self.node)))
        else:
            self._go(self.at, self.at)

    def _go(self, dst: ops.Reg, source: ops.Value, *, check: bool = False) -> None:
        f, field = self.f, self.f.compiler.types.structs[_list_head(self.f).name].field("next")
        assert field is not None
        address = f.temp(ir.S64)
        f.emit(ops.Field(address, source, field.offset, f"{f.text(self.node.args[0])}.next", f.at(self.node)))
        f.step(self.name if self.name == RCU else "load", "once" if self.name == RCU else "plain", address, self.node)
        if check and f.mode != OBSERVER:
            calls.emit_call(f, _CHECK, {}, self.node)
        f.emit(ops.Copy(dst, f.load(address, self.kind, self.node).value, f.at(self.node)))


def _list_head(f: Lowering) -> ir.StructRef:
    return ir.StructRef(f.compiler.types.struct(lang.list_head))


def loop_over(f: Lowering, node: ast.expr) -> str:
    """The name of the loop over a list that `node`, what a `for` runs over, calls; empty if it is another kind of loop."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id in f.variables:
        return ""
    target = f.lookup(node.func)
    name = getattr(target.object, "__lockverse_intrinsic__", "") if isinstance(target, Constant) else ""
    return name if name in LOOPS else ""


def only_in_loop(f: Lowering, node: ast.Call) -> Result:
    """The call stands anywhere else."""
    name = f.text(node.func)
    return f.error("K104", node, f"{name}() stands only in a for loop", "here", help=f'for pos in {name}(head, STRUCT, "member"):')


def walk(f: Lowering, node: ast.expr, name: str) -> Walk | None:
    """That loop; None if it was reported."""
    assert isinstance(node, ast.Call)
    if not intrinsics.arguments(f, node, 3, 3, f'{name}(head, STRUCT, "member")'):
        return None
    head = expressions.typed(f, node.args[0])
    if isinstance(head.type, Unknown):
        return None
    if head.type != ir.Ptr(_list_head(f)):
        f.error("K301", node.args[0], f"{name}() takes a list_head", describe(head))
        return None
    return Walk(f, node, name, head.value)


INTRINSICS: Final[dict[str, Callable[[Lowering, ast.Call], Result]]] = {**dict.fromkeys(LOOPS, only_in_loop), "list_entry": containers.container_of, "llist_entry": containers.container_of}
