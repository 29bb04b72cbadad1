"""A race as data: what each thread did, in order, and how it ended. Complete in itself: no source file, no program.

The machine records it, the session writes and reads it, reports print it. Leaves out how it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lockverse.ir.contexts import ENTRIES as ENTRIES
from lockverse.ir.reason import LOOKED_AT_REST as LOOKED_AT_REST
from lockverse.ir.reason import Reason as Reason
from lockverse.ir.source import Statement

VERSION = 4
CONTEXT_WORDS: Final = {"task": "task", "softirq": "softirq", "hardirq": "interrupt", "nmi": "NMI"}


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """A cell read or written in a step, with a reader's name for it and for the values: "p.memcg", "memcg2".

    `kind` is "read" or "write"; `old` is the value before (equal to `value` for a read); `size` is in bytes, as in the kernel.
    """

    cell: str
    kind: str
    value: str
    old: str
    size: int


class Visit(Struct, frozen=True, forbid_unknown_fields=True):
    """A statement that ran (or began, or went on): `stack` holds the calls that led there, outermost first, and then
    the statement itself, as indices into `Trace.statements`. `outcome` is what its condition came out as in this
    step; None if it has none or has not decided yet. `value` is what it put in its variable, for `x = ...` with a
    name on the left, else None."""

    stack: tuple[int, ...]
    outcome: bool | None = None
    value: str | None = None


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of one thread. `kind` is the step's ("load", "store", "spin_lock", ...) and `stack` where it stands, as
    in Visit. `choice` is the number of what the environment picked, 0 if nothing, and `picked` what it was: a value, or the
    position of one of several expressions. `visits` are the statements it ran in order, its
    own first; for the first event of a thread they begin with what ran before any step."""

    thread: int
    kind: str
    stack: tuple[int, ...]
    choice: int
    picked: str | None
    accesses: tuple[Access, ...]
    visits: tuple[Visit, ...]


class Column(Struct, frozen=True, forbid_unknown_fields=True):
    """A thread for a reader: the function it runs, its CPU, where it stands in the end, as in Visit (empty if it has
    finished), and its context, one of ir.contexts.CONTEXTS. `cpu` is negative for a thread of the vocabulary's own, such as one that
    runs RCU's callbacks."""

    title: str
    cpu: int
    at: tuple[int, ...] = ()
    context: str = "task"


def called(columns: Sequence[Column], number: int) -> str:
    """What a sentence calls a thread: its CPU, if that is enough to know it by."""
    one = columns[number]
    if one.cpu < 0:
        return one.title
    tasks = [other for other in columns if other.cpu == one.cpu and other.context == "task"]
    if one.context == "task" and len(tasks) == 1:
        return f"CPU{one.cpu}"
    if one.context != "task":
        return f"{one.title}() ({CONTEXT_WORDS[one.context]} on CPU{one.cpu})"
    alike = [n for n, other in enumerate(columns) if (other.title, other.cpu, other.context) == (one.title, one.cpu, one.context)]
    which = f" #{alike.index(number)}" if len(alike) > 1 else ""
    return f"{one.title}(){which} on CPU{one.cpu}"


class Blocked(Struct, frozen=True, forbid_unknown_fields=True):
    """A thread that cannot go on: where it stands, what it does there ("spin_lock"), the object it waits for and the
    thread that holds it, if that is known."""

    thread: int
    stack: tuple[int, ...]
    kind: str
    object: str | None
    holder: int | None

    @property
    def sleeps(self) -> bool:
        """Whether it sleeps until somebody wakes it; `object` is then the wait queue."""
        return self.kind == "schedule"


class Side(Struct, frozen=True, forbid_unknown_fields=True):
    """One side of a data race: a thread and where it stands, before an access to `cell` of `size` bytes. `kind` is "read", "write" or
    "read-write", `marked` is what it is if it is not plain, and `old` and `value` are what the cell has before it and after it."""

    thread: int
    stack: tuple[int, ...]
    cell: str
    kind: str
    marked: bool
    size: int
    old: str
    value: str


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """A lock is taken, in this execution or another: by which thread, where, by what kind of step. With `held` held, if that is what
    matters, which was taken where `held_stack` says; or where handlers of the context `open_to` could come; or as one, of the context
    `inside`. `moves` is the schedule that ends with it, a thread and a choice each; empty for the trace's own."""

    thread: int
    wanted: str
    stack: tuple[int, ...]
    kind: str
    held: str = ""
    held_stack: tuple[int, ...] = ()
    open_to: str = ""
    inside: str = ""
    moves: tuple[tuple[int, int], ...] = ()


def link_told(columns: Sequence[Column], link: Link) -> str:
    """What a link of a chain is, in a sentence: `f() takes a.lock while b.lock is held`."""
    who = f"{columns[link.thread].title}()"
    if link.held:
        return f"{who} takes {link.wanted} while {link.held} is held"
    return f"{who}, a {link.inside}, takes {link.wanted}" if link.inside else f"{who} takes {link.wanted} where a {link.open_to} could come"


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """How it ended. `stack` is the statement that failed, empty if none did (a deadlock, a property).

    `remark` is short and in capitals first, for the failing line: "UNDERFLOW memcg2.nr_mapped = -1".
    `message` is the sentence for the headline. For ENDLESS_SPINNING the events from index `loop` on repeat for ever.
    `condition` is the index of the property that failed, if one did, and `reads` the cells it read. For DATA_RACE `blocked` is the thread that stands before the
    other access, and `sides` are the two accesses, that of `thread` first. For LOCK_ORDER and IRQ_LOCK_INVERSION `chain` are the takings that
    make it one, that of `thread` first; each waits for what the next one holds or has interrupted, and the last for the first, in this execution or another.
    """

    reason: Reason
    message: str
    remark: str
    thread: int | None
    stack: tuple[int, ...]
    blocked: tuple[Blocked, ...] = ()
    loop: int | None = None
    condition: int | None = None
    reads: tuple[str, ...] = ()
    sides: tuple[Side, ...] = ()
    chain: tuple[Link, ...] = ()


class Trace(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole race. `initial` are the cells the race touches and those that what must hold looks at, with their first
    values, in memory order; the insides of locks and tasks are not among them.

    `source` is the scheme's file as the user named it, `parameters` the values its parameters had.
    """

    scheme: str
    source: str
    parameters: tuple[tuple[str, str], ...]
    statements: tuple[Statement, ...]
    columns: tuple[Column, ...]
    initial: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]
    failure: Failure
