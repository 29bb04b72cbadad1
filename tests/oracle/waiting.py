"""What is waited for and held by nobody, for the oracle: sleep, wait queues, completions, semaphores, seqcounts, bits.

A part of interpreter.Thread, written from docs/language.md. A seqcount is a count without end here: what a state is told of it is
all that a reader can ask. Leaves out locks: locks.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from .values import Fault, true

Steps = Generator[Any, int, Any]

RUNNING = 0
EVENTS = {"wait_event": (2, False, False), "wait_event_idle": (0x402, True, False), "wait_event_interruptible": (1, False, True),
          "wait_event_killable": (0x102, False, True)}  # fmt: skip
BIT_WAITS = {"wait_on_bit", "wait_on_bit_lock", "wake_up_bit"}
BIT_SPINS = {"bit_spin_lock", "bit_spin_trylock", "bit_spin_unlock", "__bit_spin_unlock", "bit_spin_is_locked", "clear_and_wake_up_bit"}
FOLIO = {f"{one}{kind}": one for one in ("lock", "trylock", "unlock") for kind in ("_page",)} | {
    "folio_lock": "lock", "folio_trylock": "trylock", "folio_unlock": "unlock", "folio_test_locked": "test", "PageLocked": "test",
    "folio_wait_locked": "wait", "wait_on_page_locked": "wait",
}  # fmt: skip
SEQ = {
    "read_seqcount_begin": "begin", "read_seqbegin": "begin", "read_seqcount_retry": "retry", "read_seqretry": "retry",
    "write_seqcount_begin": "write", "raw_write_seqcount_begin": "write", "write_seqcount_end": "written", "raw_write_seqcount_end": "written",
}  # fmt: skip
WAITING = {
    "set_current_state", "__set_current_state", "schedule", "wake_up_process", "wake_up", "wake_up_all", "wake_up_interruptible",
    "waitqueue_active", "wq_has_sleeper", "prepare_to_wait", "finish_wait", "get_current", "wait_for_completion", "complete",
    "complete_all", "reinit_completion", "completion_done", "try_wait_for_completion", "down", "down_trylock", "up", *FOLIO, *SEQ,
}  # fmt: skip


@dataclass
class Sleep:
    """Who is on which queue, the states of the tasks, the bit each waits for, seqcounts and where each reader began; by id."""

    queues: dict[int, frozenset[int]] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)
    bits: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    begun: dict[tuple[int, int], int] = field(default_factory=dict)

    def key(self, number: Callable[[int], int]) -> object:
        """All of it, comparable; `number` is of an object by its id."""
        queues = {number(one): tuple(sorted(who)) for one, who in self.queues.items() if who}
        fresh = {(number(one), me) for (one, me), count in self.begun.items() if count == self.counts.get(one, 0)}
        return (
            tuple(sorted(queues.items())), tuple(sorted(one for one in self.states.items() if one[1])),
            tuple(sorted((me, number(owner), name, nr) for me, (owner, name, nr) in self.bits.items())),
            tuple(sorted(number(one) for one, count in self.counts.items() if count % 2)), tuple(sorted(fresh)),
        )  # fmt: skip


class Waiting:
    """What a thread does."""

    world: Any
    me: int
    frame: Any
    rested: bool
    _stop: Callable[..., Steps]
    _at: Callable[..., Steps]
    _value: Callable[..., Steps]
    _place: Callable[..., Steps]
    is_reader: Callable[[], bool]
    leave: Callable[[], None]

    # May it sleep

    def _state(self) -> int:
        return int(self.world.sleep.states.get(self.me, RUNNING))

    def _would_fault(self) -> bool:
        return self.is_reader() or self._state() != RUNNING

    def _may_sleep(self) -> None:
        if self.is_reader():
            raise Fault("sleeping-while-atomic")
        if self._state() != RUNNING:
            raise Fault("warning")

    def _set_state(self, who: int, state: int) -> None:
        self.world.sleep.states[who] = state

    # The bare handshake, and wait queues

    def _sleeping(self, name: str, node: ast.AST, args: list[Any]) -> Steps:
        """All that is one step: `_do_NAME` says what it does."""
        kind = FOLIO.get(name) or SEQ.get(name)
        if name == "get_current":
            return self.world.tasks[self.me]
        if kind is not None:
            return (yield from getattr(self, f"_folio_{kind}" if name in FOLIO else f"_seq_{kind}")(name, node, *args))
        ready = getattr(self, f"_ready_{name}", lambda *_: True)
        yield from self._at(name, node, args, lambda: ready(*args))
        return getattr(self, f"_do_{name.strip('_')}")(*args)

    def _do_set_current_state(self, state: int) -> None:
        self._set_state(self.me, state)

    def _ready_schedule(self) -> bool:
        return self.is_reader() or self._state() == RUNNING

    def _do_schedule(self) -> None:
        if self.is_reader():
            raise Fault("sleeping-while-atomic")

    def _do_wake_up_process(self, task: Any) -> bool:
        who = next(number for number, one in enumerate(self.world.tasks) if one is task)
        if not self.world.sleep.states.get(who, RUNNING) & 3:
            return False
        self._set_state(who, RUNNING)
        return True

    def _wake(self, queue: Any, states: int) -> None:
        sleep = self.world.sleep
        woken = {who for who in sleep.queues.get(id(queue), ()) if sleep.states.get(who, RUNNING) & states}
        sleep.queues[id(queue)] = sleep.queues.get(id(queue), frozenset()) - woken
        sleep.states.update(dict.fromkeys(woken, RUNNING))

    def _do_wake_up(self, queue: Any) -> None:
        self._wake(queue, 3)

    def _do_wake_up_all(self, queue: Any) -> None:
        self._wake(queue, 3)

    def _do_wake_up_interruptible(self, queue: Any) -> None:
        self._wake(queue, 1)

    def _do_waitqueue_active(self, queue: Any) -> bool:
        return bool(self.world.sleep.queues.get(id(queue)))

    def _do_wq_has_sleeper(self, queue: Any) -> bool:
        return bool(self.world.sleep.queues.get(id(queue)))

    def _do_prepare_to_wait(self, queue: Any, state: int) -> None:
        self.world.sleep.queues[id(queue)] = self.world.sleep.queues.get(id(queue), frozenset()) | {self.me}
        self._set_state(self.me, state)

    def _do_finish_wait(self, queue: Any) -> None:
        self.world.sleep.queues[id(queue)] = self.world.sleep.queues.get(id(queue), frozenset()) - {self.me}
        self._set_state(self.me, RUNNING)

    def _wait_event(self, name: str, node: ast.Call) -> Steps:
        state, idle, signals = EVENTS[name]
        queue = yield from self._value(node.args[0])
        self._may_sleep()
        self.frame.held += [queue, 0]
        found = yield from self._value(node.args[1])
        while not true(found):
            del self.frame.held[-2:]
            yield from self._sleeping("prepare_to_wait", node, [queue, state])
            self.frame.held += [queue, 1]
            found = yield from self._value(node.args[1])
            del self.frame.held[-2:]
            if true(found) or (signals and (yield from self._at_choice(node, queue))):
                yield from self._at("finish_wait", node, [queue, bool(true(found))])
                self._do_finish_wait(queue)
                return 0 if true(found) else -512
            self.rested |= idle
            yield from self._at("schedule", node, [queue], self._ready_schedule)
            self._do_schedule()
            self.frame.held += [queue, 1]
            found = False
        del self.frame.held[-2:]
        return 0

    def _at_choice(self, node: ast.AST, queue: Any) -> Steps:
        self.frame.held.append(queue)
        signal = yield from self._stop("choose", node, options=2)
        self.frame.held.pop()
        return bool(signal)

    # Completions and semaphores: their fields are memory

    def _ready_wait_for_completion(self, one: Any) -> bool:
        return self._would_fault() or one.for_all or one.done > 0

    def _do_wait_for_completion(self, one: Any) -> None:
        self._may_sleep()
        one.done -= not one.for_all

    def _do_try_wait_for_completion(self, one: Any) -> bool:
        if not one.for_all and not one.done:
            return False
        one.done -= not one.for_all
        return True

    def _do_complete(self, one: Any) -> None:
        one.done += not one.for_all

    def _do_complete_all(self, one: Any) -> None:
        one.done, one.for_all = 0, True

    def _do_reinit_completion(self, one: Any) -> None:
        one.done, one.for_all = 0, False

    def _do_completion_done(self, one: Any) -> bool:
        return one.for_all or one.done > 0

    def _ready_down(self, sem: Any) -> bool:
        return self._would_fault() or sem.count > 0

    def _do_down(self, sem: Any) -> None:
        self._may_sleep()
        sem.count -= 1

    def _do_down_trylock(self, sem: Any) -> int:
        if not sem.count:
            return 1
        sem.count -= 1
        return 0

    def _do_up(self, sem: Any) -> None:
        sem.count += 1

    # Seqcounts

    def begin_writing(self, one: Any) -> None:
        """A writer is at work."""
        if self.world.sleep.counts.get(id(one), 0) % 2:
            raise Fault("lock-not-held")
        self.world.sleep.counts[id(one)] = self.world.sleep.counts.get(id(one), 0) + 1

    def end_writing(self, one: Any) -> None:
        """And is no more."""
        if not self.world.sleep.counts.get(id(one), 0) % 2:
            raise Fault("unlock-by-stranger")
        self.world.sleep.counts[id(one)] += 1

    def _seq_begin(self, name: str, node: ast.AST, one: Any) -> Steps:
        yield from self._at(name, node, [one], lambda: self.world.sleep.counts.get(id(one), 0) % 2 == 0)
        self.world.sleep.begun[id(one), self.me] = self.world.sleep.counts.get(id(one), 0)
        return 0

    def _seq_retry(self, name: str, node: ast.AST, one: Any, start: int) -> Steps:
        yield from self._at(name, node, [one, start])
        return self.world.sleep.begun.get((id(one), self.me), -1) != self.world.sleep.counts.get(id(one), 0)

    def _seq_write(self, name: str, node: ast.AST, one: Any) -> Steps:
        yield from self._at(name, node, [one])
        self.begin_writing(one)

    def _seq_written(self, name: str, node: ast.AST, one: Any) -> Steps:
        yield from self._at(name, node, [one])
        self.end_writing(one)

    # The folio lock

    def _folio_lock(self, name: str, node: ast.AST, folio: Any) -> Steps:
        yield from self._at(name, node, [folio], lambda: self._would_fault() or not folio.flags & 1)
        self._may_sleep()
        folio.flags |= 1

    def _folio_wait(self, name: str, node: ast.AST, folio: Any) -> Steps:
        yield from self._at(name, node, [folio], lambda: self._would_fault() or not folio.flags & 1)
        self._may_sleep()

    def _folio_trylock(self, name: str, node: ast.AST, folio: Any) -> Steps:
        yield from self._at(name, node, [folio])
        free = not folio.flags & 1
        folio.flags |= 1
        return free

    def _folio_unlock(self, name: str, node: ast.AST, folio: Any) -> Steps:
        yield from self._at(name, node, [folio])
        if not folio.flags & 1:
            raise Fault("bug")
        folio.flags &= ~1

    def _folio_test(self, name: str, node: ast.AST, folio: Any) -> Steps:
        yield from self._at(name, node, [folio])
        return bool(folio.flags & 1)

    # Bits

    def _bit_place(self, node: ast.Call, nr_at: int) -> Steps:
        """The place, the mask, and the key that a waiter is known by."""
        nr = (yield from self._value(node.args[0])) if nr_at == 0 else 0
        place = yield from self._place(node.args[1 - nr_at])
        nr = nr if nr_at == 0 else (yield from self._value(node.args[1]))
        owner, name = place.held[0], ast.unparse(node.args[1 - nr_at]).rpartition(".")[2]
        return place, 1 << nr, (id(owner), name, nr)

    def _bit_spin(self, name: str, node: ast.Call) -> Steps:
        place, mask, key = yield from self._bit_place(node, 0)
        if name == "clear_and_wake_up_bit":
            yield from self._at("clear_bit_unlock", node, [*place.held])
            place.put(place.get() & ~mask)
            yield from self._at("wake_up_bit", node, [*place.held])
            return self._wake_bit(key, place.get() & mask)
        ready = (lambda: not place.get() & mask) if name == "bit_spin_lock" else (lambda: True)
        yield from self._at(name, node, [*place.held], ready)
        old, preempt = place.get(), self.world.rcu.preempt
        was = bool(old & mask)
        if name.endswith("unlock"):
            if not was:
                raise Fault("bug")
            if name.startswith("__"):
                yield from self._at(name, node, [*place.held, old])
            place.put(old & ~mask)
            if not preempt.get(self.me):
                raise Fault("preempt-imbalance")
            preempt[self.me] -= 1
            if not preempt[self.me]:
                del preempt[self.me]
            self.leave()
        elif name != "bit_spin_is_locked" and not was:
            place.put(place.get() | mask)
            preempt[self.me] = preempt.get(self.me, 0) + 1
        return was if name == "bit_spin_is_locked" else not was if name == "bit_spin_trylock" else None

    def _bit_wait(self, name: str, node: ast.Call) -> Steps:
        place, mask, key = yield from self._bit_place(node, 1)
        if name == "wake_up_bit":
            yield from self._at(name, node, [*place.held])
            return self._wake_bit(key, place.get() & mask)
        self._may_sleep()
        while True:
            yield from self._at(name, node, [*place.held])
            if not place.get() & mask:
                break
            self.world.sleep.bits[self.me] = key
            self._set_state(self.me, 2)
            yield from self._at("schedule", node, [*place.held], self._ready_schedule)
        self.world.sleep.bits.pop(self.me, None)
        self._set_state(self.me, RUNNING)
        if name == "wait_on_bit_lock":
            place.put(place.get() | mask)
        return 0

    def _wake_bit(self, key: object, is_set: int) -> None:
        sleep = self.world.sleep
        for who in [who for who, one in sleep.bits.items() if one == key and not is_set]:
            del sleep.bits[who]
            self._set_state(who, RUNNING)
