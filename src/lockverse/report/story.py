"""From a trace to the lines of a race diagram, as data: what stands in which column, how deep, with which remark.

The conventions are those of race diagrams in kernel mails (docs/reading-a-race.md explains each mark): a line is a
statement of the user's, in exactly one column, and time goes downwards. A branch that was not taken is shown with what
it skipped.

Leaves out the layout on a page: text.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from lockverse.trace.model import Access, Column, Reason, Trace, called, link_told

from .columns import arranged
from .fold import folded
from .line import Kind, Line
from .moments import Moment, moments

INTERRUPTIONS = {"hardirq": "Interrupt", "softirq": "Softirq", "nmi": "NMI"}
IDLE = ("cpu_relax()", "pass")  # bodies of busy loops, which say nothing when skipped
MOST_INITIAL = 16  # first values that a reader looks through
LONGEST_SKIPPED = 8  # lines of a branch that was not taken; more would drown the race


class Story(Struct, frozen=True):
    """A diagram's contents: a column for each CPU and each context that did something. `closing` stands below it, over all
    columns, and `elsewhere` below that: what happens in other executions."""

    columns: tuple[Column, ...]
    initial: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    closing: str = ""
    elsewhere: tuple[str, ...] = ()


def tell(trace: Trace, *, depth: int | None = None, fold: bool = True) -> Story:
    """The story of a trace.

    `depth` is how many levels of calls are shown: 1 is each CPU's own function; None shows a call's inside only where
    another CPU comes between, or where the race ends. `fold` replaces what has no part in the race by "...".
    """
    teller = _Teller(trace, moments(trace, depth))
    for moment in teller.moments:
        teller.show(moment)
    columns, lines = arranged(teller.lines, trace.columns)
    lines = folded(lines) if fold else lines
    closing = "*** DEADLOCK ***" if trace.failure.reason is Reason.DEADLOCK else ""
    return Story(columns, _initial(trace), tuple(lines), closing, _elsewhere(trace))


def _elsewhere(trace: Trace) -> tuple[str, ...]:
    """The takings of locks that make the one at the end a finding: who takes what, by which statements, where."""
    found = []
    for link in trace.failure.chain[1:]:
        stacks = [stack for stack in (link.held_stack, link.stack) if stack]
        statements = [trace.statements[stack[-1]] for stack in stacks]
        width = max((len(one.text) for one in statements), default=0)
        places = [f"  {one.text.ljust(width)}  // {one.file}:{one.line}" for one in statements]
        found += [f"{link_told(trace.columns, link)}:", *places]
    return tuple(found)


def _initial(trace: Trace) -> tuple[tuple[str, str], ...]:
    """The first values to show: of many cells, those that the race changes and those that what failed looks at."""
    if len(trace.initial) <= MOST_INITIAL:
        return trace.initial
    matter = {access.cell for event in trace.events for access in event.accesses if access.kind == "write"} | set(trace.failure.reads)
    return tuple(one for one in trace.initial if one[0] in matter)


class _Place(Struct, frozen=True):
    """A statement on the way to a line, and the depth it is shown at."""

    statement: int
    depth: int


class _Teller(Struct):
    """Lines are added in the order of time; `open[thread]` is the path of the line last shown in its column."""

    trace: Trace
    moments: list[Moment]
    lines: list[Line] = field(default_factory=list)
    open: dict[int, tuple[_Place, ...]] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    shown: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        statements = enumerate(self.trace.statements)
        self.parents = {child: parent for parent, s in statements for child in (*s.body, *s.orelse)}
        self.shown = frozenset(name for name, _ in self.trace.initial)

    def show(self, moment: Moment) -> None:
        """Add the lines of one moment."""
        if moment.note:
            self.lines.append(Line(None, 0, moment.note, kind=Kind.NOTE))
            return
        if moment.entry:
            self._enter_handler(moment)
            return
        path = self._path(moment.stack)
        if self._says_nothing(moment, path):
            return
        self._headers(moment.thread, path)
        statement = self.trace.statements[moment.stack[-1]]
        entered = path in self._headers_open(moment.thread, path)
        self.open[moment.thread] = path
        depth = path[-1].depth
        skipped = moment.outcome is False and not (statement.kind in ("while", "for") and entered)
        if statement.kind == "with" and any(_gives_back(kind) for kind in moment.kinds):
            self._add(moment, depth, f"[ {_given_back(moment)} ]", ())
        else:
            ends = moment.outcome is False and not skipped
            self._add(moment, depth, statement.text, ("NOT TAKEN",) if skipped else ("ENDS",) if ends else ())
        if skipped:
            self._skipped(moment.thread, moment.stack[-1], depth)

    def _enter_handler(self, moment: Moment) -> None:
        """A handler begins: on the CPU of what it interrupts."""
        one = self.trace.columns[moment.thread]
        self.open.pop(moment.thread, None)
        text = f"<{INTERRUPTIONS[one.context]}> {one.title}()"
        self.lines.append(Line(moment.thread, 0, text, kind=Kind.ENTRY, events=(moment.events[0], moment.events[-1])))

    def _says_nothing(self, moment: Moment, path: tuple[_Place, ...]) -> bool:
        """Ways out of functions, what comes of a call whose inside was shown, the end of a loop that counts."""
        if moment.kinds or moment.failing or moment.waits is not None:
            return False
        statement = self.trace.statements[path[-1].statement]
        opened = self.open.get(moment.thread, ())
        inside = len(opened) > len(path) and opened[: len(path)] == path
        if statement.kind == "for" and moment.outcome is False:
            return inside
        if inside and statement.kind in ("simple", "with"):
            return True
        return (inside and moment.outcome is True and statement.kind == "if") or statement.text.startswith(("return", "pass"))

    def _headers_open(self, thread: int, path: tuple[_Place, ...]) -> list[tuple[_Place, ...]]:
        """The paths of what the last line shown in this column stands in, itself included."""
        opened = self.open.get(thread, ())
        return [opened[: index + 1] for index in range(len(opened))] if len(opened) > len(path) else []

    def _path(self, stack: tuple[int, ...]) -> tuple[_Place, ...]:
        """All statements round a line, those that called it among them, outermost first."""
        path: list[_Place] = []
        base = 0
        for statement in stack:
            chain = [statement]
            while chain[-1] in self.parents:
                chain.append(self.parents[chain[-1]])
            path += [_Place(one, base + self.trace.statements[one].depth) for one in reversed(chain)]
            base = path[-1].depth + 1
        return tuple(path)

    def _headers(self, thread: int, path: tuple[_Place, ...]) -> None:
        """Show what a line stands in, as far as it is not open already."""
        opened = self.open.get(thread, ())
        for index, place in enumerate(path[:-1]):
            if opened[: index + 1] != path[: index + 1]:
                statement = self.trace.statements[place.statement]
                otherwise = statement.kind == "if" and path[index + 1].statement in statement.orelse
                self.lines.append(Line(thread, place.depth, statement.text, "NOT TAKEN" if otherwise else ""))
                if otherwise and not self._is_elif(path[index + 1].statement):
                    self.lines.append(Line(thread, place.depth, "else:"))

    def _skipped(self, thread: int, one: int, depth: int) -> None:
        """What a branch that was not taken skipped, and the `else` that comes instead."""
        statement = self.trace.statements[one]
        lines = self._source(thread, statement.body, depth + 1)
        if all(line.text in IDLE for line in lines):
            lines = []
        if len(lines) > LONGEST_SKIPPED:
            lines = [*lines[: LONGEST_SKIPPED - 1], Line(thread, depth + 1, "...", kind=Kind.SKIPPED)]
        self.lines += lines
        if statement.orelse and statement.kind == "if" and not self._is_elif(statement.orelse[0]):
            self.lines.append(Line(thread, depth, "else:"))

    def _is_elif(self, one: int) -> bool:
        return self.trace.statements[one].text.startswith("elif")

    def _source(self, thread: int, body: Iterable[int], depth: int) -> list[Line]:
        lines: list[Line] = []
        for one in body:
            statement = self.trace.statements[one]
            lines.append(Line(thread, depth, statement.text, kind=Kind.SKIPPED))
            lines += self._source(thread, statement.body, depth + 1)
            if statement.orelse:
                chained = self._is_elif(statement.orelse[0])
                lines += [] if chained else [Line(thread, depth, "else:", kind=Kind.SKIPPED)]
                lines += self._source(thread, statement.orelse, depth if chained else depth + 1)
        return lines

    # Remarks

    def _add(self, moment: Moment, depth: int, text: str, decided: tuple[str, ...]) -> None:
        failure = self.trace.failure
        waits = (self._waits(moment),) if moment.waits is not None else ()
        remarks = (*decided, failure.remark) if moment.failing and failure.remark else (*self._values(moment), *decided, *waits)
        kind = Kind.FAILING if moment.failing or waits else Kind.PLAIN
        events = (moment.events[0], moment.events[-1]) if moment.events else None
        self.lines.append(Line(moment.thread, depth, text, "; ".join(remarks), kind, events, self._is_private(moment)))

    def _values(self, moment: Moment) -> tuple[str, ...]:
        """What the reader must know of the values: what was picked, and what another thread changes later or between."""
        if moment.picked is not None:
            return (f"picks {moment.value if moment.value is not None else moment.picked}",)
        text = self.trace.statements[moment.stack[-1]].text
        if text.startswith("for ") and moment.value is not None and moment.outcome:
            return () if text.split()[1] == "_" else (f"{text.split()[1]} = {moment.value}",)
        if not moment.split and not self._is_stale(moment):
            return ()
        summary = _summary([access for access in moment.accesses if access.cell in self.shown])
        return (summary,) if summary else ()

    def _is_stale(self, moment: Moment) -> bool:
        """Whether it read what another thread writes before this thread's next step."""
        last = {access.cell: access for access in moment.accesses if access.cell in self.shown}
        if not moment.events or any(access.kind == "write" for access in last.values()):
            return False
        for event in self.trace.events[moment.events[-1] + 1 :]:
            if event.thread == moment.thread:
                return False
            if any(a.kind == "write" and a.cell in last and a.value != last[a.cell].value for a in event.accesses):
                return self._goes_on(moment)
        return False

    def _goes_on(self, moment: Moment) -> bool:
        return any(event.thread == moment.thread for event in self.trace.events[moment.events[-1] + 1 :])

    def _waits(self, moment: Moment) -> str:
        one = moment.waits
        assert one is not None
        if self.trace.failure.reason is Reason.DATA_RACE:
            return "RACES WITH IT"
        if one.sleeps:
            return f"SLEEPS FOR EVER{'' if one.object is None else f' in {one.object}'}"
        held = "" if one.holder is None else f", held by {called(self.trace.columns, one.holder)}"
        return f"WAITS FOR {one.object or one.kind}{held}"

    def _is_private(self, moment: Moment) -> bool:
        """Whether it has no part in the race: it touches only what no other thread touches and what did not fail."""
        if moment.failing or moment.waits is not None or moment.outcome is not None or moment.picked is not None:
            return False
        others = {access.cell for event in self.trace.events if event.thread != moment.thread for access in event.accesses}
        cells = {access.cell for access in moment.accesses}
        return cells <= self.shown and not cells & (others | set(self.trace.failure.reads))


def _summary(accesses: list[Access]) -> str:
    """What a part of a statement did: `reads 0`, or `writes 1`; with the cells' names if there are several."""
    cells: dict[str, Access] = {}
    for access in accesses:
        if access.kind == "write" or access.cell not in cells or cells[access.cell].kind == "read":
            cells[access.cell] = access
    named = len(cells) > 1
    return ", ".join(f"{a.kind}s {a.cell + ' = ' if named else ''}{a.value}" for a in cells.values())


def _given_back(moment: Moment) -> str:
    """The call that the end of a `with` stands for."""
    kind = next(kind for kind in moment.kinds if _gives_back(kind))
    locks = [access.cell.rpartition(".")[0] for access in moment.accesses if access.kind == "write"]
    return f"{kind}({locks[0] if locks else ''})"


def _gives_back(kind: str) -> bool:
    """Whether a step of that kind gives back a lock."""
    return "unlock" in kind or kind in ("up_read", "up_write")
