"""Compiling functions: one instance for each choice of argument types and of how its accesses run.

Holds what all walks share: types, memory, statements, the instances made so far. Leaves out the scene (scheme.py).
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import FunctionType

from msgspec import Struct

from lockverse import lang
from lockverse.diagnostics.suggest import nearest
from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.program import Function, Pool
from lockverse.lang.task import task_struct

from . import intrinsics, statements
from .callbacks import Callbacks
from .lowering import OBSERVER, PRIMITIVE, Lowering, Variable
from .memory import Memory
from .report import Reporter, place_of
from .source import FunctionNode, SourceFile, Sources, StatementTable
from .types import UNKNOWN, Constant, Result, Typed, TypeTable, ValueType, settled

WALKS = 50  # far above the height of the lattice of types times any sensible number of variables that feed each other
_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Instance(Struct, frozen=True):
    """A compiled function: its key in the program, the types of its result registers, and the shape of what it
    returns, in which NULL alone needs no register."""

    name: str
    results: tuple[ir.Scalar, ...]
    shape: tuple[ValueType, ...]


class Compiler:
    """All that is shared while one scheme is compiled."""

    def __init__(
        self, reporter: Reporter, sources: Sources, features: frozenset[str] = frozenset(),
        patches: Mapping[FunctionType, FunctionType] | None = None, contexts: int = 0,
    ) -> None:  # fmt: skip
        self.reporter, self.sources = reporter, sources
        self._patches = patches or {}
        self.contexts = contexts  # that run callbacks of RCU, one an rcu_head
        self.callbacks = Callbacks()
        self.features, self.wanted = features, set[str]()  # of the vocabulary: lang/features.py
        self.types = TypeTable()
        self.memory = Memory(self.types)
        self.table = StatementTable()
        self.pools: dict[type, Pool] = {}  # by the struct of the scheme
        self.functions: dict[str, Function] = {}
        self._instances: dict[object, Instance | None] = {}
        self._open: list[FunctionType] = []
        task = ir.StructRef(self.types.struct(task_struct))
        self.task_pointer = ir.Ptr(task)
        self.task_size = self.types.size(task)
        self.tasks, self.task_count = 1, 0

    def callback_cell(self, number: int) -> int:
        """The cell that says which callback the context of that number has queued."""
        field = self.types.structs[self.task_pointer.target.name].field("rcu_callback")  # type: ignore[union-attr]
        assert field is not None
        return self.tasks + (self.task_count - self.contexts + number) * self.task_size + field.offset

    # Instances

    def instance(
        self, caller: Lowering | None, function: FunctionType, values: dict[str, Result], mode: str, node: ast.AST | None
    ) -> Instance | None:
        """The instance of `function` for these arguments; None if it cannot be compiled (which is reported)."""
        key = (function, mode, tuple((name, _key(value)) for name, value in values.items()))
        if function in self._open:
            self._recursion(caller, function, node)
            return None
        if key not in self._instances:
            found = self._source(caller, function, node)
            self._instances[key] = None
            if found is not None:
                self._open.append(function)
                self._instances[key] = self._compile(caller, function, *found, values, mode, node)
                self._open.pop()
        return self._instances[key]

    def _recursion(self, caller: Lowering | None, function: FunctionType, node: ast.AST | None) -> None:
        if caller is None or node is None:
            return
        chain = [one.__name__ for one in self._open[self._open.index(function) :]] + [function.__name__]
        caller.error("K105", node, f"`{function.__name__}` calls itself", " -> ".join(chain), help="use a loop: there is no stack to grow")

    def _source(
        self, caller: Lowering | None, function: FunctionType, node: ast.AST | None
    ) -> tuple[SourceFile, FunctionNode] | None:
        found = self.sources.find(function)
        if found is None and caller is not None and node is not None:
            caller.error("K107", node, f"the source of `{function.__name__}` cannot be had", "called here",
                         help="define it with `def` in a file")  # fmt: skip
        if found is not None and (function.__code__.co_flags & _NOT_PLAIN or getattr(function, "__wrapped__", None)):
            place = place_of(found[0].path, found[1])
            self.reporter.add("K107", place, f"`{function.__name__}` is not a plain function", "a generator, async or decorated",
                              help="a CPU runs plain functions: `def` without yield, async or decorators")  # fmt: skip
            return None
        return found

    def _compile(
        self, caller: Lowering | None, function: FunctionType, source: SourceFile, node: FunctionNode,
        values: dict[str, Result], mode: str, at: ast.AST | None,
    ) -> Instance:  # fmt: skip
        if not self.is_vocabulary(function):
            self.table.enter(source, function.__name__, node)
        guesses: dict[str, ValueType] = {}
        results: list[ValueType] | None = None
        for _ in range(WALKS):
            f = Lowering(self, function, source, node, mode)
            f.caller = (caller, at) if caller is not None and at is not None else None
            f.results = results
            self._walk(f, values, guesses, mode)
            if not f.changed:
                break
            f.forget()
            guesses = {name: variable.type for name, variable in f.variables.items()}
            results = f.results
        return self._finish(f, function, values, mode)

    def _walk(self, f: Lowering, values: dict[str, Result], guesses: dict[str, ValueType], mode: str) -> None:
        statements.declare_variables(f, f.node)
        self._bind(f, values)
        for name, guess in guesses.items():
            if f.variables[name].declared is None:
                f.variables[name].type = guess
        if mode == PRIMITIVE:
            self._begin_step(f)
        if isinstance(f.node, ast.Lambda):
            f.statement = self.table.statement(f.node.body)
            self._lambda(f, f.node)
            return
        statements.body(f, f.node.body)
        if f.assigned is not None:
            self._fall_off(f, f.node)

    def _bind(self, f: Lowering, values: dict[str, Result]) -> None:
        """Enter the parameters: those that are values first in the registers, in order."""
        for name, value in values.items():
            if not isinstance(value, Typed):
                f.constants[name] = value
                f.variables.pop(name, None)
                continue
            variable = f.variables.setdefault(name, Variable(UNKNOWN))
            if variable.declared is None:
                variable.type = value.type
            kind = settled(value.type)
            if kind is not None:
                variable.register = f.build.register(name, kind, "param")
                if isinstance(f.node, ast.FunctionDef):
                    variable.declared = next((a for a in _parameters(f.node) if a.arg == name and a.annotation), None)
        f.assigned = frozenset(values)

    def _begin_step(self, f: Lowering) -> None:
        info = f.function.__lockverse_step__  # type: ignore[attr-defined]
        first = f.build.registers[0] if f.build.registers else None
        target = ops.Reg(0) if first is not None and isinstance(first.type, ir.Ptr) else None
        f.emit(ops.Step(info.name, info.order, target, f.at(f.node), info.takes, info.gives))

    def _lambda(self, f: Lowering, node: ast.Lambda) -> None:
        """The condition of a property: true or false, whatever its type."""
        value = intrinsics.condition_value(f, node.body)
        statements.give_back(f, (Typed(value, ir.Bool()),), node.body)

    def _fall_off(self, f: Lowering, node: ast.FunctionDef) -> None:
        if f.results:
            f.error("K307", f.returns[0] if f.returns else node, f"`{node.name}` returns a value here, and nothing where it ends",
                    "a value is returned", help=f"end `{node.name}` with a return of a value")  # fmt: skip
        else:
            last = node.body[-1]
            statements.give_back(f, (), last)

    def _finish(self, f: Lowering, function: FunctionType, values: dict[str, Result], mode: str) -> Instance:
        shape = tuple(f.results or ())
        results = tuple(kind for kind in (settled(one) for one in shape) if kind is not None)
        name = self.unique(function.__name__.strip("<>"))
        parameters = sum(isinstance(v, Typed) and settled(v.type) is not None for v in values.values())
        if not self.reporter.any:  # a walk that reported something may have left blocks open
            self.functions[name] = f.build.finish(
                name, results, parameters, observer=f.mode == OBSERVER, primitive=f.vocabulary
            )
        return Instance(name, results, tuple(ir.S64 if str(one) == "integer" else one for one in shape))

    def unique(self, name: str) -> str:
        """A name for a function that no other has: this one, or with a number."""
        count, found = 1, name
        while found in self.functions:
            count += 1
            found = f"{name}.{count}"
        return found

    # What walks ask

    def patched(self, function: FunctionType) -> FunctionType:
        """What runs where `function` is called: itself, or the patch of it."""
        return self._patches.get(function, function)

    def is_vocabulary(self, function: FunctionType) -> bool:
        """Whether a function is the vocabulary's own, shown as the user's call of it."""
        return (function.__module__ or "").startswith("lockverse.lang")

    def is_opaque(self, struct: ir.Struct) -> bool:
        """Whether a struct is used through functions only."""
        return bool(self.types.classes[struct.name].__lockverse_struct__.opaque)  # type: ignore[attr-defined]

    def guard(self, value: Result) -> tuple[FunctionType, FunctionType] | None:
        """What `with value:` calls on the way in and on the way out, or None if it is no lock."""
        if not isinstance(value, Typed) or not isinstance(value.type, ir.Ptr) or not isinstance(value.type.target, ir.StructRef):
            return None
        return getattr(self.types.classes[value.type.target.name], "__lockverse_guard__", None)

    def writes(self, f: Lowering, node: ast.AST) -> None:
        """Report that a property writes, where the user's own code does."""
        f.error("K305", node, "a property may not change anything", "this writes", help="read the state; let the CPUs do the writing")

    def unknown_name(self, f: Lowering, node: ast.Name) -> Typed:
        """Report a name that means nothing."""
        close = nearest(node.id, [*f.outer_names(), *lang.__all__])
        imported = close in f.outer_names() if close else False
        hint = f"did you mean `{close}`?" + ("" if imported else " It is in lockverse: `from lockverse import *`")
        return f.error("K201", node, f"`{node.id}` is not defined", "nothing has this name", help=hint if close else "")

    def unknown_field(self, f: Lowering, struct: ir.Struct, node: ast.Attribute) -> None:
        """Report a field that a struct does not have."""
        names = [field.name for field in struct.fields]
        close = nearest(node.attr, names)
        hint = f"did you mean `{close}`?" if close else f"its fields are {', '.join(names) or 'none'}"
        f.error("K202", node, f"struct {struct.name} has no field `{node.attr}`", "no such field", help=hint)

    def opaque_field(self, f: Lowering, struct: ir.Struct, node: ast.Attribute) -> None:
        """Report a look inside a lock or an atomic."""
        family = struct.name.removesuffix("_t")
        f.error("K202", node, f"`{node.attr}` belongs to the inside of {struct.name}", "not for a scheme to touch",
                help=f"use the functions on {struct.name}, such as {_EXAMPLES.get(struct.name, family + '_...')}")  # fmt: skip

    def bad_annotation(self, function: FunctionType, name: str, problem: str) -> None:
        """Report a parameter whose annotation is no type; `name` is empty if none of them can be read."""
        found = self.sources.find(function)
        if found is None or not isinstance(found[1], ast.FunctionDef):
            return
        node = next((a.annotation for a in _parameters(found[1]) if a.arg == name and a.annotation), found[1])
        what = f"type of parameter `{name}` is not one" if name else f"types of the parameters of `{function.__name__}` are not all"
        self.reporter.add("K310", place_of(found[0].path, node), f"the {what} of the language",
                          problem, help="a parameter is one of s8..u64, bool, an Enum, ptr[STRUCT]")  # fmt: skip


_EXAMPLES = {"spinlock_t": "spin_lock()", "atomic_t": "atomic_read()", "atomic64_t": "atomic64_read()", "atomic_long_t": "atomic_long_read()"}


def _parameters(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _key(value: Result) -> object:
    if isinstance(value, Constant):
        return ("constant", id(value.object))
    return value.type if isinstance(value, Typed) else value


