"""Locks for the oracle: all that is held by a task, for itself or shared. Written from docs/language.md.

A part of interpreter.Thread. Leaves out what no task holds: waiting.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lockverse.lang.null import NULL

from .values import Fault

Steps = Generator[Any, int, Any]

SPINS = ("spin_", "raw_spin_", "read_", "write_")  # what begins so keeps its holder from sleeping
TAKES = ("spin_lock", "raw_spin_lock", "write_lock", "mutex_lock", "down_write")
TAKE = {*TAKES, *(f"{name}_nested" for name in TAKES), "write_seqlock", "read_seqlock_excl"}
TAKE_SHARED = {"read_lock", "down_read", "down_read_nested"}
TRY = {"spin_trylock", "raw_spin_trylock", "mutex_trylock", "write_trylock", "down_write_trylock"}
TRY_SHARED = {"read_trylock", "down_read_trylock"}
GIVE = {"spin_unlock", "raw_spin_unlock", "mutex_unlock", "write_unlock", "up_write", "write_sequnlock", "read_sequnlock_excl", "downgrade_write"}
GIVE_SHARED = {"read_unlock", "up_read"}
LOOK = {"spin_is_locked", "raw_spin_is_locked", "mutex_is_locked", "rwsem_is_locked"}
INTERRUPTIBLE = {
    **{f"mutex_lock_{how}": "mutex_lock" for how in ("interruptible", "killable")},
    **{f"down_read_{how}": "down_read" for how in ("interruptible", "killable")}, "down_write_killable": "down_write",
}  # fmt: skip
LOCKS = {*TAKE, *TAKE_SHARED, *TRY, *TRY_SHARED, *GIVE, *GIVE_SHARED, *LOOK, *INTERRUPTIBLE}
ASSERTS = {f"lockdep_assert_{one}" for one in ("held", "not_held", "held_write", "held_read")} | {"lockdep_is_held"}
GUARDS = {"spinlock_t": "spin_lock", "raw_spinlock_t": "raw_spin_lock", "mutex": "mutex_lock"}
NAMED = {"rwsem_read": "down_read", "rwsem_write": "down_write"} | {
    f"{kind}spinlock_{form}": f"{kind}spin_lock_{form}" for kind in ("", "raw_") for form in ("bh", "irq", "irqsave")
}


@dataclass
class Held:
    """Who reads under which lock, how many locks a thread holds that keep it from sleeping, by id of the lock."""

    readers: dict[int, frozenset[int]] = field(default_factory=dict)
    spinning: dict[int, int] = field(default_factory=dict)

    def key(self, number: Callable[[int], int]) -> object:
        """All of it, comparable; `number` is of an object by its id."""
        readers = {number(lock): tuple(sorted(who)) for lock, who in self.readers.items() if who}
        return tuple(sorted(readers.items())), tuple(sorted(one for one in self.spinning.items() if one[1]))


class Locks:
    """What a thread does with them."""

    world: Any
    me: int
    frame: Any
    _stop: Callable[..., Steps]
    _value: Callable[..., Steps]
    _own_value: Callable[..., Steps]
    _local_lock: Callable[..., Steps]
    _alive: Callable[[Any], None]
    leave: Callable[[], None]
    _may_sleep: Callable[[], None]
    _would_fault: Callable[[], bool]
    begin_writing: Callable[[Any], None]
    end_writing: Callable[[Any], None]

    def _lock(self, name: str, node: ast.AST, args: list[Any]) -> Steps:
        lock = args[0]
        if lock is NULL or lock is None:
            raise Fault("null-dereference")
        if name in INTERRUPTIBLE:
            return (yield from self._interruptible(INTERRUPTIBLE[name], node, lock))
        yield from self._at(name, node, args, lambda: self._can_go_on(name, lock))
        self._alive(lock)
        if name in TAKE or name in TAKE_SHARED:
            return self._take(name, lock)
        if name in TRY or name in TRY_SHARED:
            return self._try(name, lock)
        if name in LOOK:
            return self._is_held(lock)
        return self._give(name, lock)

    def _at(self, name: str, node: ast.AST, args: list[Any], ready: Callable[[], bool] = lambda: True) -> Steps:
        """Stop before a step whose arguments are known."""
        self.frame.held += args
        yield from self._stop(name, node, ready)
        del self.frame.held[len(self.frame.held) - len(args) :]

    def _is_held(self, lock: Any) -> bool:
        return id(lock) in self.world.owner or bool(self.world.held.readers.get(id(lock)))

    def _is_mine(self, lock: Any) -> bool:
        return self.world.owner.get(id(lock)) == self.me or self._reads(lock)

    def _reads(self, lock: Any) -> bool:
        return self.me in self.world.held.readers.get(id(lock), ())

    def _can_go_on(self, name: str, lock: Any) -> bool:
        """What fails need not wait."""
        sleeps = name.startswith(("mutex", "down")) and "trylock" not in name
        if self._is_mine(lock) or (sleeps and self._would_fault()) or not self.world.heap.alive(lock):
            return True
        return not (name in TAKE and self._is_held(lock)) and not (name in TAKE_SHARED and id(lock) in self.world.owner)

    def _take(self, name: str, lock: Any) -> None:
        if name.startswith(("mutex", "down")):
            self._may_sleep()
        if self._is_mine(lock):
            raise Fault("recursive-locking")
        self._hold(name, lock, 1)
        if name == "write_seqlock":
            self.begin_writing(lock)

    def _hold(self, name: str, lock: Any, by: int) -> None:
        """Hold the lock, or with -1 hold it no more."""
        if name in TAKE_SHARED or name in TRY_SHARED or name in GIVE_SHARED:
            before = self.world.held.readers.get(id(lock), frozenset())
            self.world.held.readers[id(lock)] = before | {self.me} if by > 0 else before - {self.me}
        elif by > 0:
            self.world.owner[id(lock)] = self.me
        else:
            del self.world.owner[id(lock)]
        if name.startswith(SPINS):
            self.world.held.spinning[self.me] = self.world.held.spinning.get(self.me, 0) + by
            if by < 0:
                self.leave()

    def _try(self, name: str, lock: Any) -> bool:
        if name in TRY_SHARED and self._reads(lock):
            raise Fault("recursive-locking")
        if id(lock) in self.world.owner or (name in TRY and self._is_held(lock)):
            return False
        self._hold(name, lock, 1)
        return True

    def _give(self, name: str, lock: Any) -> None:
        mine = self._reads(lock) if name in GIVE_SHARED else self.world.owner.get(id(lock)) == self.me
        if not mine:
            raise Fault("unlock-by-stranger")
        if name == "write_sequnlock":
            self.end_writing(lock)
        self._hold(name, lock, -1)
        if name == "downgrade_write":
            self._hold("down_read", lock, 1)

    def _interruptible(self, name: str, node: ast.AST, lock: Any) -> Steps:
        """Three steps where the lock is held: look, let the environment decide, wait."""
        yield from self._at("look", node, [lock])
        self._may_sleep()
        if self._is_mine(lock):
            raise Fault("recursive-locking")
        if not (id(lock) in self.world.owner if name in TAKE_SHARED else self._is_held(lock)):
            self._hold(name, lock, 1)
            return 0
        self.frame.held.append(lock)
        signal = yield from self._stop("choose", node, options=2)
        self.frame.held.pop()
        if signal:
            return -4
        yield from self._lock(name, node, [lock])
        return 0

    def _lockdep(self, name: str, lock: Any) -> Any:
        """No step."""
        held = self._is_mine(lock)
        if name == "lockdep_is_held":
            return held
        fine = {"held": held, "not_held": not held, "held_read": self._reads(lock)}
        if not fine.get(name.removeprefix("lockdep_assert_"), self.world.owner.get(id(lock)) == self.me):
            raise Fault("lock-not-held")
        return None

    def _guard(self, node: ast.expr) -> Steps:
        """The lock of a `with`, and the function that takes it."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "scoped_guard":
            name = node.args[0].id  # type: ignore[attr-defined]
            lock = yield from (self._own_value if name.startswith("local_") else self._value)(node.args[1])
            return lock, NAMED.get(name, name)
        lock = yield from self._value(node)
        return lock, GUARDS[type(lock).__name__]

    def _guarded(self, name: str, node: ast.AST, args: list[Any]) -> Steps:
        if name in LOCKS:
            return (yield from self._lock(name, node, args))
        if name.startswith("local_"):
            return (yield from self._local_lock(name, node, *args))
        return (yield from getattr(self, f"_{name}")(node, *args))

    def _at_exit(self) -> None:
        """Nothing may be held at the end."""
        if self.me in self.world.owner.values() or any(self.me in who for who in self.world.held.readers.values()):
            raise Fault("lock-held-at-exit")


def ends(take: str) -> str:
    """What gives back what `take` takes."""
    return {"down_read": "up_read", "down_write": "up_write", "write_seqlock": "write_sequnlock", "read_seqlock_excl": "read_sequnlock_excl"}.get(
        take, take.replace("_lock", "_unlock").replace("irqsave", "irqrestore")
    )
