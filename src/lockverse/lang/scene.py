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
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from .errors import CheckFailed, NotInScheme, WrongType
from .structs import Array, declaration, is_object, zeroed
from .task import task_struct
from .types import is_scalar, type_name

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Site:
    """Where a declaration stands: 1-based lines and columns, the end past the last character."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class CpuDeclaration:
    """One call of cpu()."""

    function: object
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    task: task_struct
    site: Site


@dataclass(frozen=True, slots=True)
class PropertyDeclaration:
    """One call of always(), at_rest() or sometimes(); `kind` is "always", "at-rest" or "sometimes"."""

    kind: str
    condition: object
    message: str | None
    site: Site


@dataclass(slots=True, eq=False)
class PoolDeclaration:
    """One call of pool(): the struct, the objects there is room for, what they are called, and how many the scene itself has
    taken."""

    kind: type
    objects: tuple[object, ...]
    name: str
    taken: int = 0


@dataclass(slots=True)
class Scene:
    """What a scheme function declared, and its own variables by name as it returned. `restore` gives the module's
    objects the values they had before; call it once the scene has been compiled."""

    cpus: list[CpuDeclaration] = field(default_factory=list)
    properties: list[PropertyDeclaration] = field(default_factory=list)
    pools: dict[type, PoolDeclaration] = field(default_factory=dict)
    names: dict[str, object] = field(default_factory=dict)
    restore: Callable[[], None] = lambda: None


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
    scene = _scene("cpu")
    task = task_struct(pid=len(scene.cpus))  # type: ignore[call-arg]
    scene.cpus.append(CpuDeclaration(function, args, kwargs, task, _site()))
    return task


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


def _site() -> Site:
    frame = sys._getframe(2)
    position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    line, end_line, column, end_column = (0 if part is None else part for part in position)
    return Site(frame.f_code.co_filename, line, column + 1, end_line, end_column + 1)


# Building


def build(scheme: Callable[..., object], arguments: Mapping[str, object]) -> Scene:
    """Run a scheme function and give its scene. What it raises passes through."""
    scene = Scene(restore=snapshot(getattr(scheme, "__globals__", {}).values()))
    _Building.scene = scene
    code = scheme.__code__
    profile = sys.getprofile()
    sys.setprofile(_capture(code, scene, profile))
    try:
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


@dataclass(frozen=True, slots=True)
class Parameter:
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
        return dict(enumerate(one))
    declared = declaration(type(one))
    assert declared is not None
    return {name: getattr(one, name) for name in declared.fields}


def _put_back(one: object, values: dict[object, object]) -> None:
    if isinstance(one, Array):
        if is_scalar(one.type.element):
            for index, value in values.items():
                one[index] = value  # type: ignore[index]
        return
    fields = declaration(type(one)).fields  # type: ignore[union-attr]
    for name, value in values.items():
        if is_scalar(fields[name]):  # type: ignore[index]
            setattr(one, name, value)  # type: ignore[arg-type]
