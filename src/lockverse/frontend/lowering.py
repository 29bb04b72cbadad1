"""Lowering one function: what the walks over its statements and expressions share.

A function is walked with the types of its variables as known so far, which emits IR and finds what each variable is
assigned; if that widens a type, the walk is thrown away and done again. Types only grow and there are few, so it
ends. One walk thus both types and emits, and there is no second description of the language to keep in step.

Leaves out the walks themselves: statements.py, expressions.py, conditions.py, calls.py, intrinsics.py.
"""

from __future__ import annotations

import ast
import builtins
import enum
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from lockverse.diagnostics.model import Label
from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.lang.null import NULL as LANG_NULL
from lockverse.lang.structs import is_object
from lockverse.lang.types import IntegerType, WrappedInt

from .builder import Builder
from .report import Key, place_of
from .source import FunctionNode, SourceFile
from .types import (
    LITERAL,
    NOTHING,
    NULL,
    Constant,
    Literal,
    Null,
    Result,
    Typed,
    Unknown,
    ValueType,
    fits,
    join,
    settled,
)

if TYPE_CHECKING:
    from .compiler import Compiler

# How a function's accesses run: each a step of its own; all inside its caller's step; all in a step of its own that is
# shown as the call; on one state as a whole; or there are none.
STEPS, ATOMIC, PRIMITIVE, OBSERVER, VALUES = "steps", "atomic", "primitive", "observer", "values"
_MISSING = object()


class Variable(Struct):
    """A local variable: its type so far, whether that was declared, where, and its register in this walk."""

    type: ValueType
    declared: ast.AST | None = None
    register: ops.Reg | None = None


class Loop(Struct):
    """An open loop: where break and continue go, how many cleanups were pending at its start, and which variables
    had a value where it was left."""

    leave: int
    again: int
    cleanups: int
    assigned_at_leave: list[frozenset[str] | None] = field(default_factory=list)


