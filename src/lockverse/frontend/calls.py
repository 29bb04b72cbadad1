"""Calls: of the user's functions, of the vocabulary's steps, of its macros on places, of casts.

A function is compiled once for each choice of argument types. Arguments are evaluated left to right and bound as
Python binds them. Leaves out what the vocabulary's own functions mean beyond their bodies: intrinsics.py.
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lockverse.diagnostics.model import Label
from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang import scene
from lockverse.lang.structs import declaration, resolve_type
from lockverse.lang.types import FunctionPointer, IntegerType

from . import callbacks, expressions, functions, intrinsics, lists, percpu
from .lowering import ATOMIC, PRIMITIVE, STEPS, Lowering, describe
from .report import place_of
from .types import LITERAL, NOTHING, NULL, VOID, Constant, Literal, Null, Result, Tuple, Typed, Unknown, fits, widened

if TYPE_CHECKING:
    from .compiler import Instance


class Argument(Struct, frozen=True):
    """An argument and where it stands in the call; a default stands nowhere and points at the call itself."""

    value: Result
    node: ast.AST


def call(f: Lowering, node: ast.Call) -> Result:
    """Lower a call."""
    target = expressions.lower(f, node.func)
    if isinstance(target, Constant):
        return _call_constant(f, target.object, node)
    if isinstance(target, Typed) and isinstance(target.type, ir.Enum) and target.type.functions:
        return functions.call(f, target, node)
    if not (isinstance(target, Typed) and isinstance(target.type, Unknown)):
        f.error("K303", node.func, f"`{f.text(node.func)}` is not a function", describe(target))
    return NOTHING


def _call_constant(f: Lowering, target: object, node: ast.Call) -> Result:
    if isinstance(target, IntegerType) or target is bool:
        return _cast(f, target, node)
    place = getattr(target, "__lockverse_place__", None)
    if place is not None:
        return intrinsics.on_place(f, place, node)
    name = getattr(target, "__lockverse_intrinsic__", None)
    if name is not None:
        return (intrinsics.INTRINSICS | callbacks.INTRINSICS | lists.INTRINSICS)[name](f, node)
    if target is len:
        return intrinsics.length(f, node)
    if isinstance(target, FunctionType) and target.__module__ == scene.__name__:
        return f.error("K104", node, f"{target.__name__}() stands only in a @scheme function", "a CPU runs this",
                       help="move it to the function that builds the scene")  # fmt: skip
    if isinstance(target, FunctionType):
        return call_function(f, f.compiler.patched(target), node)
    return _not_callable(f, target, node)


def _not_callable(f: Lowering, target: object, node: ast.Call) -> Typed:
    name = f.text(node.func)
    if declaration(target) is not None:
        return f.error("K104", node, f"struct {name} is made inside a function", "there is no heap here",
                       help="make the object in the @scheme function and pass it, or point to it from a field")  # fmt: skip
    if getattr(target, "__module__", "") == "builtins":
        return f.error("K104", node, f"Python's `{name}` is not part of the language", "no such function here",
                       help=_BUILTINS.get(name, ""))  # fmt: skip
    return f.error("K303", node.func, f"`{name}` is not a function", describe(Constant(target)))


_BUILTINS = {
    "print": "remove it: the race diagram shows what ran and with what values",
    "range": "`range` stands only in `for i in range(...)`",
    "int": "use a width of the kernel's: `s32(x)`, `u64(x)`",
    "abs": "write `x if x >= 0 else -x`",
    "min": "write `a if a < b else b`",
    "max": "write `a if a > b else b`",
    "enumerate": "write `for i in range(len(a))` and use `a[i]`",
}


def _cast(f: Lowering, target: object, node: ast.Call) -> Typed:
    """`u8(x)`, `bool(x)`."""
    if len(node.args) != 1 or node.keywords:
        return f.error("K302", node, f"a conversion takes one value, this gives {len(node.args)}", "this call")
    value = expressions.typed(f, node.args[0])
    if isinstance(value.type, Unknown):
        return value
    if target is bool:
        return as_bool(f, value, node)
    kind = f.compiler.types.convert(target)
    assert isinstance(kind, ir.Int)
    return Typed(f.coerce(value, kind, node.args[0], f"`{kind}(...)`"), kind)


def as_bool(f: Lowering, value: Typed, node: ast.Call) -> Typed:
    """Whether a value is not 0 or NULL."""
    if isinstance(value.type, ir.Bool):
        return value
    zero = Typed(ops.Imm(0), NULL if isinstance(value.type, ir.Ptr | Null) else LITERAL)
    return expressions.compare(f, ast.NotEq(), value, zero, node)


# Calls of functions


def call_function(f: Lowering, function: FunctionType, node: ast.Call) -> Result:
    """Call a function that is compiled from its source: the user's own, or a step of the vocabulary."""
    arguments = bind(f, function, node)
    if arguments is None:
        return NOTHING
    return emit_call(f, function, arguments, node)


