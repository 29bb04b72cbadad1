"""Operations of several workers at once, interleaved at the steps of the checker: what larger scenes than exhaustive search can reach are tested with.

Each worker is a thread of Python's, and exactly one of them runs. Before each step of the vocabulary (lang/) that `linux/` or the simulator takes, one that may go on is
picked, by a seeded choice: so a schedule can be run again. A step that has to wait (for a lock, for a grace period) is tried again when its worker is picked again; if all
wait, that is a deadlock. Plain loads and stores ride along with the step before them, which the checker takes one by one.

Operations that make workers or have none run alone, between those of others. Leaves out handlers and interrupts: there are none in `linux/`.
"""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from types import FunctionType
from typing import Any

import lockverse.linux
from lockverse.lang import access
from lockverse.lang.errors import WouldBlock
from lockverse.lang.task import several

from . import operations as ops
from .objects import Task
from .system import System

ALONE = (ops.Mkcg, ops.Rmcg, ops.Flags, ops.Limit, ops.Write, ops.Sysw, ops.Sleepms, ops.File, ops.Spawn, ops.Fork, ops.Vmfork, ops.Owners, ops.Check)
CHANCES = (0.3, 0.1, 0.05, 0.02)
NOBODY = ""  # whose operations on files are: those that no worker does


class Deadlock(Exception):
    """All that have not finished wait: says for what."""


def phases(operations: Iterable[ops.Operation]) -> Iterator[list[ops.Operation]]:
    """Operations that may run at once, in order; one that runs alone is a list of its own."""
    some: list[ops.Operation] = []
    for operation in operations:
        if not isinstance(operation, ALONE):
            some.append(operation)
            continue
        if some:
            yield some
        yield [operation]
        some = []
    if some:
        yield some


class _Worker:
    """One thread: its operations in order, what they returned, and what it waits for if it does."""

    def __init__(self, task: Task, number: int) -> None:
        self.task, self.number = task, number
        self.operations: list[tuple[int, ops.Operation]] = []
        self.go = threading.Semaphore(0)
        self.waits = ""
        self.in_step = False


class Scheduler:
    """Runs operations interleaved. `chance`: how likely it is, at each step, that somebody else goes on. If it is not given the seed decides: some races
    need many changes, others that somebody stands still for long."""

    def __init__(self, system: System, seed: int, chance: float | None = None) -> None:
        self.system, self.random = system, Random(seed)
        self.chance = self.random.choice(CHANCES) if chance is None else chance
        self.steps = self.switches = 0
        self._ready: list[_Worker] = []  # those that have not finished
        self._running: _Worker | None = None
        self._problem: BaseException | None = None
        self._done = threading.Semaphore(0)
        self._enter: Callable[[Task], None] = lambda task: None

    def run(self, operations: list[ops.Operation]) -> list[int]:
        """Run operations that may run at once; those of one worker stay in order. Gives what each returned. What one of them
        raises is raised here, when all have stopped."""
        results = [0] * len(operations)
        workers: dict[str, _Worker] = {}
        for number, operation in enumerate(operations):
            name = getattr(operation, "worker", NOBODY)
            worker = workers.setdefault(name, _Worker(self.system.task(name), len(workers)))
            worker.operations.append((number, operation))
        self._ready = list(workers.values())
        self._problem = None
        threads = [threading.Thread(target=self._work, args=(worker, results), daemon=True) for worker in self._ready]
        with several([worker.task for worker in self._ready]) as self._enter, _yielding(self):
            for thread in threads:
                thread.start()
            self._wake(self.random.choice(self._ready))
            self._done.acquire()
        for thread in threads:
            thread.join()
        if self._problem is not None:
            raise self._problem
        return results

    def _work(self, worker: _Worker, results: list[int]) -> None:
        worker.go.acquire()
        try:
            for number, operation in worker.operations:
                if self._problem is not None:
                    break
                results[number] = self.system.call(operation)
        except BaseException as problem:  # whatever it is, it is told where run() was called
            self._problem = self._problem or problem
        self._ready.remove(worker)
        for other in self._ready:
            other.waits = ""
        if self._ready:
            self._wake(self.random.choice(self._ready))
        else:
            self._running = None
            self._done.release()

    def _wake(self, worker: _Worker) -> None:
        self._running = worker
        self._enter(worker.task)
        worker.go.release()

    def _hand_over(self, worker: _Worker, others: list[_Worker]) -> None:
        self.switches += 1
        self._wake(self.random.choice(others))
        worker.go.acquire()
        if self._problem is not None:
            raise _Stopped

    def before_step(self) -> None:
        """Somebody else may go on here."""
        worker = self._running
        if worker is None or worker.in_step:
            return
        self.steps += 1
        others = [one for one in self._ready if one is not worker]
        if others and self.random.random() < self.chance:
            self._hand_over(worker, others)

    def step(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Take a step, as soon as it need not wait."""
        worker = self._running
        if worker is None or worker.in_step:
            return function(*arguments, **named)
        self.before_step()
        while True:
            worker.in_step = True
            try:
                result = function(*arguments, **named)
            except WouldBlock:
                worker.waits = f"{worker.task.name}: {function.__name__}"
            else:
                for one in self._ready:
                    one.waits = ""
                return result
            finally:
                worker.in_step = False
            others = [one for one in self._ready if not one.waits]
            if not others:
                raise Deadlock("; ".join(one.waits for one in self._ready))
            self._hand_over(worker, others)


class _Stopped(BaseException):
    """Another worker has failed: go no further."""


def _modules() -> list[dict[str, Any]]:
    """The names of all modules whose functions take steps."""
    for found in pkgutil.walk_packages(lockverse.linux.__path__, "lockverse.linux."):
        if ".patches" not in found.name and not found.name.endswith(".scenes"):
            importlib.import_module(found.name)
    prefixes = ("lockverse.lang", "lockverse.linux", "lockverse.sim")
    return [vars(module) for name, module in list(sys.modules.items()) if name.startswith(prefixes)]


@contextmanager
def _yielding(scheduler: Scheduler) -> Iterator[None]:
    """Let all steps of the vocabulary go by way of a scheduler: every name of one, in every module, names what asks it first."""
    made: dict[FunctionType, Callable[..., Any]] = {}
    changed: list[tuple[dict[str, Any], str, FunctionType]] = []
    find = access.caller_place

    def place(argument: int = 0, depth: int = 2) -> Any:
        scheduler.before_step()
        return find(argument, depth + 1)

    try:
        for names in _modules():
            for name, value in list(names.items()):
                if isinstance(value, FunctionType) and _is_step(value):
                    changed.append((names, name, value))
                    names[name] = made.setdefault(value, _asking(scheduler, value))
        access.caller_place = place
        yield
    finally:
        access.caller_place = find
        for names, name, value in changed:
            names[name] = value


def _is_step(function: FunctionType) -> bool:
    """A step, or a macro that reads a place, whose value is all it needs. One that writes finds its place itself (`place` above)."""
    macro = getattr(function, "__lockverse_place__", None)
    return hasattr(function, "__lockverse_step__") or (macro is not None and macro.kind == "read" and macro.check is None)


def _asking(scheduler: Scheduler, function: FunctionType) -> Callable[..., Any]:
    def ask(*arguments: Any, **named: Any) -> Any:
        return scheduler.step(function, arguments, named)

    return ask
