"""kmalloc and kfree, uses of what is free, leaks, and loops over lists, for the oracle. Written from docs/language.md.

A part of interpreter.Thread and of explore.Replay. Leaves out RCU, which is in rcu.py, and liveness: any variable of a CPU
at rest counts as a reference here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lockverse.lang.errors import NullDereference, OutOfBounds
from lockverse.lang.null import NULL
from lockverse.lang.structs import Array, container_of, declaration, is_object
from lockverse.lang.types import is_scalar, zero

from .values import Fault

Steps = Generator[Any, int, Any]
LOOPS = ("list_for_each_entry", "list_for_each_entry_safe", "list_for_each_entry_rcu")


@dataclass
class Heap:
    """The pools of a scene: `home[id(part)]` is the pooled object that a part belongs to, `allocated` are the ids of those
    that are."""

    pools: dict[type, tuple[Any, ...]] = field(default_factory=dict)
    home: dict[int, Any] = field(default_factory=dict)
    parts: dict[int, list[Any]] = field(default_factory=dict)
    allocated: set[int] = field(default_factory=set)

    def alive(self, part: Any) -> bool:
        """Whether what a part belongs to is allocated; True for what is in no pool."""
        home = self.home.get(id(part))
        return home is None or id(home) in self.allocated

    def enter(self, one: Any) -> None:
        """Note an object of a pool."""
        self.parts[id(one)] = list(parts(one))
        self.home |= {id(part): one for part in self.parts[id(one)]}

    def zero(self, one: Any) -> None:
        """A free object is all zero."""
        for part in self.parts[id(one)]:
            for key, kind in fields(part):
                if isinstance(part, Array):
                    part[key] = zero(kind)
                else:
                    setattr(part, key, zero(kind))


def parts(one: Any) -> Generator[Any]:
    """An object and all that is embedded in it."""
    yield one
    inner = list(one) if isinstance(one, Array) else [getattr(one, name) for name in declaration(type(one)).fields]  # type: ignore[union-attr]
    kinds = [one.type.element] * len(inner) if isinstance(one, Array) else list(declaration(type(one)).fields.values())  # type: ignore[union-attr]
    for part, kind in zip(inner, kinds, strict=True):
        if not is_scalar(kind):
            yield from parts(part)


def fields(part: Any) -> list[tuple[Any, Any]]:
    """The scalars directly in a part, with their types."""
    if isinstance(part, Array):
        return [(index, part.type.element) for index in range(len(part)) if is_scalar(part.type.element)]
    declared = declaration(type(part))
    assert declared is not None
    return [] if declared.kind in ("lock", "task", "rcu_head", "srcu") else [item for item in declared.fields.items() if is_scalar(item[1])]


def leaked(heap: Heap, cells: list[tuple[Any, Any]], held: list[Any]) -> bool:
    """Whether something is allocated that no pointer outside of it leads to."""
    found = {id(heap.home[id(one)]) for one in held if is_object(one) and id(one) in heap.home}
    for owner, key in cells:
        value = owner[key] if isinstance(owner, Array) else getattr(owner, key)
        home = heap.home.get(id(value)) if is_object(value) else None
        if home is not None and home is not heap.home.get(id(owner)):
            found.add(id(home))
    return bool(heap.allocated - found)


class Lifetimes:
    """What a thread does for them."""

    world: Any
    frame: Any
    _stop: Callable[..., Steps]
    _value: Callable[..., Steps]
    _body: Callable[..., Steps]
    _may_sleep: Callable[[], None]
    is_reader: Callable[..., bool]

    def _alive(self, part: Any) -> None:
        """An access: broken if what the part belongs to is free."""
        if not self.world.heap.alive(part):
            raise Fault("use-after-free")

    def _kmalloc(self, node: ast.Call, kind: type, flags: Any = None) -> Steps:
        yield from self._stop("kmalloc", node)
        if flags is None or flags.may_sleep:
            self._may_sleep()
        heap = self.world.heap
        for one in heap.pools[kind]:
            if id(one) not in heap.allocated:
                heap.allocated.add(id(one))
                return one
        raise Fault("pool-exhausted")

    _kzalloc = _kmalloc

    def _kfree(self, node: ast.Call, one: Any) -> Steps:
        self.frame.held.append(one)
        yield from self._stop("kfree", node)
        self.frame.held.pop()
        self.give_back(one)

    def give_back(self, one: Any) -> None:
        """Free an object."""
        if one is NULL or one is None:
            return
        heap, world = self.world.heap, self.world
        if id(one) not in heap.allocated:
            raise Fault("double-free")
        inside = {id(part) for part in heap.parts[id(one)]}
        if inside & set(world.owner):
            raise Fault("held-lock-freed")
        if inside & set(world.rcu.queued):
            raise Fault("double-free")
        heap.zero(one)
        heap.allocated.discard(id(one))

    def _container_of(self, node: ast.Call, part: Any, kind: type, member: str) -> Steps:
        try:
            return container_of(part, kind, member)
        except NullDereference:
            raise Fault("null-dereference") from None
        except OutOfBounds:
            raise Fault("out-of-bounds") from None
        yield

    _list_entry = _container_of

    def _for_list(self, node: ast.For, name: str) -> Steps:
        """A loop over a list: it reads a `next` to begin with and after each round, or, to be safe, before."""
        call: Any = node.iter
        given = []
        for one in call.args:
            given.append((yield from self._value(one)))
        head, kind, member = given
        at = yield from self._next(head, call, name, head)
        if name.endswith("_rcu") and not self.is_reader():
            raise Fault("suspicious-rcu-usage")
        while at is not head:
            following = (yield from self._next(at, call, name, at, head)) if name.endswith("_safe") else None
            self.frame.locals[node.target.id] = yield from self._container_of(call, at, kind, member)  # type: ignore[attr-defined]
            held = [one for one in (head, at, following) if one is not None]
            self.frame.held += held
            signal = yield from self._body(node.body)
            del self.frame.held[len(self.frame.held) - len(held) :]
            if signal == ("break",):
                return None
            if signal and signal[0] == "return":
                return signal
            at = (yield from self._next(at, call, name + " again", at, head)) if following is None else following
        return None

    def _next(self, at: Any, call: ast.Call, name: str, *held: Any) -> Steps:
        if at is NULL or at is None:
            raise Fault("null-dereference")
        self.frame.held += held
        yield from self._stop(name, call)
        del self.frame.held[len(self.frame.held) - len(held) :]
        self._alive(at)
        return at.next