def emit_call(f: Lowering, function: FunctionType, arguments: dict[str, Argument], node: ast.AST) -> Result:
    """Call `function` with arguments that are evaluated already."""
    mode = _mode(f, function)
    values = _convert_arguments(f, function, arguments)
    if values is None:
        return NOTHING
    instance = f.compiler.instance(f, function, values, mode, node)
    if instance is None:
        return NOTHING
    passed = tuple(v.value for v in values.values() if isinstance(v, Typed) and not isinstance(v.type, Null))
    dsts = tuple(f.temp(kind) for kind in instance.results)
    f.emit(ops.Call(dsts, instance.name, passed, f.at(node)))
    return _results(instance, dsts)


def _mode(f: Lowering, function: FunctionType) -> str:
    """How the accesses of a function run when it is called here."""
    if f.mode == STEPS and hasattr(function, "__lockverse_step__"):
        return PRIMITIVE
    return ATOMIC if f.mode == STEPS and hasattr(function, "__lockverse_rides__") else f.mode


def _results(instance: Instance, dsts: tuple[ops.Reg, ...]) -> Result:
    values = iter(dsts)
    typed = tuple(
        Typed(ops.Imm(0), kind) if isinstance(kind, Null | Unknown) else Typed(next(values), kind) for kind in instance.shape
    )
    if not instance.shape:
        return Typed(ops.Imm(0), VOID)
    return typed[0] if len(typed) == 1 else Tuple(typed)


