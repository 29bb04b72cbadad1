"""RCU for the oracle: who is a reader, grace periods, callbacks and their contexts, SRCU. Written from docs/language.md.

A part of interpreter.Thread. Leaves out nothing that a scheme of the repository uses.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lockverse.lang.null import NULL

from .values import Fault

Steps = Generator[Any, int, Any]


@dataclass
class Rcu:
    """What all threads share of it. `queued[id(head)]` is the callback and whom it waits for; `waits[who]` whom a thread waits
    for, in synchronize_rcu(), synchronize_srcu() or rcu_barrier(); sections of SRCU by srcu_struct and thread."""

    nesting: dict[int, int] = field(default_factory=dict)
    preempt: dict[int, int] = field(default_factory=dict)
    running: dict[int, int] = field(default_factory=dict)  # contexts inside a callback, by the head's id
    queued: dict[int, tuple[Any, frozenset[int]]] = field(default_factory=dict)
    blockers: dict[int, frozenset[int]] = field(default_factory=dict)
    sections: dict[int, dict[int, int]] = field(default_factory=dict)
    waits: dict[int, tuple[int, frozenset[int]]] = field(default_factory=dict)
    barrier: dict[int, dict[int, int]] = field(default_factory=dict)  # how many more callbacks of which head

    def key(self, number: Callable[[int], int]) -> object:
        """All of it, comparable; `number` is of an object by its id."""
        sections = {number(ss): tuple(sorted(who.items())) for ss, who in self.sections.items() if who}
        queued = {number(head): (_name(callback), tuple(sorted(who))) for head, (callback, who) in self.queued.items()}
        return (
            *(tuple(sorted(one.items())) for one in (self.nesting, self.preempt)), tuple(sorted(queued.items())),
            tuple(sorted((number(head), me) for head, me in self.running.items())), tuple(sorted(sections.items())),
            tuple(sorted((me, tuple(sorted(who))) for me, who in self.blockers.items())),
            tuple(sorted((me, number(ss), tuple(sorted(who))) for me, (ss, who) in self.waits.items())),
            tuple(sorted((me, tuple(sorted((number(head), n) for head, n in left.items()))) for me, left in self.barrier.items())),
        )  # fmt: skip


def _name(callback: Any) -> str:
    return "free" if callback[0] == "free" else callback[1].__name__


class Readers:
    """What a thread does for it."""

    world: Any
    me: int
    frame: Any
    _stop: Callable[..., Steps]
    give_back: Callable[[Any], None]
    _alive: Callable[[Any], None]
    _may_sleep: Callable[[], None]

    def is_reader(self, who: int | None = None) -> bool:
        """Whether a thread keeps grace periods waiting."""
        who = self.me if who is None else who
        rcu = self.world.rcu
        return bool(rcu.nesting.get(who) or rcu.preempt.get(who) or self.world.held.spinning.get(who)) or who in rcu.running.values()

    def _all_readers(self) -> frozenset[int]:
        return frozenset(who for who in range(self.world.threads) if self.is_reader(who))

    def leave(self) -> None:
        """Something that made the thread a reader has ended."""
        if not self.is_reader():
            rcu = self.world.rcu
            rcu.blockers = {who: left - {self.me} for who, left in rcu.blockers.items()}
            rcu.queued = {head: (callback, left - {self.me}) for head, (callback, left) in rcu.queued.items()}

    def _might_sleep(self, node: ast.expr) -> Steps:
        yield from self._stop("might_sleep", node)
        self._may_sleep()

    def _count(self, name: str, counts: dict[int, int], by: int, reason: str, node: ast.expr) -> Steps:
        yield from self._stop(name, node)
        if not counts.get(self.me, 0) and by < 0:
            raise Fault(reason)
        counts[self.me] = counts.get(self.me, 0) + by
        if not counts[self.me]:
            del counts[self.me]
        if by < 0:
            self.leave()

    def _rcu_read_lock(self, node: ast.expr) -> Steps:
        yield from self._count("rcu_read_lock", self.world.rcu.nesting, 1, "", node)

    def _rcu_read_unlock(self, node: ast.expr) -> Steps:
        yield from self._count("rcu_read_unlock", self.world.rcu.nesting, -1, "rcu-imbalance", node)

    def _preempt_disable(self, node: ast.expr) -> Steps:
        yield from self._count("preempt_disable", self.world.rcu.preempt, 1, "", node)

    def _preempt_enable(self, node: ast.expr) -> Steps:
        yield from self._count("preempt_enable", self.world.rcu.preempt, -1, "preempt-imbalance", node)

    def _synchronize_rcu(self, node: ast.expr) -> Steps:
        yield from self._stop("synchronize_rcu_begin", node)
        if self.is_reader():
            raise Fault("rcu-self-wait")
        blockers = self.world.rcu.blockers
        blockers[self.me] = self._all_readers()
        yield from self._stop("synchronize_rcu_end", node, lambda: not self.world.rcu.blockers[self.me])
        del self.world.rcu.blockers[self.me]

    # Callbacks

    def _call_rcu(self, node: ast.expr, head: Any, function: Any) -> Steps:
        self.frame.held.append(head)
        yield from self._stop("call_rcu", node)
        self.frame.held.pop()
        self._queue(head, ("call", function))

    def _kfree_rcu(self, node: ast.expr, one: Any, member: str = "rcu") -> Steps:
        self.frame.held.append(one)
        yield from self._stop("kfree_rcu", node)
        self.frame.held.pop()
        if one is not NULL and one is not None:
            self._queue(getattr(one, member), ("free", one))

    def _queue(self, head: Any, callback: Any) -> None:
        self._alive(head)
        if id(head) in self.world.rcu.queued:
            raise Fault("double-free")
        self.world.rcu.queued[id(head)] = (callback, self._all_readers())

    def _done(self, head: Any) -> None:
        for left in self.world.rcu.barrier.values():
            if id(head) in left:
                left[id(head)] -= 1
                if not left[id(head)]:
                    del left[id(head)]

    def _rcu_barrier(self, node: ast.expr) -> Steps:
        yield from self._stop("rcu_barrier_begin", node)
        self._may_sleep()
        rcu = self.world.rcu
        heads = [*rcu.queued, *rcu.running]
        rcu.barrier[self.me] = {head: heads.count(head) for head in heads}
        yield from self._stop("rcu_barrier_end", node, lambda: not self.world.rcu.barrier[self.me])
        del self.world.rcu.barrier[self.me]

    # SRCU

    def _srcu_read_lock(self, node: ast.expr, ss: Any) -> Steps:
        self.frame.held.append(ss)
        yield from self._stop("srcu_read_lock", node)
        self.frame.held.pop()
        mine = self.world.rcu.sections.setdefault(id(ss), {})
        mine[self.me] = mine.get(self.me, 0) + 1
        return 0

    def _srcu_read_unlock(self, node: ast.expr, ss: Any, idx: int) -> Steps:
        self.frame.held += [ss, idx]
        yield from self._stop("srcu_read_unlock", node)
        del self.frame.held[-2:]
        rcu = self.world.rcu
        mine = rcu.sections.setdefault(id(ss), {})
        if not mine.get(self.me):
            raise Fault("rcu-imbalance")
        mine[self.me] -= 1
        if not mine[self.me]:
            del mine[self.me]
            rcu.waits = {who: (one, left - {self.me} if one == id(ss) else left) for who, (one, left) in rcu.waits.items()}

    def _synchronize_srcu(self, node: ast.expr, ss: Any) -> Steps:
        self.frame.held.append(ss)
        yield from self._stop("synchronize_srcu_begin", node)
        self.frame.held.pop()
        rcu = self.world.rcu
        if rcu.sections.get(id(ss), {}).get(self.me):
            raise Fault("rcu-self-wait")
        self._may_sleep()
        rcu.waits[self.me] = (id(ss), frozenset(rcu.sections.get(id(ss), {})))
        self.frame.held.append(ss)
        yield from self._stop("synchronize_srcu_end", node, lambda: not self.world.rcu.waits[self.me][1])
        self.frame.held.pop()
        del self.world.rcu.waits[self.me]

    def serve(self, head: Any, node: ast.expr, call: Callable[..., Steps]) -> Steps:
        """What a context does for ever: wait for the callback of its head, and run it."""
        rcu = self.world.rcu
        while True:
            yield from self._stop("rcu_do_batch", node, lambda: id(head) in rcu.queued and not rcu.queued[id(head)][1])
            kind, what = rcu.queued.pop(id(head))[0]
            if kind == "free":
                self.give_back(what)
            else:
                rcu.running[id(head)] = self.me
                yield from call(what, [head], {})
                yield from self._stop(f"end of {what.__name__}", node)
                if rcu.nesting.get(self.me):
                    raise Fault("rcu-imbalance")
                if rcu.preempt.get(self.me) or self.me in self.world.owner.values():
                    raise Fault("preempt-imbalance")
                del rcu.running[id(head)]
                self.leave()
            self._done(head)
