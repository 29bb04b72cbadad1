"""Random workloads, run and looked at: after each operation the books must agree, and at the end nothing may be left.

A workload that fails is made short: lines are left out, then names, then numbers are made smaller, as long as what is left fails the same way. Leaves out making lines (generate.py), what must hold (books.py, pages.py) and printing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lockverse.diagnostics.model import Rejected

from .books import left, wrong
from .generate import Generator
from .pages import wrong_pages
from .run import Machine, Run
from .system import System
from .workload import parse_line

Make = Callable[[int], Machine]
OPERATIONS = 60  # of a random workload, if nothing is said
MOST_RUNS = 2000  # of one failure while it is made short: enough for 60 lines, and it ends within a minute


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
        """Run a line; gives what does not hold then, "" if all does. A line about what is not there is left out, and so is one
        with a number that cannot be (a shorter workload's)."""
        try:
            operation = parse_line(line, "", len(self.lines) + 1)
            assert operation is not None
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
        if isinstance(self.run.machine, System):
            found += wrong_pages(self.run.machine)
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
    """A workload that fails the same way, with no line to leave out, no name to do without, no number to make smaller; or as far as MOST_RUNS came."""
    tries = 0
    for ways in (_without_lines, _with_fewer_names, _with_smaller_numbers):
        candidates = ways(failure.lines)
        while tries < MOST_RUNS and (lines := next(candidates, None)) is not None:
            tries += 1
            less = failure_of(lines, failure.version, make)
            if less is not None and _kind(less) == _kind(failure) and _size(less.lines) < _size(failure.lines):
                failure, candidates = less, ways(less.lines)
    return failure


def _without_lines(lines: Sequence[str]) -> Iterator[list[str]]:
    """Without half of the lines, a quarter, and so on down to one."""
    size = max(len(lines) // 2, 1)
    while size:
        for start in range(0, len(lines), size):
            yield [*lines[:start], *lines[start + size :]]
        size //= 2


def _with_fewer_names(lines: Sequence[str]) -> Iterator[list[str]]:
    """With one worker, group, region or file standing for another, made before it."""
    made = [(number, words[0], words[_MAKES[words[0]]]) for number, words in enumerate(line.split() for line in lines) if words[0] in _MAKES]
    for number, _, name in reversed(made):
        for before, maker, other in made:
            if before < number and _MADE[maker] == _MADE[lines[number].split()[0]]:
                later = [re.sub(rf"(?<!\S){re.escape(name)}(?![^\s/])", other, line) for line in lines[number + 1 :]]
                yield [*lines[:number], *later]


def _with_smaller_numbers(lines: Sequence[str]) -> Iterator[list[str]]:
    """With a number made 0, 1, 2, or half of it."""
    for at, line in enumerate(lines):
        words = line.split()
        for place, word in enumerate(words):
            for less in sorted({0, 1, 2, int(word) // 2} if word.isdigit() else ()):
                if less < int(word):
                    yield [*lines[:at], " ".join([*words[:place], str(less), *words[place + 1 :]]), *lines[at + 1 :]]


_MAKES = {"mkcg": 1, "spawn": 1, "fork": 2, "vmfork": 2, "file": 1, "map": 2}  # which word names what the operation makes
_MADE = {"mkcg": "group", "spawn": "worker", "fork": "worker", "vmfork": "worker", "file": "file", "map": "region"}


def _size(lines: Sequence[str]) -> tuple[int, int, int]:
    """Lines first, then names, then numbers."""
    words = [word for line in lines for word in line.split()]
    return len(lines), len(set(words)), sum(int(word) for word in words if word.isdigit())


def _kind(failure: Failure) -> str:
    """What failed, without the group and the numbers: a shorter workload has others."""
    first = failure.what.partition("\n")[0]
    return re.sub(r"^\S+ |-?\d+", "", first)
