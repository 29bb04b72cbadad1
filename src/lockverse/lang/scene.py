"""Scenes: what a @scheme function declares. Who runs what, what must hold, and what its objects are called.

The function runs as ordinary Python; objects are named after its variables. Parameters have declared domains: each
is an assumption or a size, and its default is what is checked when nothing is said.

Leaves out any meaning of the declarations: they are data for the compiler.
"""

from __future__ import annotations

import enum
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType, FunctionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from msgspec import Struct, field

from . import handlers, kthreads
from .errors import CheckFailed, NotInScheme, WrongType
from .patch import flattened
from .structs import Array, declaration, is_object, zeroed
from .task import HARDIRQ, NMI, SOFTIRQ, cpu_count, running, task_struct
from .types import is_scalar, type_name

F = TypeVar("F", bound=Callable[..., Any])


class Site(Struct, frozen=True):
    """Where a declaration stands: 1-based lines and columns, the end past the last character."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class CpuDeclaration(Struct, frozen=True):
    """One call of cpu(), task(), interrupt() and their like. `enter` and `leave` are the functions that a handler begins and ends
    with, `request` the object that asks for it, if one does, and `times` how often it runs; 0 is without end."""

    function: object
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    task: task_struct
    site: Site
    enter: Callable[..., object] | None = None
    leave: Callable[..., object] | None = None
    request: object = None
    times: int = 1


class PropertyDeclaration(Struct, frozen=True):
    """One call of always(), at_rest() or sometimes(); `kind` is "always", "at-rest" or "sometimes"."""

    kind: str
    condition: object
    message: str | None
    site: Site


class PoolDeclaration(Struct, eq=False):
    """One call of pool(): the struct, the objects there is room for, what they are called, and how many the scene itself has
    taken."""

    kind: type
    objects: tuple[object, ...]
    name: str
    taken: int = 0


class Scene(Struct):
    """What a scheme function declared, and its own variables by name as it returned. `restore` gives the module's
    objects the values they had before; call it once the scene has been compiled."""

    cpus: list[CpuDeclaration] = field(default_factory=list)
    patches: list[FunctionType] = field(default_factory=list)
    properties: list[PropertyDeclaration] = field(default_factory=list)
    pools: dict[type, PoolDeclaration] = field(default_factory=dict)
    names: dict[str, object] = field(default_factory=dict)
    restore: Callable[[], None] = lambda: None


def cpus_of(scene: Scene) -> int:
    """How many CPUs a scene has."""
    return 1 + max(one.task.cpu for one in scene.cpus)


class _Building:
    scene: Scene | None = None


def scheme(function: F) -> F:
    """Mark a function as a scheme: it makes the objects, says what each CPU runs, and what must hold."""
    setattr(function, "__lockverse_scheme__", True)  # noqa: B010
    return function


def _scene(what: str) -> Scene:
    if _Building.scene is None:
        raise NotInScheme(f"{what}() is for a @scheme function, while lockverse builds its scene")
    return _Building.scene


def cpu(function: Callable[..., object], *args: object, **kwargs: object) -> task_struct:
    """One CPU runs function(*args, **kwargs), and ends. Gives its task."""
    return _declare("cpu", function, args, kwargs, None)


def task(function: Callable[..., object], *args: object, on: task_struct, **kwargs: object) -> task_struct:
    """Another task on the CPU of the task `on`, which the two take in turns. Gives its task."""
    return _declare("task", function, args, kwargs, on)


def kthread(function: Callable[..., object], *args: object, on: task_struct | None = None, **kwargs: object) -> task_struct:
    """A kernel thread, for kthread_stop(): on a CPU of its own, or on that of the task `on`. Gives its task."""
    return _declare("kthread", function, args, kwargs, on, leave=kthreads.kthread_exit)


def interrupt(function: Callable[..., object], *args: object, on: task_struct, times: int | None = 1, **kwargs: object) -> task_struct:
    """A hardirq handler that may fire on the CPU of the task `on` wherever interrupts are enabled there, up to `times` times
    (None: without end)."""
    return _declare("interrupt", function, args, kwargs, on, HARDIRQ, handlers.hardirq_enter, handlers.handler_exit, times=times)


def softirq(function: Callable[..., object], *args: object, on: task_struct, times: int | None = 1, **kwargs: object) -> task_struct:
    """As interrupt(), a softirq handler."""
    return _declare("softirq", function, args, kwargs, on, SOFTIRQ, handlers.softirq_enter, handlers.handler_exit, times=times)


def nmi(function: Callable[..., object], *args: object, on: task_struct, times: int | None = 1, **kwargs: object) -> task_struct:
    """As interrupt(), an NMI handler, which nothing keeps away."""
    return _declare("nmi", function, args, kwargs, on, NMI, handlers.nmi_enter, handlers.handler_exit, times=times)


def ipi(csd: handlers.call_single_data_t, function: Callable[..., object], *args: object, on: task_struct, **kwargs: object) -> task_struct:
    """The function that smp_call_function_single(csd, ...) runs on the CPU of the task `on`, in hardirq context."""
    return _declare("ipi", function, args, kwargs, on, HARDIRQ, handlers.ipi_enter, handlers.ipi_exit, csd, None)


def timer(timer: handlers.timer_list, function: Callable[..., object], *args: object, on: task_struct, **kwargs: object) -> task_struct:
    """The function that runs on the CPU of the task `on`, in softirq context, when the timer expires."""
    return _declare("timer", function, args, kwargs, on, SOFTIRQ, handlers.timer_enter, handlers.timer_exit, timer, None)


def work(
    item: handlers.work_struct, function: Callable[..., object], *args: object, on: task_struct | None = None, **kwargs: object
) -> task_struct:
    """The function of a work item, run by a worker: on a CPU of its own, or on that of the task `on`."""
    return _declare("work", function, args, kwargs, on, 0, handlers.work_enter, handlers.work_exit, item, None)


def _declare(
    what: str, function: object, args: tuple[object, ...], kwargs: Mapping[str, object], on: Any, context: int = 0,
    enter: Any = None, leave: Any = None, request: object = None, times: object = 1,
) -> task_struct:  # fmt: skip
    scene = _scene(what)
    if on is not None and not any(on is one.task for one in scene.cpus):
        raise WrongType(f"{what}(on=...) takes what cpu() gave, not {on!r}")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= MOST_TIMES):
        raise WrongType(f"{what}(times=...) is 1 to {MOST_TIMES}, or None for as often as it likes, not {times!r}")
    wanted = REQUESTS.get(what)
    if wanted is not None and not isinstance(request, wanted):
        raise WrongType(f"{what}() begins with a {wanted.__name__}, not {request!r}")
    if wanted is not None and any(one.request is request for one in scene.cpus):
        raise WrongType(f"this {wanted.__name__} has its function already")
    number = len({one.task.cpu for one in scene.cpus}) if on is None else on.cpu
    made = task_struct(pid=len(scene.cpus), cpu=number, context=context)  # type: ignore[call-arg]
    scene.cpus.append(CpuDeclaration(function, args, kwargs, made, _site(3), enter, leave, request, times or 0))
    return made


MOST_TIMES: Final = 100  # a handler's firings are counted in its state
REQUESTS: Final[dict[str, type]] = {
    "ipi": handlers.call_single_data_t, "timer": handlers.timer_list, "work": handlers.work_struct,
}  # fmt: skip


def apply(*patches: object) -> None:
    """Run the scene with these patches: functions marked @patch(...), or lists of them. Of two of one function the later counts."""
    _scene("apply").patches.extend(flattened(patches))


def always(condition: Callable[[], object], message: str | None = None) -> None:
    """`condition` holds in every state, before and after every step."""
    _scene("always").properties.append(PropertyDeclaration("always", condition, message, _site()))


def at_rest(condition: Callable[[], object], message: str | None = None) -> None:
    """`condition` holds whenever every CPU has finished or is at rest."""
    _scene("at_rest").properties.append(PropertyDeclaration("at-rest", condition, message, _site()))


def sometimes(condition: Callable[[], object], message: str | None = None) -> None:
    """`condition` holds in at least one state that can be reached: guards against passing for want of anything."""
    _scene("sometimes").properties.append(PropertyDeclaration("sometimes", condition, message, _site()))


def pool(kind: type, count: int, name: str = "") -> None:
    """At most `count` objects of the struct are allocated at once; kmalloc() gives one. `name` is what they are called."""
    pools = _scene("pool").pools
    declared = declaration(kind)
    if declared is None or declared.opaque:
        raise WrongType(f"pool() takes a struct of the scheme's own, such as pool(node, 3), not {type_name(kind)}")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise WrongType(f"pool({type_name(kind)}, ...) takes how many objects there are at most, not {count!r}")
    if kind in pools:
        raise WrongType(f"there is a pool of {type_name(kind)} already: give that one all the objects")
    pools[kind] = PoolDeclaration(kind, tuple(zeroed(kind) for _ in range(count)), name or type_name(kind))


def from_pool(kind: Any) -> object | None:
    """While a scene is built, the next object of its pool of that struct; else None, since kmalloc() then runs as plain Python."""
    if _Building.scene is None:
        return None
    found = _Building.scene.pools.get(kind)
    if found is None:
        raise WrongType(f"there is no pool of {type_name(kind)}: declare pool({type_name(kind)}, N) before the first kmalloc()")
    if found.taken == len(found.objects):
        raise CheckFailed("pool-exhausted", exhausted(found.name, found.kind, found.taken))
    found.taken += 1
    return found.objects[found.taken - 1]


def exhausted(name: str, kind: type, count: int) -> str:
    """What is said of a pool that is too small."""
    what = "object is" if count == 1 else "objects are"
    return f"pool {name} is exhausted: {count} {what} allocated; make it larger: pool({type_name(kind)}, {count + 1})"


def _site(depth: int = 2) -> Site:
    frame = sys._getframe(depth)
    position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    line, end_line, column, end_column = (0 if part is None else part for part in position)
    return Site(frame.f_code.co_filename, line, column + 1, end_line, end_column + 1)


# Building


def build(scheme: Callable[..., object], arguments: Mapping[str, object]) -> Scene:
    """Run a scheme function and give its scene. What it raises passes through."""
    scene = Scene(restore=snapshot(_globals(scheme)))
    _Building.scene = scene
    code = scheme.__code__
    profile = sys.getprofile()
    sys.setprofile(_capture(code, scene, profile))
    try:
        with cpu_count(0), running(task_struct()):  # a task of its own, whatever plain Python has left the boot task with
            scheme(**arguments)
    finally:
        sys.setprofile(profile if callable(profile) else None)  # one written in C cannot be put back
        _Building.scene = None
    return scene


def _capture(code: CodeType, scene: Scene, inner: Any) -> Callable[[FrameType, str, Any], None]:
    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return" and frame.f_code is code:
            scene.names.update(frame.f_locals)
        if callable(inner):
            inner(frame, event, argument)

    return profile


# Parameters


class Parameter(Struct, frozen=True):
    """A parameter of a scheme: its name, the values it may have, and the one it has when nothing is said."""

    name: str
    domain: tuple[object, ...]
    default: object


def scheme_parameters(scheme: FunctionType) -> tuple[Parameter, ...]:
    """The parameters of a scheme. Raises WrongType for one without a domain or with a default outside it."""
    names = {**scheme.__globals__}
    found = []
    for name, parameter in inspect.signature(scheme).parameters.items():
        domain = _domain(_evaluated(parameter.annotation, names))
        default = parameter.default
        if default is parameter.empty and not domain:
            raise WrongType(f"parameter `{name}` of scheme {scheme.__name__} has no domain: annotate it with bool, Literal[...], "
                            "range(low, high) or an Enum, or give it a default")  # fmt: skip
        domain = domain or (default,)
        default = domain[0] if default is parameter.empty else default
        if default not in domain:
            raise WrongType(f"the default of parameter `{name}` of scheme {scheme.__name__}, {default!r}, is not in its domain")
        found.append(Parameter(name, domain, default))
    return tuple(found)


def _evaluated(annotation: object, names: dict[str, Any]) -> object:
    return eval(annotation, names) if isinstance(annotation, str) else annotation  # noqa: S307 - the user's own file


def _domain(annotation: object) -> tuple[object, ...]:
    if annotation is bool:
        return (False, True)
    if isinstance(annotation, range):
        return tuple(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return tuple(annotation)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


# Putting values back


def _globals(scheme: Callable[..., object]) -> list[object]:
    """What stands at the top of the scheme's module, and of those that functions there come from, and so on. The vocabulary has no such objects."""
    waiting = [getattr(scheme, "__globals__", {})]
    seen = {id(waiting[0])}
    found: list[object] = []
    while waiting:
        values = list(waiting.pop().values())
        found += values
        for one in values:
            if isinstance(one, FunctionType) and id(one.__globals__) not in seen and not (one.__module__ or "").startswith("lockverse.lang"):
                seen.add(id(one.__globals__))
                waiting.append(one.__globals__)
    return found


def snapshot(roots: Iterable[object]) -> Callable[[], None]:
    """Remember the scalars of all objects that can be reached from `roots`; the result puts them back."""
    saved: list[tuple[object, dict[object, object]]] = []
    seen: set[int] = set()
    waiting = [root for root in roots if is_object(root)]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        values = _parts(one)
        saved.append((one, values))
        waiting += [value for value in values.values() if is_object(value)]

    def restore() -> None:
        for one, values in saved:
            _put_back(one, values)

    return restore


def _parts(one: object) -> dict[object, object]:
    if isinstance(one, Array):
        return dict(enumerate(one.elements))
    declared = declaration(type(one))
    assert declared is not None
    return {name: getattr(one, name) for name in declared.fields}


def _put_back(one: object, values: dict[object, object]) -> None:
    if isinstance(one, Array):
        del one.elements[len(values) :]  # those of CPUs that were named since
        if is_scalar(one.type.element):
            for index, value in values.items():
                one[index] = value  # type: ignore[index]
        return
    fields = declaration(type(one)).fields  # type: ignore[union-attr]
    for name, value in values.items():
        if is_scalar(fields[name]):  # type: ignore[index]
            setattr(one, name, value)  # type: ignore[arg-type]
