"""From a scheme function to a program: build the scene, lay out memory, compile what the CPUs run and what must hold.

Leaves out files and names of schemes on the command line (the session's).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType

from msgspec import Struct

from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected
from lockverse.ir import types as ir
from lockverse.ir.contexts import CONTEXTS
from lockverse.ir.ops import Imm
from lockverse.ir.program import Program, Property, Thread
from lockverse.ir.source import Origin, Span, Statement
from lockverse.lang import scene as lang_scene
from lockverse.lang.errors import SchemeError
from lockverse.lang.patch import replacements
from lockverse.lang.scene import PropertyDeclaration, Scene
from lockverse.lang.structs import is_object
from lockverse.lang.task import HARDIRQ, SOFTIRQ, task_struct

from .callbacks import context
from .calls import parameter_types
from .compiler import Compiler
from .handlers import asked_for, handler
from .leaks import leak_property
from .load import guarded
from .lowering import OBSERVER, STEPS, Lowering
from .report import Reporter, place_of
from .source import Sources
from .types import Constant, Functions, Literal, Result, Typed, fits, settled


class SchemeFile(Struct, frozen=True):
    """A loaded scheme file: its module, its path, the path the user wrote, its schemes by name in file order."""

    module: ModuleType
    path: Path
    shown: str
    schemes: dict[str, FunctionType]


def schemes_in(module: ModuleType, path: Path, shown: str) -> SchemeFile:
    """The schemes a module defines (those it imports from elsewhere are not its own)."""
    found = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__lockverse_scheme__", False) and getattr(value, "__module__", None) == module.__name__
    }
    return SchemeFile(module, path, shown, found)


def compile_scheme(file: SchemeFile, name: str, arguments: Mapping[str, object]) -> Program:
    """Compile one scheme. Raises Rejected with everything that is wrong with it."""
    scheme = file.schemes[name]
    scene = guarded(lambda: lang_scene.build(scheme, arguments), file.shown, file.path)
    if not scene.cpus:
        raise Rejected((_no_cpu(scheme, file),))
    sources, features, functions, contexts = Sources(file.path, file.shown), _features(scene), Functions(), 0
    try:
        patches = _patches(scene, sources)
        while True:
            compiler = Compiler(Reporter(), sources, features, patches, contexts)
            compiler.types.functions = functions
            program = _Assembly(compiler, scheme, scene, file).program(name)
            compiler.reporter.raise_if_any()
            needed = len(compiler.memory.heads) if compiler.callbacks.known else 0
            if not functions.grow() and compiler.wanted <= features and needed == contexts:
                return program
            features, contexts = features | compiler.wanted, needed
    except RecursionError:
        raise Rejected((_too_deep(file),)) from None
    finally:
        scene.restore()


def _features(scene: Scene) -> frozenset[str]:
    """What the scene itself needs of the vocabulary: see lang/features.py."""
    found = set()
    tasks = [one.task.cpu for one in scene.cpus if one.task.context == 0]
    if len(set(tasks)) < len(tasks):
        found |= {"shared_cpus", "preempt_count"}
    if any(one.task.context in (SOFTIRQ, HARDIRQ) for one in scene.cpus):
        found |= {"interrupts", "preempt_count"}
    return frozenset(found)


def _too_deep(file: SchemeFile) -> Diagnostic:
    label = Label(Place(file.shown, 0, 0, 0, 0))
    return Diagnostic("K102", "an expression or a chain of calls is nested too deeply", label, help="split it: use variables for parts of it")


def _no_cpu(scheme: FunctionType, file: SchemeFile) -> Diagnostic:
    return Diagnostic(
        "K005", f"scheme {scheme.__name__} runs nothing", Label(_place_of_scheme(scheme, file), "calls cpu() nowhere"), (),
        "say what runs: `cpu(function, arguments...)`, once for each CPU",
    )  # fmt: skip


def _place_of_scheme(scheme: FunctionType, file: SchemeFile) -> Place:
    """Its `def` and its name."""
    found = Sources().find(scheme)
    line = scheme.__code__.co_firstlineno
    if found is None:
        return Place(file.shown, line, 1, line, 1)
    node = found[1]
    return Place(file.shown, node.lineno, node.col_offset + 1, node.lineno, node.col_offset + 5 + len(scheme.__name__))


def _patches(scene: Scene, sources: Sources) -> dict[FunctionType, FunctionType]:
    """What runs in place of what. Raises Rejected for patches that do not fit."""
    reporter = Reporter()
    for one in dict.fromkeys(scene.patches):
        _check_patch(one, sources, reporter)
    reporter.raise_if_any()
    return replacements(scene.patches)


def _check_patch(one: FunctionType, sources: Sources, reporter: Reporter) -> None:
    target = one.__lockverse_patch__  # type: ignore[attr-defined]
    place = _place_of_parameters(one, sources)
    assert place is not None
    if not isinstance(target, FunctionType) or any(hasattr(target, f"__lockverse_{name}__") for name in ("place", "intrinsic")):
        name = getattr(target, "__name__", type(target).__name__)
        reporter.add("K312", place, f"`{name}` cannot be patched", "a patch stands for a function written in the language")
        return
    wanted, given = _parameters(target), _parameters(one)
    if wanted != given:
        where = _place_of_parameters(target, sources)
        reporter.add("K312", place, f"this patch of `{target.__name__}` takes other parameters", f"takes {_list(given)}",
                     secondary=() if where is None else (Label(where, "what it replaces takes these"),),
                     help=f"write `def {one.__name__}({', '.join(wanted)})`: callers do not change")  # fmt: skip


def _place_of_parameters(function: FunctionType, sources: Sources) -> Place | None:
    """Where a function's parameters stand, or its `def` if it has none."""
    found = sources.find(function)
    if found is None or not isinstance(found[1], ast.FunctionDef):
        return None
    first, last = (found[1].args.args[0], found[1].args.args[-1]) if found[1].args.args else (found[1], found[1])
    start, end = place_of(found[0].path, first), place_of(found[0].path, last)
    if first is found[1]:
        return Place(start.file, start.line, start.column, start.line, start.column + len("def ") + len(function.__name__))
    return Place(start.file, start.line, start.column, end.end_line, end.end_column)


