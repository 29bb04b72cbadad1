"""Contexts for the oracle: who is on which CPU, what a task has disabled there, handlers and what asks for them, kernel threads.

A part of interpreter.Thread, written from docs/language.md and include/linux/preempt.h, irqflags.h (Linux 6.1), not from the passes. A thread
that may not go on is as one that waits. Leaves out the locks of bits
on a CPU that tasks share: preemption is not disabled before one waits.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from .values import Fault

Steps = Generator[Any, int, Any]

TASK, SOFTIRQ, HARDIRQ, NMI = range(4)
BEGINS = {SOFTIRQ: "softirq", HARDIRQ: "interrupt", NMI: "nmi"}
SPIN_FOR = ("spin_lock", "raw_spin_lock", "read_lock", "write_lock", "write_seqlock", "read_seqlock_excl")
FORMS = ("spin", "raw_spin", "read", "write")
LOCAL_LOCKS = {"local_lock", "local_lock_irq", "local_lock_irqsave", "local_unlock", "local_unlock_irq", "local_unlock_irqrestore"}


@dataclass
class Cpus:
    """The CPU and the level of each thread of the scene; what each has disabled; which handlers run; which kernel threads are to
    stop, and have."""

    places: list[tuple[int, int]] = field(default_factory=list)
    softirqs: dict[int, int] = field(default_factory=dict)
    irqs_off: set[int] = field(default_factory=set)
    running: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    exited: set[int] = field(default_factory=set)

    @property
    def shared(self) -> bool:
        """Whether two tasks share a CPU."""
        tasks = [cpu for cpu, level in self.places if level == TASK]
        return len(set(tasks)) < len(tasks)

    @property
    def interrupts(self) -> bool:
        """Whether there are handlers that can be kept away."""
        return any(level in (SOFTIRQ, HARDIRQ) for _, level in self.places)

    def key(self) -> object:
        """What a state has of it, comparable."""
        softirqs = tuple(sorted(one for one in self.softirqs.items() if one[1]))
        return softirqs, *(tuple(sorted(one)) for one in (self.irqs_off, self.running, self.asked, self.exited))

    def level(self, me: int) -> int:
        """The level of a thread; what runs RCU's callbacks counts as a task."""
        return self.places[me][1] if me < len(self.places) else TASK


