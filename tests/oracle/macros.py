"""More of the vocabulary, for the oracle: macros on places, bit operations, loads that wait, and steps that the oracle does not write again.

A part of interpreter.Thread, written from docs/language.md. Such a step is what its function does under plain Python, which
tests/lang holds to the kernel's documentation: the oracle then says that the compiler makes the same of it. Leaves out
steps that wait, or that know tasks.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from typing import Any

from lockverse.lang.errors import CheckFailed, NullDereference, OutOfBounds, Overflow
from lockverse.lang.percpu_data import PerCpu
from lockverse.lang.types import PointerType

from .values import Fault, converted, plain, true, wrap

Steps = Generator[Any, int, Any]
BITS = {
    **{f"{lead}{verb}_bit": verb for lead in ("", "__", "test_and_", "__test_and_") for verb in ("set", "clear", "change")},
    "test_and_set_bit_lock": "set", "clear_bit_unlock": "clear", "test_bit": "", "test_bit_acquire": "",
    "clear_bit_unlock_is_negative_byte": "clear",
}  # fmt: skip
PLACES = {
    **dict.fromkeys(("READ_ONCE", "smp_load_acquire", "rcu_dereference", "rcu_dereference_protected", "rcu_access_pointer"), "read"),
    **dict.fromkeys(("WRITE_ONCE", "smp_store_release", "smp_store_mb", "rcu_assign_pointer", "RCU_INIT_POINTER"), "write"),
    **{f"{verb}{order}": verb for verb in ("xchg", "cmpxchg", "try_cmpxchg") for order in ("", "_relaxed", "_acquire", "_release")},
}
COND_LOADS = tuple(f"{stem}_{order}" for stem in ("smp_cond_load", "atomic_cond_read", "atomic64_cond_read", "atomic_long_cond_read")
                   for order in ("acquire", "relaxed"))  # fmt: skip
FAULTS: dict[type[Exception], str] = {Overflow: "overflow", NullDereference: "null-dereference", OutOfBounds: "out-of-bounds"}


class Macros:
    """What a thread does for them."""

    frame: Any
    _value: Callable[..., Steps]
    _place: Callable[..., Steps]
    _stop: Callable[..., Steps]
    _load: Callable[..., Steps]
    _field: Callable[..., Any]
    _element: Callable[..., Any]
    me: int
    cpu: int
    _lock: Callable[..., Steps]
    world: Any
    _alive: Callable[..., None]

    def _on_place(self, name: str, verb: str, node: ast.Call) -> Steps:
        place = yield from self._place(node.args[0])
        get, put = place.get, place.put
        self.frame.held += place.held
        values: list[Any] = []
        for one in node.args[1:]:
            values.append(converted(place.kind, (yield from self._value(one))))
            self.frame.held.append(values[-1])
        yield from self._stop(name, node)
        del self.frame.held[len(self.frame.held) - len(values) - len(place.held) :]
        if name == "rcu_dereference" and not self.world.rcu.nesting.get(self.me):
            raise Fault("suspicious-rcu-usage")
        self._alive(place.held[0])
        old = get()
        if verb in ("write", "xchg"):
            put(values[0])
        swapped = len(values) == 2 and plain(old) == plain(values[0])
        if swapped:
            put(values[1])
        if verb == "write":
            return None
        return (swapped, old) if verb == "try_cmpxchg" else old

    def _bit(self, name: str, node: ast.Call) -> Steps:
        nr = yield from self._value(node.args[0])
        self.frame.held.append(nr)
        place = yield from self._place(node.args[1])
        self.frame.held += place.held
        bits, signed = place.kind.bits, place.kind.signed
        if not 0 <= nr < bits:
            raise Fault("overflow")
        yield from self._stop(name, node)
        old = place.get()
        new = {"set": old | 1 << nr, "clear": old & ~(1 << nr), "change": old ^ 1 << nr, "": old}[BITS[name]]
        if name.startswith("__"):
            self.frame.held.append(old)
            yield from self._stop(name, node)
            self.frame.held.pop()
        del self.frame.held[len(self.frame.held) - 1 - len(place.held) :]
        if BITS[name]:
            place.put(wrap(new, bits) if signed else new)
        return bool(old >> (7 if "negative" in name else nr) & 1) if "test" in name or "negative" in name else None

    def _cond_load(self, name: str, node: ast.Call) -> Steps:
        if name.startswith("atomic"):
            variable = yield from self._value(node.args[0])
            get, held = lambda: int(variable.counter), (variable,)
        else:
            place = yield from self._place(node.args[0])
            get, held = place.get, place.held
        self.frame.held += held
        yield from self._stop(name, node, lambda: self._holds(node.args[1], get()))
        del self.frame.held[len(self.frame.held) - len(held) :]
        return get()

    def _holds(self, condition: Any, value: Any) -> bool:
        """The condition, of a value: no step in it."""
        name, known = condition.args.args[0].arg, dict(self.frame.locals)
        self.frame.locals[name] = value
        try:
            next(self._value(condition.body))
        except StopIteration as end:
            return bool(true(end.value))
        finally:
            self.frame.locals.clear()
            self.frame.locals.update(known)
        raise AssertionError("a step in a condition")

    def _this_cpu(self, name: str, node: ast.Call) -> Steps:
        verb, place = name.partition("_cpu_")[2], (yield from self._own_place(node.args[0]))
        self.frame.held += place.held
        values = []
        for one in node.args[1:]:
            values.append((yield from self._value(one)))
            self.frame.held.append(values[-1])
        yield from self._stop(name, node)
        del self.frame.held[len(self.frame.held) - len(values) - len(place.held) :]
        old = place.get()
        new = converted(place.kind, _computed(verb, old, values))
        if name.startswith("__") and verb not in ("read", "write"):
            self.frame.held += [new, old, *place.held]
            yield from self._stop(name, node)
            del self.frame.held[len(self.frame.held) - 2 - len(place.held) :]
        if verb != "read":
            place.put(new)
        return old if verb in ("read", "xchg", "cmpxchg") else new if verb.endswith("return") else None

    def _own_place(self, node: ast.expr) -> Steps:
        """The place that `node` names, per-cpu data on the way being that of this CPU."""
        place: Any = None
        if isinstance(node, ast.Attribute | ast.Subscript):
            base = yield from self._own_value(node.value)
            if isinstance(node, ast.Attribute):
                place = self._field(base, node.attr)
            else:
                self.frame.held.append(base)
                index = yield from self._value(node.slice)
                self.frame.held.pop()
                place = self._element(base, index)
        data = (yield from self._value(node)) if place is None else place.get()
        if place is not None and isinstance(data, PerCpu) and isinstance(place.kind, PointerType):
            data = yield from self._load(place, node)
        return self._element(data, self.cpu) if isinstance(data, PerCpu) else place

    def _own_value(self, node: ast.expr) -> Steps:
        if not isinstance(node, ast.Attribute | ast.Subscript):
            value = yield from self._value(node)
            return value[self.cpu] if isinstance(value, PerCpu) else value
        place = yield from self._own_place(node)
        value = yield from self._load(place, node)
        return value[self.cpu] if isinstance(value, PerCpu) else value

    def _primitive(self, function: Callable[..., Any], node: ast.Call, args: list[Any]) -> Steps:
        """A step of the vocabulary: what its function does."""
        self.frame.held += args
        yield from self._stop(function.__name__, node)
        del self.frame.held[len(self.frame.held) - len(args) :]
        return as_said(function, args)


def _computed(verb: str, old: Any, values: list[Any]) -> Any:
    """What a per-cpu operation leaves there."""
    if verb in ("write", "xchg"):
        return values[0]
    if verb == "cmpxchg":
        return values[1] if plain(old) == plain(values[0]) else old
    if verb == "read":
        return old
    by = values[0] if values else 1
    return {"add": old + by, "inc": old + by, "sub": old - by, "dec": old - by, "and": old & by, "or": old | by}[verb.removesuffix("_return")]


def as_said(function: Callable[..., Any], args: list[Any]) -> Any:
    """What a function of the vocabulary does under plain Python."""
    try:
        return function(*args)
    except CheckFailed as failed:
        raise Fault(failed.reason) from None
    except tuple(FAULTS) as failed:
        raise Fault(FAULTS[type(failed)]) from None
