"""Which column a line is in: a thread's own, or for a handler that of what it interrupts, deeper.

Kernel mails show an interrupt inside the column of the CPU it comes to (docs/reading-a-race.md). Leaves out the lines themselves: story.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.trace.model import Column

from .line import Kind, Line


def arranged(lines: Sequence[Line], columns: Sequence[Column]) -> tuple[tuple[Column, ...], list[Line]]:
    """The columns that are shown, and the lines of all threads (`Line.column` is a thread) in them."""
    work = _Arranger(columns)
    placed = [work.place(line) for line in lines]
    used = {line.column for line in placed}
    hosts = [thread for thread in range(len(columns)) if _has_column(columns[thread], thread in used) or thread in work.alone]
    number = {thread: index for index, thread in enumerate(hosts)}
    shown = tuple(columns[thread] for thread in hosts)
    return shown, [line if line.column is None else replace(line, column=number[line.column]) for line in placed]


def _has_column(one: Column, used: bool) -> bool:
    """A task has; a thread of the vocabulary's own, if it did something."""
    return one.context == "task" and (one.cpu >= 0 or used)


class _Arranger(Struct):
    columns: Sequence[Column]
    host: dict[int, tuple[int, int]] = field(default_factory=dict)  # by handler: the thread it interrupts, and how much deeper
    last: dict[int, int] = field(default_factory=dict)  # by CPU: the thread whose line was the last
    alone: set[int] = field(default_factory=set)  # handlers on a CPU that runs no task

    def place(self, line: Line) -> Line:
        """The line in the column it is shown in, which is still told by a thread."""
        if line.column is None:
            return line
        one = self.columns[line.column]
        if one.context == "task":
            self.last[one.cpu] = line.column
            return line
        if line.kind is Kind.ENTRY or line.column not in self.host:
            self.host[line.column] = self._interrupted(line.column, one.cpu)
        self.last[one.cpu] = line.column
        column, deeper = self.host[line.column]
        return replace(line, column=column, depth=line.depth + deeper - (line.kind is Kind.ENTRY))

    def _interrupted(self, handler: int, cpu: int) -> tuple[int, int]:
        tasks = [thread for thread, one in enumerate(self.columns) if one.cpu == cpu and one.context == "task"]
        if not tasks:
            self.alone.add(handler)
            return handler, 1
        before = self.last.get(cpu, tasks[0])
        column, deeper = self.host.get(before, (before, 0))
        return column, deeper + 1