def bind(f: Lowering, function: FunctionType, node: ast.Call) -> dict[str, Argument] | None:
    """Evaluate the arguments in order and match them with the parameters; None if they do not match."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if code.co_flags & 0x0C or any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        f.error("K107", node, "`*args` and `**kwargs` are not part of the language", "this call", help="write the arguments out")
        return None
    given: dict[str, Argument] = {}
    surplus = node.args[code.co_argcount :]
    for name, argument in zip(names, node.args[: code.co_argcount], strict=False):
        own = hasattr(function, "__lockverse_own_cpu__") and not given
        given[name] = Argument(percpu.argument(f, argument) if own else expressions.lower(f, argument), argument)
    for argument in surplus:
        expressions.lower(f, argument)
    wrong = _bind_keywords(f, names, node, given)
    defaults = _defaults(f, function, node)
    missing = [name for name in names if name not in given and name not in defaults]
    if surplus or missing or wrong:
        _misfit(f, function, node, wrong, missing, names)
        return None
    return {name: given.get(name) or defaults[name] for name in names}


def _bind_keywords(f: Lowering, names: tuple[str, ...], node: ast.Call, given: dict[str, Argument]) -> list[str]:
    wrong = []
    for keyword in node.keywords:
        value = Argument(expressions.lower(f, keyword.value), keyword.value)
        assert keyword.arg is not None
        if keyword.arg in given:
            wrong.append(f"`{keyword.arg}` is given twice")
        elif keyword.arg not in names:
            wrong.append(f"it has no parameter `{keyword.arg}`")
        given.setdefault(keyword.arg, value)
    return wrong


def _defaults(f: Lowering, function: FunctionType, node: ast.Call) -> dict[str, Argument]:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    found = dict(zip(positional[len(positional) - len(values) :], values, strict=True)) | (function.__kwdefaults__ or {})
    return {name: Argument(f.constant(value, node), node) for name, value in found.items()}


def _misfit(
    f: Lowering, function: FunctionType, node: ast.Call, wrong: list[str], missing: list[str], names: tuple[str, ...]
) -> None:
    count = len(node.args) + len(node.keywords)
    what = wrong[0] if wrong else f"it takes {len(names)} argument{'s' * (len(names) != 1)}, this gives {count}"
    label = f"missing: {', '.join(f'`{name}`' for name in missing)}" if missing else what
    found = f.compiler.sources.find(function)
    defined: tuple[Label, ...] = ()
    if found is not None and isinstance(found[1], ast.FunctionDef):
        defined = (Label(place_of(found[0].path, found[1].args), "its parameters"),) if found[1].args.args else ()
    f.error("K302", node, f"this call does not fit `{function.__name__}`: {what}", label,
            secondary=() if f.compiler.is_vocabulary(function) else defined,
            help=f"write `{function.__name__}({', '.join(names)})`")  # fmt: skip


def _convert_arguments(f: Lowering, function: FunctionType, arguments: dict[str, Argument]) -> dict[str, Result] | None:
    """Arguments as the parameters declare them, or None if one does not fit."""
    declared = parameter_types(f, function)
    values: dict[str, Result] = {}
    for name, argument in arguments.items():
        value = argument.value
        kind = declared.get(name)
        if isinstance(value, Tuple) or (isinstance(value, Typed) and value.type == VOID):
            f.error("K301", argument.node, f"parameter `{name}` takes one value", describe(value))
            return None
        if isinstance(value, Constant) and kind is not None:
            f.error("K301", argument.node, f"parameter `{name}` is a {kind}", describe(value))
            return None
        if isinstance(value, Typed):
            if isinstance(value.type, Unknown):
                return None
            converted = _convert_argument(f, function, name, value, kind, argument.node)
            if converted is None:
                return None
            value = converted
        values[name] = value
    return values


def _convert_argument(
    f: Lowering, function: FunctionType, name: str, value: Typed, kind: ir.Scalar | None, node: ast.AST
) -> Typed | None:
    if kind is None:
        wide = widened(value.type)
        return Typed(value.value, ir.S64 if isinstance(wide, Literal) else wide)
    if not fits(value.type, kind):
        f.error("K301", node, f"parameter `{name}` of `{function.__name__}` is a {kind}, and this is a {value.type}", f"a {value.type}")
        return None
    return Typed(f.coerce(value, kind, node, f"parameter `{name}`"), kind)


def parameter_types(f: Lowering, function: FunctionType) -> dict[str, ir.Scalar]:
    """The declared types of a function's parameters; those without an annotation, with Any or `function`, take what they are given."""
    found: dict[str, ir.Scalar] = {}
    try:
        annotations = function.__annotations__
    except Exception as problem:  # Python 3.14 evaluates them now, and they may raise anything
        f.compiler.bad_annotation(function, "", str(problem))
        return found
    for name, annotation in annotations.items():
        if name == "return":
            continue
        try:
            kind = resolve_type(annotation, function.__globals__)
            if kind is not Any and not isinstance(kind, FunctionPointer):
                found[name] = pointer_or_scalar(f.compiler.types.convert(kind))
        except Exception as problem:  # an annotation is the user's own code, and may raise anything
            f.compiler.bad_annotation(function, name, str(problem))
    return found


def pointer_or_scalar(kind: ir.Type) -> ir.Scalar:
    """The type of a variable declared so: a struct or an array is passed by its address, as `&x` is in C."""
    return ir.Ptr(kind) if isinstance(kind, ir.StructRef | ir.Array) else kind
