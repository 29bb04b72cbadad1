"""container_of(part, STRUCT, "member"): from the address of an embedded object to that of its owner.

The member is known here, so its offset is; that the object is embedded so is known only when it runs. Leaves out
members in arrays.
"""

from __future__ import annotations

import ast

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang.structs import declaration

from . import expressions, intrinsics
from .lowering import Lowering, describe
from .types import NOTHING, Constant, Null, Result, Typed, Unknown


def container_of(f: Lowering, node: ast.Call) -> Result:
    """Lower the call."""
    if not intrinsics.arguments(f, node, 3, 3, 'container_of(p, STRUCT, "member")'):
        return NOTHING
    return around(f, expressions.typed(f, node.args[0]), node)


def around(f: Lowering, part: Typed, node: ast.Call) -> Result:
    """The object that has `part` embedded as the second and third argument of the call say."""
    kind, member = expressions.lower(f, node.args[1]), expressions.lower(f, node.args[2])
    if any(isinstance(one, Typed) and isinstance(one.type, Unknown) for one in (part, kind, member)):
        return NOTHING
    if not isinstance(kind, Constant) or declaration(kind.object) is None:
        return f.error("K301", node.args[1], "container_of() takes a struct, its class", describe(kind))
    if not isinstance(member, Constant) or not isinstance(member.object, str):
        return f.error("K301", node.args[2], "container_of() takes the name of a member, a string", describe(member))
    struct = f.compiler.types.struct(kind.object)
    found = _member(f, struct, member.object, node)
    if found is None:
        return NOTHING
    if not isinstance(part.type, Null) and part.type != ir.Ptr(found.type):  # type: ignore[arg-type]
        return f.error("K301", node.args[0], f"{member.object} of {struct} is a {found.type}, and this is a {part.type}", describe(part))
    target = ir.Ptr(ir.StructRef(struct))
    dst = f.temp(target)
    f.emit(ops.Container(dst, part.value, ir.StructRef(struct), found.offset, member.object, f.at(node)))
    return Typed(dst, target)


def _member(f: Lowering, struct: str, path: str, node: ast.Call) -> ir.Field | None:
    """The embedded object that a path such as "stats.ref" names, with its offset from the start of `struct`."""
    kind: ir.Type = ir.StructRef(struct)
    offset = 0
    for name in path.split("."):
        known = f.compiler.types.structs[kind.name] if isinstance(kind, ir.StructRef) else None
        found = None if known is None or (f.compiler.is_opaque(known) and not f.vocabulary) else known.field(name)
        if found is None:
            f.error("K202", node.args[2], f"{kind} has no member `{name}`", "no such member")
            return None
        kind, offset = found.type, offset + found.offset
    if not isinstance(kind, ir.StructRef | ir.Array):
        f.error("K301", node.args[2], f"{path} of {struct} is a {kind}, which has no address of its own", "not an embedded object")
        return None
    return ir.Field(path, kind, offset)
