"""Several checks at a time, in processes of their own: the schemes of a folder are independent, and most are too small for threads to help.

Processes are forked, so that they have the schemes as they were loaded. What a check raises is raised in this process, by running it once
more here. Ctrl-C ends all checks, each of which tells how far it came. Leaves out what a check is, and printing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

TELL_EVERY: Final = 0.2  # seconds
_RAISED: Final = "raised"
_INTERRUPTED: Final = "interrupted"


def in_order(checks: Sequence[Callable[[], T]], processes: int, tell: Callable[[int], None]) -> Iterator[T]:
    """What each check gives, in their order; `tell` hears how many are done. After Ctrl-C, what those give that had begun."""
    pool = _Pool(checks, tell)
    before = signal.signal(signal.SIGINT, lambda *_: pool.interrupt())
    try:
        pool.start(processes)
        yield from pool.results()
    finally:
        signal.signal(signal.SIGINT, before)
        pool.end()


class _Pool:
    """Processes that take a check each, and the next when they are done with it."""

    def __init__(self, checks: Sequence[Callable[[], Any]], tell: Callable[[int], None]) -> None:
        self.checks, self.tell = checks, tell
        self.busy: dict[Any, tuple[Any, int]] = {}  # by its connection, a process and the check that it is at
        self.given = 0
        self.done: dict[int, tuple[str, Any]] = {}

    def start(self, processes: int) -> None:
        """Have so many processes, each at work."""
        from multiprocessing import get_context  # not at the top: a single check goes without

        fork = get_context("fork")
        for _ in range(processes):
            here, there = fork.Pipe()
            process = fork.Process(target=_serve, args=(there, self.checks, [*self.busy, here]), daemon=True)
            process.start()
            there.close()
            self._give(here, process)

    def _give(self, connection: Any, process: Any) -> None:
        """Another check for a process that has none; if there is none, it may go."""
        if self.given < len(self.checks):
            self.busy[connection] = process, self.given
            connection.send(self.given)
            self.given += 1
        else:
            connection.close()
            process.join()

    def results(self) -> Iterator[Any]:
        """What the checks give, in their order, but for those that were never begun."""
        from multiprocessing.connection import wait

        for number, check in enumerate(self.checks):
            while number not in self.done and self.busy:
                self.tell(len(self.done))
                for connection in wait(list(self.busy), TELL_EVERY):
                    self._take(connection)
            kind, result = self.done.get(number, (_INTERRUPTED, None))
            if kind != _INTERRUPTED:
                yield check() if kind == _RAISED else result

    def _take(self, connection: Any) -> None:
        process, number = self.busy.pop(connection)
        try:
            self.done[number] = connection.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"the process of a check ended with code {process.exitcode} (-9: killed, mostly for want of memory)") from None
        self._give(connection, process)

    def interrupt(self) -> None:
        """End what runs, and begin nothing more."""
        self.given = len(self.checks)
        for process, _ in self.busy.values():
            os.kill(process.pid, signal.SIGINT)

    def end(self) -> None:
        """Leave no process behind."""
        for process, _ in self.busy.values():
            process.kill()
            process.join()


def _serve(connection: Any, checks: Sequence[Callable[[], Any]], inherited: Sequence[Any]) -> None:
    """Run in a process: checks by their numbers, until no more come. `inherited` are the other ends of connections, which this process has
    from its parent: as long as anybody has one open, no end is seen."""
    for one in inherited:
        one.close()
    at_work = False

    def interrupt(*_: object) -> None:  # a terminal sends Ctrl-C to all processes, and the first one passes it on: once is enough
        nonlocal at_work
        if at_work:
            at_work = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        reply: tuple[str, Any]
        try:
            at_work = True
            reply = "given", checks[number]()
        except KeyboardInterrupt:
            reply = _INTERRUPTED, None
        except Exception:
            reply = _RAISED, None
        at_work = False
        connection.send(reply)
