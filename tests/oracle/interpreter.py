"""An independent interpreter of scheme functions, written from docs/language.md: Python's own syntax tree, walked.

It shares nothing with the compiler, the passes or the machine. Each function is a Python generator that stops before
every step; memory is the scene's own Python objects. Slow and simple on purpose: it is what the real thing is held to.

Leaves out data types other than what fits in 64 bits, and everything about what to explore: explore.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from lockverse.lang.null import NULL
from lockverse.lang.structs import Array, declaration, is_object
from lockverse.lang.types import IntegerType, is_scalar

from .contexts import LOCAL_LOCKS, Contexts, Cpus
from .lifetimes import LOOPS, Heap, Lifetimes
from .locks import ASSERTS, LOCKS, Held, Locks, ends
from .macros import BITS, COND_LOADS, PLACES, Macros, as_said
from .rcu import Rcu, Readers
from .values import COMPARE, Fault, atomic, binary, converted, plain, true, wrap
from .waiting import BIT_SPINS, BIT_WAITS, EVENTS, WAITING, Sleep, Waiting


class Pruned(Exception):
    """An assumption is false."""


@dataclass
class Stop:
    """Before a step: what it is, whether it can run now, how many outcomes there are to pick from, and whether the thread
    may stay here for ever."""

    kind: str
    ready: Callable[[], bool] = lambda: True
    options: int = 1
    rest: bool = False


@dataclass
class Frame:
    """A call: its function, its variables, where it stands, and values it still holds for later."""

    name: str
    locals: dict[str, Any]
    outer: dict[str, Any]
    node: tuple[object, ...] = ()
    held: list[Any] = field(default_factory=list)


@dataclass
class Place:
    """A place in memory: how to read and write it, its type, and the values that say which it is."""

    get: Callable[[], Any]
    put: Callable[[Any], None]
    kind: Any
    held: tuple[Any, ...]


@dataclass
class World:
    """What all threads share besides the objects: who holds which lock, RCU, what is allocated."""

    owner: dict[int, int] = field(default_factory=dict)
    rcu: Rcu = field(default_factory=Rcu)
    heap: Heap = field(default_factory=Heap)
    held: Held = field(default_factory=Held)
    sleep: Sleep = field(default_factory=Sleep)
    cpus: Cpus = field(default_factory=Cpus)
    tasks: list[Any] = field(default_factory=list)
    threads: int = 0
    patches: dict[Any, Any] = field(default_factory=dict)


Steps = Generator[Stop, int, Any]


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse(Path(path).read_text())


def source_of(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function."""
    for node in ast.walk(_tree(function.__code__.co_filename)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == function.__code__.co_firstlineno:
                return node
    raise LookupError(function)


class Thread(Contexts, Locks, Waiting, Readers, Lifetimes, Macros):
    """One CPU: `frames` and `stop` say where it stands; `go(choice)` takes its step."""

    def __init__(self, world: World, me: int, function: FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.world, self.me = world, me
        self.frames: list[Frame] = []
        self.stop: Stop | None = None
        self.rested = False
        self._steps = self._main(function, args, kwargs)
        self._advance(None)

    def _main(self, function: FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        yield from self._call(function, list(args), kwargs)
        self._at_exit()
        if self.world.rcu.nesting.get(self.me, 0):
            raise Fault("rcu-imbalance")
        if self.world.rcu.preempt.get(self.me, 0):
            raise Fault("preempt-imbalance")
        self._ends()

    def ready(self) -> bool:
        """Whether it can take its step now."""
        return self.stop is not None and self.has_its_cpu() and self.stop.ready()

    def _advance(self, choice: int | None) -> None:
        try:
            self.stop = next(self._steps) if choice is None else self._steps.send(choice)
        except StopIteration:
            self.stop = None

    def go(self, choice: int) -> None:
        """Take the step and all local work after it."""
        self._advance(choice)

    def key(self, number: Callable[[Any], object]) -> object:
        """All of the thread's own state, comparable."""
        if self.stop is None:
            return "finished"
        frames = []
        for frame in self.frames:
            # A variable that has no value yet is 0 in a state, as docs/language.md says.
            values = {name: number(value) for name, value in frame.locals.items()}
            variables = tuple(sorted(item for item in values.items() if item[1] not in (0, ("null",))))
            frames.append((frame.name, frame.node, variables, tuple(number(value) for value in frame.held)))
        return (self.stop.kind, self.stop.rest, *frames)

    def at_rest(self) -> bool:
        """Whether it has finished, or ran rest() since its last step."""
        return self.stop is None or self.stop.rest

    @property
    def cpu(self) -> int:
        """The number of its CPU; what runs RCU's callbacks has none of its own and counts as on the first."""
        return self.world.cpus.places[self.me][0] if self.me < len(self.world.cpus.places) else 0

    # Functions and statements

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def _call(self, function: FunctionType, args: list[Any], kwargs: dict[str, Any]) -> Steps:
        node = source_of(function)
        names = [a.arg for a in node.args.args]
        bound = dict(zip(names, args, strict=False)) | kwargs
        defaults = function.__defaults__ or ()
        for name, value in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            bound.setdefault(name, value)
        outer = dict(function.__globals__)
        if function.__closure__:
            cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
            outer |= {name: cell.cell_contents for name, cell in cells}
        self.frames.append(Frame(function.__name__, bound, outer))
        signal = yield from self._body(node.body)
        self.frames.pop()
        return signal[1] if signal and signal[0] == "return" else None

    def _body(self, body: list[ast.stmt]) -> Steps:
        for node in body:
            signal = yield from getattr(self, f"_{type(node).__name__}")(node)
            if signal:
                return signal
        return None

    def _Pass(self, node: ast.Pass) -> Steps:
        return None
        yield

    def _Expr(self, node: ast.Expr) -> Steps:
        yield from self._value(node.value)

    def _Assign(self, node: ast.Assign) -> Steps:
        value = yield from self._value(node.value)
        for target in node.targets:
            yield from self._assign(target, value)

    def _AnnAssign(self, node: ast.AnnAssign) -> Steps:
        if node.value is not None:
            value = yield from self._value(node.value)
            kind = eval(compile(ast.Expression(node.annotation), "?", "eval"), self.frame.outer)
            yield from self._assign(node.target, converted(kind, value))

    def _assign(self, target: ast.expr, value: Any) -> Steps:
        if isinstance(target, ast.Name):
            self.frame.locals[target.id] = value
        elif isinstance(target, ast.Tuple):
            self.frame.held += list(value)
            for one in target.elts:
                yield from self._assign(one, self.frame.held.pop(-len(target.elts) + target.elts.index(one)))
        else:
            self.frame.held.append(value)
            place = yield from self._place(target)
            self.frame.held.pop()
            value = converted(place.kind, value)
            self.frame.held += [value, *place.held]
            yield from self._stop("store", target)
            del self.frame.held[-1 - len(place.held) :]
            self._alive(place.held[0])
            place.put(value)

    def _AugAssign(self, node: ast.AugAssign) -> Steps:
        if isinstance(node.target, ast.Name):
            self.frame.held.append(self._name(node.target.id))
            right = yield from self._value(node.value)
            self.frame.locals[node.target.id] = binary(node.op, self.frame.held.pop(), right)
            return
        place = yield from self._place(node.target)
        self.frame.held += place.held
        yield from self._stop("load", node.target)
        self._alive(place.held[0])
        self.frame.held.append(place.get())
        right = yield from self._value(node.value)
        value = converted(place.kind, binary(node.op, self.frame.held.pop(), right))
        self.frame.held.append(value)
        yield from self._stop("store", node.target)
        del self.frame.held[-1 - len(place.held) :]
        self._alive(place.held[0])
        place.put(value)

    def _If(self, node: ast.If) -> Steps:
        test = yield from self._value(node.test)
        return (yield from self._body(node.body if true(test) else node.orelse))

    def _While(self, node: ast.While) -> Steps:
        while True:
            test = yield from self._value(node.test)
            if not true(test):
                return (yield from self._body(node.orelse))
            signal = yield from self._body(node.body)
            if signal == ("break",):
                return None
            if signal and signal[0] == "return":
                return signal

    def _For(self, node: ast.For) -> Steps:
        if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name) and node.iter.func.id == "range":
            bounds = []
            for one in node.iter.args:
                bounds.append((yield from self._value(one)))
                self.frame.held.append(bounds[-1])
            del self.frame.held[len(self.frame.held) - len(bounds) :]
            items: Any = range(*bounds)
        elif isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name) and node.iter.func.id in LOOPS:
            return (yield from self._for_list(node, node.iter.func.id))
        else:
            items = yield from self._value(node.iter)
        for index in range(len(items)):
            held = (index, len(items)) if isinstance(items, range) else (index, items)
            if isinstance(items, Array) and is_scalar(items.type.element):
                self.frame.held += held
                yield from self._stop("load", node.iter)
                del self.frame.held[-2:]
                self._alive(items)
            self.frame.locals[node.target.id] = items[index]
            self.frame.held += held
            signal = yield from self._body(node.body)
            del self.frame.held[-2:]
            if signal == ("break",):
                return None
            if signal and signal[0] == "return":
                return signal
        return (yield from self._body(node.orelse))

    def _Break(self, node: ast.Break) -> Steps:
        return ("break",)
        yield

    def _Continue(self, node: ast.Continue) -> Steps:
        return ("continue",)
        yield

    def _Return(self, node: ast.Return) -> Steps:
        value = None
        if node.value is not None:
            value = yield from self._value(node.value)
        return ("return", value)

    def _Assert(self, node: ast.Assert) -> Steps:
        if not true((yield from self._value(node.test))):
            raise Fault("assertion")

    def _With(self, node: ast.With) -> Steps:
        locks = []
        for item in node.items:
            lock, take = yield from self._guard(item.context_expr)
            self.frame.held.append(lock)
            flags = yield from self._guarded(take, item.context_expr, [lock])
            locks.append((lock, take, flags))
            self.frame.held.append(flags)
        signal = yield from self._body(node.body)
        returned = [signal[1]] if signal and signal[0] == "return" else []
        self.frame.held += returned
        for item, (lock, take, flags) in zip(reversed(node.items), reversed(locks), strict=True):
            yield from self._guarded(ends(take), item.context_expr, [lock, flags] if take.endswith("save") else [lock])
        del self.frame.held[len(self.frame.held) - 2 * len(locks) - len(returned) :]
        return signal

    # Expressions

    def _stop(self, kind: str, node: ast.AST, ready: Callable[[], bool] = lambda: True, options: int = 1) -> Steps:
        self.frame.node = (kind, node.lineno, node.col_offset, node.end_col_offset)  # type: ignore[attr-defined]
        rested, self.rested = self.rested, False
        return (yield Stop(kind, ready, options, rested))

    def _name(self, name: str) -> Any:
        if name in self.frame.locals:
            return self.frame.locals[name]
        return self.frame.outer[name] if name in self.frame.outer else __builtins__[name]  # type: ignore[index]

    def _value(self, node: ast.expr) -> Steps:
        return (yield from getattr(self, f"_x_{type(node).__name__}")(node))

    def _x_Constant(self, node: ast.Constant) -> Steps:
        return node.value
        yield

    def _x_Name(self, node: ast.Name) -> Steps:
        return self._name(node.id)
        yield

    def _x_Tuple(self, node: ast.Tuple) -> Steps:
        values = []
        for one in node.elts:
            values.append((yield from self._value(one)))
            self.frame.held.append(values[-1])
        del self.frame.held[len(self.frame.held) - len(values) :]
        return tuple(values)

    def _x_Attribute(self, node: ast.Attribute) -> Steps:
        base = yield from self._value(node.value)
        if not is_object(base) and base is not NULL and base is not None:
            return getattr(base, node.attr)
        return (yield from self._load(_field(base, node.attr), node))

    def _x_Subscript(self, node: ast.Subscript) -> Steps:
        if isinstance(node.value, ast.Name) and isinstance(self._name(node.value.id), list | tuple):
            return self._name(node.value.id)[(yield from self._value(node.slice))]
        place = yield from self._place(node)
        return (yield from self._load(place, node))

    def _load(self, place: Place, node: ast.expr) -> Steps:
        if is_scalar(place.kind):
            self.frame.held += place.held
            yield from self._stop("load", node)
            del self.frame.held[-len(place.held) :]
            self._alive(place.held[0])
        return place.get()

    def _place(self, node: ast.expr) -> Steps:
        """A place in memory. No step."""
        if isinstance(node, ast.Attribute):
            base = yield from self._value(node.value)
            return _field(base, node.attr)
        assert isinstance(node, ast.Subscript)
        base = yield from self._value(node.value)
        self.frame.held.append(base)
        index = yield from self._value(node.slice)
        self.frame.held.pop()
        return self._element(base, index)

    def _element(self, base: Any, index: int) -> Place:
        if not 0 <= index < len(base):
            raise Fault("out-of-bounds")
        return Place(lambda: base[index], lambda value: base.__setitem__(index, value), base.type.element, (base, index))

    def _field(self, base: Any, name: str) -> Place:
        return _field(base, name)

    def _x_BinOp(self, node: ast.BinOp) -> Steps:
        left = yield from self._value(node.left)
        self.frame.held.append(left)
        right = yield from self._value(node.right)
        return binary(node.op, self.frame.held.pop(), right)

    def _x_UnaryOp(self, node: ast.UnaryOp) -> Steps:
        value = yield from self._value(node.operand)
        if isinstance(node.op, ast.Not):
            return not true(value)
        return -value if isinstance(node.op, ast.USub) else ~value if isinstance(node.op, ast.Invert) else +value

    def _x_BoolOp(self, node: ast.BoolOp) -> Steps:
        wanted = isinstance(node.op, ast.Or)
        value: Any = None
        for one in node.values:
            value = yield from self._value(one)
            if true(value) is wanted:
                return value
        return value

    def _x_Compare(self, node: ast.Compare) -> Steps:
        left = yield from self._value(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            self.frame.held.append(left)
            right = yield from self._value(right_node)
            left = self.frame.held.pop()
            if not COMPARE[type(op)](plain(left), plain(right)):
                return False
            left = right
        return True

    def _x_IfExp(self, node: ast.IfExp) -> Steps:
        test = yield from self._value(node.test)
        return (yield from self._value(node.body if true(test) else node.orelse))

    def _macro(self, name: str) -> Callable[[str, ast.Call], Steps] | None:
        """What handles a call whose arguments are not all values."""
        if name.startswith(("this_cpu_", "__this_cpu_")) and name != "this_cpu_ptr":
            return self._this_cpu
        known = ((LOCAL_LOCKS, self._local), (BITS, self._bit), (COND_LOADS, self._cond_load), (EVENTS, self._wait_event), (BIT_SPINS, self._bit_spin), (BIT_WAITS, self._bit_wait))
        return next((handler for names, handler in known if name in names), None)

    def _x_Call(self, node: ast.Call) -> Steps:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        users = not getattr(self.frame.outer.get(name), "__module__", "lockverse.").startswith("lockverse.")
        name = "" if users else name  # the user's own function may have any name
        if name in PLACES:
            return (yield from self._on_place(name, PLACES[name], node))
        macro = self._macro(name)
        if macro is not None:
            return (yield from macro(name, node))
        if name in ("WARN_ON", "WARN_ON_ONCE", "BUG_ON", "VM_BUG_ON"):
            if true((yield from self._value(node.args[0]))):
                raise Fault("warning" if name.startswith("WARN") else "bug")
            return False
        if name == "choose":
            return (yield from self._choose(node))
        if name in ("cpu_relax", "barrier", "rest"):
            self.rested |= name == "rest"
            return None
        if name == "smp_processor_id":
            return self.cpu
        pointer = None
        if name == "" or name in self.frame.locals:
            pointer = yield from self._value(node.func)
            pointer = self.world.patches.get(pointer, pointer) if users else pointer
            self.frame.held.append(pointer)
        args = []
        for one in node.args:
            args.append((yield from self._value(one)))
            self.frame.held.append(args[-1])
        kwargs = {}
        for keyword in node.keywords:
            kwargs[keyword.arg] = yield from self._value(keyword.value)
            self.frame.held.append(kwargs[keyword.arg])
        del self.frame.held[len(self.frame.held) - len(args) - len(kwargs) - (pointer is not None) :]
        if pointer is not None:
            _not_null(pointer)
            self.frame.node = ("call", node.lineno, node.col_offset, node.end_col_offset)
            return (yield from self._call(self.world.patches.get(pointer, pointer), args, kwargs))
        if name == "len":
            return len(args[0])
        if name == "assume":
            if not true(args[0]):
                raise Pruned
            return None
        if name in ("bool",):
            return true(args[0])
        if name in LOCKS or name in WAITING:
            return (yield from (self._lock if name in LOCKS else self._sleeping)(name, node, args))
        if name in ASSERTS:
            return self._lockdep(name, *args)
        own = getattr(self, f"_{name}", None)
        if own is not None:
            return (yield from own(node, *args))
        if name.startswith("atomic"):
            return (yield from self._atomic(name, node, args))
        function = self._name(name)
        if isinstance(function, IntegerType):
            return converted(function, args[0])
        if hasattr(function, "__lockverse_step__"):
            return (yield from self._primitive(function, node, args))
        if name == "per_cpu":
            return (yield from self._load(self._element(*args), node))
        if name in ("this_cpu_ptr", "raw_cpu_ptr"):
            return self._element(*args, self.cpu).get()
        if hasattr(function, "__lockverse_intrinsic__"):
            return as_said(function, args)
        self.frame.node = ("call", node.lineno, node.col_offset, node.end_col_offset)
        return (yield from self._call(self.world.patches.get(function, function), args, kwargs))

    def _choose(self, node: ast.Call) -> Steps:
        first = node.args[0]
        if len(node.args) == 1 and isinstance(first, ast.Call):
            bounds = [ast.literal_eval(one) for one in first.args]
            options: list[Any] = list(range(*bounds))
        elif len(node.args) == 1 and isinstance(first, ast.Name):
            kind = self._name(first.id)
            options = [False, True] if kind is bool else list(kind)
        else:
            options = []
            for one in node.args:
                options.append((yield from self._value(one)))
                self.frame.held.append(options[-1])
        if len(node.args) > 1:
            choice = yield from self._stop("choose", node, options=len(options))
            del self.frame.held[len(self.frame.held) - len(options) :]
        else:
            choice = yield from self._stop("choose", node, options=len(options))
        return options[choice]

    # The vocabulary, written again

    def _smp_mb(self, node: ast.expr) -> Steps:
        yield from self._stop("smp_mb", node)

    def _atomic(self, name: str, node: ast.expr, args: list[Any]) -> Steps:
        family, _, verb = name.partition("_")
        if verb.startswith("long_"):
            family, verb = "atomic_long", verb[5:]
        bits = 32 if family == "atomic" else 64
        for suffix in ("_relaxed", "_acquire", "_release"):
            verb = verb.removesuffix(suffix)
        variable = next(one for one in args if declaration(type(one)) is not None or one is NULL)
        values = [one for one in args if one is not variable]
        _not_null(variable)
        self.frame.held += args
        yield from self._stop(name, node)
        del self.frame.held[len(self.frame.held) - len(args) :]
        self._alive(variable)
        old = int(variable.counter)
        new, result = atomic(verb, old, values, bits)
        if new is not None:
            variable.counter = wrap(new, bits)
        return result


class Handler(Thread):
    """What runs because something has happened, or because it has been asked for; or a kernel thread, which says that it has ended."""

    def __init__(self, world: World, me: int, declared: Any, function: FunctionType) -> None:
        self.declared = declared
        super().__init__(world, me, function, declared.args, dict(declared.kwargs))

    def _main(self, function: FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        self.frames.append(Frame("handler", {}, {}))

        def call() -> Steps:
            return self._call(function, list(args), dict(kwargs))

        if self.declared.enter is None:
            yield from call()
            self.world.cpus.exited.add(self.me)
        else:
            yield from self.serve_as_handler(self.declared, ast.Name("handler", lineno=0, col_offset=0, end_col_offset=0), call)
        self._at_exit()
        self._ends()

    def at_rest(self) -> bool:
        return super().at_rest() and not (self.declared.request is not None and self.declared.request.pending)


class Context(Thread):
    """What runs the callbacks of one rcu_head. It is at rest while none is queued."""

    def __init__(self, world: World, me: int, head: Any) -> None:
        self.head = head
        super().__init__(world, me, Context.serve, (), {})  # type: ignore[arg-type]

    def _main(self, function: FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        self.frames.append(Frame("rcu", {}, {}))
        yield from self.serve(self.head, ast.Name("rcu", lineno=0, col_offset=0, end_col_offset=0), self._call)

    def at_rest(self) -> bool:
        return self.stop is not None and self.stop.kind == "rcu_do_batch" and id(self.head) not in self.world.rcu.queued


def _field(base: Any, name: str) -> Place:
    _not_null(base)
    kind = declaration(type(base)).fields[name]  # type: ignore[union-attr]
    return Place(lambda: getattr(base, name), lambda value: setattr(base, name, value), kind, (base,))


def _not_null(value: Any) -> None:
    if value is NULL or value is None:
        raise Fault("null-dereference")
