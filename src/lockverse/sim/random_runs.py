"""Random workloads, run and looked at: after each operation the books must agree, and at the end nothing may be left.

A workload that fails is made short: lines are left out as long as what is left fails the same way. Leaves out making lines (generate.py), what must hold (books.py) and printing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lockverse.diagnostics.model import Rejected

from .books import left, wrong
from .generate import Generator
from .run import Machine, Run
from .workload import parse_line

Make = Callable[[int], Machine]
OPERATIONS = 60  # of a random workload, if nothing is said
MOST_RUNS = 2000  # of one failure while it is made short: enough for 60 lines, and it ends in seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """A workload after whose last line something does not hold, and what."""

    version: int
    lines: tuple[str, ...]
    what: str

    def text(self, head: Sequence[str] = ()) -> str:
        """As a workload file."""
        return "\n".join([*(f"# {line}" for line in (*head, *self.what.splitlines())), f"cgroup v{self.version}", *self.lines, ""])


class _Watched:
    """A run whose books are looked at after each line."""

    def __init__(self, make: Make, version: int) -> None:
        self._version = version
        self.run = Run(make(version), version)
        self.lines: list[str] = []

    def do(self, line: str) -> str:
        """Run a line; gives what does not hold then, "" if all does. A line about what is not there is left out."""
        operation = parse_line(line, "", len(self.lines) + 1)
        assert operation is not None
        try:
            self.run.do(operation)
        except Rejected:
            return ""
        except Exception as problem:  # whatever it is, the workload that brings it about is what one wants to see
            self.lines.append(line)
            return f"{type(problem).__name__}: {problem}"
        self.lines.append(line)
        return self._looked()

    def _looked(self) -> str:
        huge, names = any(line.startswith("hugepage") for line in self.lines), self.run.names
        statistics = self.run.machine.statistics()
        found = wrong(statistics, self._version, huge=huge)
        if not found and not names.workers and not names.files:
            found = left(statistics, self._version, huge=huge)
        return "\n".join(found)


def random_run(seed: int, operations: int, version: int, make: Make) -> tuple[Run, Failure | None]:
    """Make and run a workload. Gives the run, and what went wrong if something did."""
    generator, watched = Generator(seed, version), _Watched(make, version)
    for _ in range(operations):
        what = watched.do(generator.next(watched.run.names))
        if what:
            return watched.run, Failure(version, tuple(watched.lines), what)
    for line in generator.closing(watched.run.names):
        what = watched.do(line)
        if what:
            return watched.run, Failure(version, tuple(watched.lines), what)
    return watched.run, None


def failure_of(lines: Sequence[str], version: int, make: Make) -> Failure | None:
    """Run given lines; those about what is not there are left out."""
    watched = _Watched(make, version)
    for line in lines:
        what = watched.do(line)
        if what:
            return Failure(version, tuple(watched.lines), what)
    return None


def shortened(failure: Failure, make: Make) -> Failure:
    """A workload none of whose lines can be left out, that fails the same way; or as far as MOST_RUNS came."""
    runs = 0
    size = max(len(failure.lines) // 2, 1)
    while runs < MOST_RUNS:
        start, shorter = 0, False
        while start < len(failure.lines) and runs < MOST_RUNS:
            runs += 1
            less = failure_of(failure.lines[:start] + failure.lines[start + size :], failure.version, make)
            if less is not None and _kind(less) == _kind(failure) and len(less.lines) < len(failure.lines):
                failure, shorter = less, True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(size // 2, 1)
    return failure


def _kind(failure: Failure) -> str:
    """What failed, without the group and the numbers: a shorter workload has others."""
    first = failure.what.partition("\n")[0]
    return re.sub(r"^\S+ |-?\d+", "", first)
