"""Per-cpu data: percpu[...], this_cpu_add() and its like, per_cpu(), the CPUs there are.

`this_cpu_` operations are one step on the element of the CPU that runs them; `__this_cpu_` operations are plain, and one that
reads and writes is two steps, between which an interrupt of the same CPU may come (include/linux/percpu-defs.h and
Documentation/core-api/this_cpu_ops.rst of Linux 6.1). A task stays on its CPU here. The compiler knows the macros by their
PlaceInfo; the bodies are what they mean under plain Python.

How many CPUs there are is known when the scene is complete, so the elements of plain Python are made as they are named.
"""

# mypy: disable-error-code=no-any-return

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from .errors import OutOfBounds, WrongType
from .places import Place, caller_place
from .step import intrinsic, place_macro
from .structs import Array, initial
from .task import num_possible_cpus, smp_processor_id
from .types import PerCpuType, is_scalar

MOST_CPUS = 64  # tasks are bits of a word: there are no more


class PerCpu(Array):
    """One element for each CPU: `x[cpu]` is one of them. A field of it is that of the element of the CPU that runs."""

    __slots__ = ("_start",)

    def __init__(self, kind: PerCpuType, values: list[object], start: object) -> None:
        super().__init__(kind, values)
        self._start = start

    def __len__(self) -> int:
        return num_possible_cpus()

    def __iter__(self) -> Iterator[object]:
        return (self[cpu] for cpu in range(num_possible_cpus()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self[smp_processor_id()], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("type", "_values", "_start") or name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self[smp_processor_id()], name, value)

    def _checked(self, index: int) -> int:
        if not 0 <= index < MOST_CPUS:
            raise OutOfBounds(f"there is no CPU {index}")
        while len(self._values) <= index:
            self._values.append(initial(self.type.element, self._start, f"[{len(self._values)}] of {self.type!r}"))
        return int(index)


def make_percpu(kind: PerCpuType, values: object) -> PerCpu:
    """Per-cpu data: `values` is what each CPU's starts as, in order, or one value for all."""
    if not isinstance(values, list | tuple):
        return PerCpu(kind, [], values)
    if len(values) > MOST_CPUS:
        raise WrongType(f"{kind!r} is given {len(values)} values, and there are at most {MOST_CPUS} CPUs")
    return PerCpu(kind, [initial(kind.element, value, f"[{i}] of {kind!r}") for i, value in enumerate(values)], None)


@intrinsic
def per_cpu(data: Any, cpu: int) -> Any:
    """The element of that CPU: `per_cpu(x.count, cpu)`. As a place it is `x.count[cpu]`."""
    return data[cpu]


@intrinsic
def per_cpu_ptr(data: Any, cpu: int) -> Any:
    """The struct or array of that CPU."""
    return data[cpu]


@intrinsic
def this_cpu_ptr(data: Any) -> Any:
    """The struct or array of the CPU that runs this."""
    return data[smp_processor_id()]


@intrinsic
def raw_cpu_ptr(data: Any) -> Any:
    """As this_cpu_ptr()."""
    return data[smp_processor_id()]


@intrinsic
def for_each_possible_cpu() -> range:
    """The numbers of all CPUs. Stands only in a for loop: `for cpu in for_each_possible_cpu():`."""
    return range(num_possible_cpus())


@intrinsic
def for_each_online_cpu() -> range:
    """As for_each_possible_cpu(): no CPU goes offline here."""
    return range(num_possible_cpus())


# Macros


def _own(given: Any) -> Place:
    """The place that the first argument of the macro names, on the CPU that runs it."""
    if isinstance(given, PerCpu):
        return Place(given, smp_processor_id(), subscript=True)
    return caller_place(depth=4).on(smp_processor_id())


def _read(place: Any) -> Any:
    return _own(place).get()


def _write(place: Any, value: Any) -> None:
    _own(place).set(value)


def _xchg(place: Any, value: Any) -> Any:
    found = _own(place)
    old = found.get()
    found.set(value)
    return old


def _cmpxchg(place: Any, old: Any, new: Any) -> Any:
    found = _own(place)
    current = found.get()
    if current == old:
        found.set(new)
    return current


def _computing(compute: Callable[[Any, Any], Any], *, gives: bool) -> Callable[..., Any]:
    def operation(place: Any, value: Any = 1) -> Any:
        found = _own(place)
        found.set(compute(found.get(), value))
        return found.get() if gives else None

    return operation


_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "inc": operator.add, "dec": operator.sub, "and": operator.and_, "or": operator.or_,
}  # fmt: skip
_KINDS: dict[str, tuple[Callable[..., Any], str]] = {
    "read": (_read, "Read it."), "write": (_write, "Write `value`."), "xchg": (_xchg, "Write `value`; give what was there."),
    "cmpxchg": (_cmpxchg, "Write `new` if it holds `old`; give what was there."),
    **{name: (_computing(compute, gives=False), f"The element {name} a value, or 1.") for name, compute in _COMPUTE.items()},
    **{f"{name}_return": (_computing(_COMPUTE[name], gives=True), f"The element {name} a value, or 1; give the new value.")
       for name in ("add", "sub", "inc", "dec")},
}  # fmt: skip


def _macro(prefix: str, kind: str, order: str) -> Any:
    body, doc = _KINDS[kind]

    def macro(*arguments: Any) -> Any:
        return body(*arguments)

    name = f"{prefix}_{kind}"
    macro.__name__ = macro.__qualname__ = name
    macro.__doc__ = f"{doc} On the CPU that runs this ({order})."
    return place_macro(name, order, kind, per_cpu=True)(macro)


_ALL = {f"{prefix}_{kind}": _macro(prefix, kind, order) for prefix, order in (("this_cpu", "relaxed"), ("__this_cpu", "plain")) for kind in _KINDS}
globals().update(_ALL)

__all__ = ["for_each_online_cpu", "for_each_possible_cpu", "per_cpu", "per_cpu_ptr", "raw_cpu_ptr", "this_cpu_ptr", *_ALL]