class Contexts:
    """What a thread does with them."""

    world: Any
    me: int
    frame: Any
    stop: Any
    _stop: Callable[..., Steps]
    _at: Callable[..., Steps]
    _count: Callable[..., Steps]
    _may_sleep: Callable[[], None]
    leave: Callable[[], None]
    _do_wake_up_process: Callable[[Any], bool]
    _value: Callable[..., Steps]
    _own_value: Callable[..., Steps]

    def _preempt_count(self, who: int) -> int:
        return int(self.world.rcu.preempt.get(who, 0) + self.world.held.spinning.get(who, 0))

    def has_its_cpu(self) -> bool:
        """Whether nothing else on its CPU keeps the thread from its next step."""
        cpus = self.world.cpus
        if self.me >= len(cpus.places):
            return True
        here, mine = cpus.places[self.me]
        begins = mine != TASK and self.me not in cpus.running
        for other, (cpu, level) in enumerate(cpus.places):
            if cpu != here or other == self.me:
                continue
            if other in cpus.running and (level > mine or (begins and level == mine)):
                return False
            no_irqs, no_softirqs = other in cpus.irqs_off, cpus.softirqs.get(other, 0) > 0
            if mine == TASK and level == TASK and (self._preempt_count(other) or no_softirqs or no_irqs):
                return False
            if begins and mine in (SOFTIRQ, HARDIRQ) and level < mine and no_irqs:
                return False
            if begins and mine == SOFTIRQ and level == TASK and no_softirqs:
                return False
        return True

    def is_reader(self, who: int | None = None) -> bool:
        """Whether a thread keeps grace periods waiting, and may not sleep."""
        number = self.me if who is None else who
        cpus = self.world.cpus
        disabled = cpus.softirqs.get(number, 0) > 0 or number in cpus.irqs_off or number in cpus.running
        return disabled or bool(super().is_reader(who))  # type: ignore[misc]

    # What a task disables

    def _local_bh_disable(self, node: ast.expr) -> Steps:
        yield from self._count("local_bh_disable", self.world.cpus.softirqs, 1, "", node)

    def _local_bh_enable(self, node: ast.expr) -> Steps:
        yield from self._stop("local_bh_enable", node)
        self._exit_bh()

    def _exit_bh(self) -> None:
        cpus = self.world.cpus
        if not cpus.softirqs.get(self.me):
            raise Fault("preempt-imbalance")
        if self.me in cpus.irqs_off:
            raise Fault("irq-imbalance")
        cpus.softirqs[self.me] -= 1
        self.leave()

    def _disable_irqs(self) -> bool:
        before = self.me in self.world.cpus.irqs_off
        self.world.cpus.irqs_off.add(self.me)
        return before

    def _enable_irqs(self) -> None:
        self.world.cpus.irqs_off.discard(self.me)
        self.leave()

    def _restore(self, flags: bool) -> None:
        if self.me not in self.world.cpus.irqs_off:
            raise Fault("irq-imbalance")
        if not flags:
            self._enable_irqs()

    def _local_irq_disable(self, node: ast.expr) -> Steps:
        yield from self._stop("local_irq_disable", node)
        self._disable_irqs()

    def _local_irq_enable(self, node: ast.expr) -> Steps:
        yield from self._stop("local_irq_enable", node)
        self._enable_irqs()

    def _local_irq_save(self, node: ast.expr) -> Steps:
        yield from self._stop("local_irq_save", node)
        return self._disable_irqs()

    def _local_irq_restore(self, node: ast.expr, flags: bool) -> Steps:
        yield from self._at("local_irq_restore", node, [flags])
        self._restore(flags)

    def _irqs_disabled(self, node: ast.expr) -> Steps:
        yield from self._stop("irqs_disabled", node)
        return self.me in self.world.cpus.irqs_off or self.world.cpus.level(self.me) == HARDIRQ

    def _in_task(self, node: ast.expr) -> Steps:
        yield from self._stop("in_task", node)
        return self.world.cpus.level(self.me) == TASK

    def _in_interrupt(self, node: ast.expr) -> Steps:
        yield from self._stop("in_interrupt", node)
        return self.world.cpus.level(self.me) != TASK or self.world.cpus.softirqs.get(self.me, 0) > 0

    # Locks

    def _lock(self, name: str, node: ast.AST, args: list[Any]) -> Steps:
        """Where tasks share a CPU, preemption is disabled a step before a lock is spun for."""
        if not self.world.cpus.shared or name.removesuffix("_nested") not in SPIN_FOR:
            return (yield from super()._lock(name, node, args))  # type: ignore[misc]
        yield from self._at("preempt_disable", node, args)
        spinning = self.world.held.spinning
        spinning[self.me] = spinning.get(self.me, 0) + 1
        result = yield from super()._lock(name, node, args)  # type: ignore[misc]
        spinning[self.me] -= 1
        return result

    def _lock_form(self, lock: str, form: str, node: ast.AST, args: list[Any]) -> Steps:
        """spin_lock_irqsave() and its like: where there are handlers, disabling is a step before all others."""
        flags: Any = None
        if self.world.cpus.interrupts:
            yield from self._at({"bh": "local_bh_disable", "irq": "local_irq_disable", "irqsave": "local_irq_save"}[form], node, args)
            flags = self._disable(form)
            self.frame.held.append(flags)
            yield from self._lock(lock, node, args)
            self.frame.held.pop()
            return flags
        yield from self._lock(lock, node, args)
        return self._disable(form)

    def _disable(self, form: str) -> Any:
        if form == "bh":
            softirqs = self.world.cpus.softirqs
            softirqs[self.me] = softirqs.get(self.me, 0) + 1
            return None
        before = self._disable_irqs()
        return before if form == "irqsave" else None

    def _trylock_form(self, lock: str, form: str, node: ast.AST, args: list[Any]) -> Steps:
        taken = yield from self._lock(lock, node, args)
        flags = self._disable(form) if taken else False
        return (taken, flags) if form == "irqsave" else taken

    def _unlock_form(self, lock: str, form: str, node: ast.AST, args: list[Any]) -> Steps:
        yield from self._lock(lock, node, args[:1])
        if form == "bh":
            self._exit_bh()
        elif form == "irq":
            self._enable_irqs()
        else:
            self._restore(args[1])

    def _local(self, name: str, node: ast.Call) -> Steps:
        """A local lock: that of the CPU which runs this, wherever in per-cpu data it is."""
        lock = yield from self._own_value(node.args[0])
        flags = None
        if len(node.args) > 1:
            self.frame.held.append(lock)
            flags = yield from self._value(node.args[1])
            self.frame.held.pop()
        return (yield from self._local_lock(name, node, lock, flags))

    def _local_lock(self, name: str, node: ast.AST, lock: Any, flags: Any = None) -> Steps:
        yield from self._at(name, node, [lock, flags])
        owner, preempt, form = self.world.owner, self.world.rcu.preempt, name.rpartition("_")[2]
        if name.startswith("local_lock"):
            if id(lock) in owner:
                raise Fault("recursive-locking")
            owner[id(lock)] = self.me
            if form in ("irq", "irqsave"):
                return self._disable(form)
            preempt[self.me] = preempt.get(self.me, 0) + 1
            return None
        if owner.get(id(lock)) != self.me:
            raise Fault("unlock-by-stranger")
        del owner[id(lock)]
        if form == "irqrestore":
            self._restore(flags)
        elif form == "irq":
            self._enable_irqs()
        else:
            if not preempt.get(self.me):
                raise Fault("preempt-imbalance")
            preempt[self.me] -= 1
            self.leave()
        return None

    # What is asked for

    def _smp_call_function_single(self, node: ast.expr, csd: Any, wait: bool) -> Steps:
        yield from self._at("smp_call_function_single", node, [csd, wait], lambda: not csd.pending)
        csd.pending = True
        if wait:
            yield from self._at("wait for the IPI", node, [csd], lambda: not csd.pending)

    def _smp_call_function_single_async(self, node: ast.expr, csd: Any) -> Steps:
        yield from self._smp_call_function_single(node, csd, False)

    def _flush_work(self, node: ast.expr, work: Any) -> Steps:
        yield from self._at("flush_work", node, [work], lambda: self.is_reader() or not (work.pending or work.running))
        self._may_sleep()

    def _cancel_work_sync(self, node: ast.expr, work: Any) -> Steps:
        yield from self._at("cancel_work", node, [work])
        found, work.pending = work.pending, False
        yield from self._at("cancel_work_sync", node, [work, found], lambda: self.is_reader() or not work.running)
        self._may_sleep()
        return found

    def _del_timer_sync(self, node: ast.expr, timer: Any) -> Steps:
        yield from self._at("del_timer", node, [timer])
        found, timer.pending = timer.pending, False
        yield from self._at("del_timer_sync", node, [timer, found], lambda: not timer.running)
        return found

    # Kernel threads

    def _kthread_should_stop(self, node: ast.expr) -> Steps:
        yield from self._stop("kthread_should_stop", node)
        return self.me in self.world.cpus.asked

    def _kthread_stop(self, node: ast.expr, task: Any) -> Steps:
        who = next(number for number, one in enumerate(self.world.tasks) if one is task)
        yield from self._at("ask to stop", node, [task])
        self.world.cpus.asked.add(who)
        yield from self._at("wake_up_process", node, [task])
        self._do_wake_up_process(task)
        yield from self._at("wait until stopped", node, [task], lambda: self.is_reader() or who in self.world.cpus.exited)
        self._may_sleep()
        return 0

    # How handlers begin and end

    def serve_as_handler(self, declared: Any, node: ast.AST, call: Callable[[], Steps]) -> Steps:
        """A handler, from before it fires to its end, as often as it does."""
        cpus, request = self.world.cpus, declared.request
        level, left = cpus.level(self.me), declared.times
        kind = BEGINS.get(level, "process_one_work")
        while True:
            self.frame.locals["left"] = left
            self.rested = True
            yield from self._stop(kind, node, lambda: request is None or request.pending)
            if level != TASK:
                cpus.running.add(self.me)
            if hasattr(request, "running") and type(request).__name__ != "call_single_data_t":
                request.pending, request.running = False, True
            yield from call()
            if request is not None:
                request.pending = request.pending and request.running
                request.running = False
            cpus.running.discard(self.me)
            self.leave()
            left -= bool(left)
            if declared.times and not left:
                return

    def _ends(self) -> None:
        """What may not be left disabled at the end."""
        if self.world.cpus.softirqs.get(self.me):
            raise Fault("preempt-imbalance")
        if self.me in self.world.cpus.irqs_off:
            raise Fault("irq-imbalance")


def _form(verb: Callable[..., Steps], lock: str, form: str) -> Callable[..., Steps]:
    def method(self: Contexts, node: ast.AST, *args: Any) -> Steps:
        return (yield from verb(self, lock, form, node, list(args)))

    return method


for _one in FORMS:
    for _kind in ("bh", "irq", "irqsave"):
        setattr(Contexts, f"_{_one}_lock_{_kind}", _form(Contexts._lock_form, f"{_one}_lock", _kind))
        setattr(Contexts, f"_{_one}_trylock_{_kind}", _form(Contexts._trylock_form, f"{_one}_trylock", _kind))
        setattr(Contexts, f"_{_one}_unlock_{_kind.replace('save', 'restore')}", _form(Contexts._unlock_form, f"{_one}_unlock", _kind))