class Lowering:
    """One walk over one function with one choice of argument types."""

    def __init__(
        self, compiler: Compiler, function: FunctionType, source: SourceFile, node: FunctionNode, mode: str
    ) -> None:
        self.compiler, self.function, self.source, self.node = compiler, function, source, node
        self.mode = ATOMIC if mode == PRIMITIVE else mode
        self.build = Builder()
        self.variables: dict[str, Variable] = {}
        self.constants: dict[str, Result] = {}
        self.results: list[ValueType] | None = None
        self.returns: list[ast.AST] = []
        self.assigned: frozenset[str] | None = frozenset()  # None: this place is not reached
        self.loops: list[Loop] = []
        self.cleanups: list[Callable[[], None]] = []
        self.statement = 0
        self.changed = False
        self.excused = False  # inside data_race()
        self.vocabulary = compiler.is_vocabulary(function)
        self.caller: tuple[Lowering, ast.AST] | None = None
        self.origin: int | None = None  # of all ops, in code that stands in no file
        self._reported: list[Key] = []

    # What went wrong

    def error(self, code: str, node: ast.AST, headline: str, label: str = "", **parts: Any) -> Typed:
        """Report something at `node`; gives the value that is never complained about again."""
        if self.vocabulary and self.caller is not None:
            return self.caller[0].error(code, self.caller[1], headline, label, **parts)
        key = self.compiler.reporter.add(code, place_of(self.source.path, node), headline, label, **parts)
        self._reported += [key] if key is not None else []
        return NOTHING

    def forget(self) -> None:
        """Take back what this walk reported: its types had not settled."""
        for key in self._reported:
            self.compiler.reporter.forget(key)

    @property
    def node_name(self) -> str:
        """The function's name for a message."""
        return self.function.__name__

    def label(self, node: ast.AST, text: str) -> Label:
        """A second place, for a report."""
        return Label(place_of(self.source.path, node), text)

    def text(self, node: ast.AST) -> str:
        """The source of a node on one line."""
        return self.source.snippet(node)

    # Emitting

    def at(self, node: ast.AST) -> int:
        """The origin of ops for `node`; inside the vocabulary, that of the user's call."""
        if self.origin is not None:
            return self.origin
        if self.vocabulary and self.caller is not None:
            return self.caller[0].at(self.caller[1])
        return self.compiler.table.origin(self.statement, node)

    def emit(self, op: ops.Op) -> None:
        """Append an op to the current block."""
        self.build.emit(op)

    def temp(self, kind: ir.Scalar) -> ops.Reg:
        """A new temporary."""
        return self.build.register(f"t{len(self.build.registers)}", kind, "temp")

    def jump(self, target: int, node: ast.AST) -> None:
        """Leave the current block for `target`."""
        self.emit(ops.Jump(target, self.at(node)))

    def step(self, kind: str, order: str, target: ops.Value | None, node: ast.AST) -> None:
        """Begin a step, unless this code runs inside one or reads a state as a whole."""
        if self.mode == STEPS:
            self.emit(ops.Step(kind, "excused" if self.excused and order in ("plain", "once") else order, target, self.at(node)))
        elif self.mode == VALUES:
            self.error("K102", node, "a condition that is waited for looks at the value that was read, and at nothing else in memory",
                       "another access", help="put it in a variable before, or look at both in a loop")  # fmt: skip

    def load(self, address: ops.Value, kind: ir.Scalar, node: ast.AST) -> Typed:
        """Load a cell, inside a step."""
        dst = self.temp(kind)
        self.emit(ops.Load(dst, address, kind, self.at(node)))
        return Typed(dst, kind)

    def store(self, address: ops.Value, value: ops.Value, kind: ir.Scalar, node: ast.AST) -> None:
        """Store a cell, inside a step. A property may not."""
        if self.mode == OBSERVER:
            self.compiler.writes(self, node)
        else:
            self.emit(ops.Store(address, value, kind, self.at(node)))

    def plain_load(self, address: ops.Value, kind: ir.Scalar, node: ast.AST, name: str = "load", order: str = "plain") -> Typed:
        """A step that loads a cell."""
        self.step(name, order, address, node)
        return self.load(address, kind, node)

    def coerce(self, value: Typed, kind: ir.Scalar, node: ast.AST, what: str, declared: Label | None = None) -> ops.Value:
        """`value` as `what`, a place of type `kind`, stores it: checked for its type here, for its range when it runs."""
        if not fits(value.type, kind):
            self.error(
                "K301",
                node,
                f"{what} is a {kind}, and a {value.type} is stored in it",
                f"this is a {value.type}",
                secondary=(declared,) if declared else (),
                help=_conversion(value.type, kind),
            )
            return ops.Imm(0)
        if not isinstance(kind, ir.Int) or isinstance(value.type, Unknown):
            return value.value
        return self._narrow(value, kind, node, what)

    def _narrow(self, value: Typed, kind: ir.Int, node: ast.AST, what: str) -> ops.Value:
        if isinstance(value.value, ops.Imm):
            if not kind.wraps and not kind.holds(value.value.value):
                self.error("K306", node, f"{value.value.value} does not fit {what}", f"{kind} is {kind.low}..{kind.high}")
                return ops.Imm(0)
            return ops.Imm(kind.reduce(value.value.value))
        if isinstance(value.type, ir.Bool) or (isinstance(value.type, ir.Int) and _within(value.type, kind)):
            return value.value
        dst = self.temp(kind)
        self.emit(ops.Narrow(dst, value.value, kind, what, self.at(node)))
        return dst

    # Variables

    def read(self, name: str, node: ast.AST) -> Typed:
        """The value of a local variable."""
        variable = self.variables[name]
        if self.assigned is not None and name not in self.assigned:
            return self.error(
                "K204", node, f"`{name}` may be used before it has a value", "no value on some path that leads here",
                help=f"give `{name}` a value before the branch or loop that may leave it without",
            )  # fmt: skip
        if isinstance(variable.type, Null):
            return Typed(ops.Imm(0), NULL)
        if isinstance(variable.type, Unknown):
            return NOTHING
        kind = ir.S64 if isinstance(variable.type, Literal) else variable.type
        return Typed(self.register(name), kind)

    def register(self, name: str) -> ops.Reg:
        """The register of a local variable in this walk."""
        variable = self.variables[name]
        if variable.register is None:
            variable.register = self.build.register(name, settled(variable.type) or ir.S64, "local")
        return variable.register

    def assign(self, name: str, value: Result, node: ast.AST, at: ast.AST) -> None:
        """Give a local variable a value."""
        if not isinstance(value, Typed):
            self.error("K103", at, f"`{name}` cannot hold this", describe(value), help="a variable holds an integer, a bool, an enum or a pointer")
            value = NOTHING
        variable = self.variables[name]
        if variable.declared is None:
            self._widen(name, variable, value, at)
        kind = settled(variable.type)
        if kind is not None and not isinstance(value.type, Unknown):
            source = self.coerce(value, kind, at, f"`{name}`", self._declared(variable))
            self.emit(ops.Copy(self.register(name), source, self.at(node)))
        if self.assigned is not None:
            self.assigned |= {name}

    def _declared(self, variable: Variable) -> Label | None:
        return self.label(variable.declared, "declared here") if variable.declared else None

    def _widen(self, name: str, variable: Variable, value: Typed, at: ast.AST) -> None:
        if isinstance(value.type, ir.Int | ir.Bool | ir.Enum | ir.Ptr | Literal | Null | Unknown):
            joined = join(variable.type, value.type)
        else:
            self.error("K301", at, f"this call returns nothing, and `{name}` takes its value", "returns nothing")
            return
        if joined is None:
            self.error(
                "K301", at, f"`{name}` holds a {variable.type} elsewhere and a {value.type} here", f"this is a {value.type}",
                help=f"use two variables, or declare it where it is first set: `{name}: TYPE = ...`",
            )  # fmt: skip
        elif joined != variable.type:
            variable.type, self.changed = joined, True

    def result_type(self, kind: ValueType) -> ir.Scalar | None:
        """The type of the register a result goes to; None if it needs none (NULL alone, or unknown)."""
        return settled(kind)

    # Names

    def lookup(self, node: ast.Name) -> Result:
        """What a name means: a local variable, or something from round the function."""
        if node.id in self.variables:
            return self.read(node.id, node)
        if node.id in self.constants:
            return self.constants[node.id]
        found = self._outer(node.id)
        if found is _MISSING:
            return self.compiler.unknown_name(self, node)
        return self.constant(found, node)

    def _outer(self, name: str) -> object:
        code = self.function.__code__
        if name in code.co_freevars and self.function.__closure__ is not None:
            cell = self.function.__closure__[code.co_freevars.index(name)]
            try:
                return cell.cell_contents
            except ValueError:
                return _MISSING
        found = self.function.__globals__.get(name, _MISSING)
        return getattr(builtins, name, _MISSING) if found is _MISSING else found

    def outer_names(self) -> list[str]:
        """All names that can be seen here, for a suggestion."""
        known = [*self.variables, *self.constants, *self.function.__code__.co_freevars, *self.function.__globals__]
        return [name for name in known if not name.startswith("_")]

    def constant(self, value: object, node: ast.AST) -> Result:
        """A Python object as the language sees it."""
        if value is None or value is LANG_NULL:
            return Typed(ops.Imm(0), NULL)
        if isinstance(value, bool):
            return Typed(ops.Imm(int(value)), ir.Bool())
        if isinstance(value, enum.Enum):
            members = tuple(type(value).__members__)
            return Typed(ops.Imm(members.index(value.name)), ir.Enum(type(value).__name__, members))
        if isinstance(value, WrappedInt):
            kind: IntegerType = value.type
            return Typed(ops.Imm(int(value)), ir.Int(kind.bits, kind.signed, wraps=True))
        if isinstance(value, int):
            return self.integer(value, node)
        if is_object(value):
            address = self.compiler.memory.address(value, node.id if isinstance(node, ast.Name) else "")
            return Typed(ops.Imm(address), ir.Ptr(self.compiler.types.object_type(value)))
        return Constant(value)

    def integer(self, value: int, node: ast.AST) -> Typed:
        """An integer constant; complains if it does not fit 64 bits."""
        if not ir.S64.low <= value <= ir.U64.high:
            return self.error("K306", node, f"{value} does not fit 64 bits", "the widest integers are s64 and u64")
        return Typed(ops.Imm(value), LITERAL if value <= ir.S64.high else ir.U64)

    # Where values meet

    def meet(self, states: list[frozenset[str] | None]) -> None:
        """Go on where several paths meet: assigned is what is assigned on all that get here."""
        reached = [state for state in states if state is not None]
        self.assigned = frozenset.intersection(*reached) if reached else None


def _within(inner: ir.Int, outer: ir.Int) -> bool:
    if outer.wraps:
        return inner == outer
    return outer.low <= inner.low and inner.high <= outer.high


def _conversion(value: ValueType, kind: ir.Scalar) -> str:
    if isinstance(kind, ir.Bool) and isinstance(value, ir.Int | Literal):
        return "compare it: `... != 0`"
    if isinstance(kind, ir.Int) and isinstance(value, ir.Ptr):
        return "read a field of the object it points to"
    return ""


def describe(value: Result) -> str:
    """What something that is no plain value is, for a label."""
    if isinstance(value, Constant):
        kind = value.object
        if isinstance(kind, FunctionType):
            return f"`{kind.__name__}` is a function"
        return f"a Python `{type(kind).__name__}`" if not isinstance(kind, type) else f"`{kind.__name__}` is a type"
    return "several values" if not isinstance(value, Typed) else f"a {value.type}"
