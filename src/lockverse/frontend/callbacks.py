"""Callbacks of RCU: what call sites queue by number, and the code of the contexts that run it.

Function pointers are no values of the language, but each call of call_rcu() names its function, so the scheme's callbacks are
numbered as they are met. A context waits for one whose readers have gone and branches by its number. Freeing, for
kfree_rcu(), is part of that step; a function of the scheme runs as it would on a CPU.

The steps themselves are in lang/rcu_callbacks.py. Leaves out when a context is at rest: Thread.pending.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.source import Origin, Statement
from lockverse.lang import rcu_callbacks as lang

from . import calls, expressions, pools
from .lowering import STEPS, Lowering, describe
from .source import span_of
from .types import NOTHING, VOID, Constant, Null, Result, Typed, Unknown

if TYPE_CHECKING:
    from .compiler import Compiler

_LANG: Final[dict[str, FunctionType]] = vars(lang)
_DONE = Typed(ops.Imm(0), VOID)
_NUMBER = ir.Int(8, signed=False)


class Callback(Struct, frozen=True):
    """What is done with an rcu_head: call `function`, or free the object of `struct` that has it `offset` cells from its
    start. `origin` is where a diagram says that it is done."""

    function: FunctionType | None
    struct: str
    offset: int
    origin: int


class Callbacks(Struct):
    """The callbacks of a scheme; their numbers begin with 1. `begun` is where it is told that a grace period has ended."""

    known: dict[object, Callback] = field(default_factory=dict)
    begun: int = 0

    def number(self, key: object, f: Lowering, text: str, function: FunctionType | None = None, struct: str = "", offset: int = 0) -> Typed:
        """The number of a callback, entered when it is met first."""
        if key not in self.known:
            if not self.known:
                self.begun = _origin(f, "[ a grace period has ended ]")
            self.known[key] = Callback(function, struct, offset, _origin(f, text))
        return Typed(ops.Imm(1 + list(self.known).index(key)), _NUMBER)


def _user(f: Lowering) -> tuple[Lowering, ast.Call]:
    """The function of the scheme's that called the vocabulary, and the call."""
    node: ast.AST | None = None
    while f.vocabulary and f.caller is not None:
        f, node = f.caller
    assert isinstance(node, ast.Call)
    return f, node


def _origin(f: Lowering, text: str) -> int:
    """A place for what happens in a context, at the call that asked for it."""
    caller, node = _user(f)
    table = f.compiler.table
    table.statements.append(Statement("rcu", caller.source.path, node.lineno, text, "simple", 0))
    table.origins.append(Origin(len(table.statements) - 1, span_of(node)))
    return len(table.origins) - 1


# Call sites: parts of the steps call_rcu() and kfree_rcu()


def queue_callback(f: Lowering, node: ast.Call) -> Result:
    """call_rcu(head, function)."""
    head, given = expressions.typed(f, node.args[0]), expressions.lower(f, node.args[1])
    if not isinstance(given, Constant) or not isinstance(given.object, FunctionType):
        return f.error("K301", node, "call_rcu() takes a function", describe(given), help="call_rcu(x.rcu, function)")
    function = given.object
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    if len(names) != 1:
        return f.error("K302", node, f"`{function.__name__}` is called with the rcu_head alone", f"it takes {len(names)} arguments",
                       help=f"def {function.__name__}(head): ...")  # fmt: skip
    number = f.compiler.callbacks.number(function, f, f"{function.__name__}({names[0]})", function)
    return _enqueue(f, head, number, node)


def _enqueue(f: Lowering, head: Typed, number: Typed, node: ast.AST) -> Result:
    calls.emit_call(f, _LANG["enqueue"], {"head": calls.Argument(head, node), "number": calls.Argument(number, node)}, node)
    return _DONE