def _parameters(function: FunctionType) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


class _Assembly:
    """Putting one program together."""

    def __init__(self, compiler: Compiler, scheme: FunctionType, scene: Scene, file: SchemeFile) -> None:
        self.compiler, self.scheme, self.scene, self.file = compiler, scheme, scene, file
        # Statement 0 and origin 0 stand for the scene itself.
        compiler.table.statements.append(Statement("", file.shown, 1, "", "simple", 0))
        compiler.table.origins.append(Origin(0, Span(1, 1, 1, 1)))

    def program(self, name: str) -> Program:
        """The whole program. What is wrong goes to the compiler's reporter."""
        memory = self.compiler.memory
        self.compiler.types.cpus = lang_scene.cpus_of(self.scene)
        tasks = [getattr(cpu, "task", None) or task_struct() for cpu in self.scene.cpus]
        tasks += [task_struct() for _ in range(self.compiler.contexts)]
        for number, task in enumerate(tasks):
            task.pid = number
        self.compiler.tasks, self.compiler.task_count = memory.tasks(tasks), len(tasks)
        self._name_objects()
        self.compiler.pools = {kind: memory.pool(one) for kind, one in self.scene.pools.items()}
        for value in self.scene.names.values():
            self._lay_out(value)
        threads = [self._thread(number) for number in range(len(self.scene.cpus))]
        properties = [self._property(one) for one in self.scene.properties]
        memory.finish()
        contexts = self._contexts() if self.compiler.contexts else []
        for problem in memory.problems:
            self._bad(_place_of_scheme(self.scheme, self.file), problem, "in this scene")
        compiler = self.compiler
        if compiler.pools:
            properties.append(leak_property(compiler))
        return Program(
            name, self.file.shown, compiler.types.structs, compiler.functions, tuple(memory.objects), tuple(memory.cells),
            (*(one for one in threads if one is not None), *contexts), tuple(one for one in properties if one is not None),
            compiler.table.finished(), tuple(compiler.table.origins), compiler.tasks, tuple(memory.locks),
            tuple(compiler.pools.values()), memory.permanent,
        )  # fmt: skip

    def _name_objects(self) -> None:
        memory = self.compiler.memory
        self.scene.names = self._in_order(self.scene.names)
        memory.name_all(self.scene.names)
        memory.name_all({name: value for name, value in vars(self.file.module).items() if not name.startswith("_")})

    def _in_order(self, names: dict[str, object]) -> dict[str, object]:
        """The scheme function's variables in the order the reader meets them: that is how memory is laid out."""
        found = self.compiler.sources.find(self.scheme)
        nodes = [] if found is None else [part for part in ast.walk(found[1]) if isinstance(part, ast.Name)]
        first = {node.id: (node.lineno, node.col_offset) for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset), reverse=True)}
        return dict(sorted(names.items(), key=lambda item: first.get(item[0], (0, 0))))

    def _lay_out(self, value: object) -> None:
        if is_object(value):
            self.compiler.memory.address(value)
        elif isinstance(value, list | tuple):
            for one in value:
                self._lay_out(one)

    # Threads

    def _thread(self, number: int) -> Thread | None:
        cpu = self.scene.cpus[number]
        place = Place(self.file.shown, cpu.site.line, cpu.site.column, cpu.site.end_line, cpu.site.end_column)
        function = cpu.function
        if not isinstance(function, FunctionType):
            self._bad(place, "cpu() takes a function", f"this is a Python `{type(cpu.function).__name__}`", "cpu(function, arguments...)")
            return None
        function = self.compiler.patched(function)
        values = self._arguments(function, cpu.args, cpu.kwargs, place)
        if values is None:
            return None
        instance = self.compiler.instance(None, function, values, STEPS, None)
        if instance is None:
            return None
        passed = tuple(v.value.value for v in values.values() if isinstance(v, Typed) and settled(v.type) and isinstance(v.value, Imm))
        task = self.compiler.tasks + number * self.compiler.task_size
        name = instance.name
        found = self.compiler.sources.find(function)
        if cpu.leave is not None and found is not None and not self.compiler.reporter.any:
            name = handler(self.compiler, cpu, instance, Lowering(self.compiler, function, *found, STEPS))
        return Thread(cpu.task.cpu, name, function.__name__, passed, task, CONTEXTS[cpu.task.context], asked_for(self.compiler, cpu))

    def _arguments(
        self, function: FunctionType, args: tuple[object, ...], kwargs: Mapping[str, object], place: Place
    ) -> dict[str, Result] | None:
        """The values a CPU's function starts with, in the order of its parameters."""
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        defaults = function.__defaults__ or ()
        positional = names[: code.co_argcount]
        given: dict[str, object] = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
        given.update(function.__kwdefaults__ or {})
        given.update(zip(positional, args, strict=False))
        given.update(kwargs)
        wrong = [name for name in names if name not in given] + [name for name in given if name not in names]
        if wrong or len(args) > len(positional):
            takes = f"{function.__name__} takes {', '.join(names) or 'nothing'}"
            self._bad(place, f"cpu() gives {function.__name__} the wrong arguments", takes, code="K302")
            return None
        return self._convert(function, {name: given[name] for name in names}, place)

    def _convert(self, function: FunctionType, given: dict[str, object], place: Place) -> dict[str, Result] | None:
        found = self.compiler.sources.find(function)
        if found is None:
            self._bad(place, f"the source of `{function.__name__}` cannot be had", "run here", "define it with `def` in a file", "K107")
            return None
        probe = Lowering(self.compiler, function, *found, STEPS)
        declared = parameter_types(probe, function)
        values: dict[str, Result] = {}
        for name, value in given.items():
            try:
                converted = probe.constant(value, found[1])
            except SchemeError as problem:
                self._bad(place, str(problem), f"passed as `{name}`")
                return None
            checked = self._fit(name, converted, declared.get(name), value, place)
            if checked is None:
                return None
            values[name] = checked
        return values

    def _fit(self, name: str, value: Result, kind: ir.Scalar | None, given: object, place: Place) -> Result | None:
        if isinstance(value, Constant):
            if isinstance(value.object, FunctionType | type):
                return value
            self._bad(place, f"parameter `{name}` cannot take a Python `{type(given).__name__}`", "passed here",
                      "pass objects of the scene, integers, bools, enum members or NULL")  # fmt: skip
            return None
        if not isinstance(value, Typed):
            return value
        if kind is None:
            return Typed(value.value, ir.S64 if isinstance(value.type, Literal) else value.type)
        if not fits(value.type, kind):
            self._bad(place, f"parameter `{name}` is a {kind}, and this is a {value.type}", "passed here", code="K301")
            return None
        if isinstance(kind, ir.Int) and isinstance(value.value, Imm) and not kind.holds(value.value.value):
            self._bad(place, f"{value.value.value} does not fit parameter `{name}`, a {kind}", "passed here", code="K306")
            return None
        return Typed(value.value, kind)

    def _bad(self, place: Place, headline: str, label: str, help: str = "", code: str = "K008") -> None:
        self.compiler.reporter.add(code, place, headline, label, help=help)

    def _contexts(self) -> list[Thread]:
        """What runs the callbacks of RCU: a thread for each rcu_head, on a CPU of its own."""
        compiler, memory = self.compiler, self.compiler.memory
        function = context(compiler)
        memory.finish()  # what the callbacks name
        found = []
        for number, head in enumerate(memory.heads[: compiler.contexts]):
            task = compiler.tasks + (len(self.scene.cpus) + number) * compiler.task_size
            memory.set(head, task)
            title = f"rcu {memory.cells[head].name.rsplit('.', 2)[0]}"
            found.append(Thread(-1 - number, function, title, (head,), task, pending=compiler.callback_cell(number)))
        return found

    # Properties

    def _property(self, one: PropertyDeclaration) -> Property | None:
        site = one.site
        place = Place(self.file.shown, site.line, site.column, site.end_line, site.end_column)
        condition = one.condition
        if not isinstance(condition, FunctionType) or condition.__code__.co_argcount:
            self._bad(place, f"{one.kind.replace('-', '_')}() takes a function without parameters", "given here", "always(lambda: x.n >= 0)")
            return None
        instance = self.compiler.instance(None, condition, {}, OBSERVER, None)
        if instance is None:
            found = self.compiler.sources.find(condition)
            if found is None:
                self._bad(place, "the source of this property cannot be had", "given here", "write it as a lambda in a file", "K107")
            return None
        if instance.results != (ir.Bool(),) and not self.compiler.reporter.any:
            self._bad(place, "a property is true or false", f"this gives {instance.results[0] if instance.results else 'nothing'}", code="K301")
            return None
        return Property(one.kind, one.message or self._text(condition), instance.name, self._origin(condition))

    def _text(self, condition: FunctionType) -> str:
        found = self.compiler.sources.find(condition)
        assert found is not None
        body = getattr(found[1], "body", None)
        return condition.__name__ if isinstance(body, list) else found[0].snippet(body)  # type: ignore[arg-type]

    def _origin(self, condition: FunctionType) -> int:
        found = self.compiler.sources.find(condition)
        assert found is not None
        node = found[1]
        statement = self.compiler.table.body(node)[0]
        place = place_of(found[0].path, node)
        origin = Origin(statement, Span(place.line, place.column, place.end_line, place.end_column))
        self.compiler.table.origins.append(origin)
        return len(self.compiler.table.origins) - 1