def queue_free(f: Lowering, node: ast.Call) -> Result:
    """kfree_rcu(object, "member")."""
    value, member = expressions.typed(f, node.args[0]), expressions.lower(f, node.args[1])
    if isinstance(value.type, Null | Unknown):
        return _DONE
    if not isinstance(value.type, ir.Ptr) or not isinstance(value.type.target, ir.StructRef):
        return f.error("K301", node, "kfree_rcu() takes an object that kmalloc() gave", describe(value))
    struct = value.type.target.name
    head = _member(f, struct, member, node)
    if head is None:
        return NOTHING
    if pools.of_struct(f, struct) is None:
        return pools.no_pool(f, struct, node)
    _, call = _user(f)
    text = f"kfree({_user(f)[0].text(call.args[0]) if call.args else struct})"
    number = f.compiler.callbacks.number((struct, head.offset), f, text, None, struct, head.offset)
    some, after = f.build.block(), f.build.block()
    f.emit(ops.Branch(value.value, some, after, f.at(node)))
    f.build.enter(some)
    address = f.temp(ir.Ptr(_head_type(f)))
    f.emit(ops.Field(address, value.value, head.offset, head.name, f.at(node)))
    _enqueue(f, Typed(address, ir.Ptr(_head_type(f))), number, node)
    f.jump(after, node)
    f.build.enter(after)
    return _DONE


def _head_type(f: Lowering) -> ir.StructRef:
    return ir.StructRef(f.compiler.types.struct(lang.rcu_head))


def _member(f: Lowering, struct: str, member: Result, node: ast.AST) -> ir.Field | None:
    """The rcu_head of that name in a struct, or its only one."""
    if not isinstance(member, Constant) or not isinstance(member.object, str):
        f.error("K301", node, "the member of kfree_rcu() is a string", describe(member), help='kfree_rcu(object, "rcu")')
        return None
    heads = [one for one in f.compiler.types.structs[struct].fields if one.type == _head_type(f)]
    found = [one for one in heads if member.object in ("", one.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f'"{one.name}"' for one in heads) or "none"
    f.error("K202", node, f"struct {struct} has no one rcu_head that kfree_rcu() could use", f"its rcu_heads are: {names}",
            help='kfree_rcu(object, "rcu"), with `rcu: rcu_head` in the struct')  # fmt: skip
    return None


# Contexts


def context(compiler: Compiler) -> str:
    """Compile what every context runs; gives the function's name. Its parameter is the rcu_head."""
    found = compiler.sources.find(_LANG["begin_callback"])
    assert found is not None
    f = Lowering(compiler, _LANG["begin_callback"], *found, STEPS)
    node = f.node
    head = Typed(f.build.register("head", ir.Ptr(_head_type(f)), "param"), ir.Ptr(_head_type(f)))
    f.origin = compiler.callbacks.begun
    again = f.build.block()
    f.jump(again, node)
    f.build.enter(again)
    f.emit(ops.Rest(f.at(node)))
    number = calls.emit_call(f, _LANG["begin_callback"], {}, node)
    assert isinstance(number, Typed)
    done = 0
    while done < len(compiler.callbacks.known):  # a callback may queue others
        one = list(compiler.callbacks.known.values())[done]
        done += 1
        this, following, same = f.build.block(), f.build.block(), f.temp(ir.Bool())
        f.emit(ops.Binary(same, "eq", number.value, ops.Imm(done), _NUMBER, f.at(node)))
        f.emit(ops.Branch(same, this, following, f.at(node)))
        f.build.enter(this)
        _run(f, one, head, node)
        f.jump(again, node)
        f.build.enter(following)
    f.jump(again, node)
    name = "rcu"
    if not compiler.reporter.any:
        compiler.functions[name] = f.build.finish(name, (), 1, observer=False, primitive=True)
    return name


def _run(f: Lowering, one: Callback, head: Typed, node: ast.AST) -> None:
    before, f.origin = f.origin, one.origin
    if one.function is None:
        pool = pools.of_struct(f, one.struct)
        assert pool is not None
        start = f.temp(ir.Ptr(pool.type))
        f.emit(ops.Container(start, head.value, pool.type, one.offset, "rcu_head", f.at(node)))
        pools.give_back(f, Typed(start, ir.Ptr(pool.type)), pool, node)
        calls.emit_call(f, _LANG["callback_done"], {}, node)
    else:
        assert isinstance(one.function, FunctionType)
        calls.emit_call(f, _LANG["enter_callback"], {}, node)
        name = one.function.__code__.co_varnames[0]
        calls.emit_call(f, one.function, {name: calls.Argument(head, node)}, node)
        f.origin = 0  # the scene's: its end is nobody's statement
        calls.emit_call(f, _LANG["leave_callback"], {}, node)
    f.origin = before


INTRINSICS: Final[dict[str, Callable[[Lowering, ast.Call], Result]]] = {"queue_callback": queue_callback, "queue_free": queue_free}
