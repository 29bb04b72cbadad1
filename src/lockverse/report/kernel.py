"""What the reports in the kernel's layouts share: who a thread is, where it stands, which locks it took, all read off a trace.

Where the kernel prints an address, these reports have the name that the diagram has for it, and where it prints `sym+0x1d/0x30` they have
`sym (file:line)`, as the kernel's scripts/decode_stacktrace.sh makes of it. A thread is a task whose pid is its number in the trace; a
handler runs in the task it interrupts, or in the idle task. A lock is known by its cells: `owner`, and for readers `readers`.

Leaves out the reports themselves: lockdep.py, splats.py, kcsan.py, kasan.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from lockverse.trace.model import Access, Event, Trace

RELEASE = "lockverse"  # in the place of the kernel's release
_TASK_CELL = re.compile(r"task\d+\.\w+")
_SLEEPING = ("mutex", "down", "percpu_down", "rt_mutex", "ww_mutex")  # the kinds of steps that take locks whose waiters sleep

_RCU = "rcu_read_lock"


class Taking(Struct, frozen=True):
    """A lock is taken: by which thread, where, by what kind of step; shared or not; in which context, with which locks held, and with hardirqs and
    softirqs enabled or not."""

    thread: int
    lock: str
    stack: tuple[int, ...]
    kind: str
    shared: bool
    context: str
    held: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()  # of "hardirq", "softirq"


class Locks(Struct):
    """The locks of a trace: every taking, what is held in the end, and the counts of tasks that the steps looked at."""

    trace: Trace
    takings: list[Taking] = field(default_factory=list)
    held: dict[int, list[Taking]] = field(default_factory=dict)  # by thread, in the order they were taken
    counts: dict[str, int] = field(default_factory=dict)  # "task0.preempt_count" and the like, as last seen
    irqs_off: dict[int, int] = field(default_factory=dict)  # by thread, how many times disabled
    softirqs_off: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for event in self.trace.events:
            self._disable(event)
            for access in event.accesses:
                self._note(event, access)
            self._enable(event)
            self._read_section(event)

    def holders(self, lock: str) -> list[int]:
        """The threads that hold a lock in the end."""
        return [thread for thread, takings in self.held.items() if any(one.lock == lock for one in takings)]

    def taking(self, thread: int, lock: str, stack: tuple[int, ...], kind: str, *, shared: bool | None = None) -> Taking:
        """That a thread takes a lock in the end, or is about to; the kind of the step says whether shared, if nothing else does."""
        enabled = tuple(one for one in ("hardirq", "softirq") if self._is_enabled(thread, one))
        held = tuple(one.lock for one in self.held.get(thread, ()))
        return Taking(thread, lock, stack, kind, "read" in kind if shared is None else shared, self.trace.columns[thread].context, held, enabled)

    def _note(self, event: Event, access: Access) -> None:
        if _TASK_CELL.fullmatch(access.cell):
            self.counts[access.cell] = {"True": 1, "False": 0}.get(access.value, int(access.value) if access.value.isdigit() else 0)
            return
        change = _change(access)
        if change is None:
            return
        (lock, takes), shared = change, access.cell.endswith(".readers")
        if takes:
            one = self.taking(event.thread, lock, event.stack, event.kind, shared=shared)
            self.takings.append(one)
            self.held.setdefault(event.thread, []).append(one)
        else:
            mine = self.held.get(event.thread, [])
            self.held[event.thread] = [one for one in mine if (one.lock, one.shared) != (lock, shared)]

    def _is_enabled(self, thread: int, context: str) -> bool:
        mine = self.trace.columns[thread].context
        if self.irqs_off.get(thread, 0) or mine in ("hardirq", "nmi"):
            return False
        return context == "hardirq" or (mine == "task" and not self.softirqs_off.get(thread, 0))

    def _disable(self, event: Event) -> None:
        kind, thread = event.kind, event.thread
        if "unlock" in kind or ("trylock" in kind and not any(map(_change, event.accesses))):
            return
        if kind == "local_irq_save" or kind.endswith("lock_irqsave"):
            self.irqs_off[thread] = self.irqs_off.get(thread, 0) + 1
        elif kind == "local_irq_disable" or kind.endswith("lock_irq"):
            self.irqs_off[thread] = max(1, self.irqs_off.get(thread, 0))
        elif kind == "local_bh_disable" or kind.endswith("lock_bh"):
            self.softirqs_off[thread] = self.softirqs_off.get(thread, 0) + 1

    def _enable(self, event: Event) -> None:
        kind, thread = event.kind, event.thread
        if kind == "local_irq_restore" or kind.endswith("unlock_irqrestore"):
            self.irqs_off[thread] = max(0, self.irqs_off.get(thread, 0) - 1)
        elif kind == "local_irq_enable" or kind.endswith("unlock_irq"):
            self.irqs_off[thread] = 0
        elif kind == "local_bh_enable" or kind.endswith("unlock_bh"):
            self.softirqs_off[thread] = max(0, self.softirqs_off.get(thread, 0) - 1)

    def _read_section(self, event: Event) -> None:
        """To lockdep an RCU read section is a lock that is held."""
        mine = self.held.setdefault(event.thread, [])
        if event.kind == _RCU:
            mine.append(Taking(event.thread, _RCU, event.stack, event.kind, True, self.trace.columns[event.thread].context))
        elif event.kind == "rcu_read_unlock" and any(one.lock == _RCU for one in mine):
            mine.pop(max(index for index, one in enumerate(mine) if one.lock == _RCU))

    # As lockdep writes it

    def named(self, taking: Taking) -> str:
        """` (x.lock){+.+.}-{2:2}`: the lock, how it was used up to this taking, and what may wait for it."""
        waits = "1:2" if taking.lock == _RCU else "3:3" if taking.kind.startswith(_SLEEPING) else "2:2"
        return f" ({taking.lock}){{{self._usage(taking)}}}-{{{waits}}}"

    def _usage(self, last: Taking) -> str:
        """The four characters of Documentation/locking/lockdep-design.rst (Linux 6.1): hardirq and softirq, each as writer and as
        reader; `-` taken inside, `+` taken where it is enabled, `?` both, `.` neither."""
        takings = [one for one in [*self.takings, last] if one.lock == last.lock]
        found = ""
        for context in ("hardirq", "softirq"):
            for shared in (False, True):
                mine = [one for one in takings if one.shared == shared]
                inside = any(one.context == context for one in mine)
                enabled = any(context in one.enabled for one in mine)
                found += "?" if inside and enabled else "-" if inside else "+" if enabled else "."
        return found

    def holding(self, thread: int) -> list[str]:
        """The locks that the task of a thread holds, numbered."""
        mine = [one for other in _one_task(self.trace, thread) for one in self.held.get(other, ())]
        task = who(self.trace, thread)
        if not mine:
            return [f"no locks held by {task}."]
        first = f"{len(mine)} lock{'s' if len(mine) > 1 else ''} held by {task}:"
        return [first, *(f" #{number}:{self.named(one)}, at: {place(self.trace, one.thread, one.stack)}" for number, one in enumerate(mine))]

    def count(self, thread: int, name: str) -> int:
        """What a field of task_struct comes to on the CPU of a thread."""
        cpu = self.trace.columns[thread].cpu
        return sum(self.counts.get(f"task{other}.{name}", 0) for other, one in enumerate(self.trace.columns) if one.cpu == cpu)


def _change(access: Access) -> tuple[str, bool] | None:
    """The lock that an access takes (True) or gives back."""
    lock, _, name = access.cell.rpartition(".")
    if access.kind == "write" and access.value != access.old:
        if name == "owner" and re.fullmatch(r"task\d+|NULL", access.value):
            return lock, access.value != "NULL"
        if name == "readers" and access.value.isdigit():
            return lock, int(access.value) > int(access.old)
    return None


def lock_of(trace: Trace) -> str | None:
    """The lock that the last step looked at."""
    cells = [access.cell.rpartition(".") for access in trace.events[-1].accesses] if trace.events else []
    return next((lock for lock, _, name in cells if name in ("owner", "readers")), None)


def _one_task(trace: Trace, thread: int) -> list[int]:
    """The threads that run in one task: a thread, and before it those that it interrupts."""
    one = trace.columns[thread]
    if one.context == "task":
        return [thread]
    return [other for other, column in enumerate(trace.columns) if column.cpu == one.cpu and (column.context == "task" or other == thread)]


def _current(trace: Trace, thread: int) -> tuple[str, int]:
    """The name and the pid of the task that a thread runs in."""
    one = trace.columns[thread]
    if one.context == "task":
        return one.title, thread
    tasks = ((column.title, pid) for pid, column in enumerate(trace.columns) if column.cpu == one.cpu and column.context == "task")
    return next(tasks, (f"swapper/{one.cpu}", 0))


def who(trace: Trace, thread: int) -> str:
    """`comm/pid`."""
    name, pid = _current(trace, thread)
    return f"{name}/{pid}"


def function(trace: Trace, thread: int, stack: Sequence[int]) -> str:
    """The function that a place is in."""
    return (trace.statements[stack[-1]].function if stack else "") or trace.columns[thread].title


def place(trace: Trace, thread: int, stack: Sequence[int]) -> str:
    """`f (file:line)`."""
    return next(frames(trace, thread, stack))


def frames(trace: Trace, thread: int, stack: Sequence[int]) -> Iterator[str]:
    """The calls that led to a place, the last one first."""
    for depth in range(len(stack), 0, -1):
        one = trace.statements[stack[depth - 1]]
        if one.function:
            yield f"{one.function} ({one.file}:{one.line})"
        else:
            yield trace.columns[thread].title
    if not stack:
        yield trace.columns[thread].title


def cpu_line(trace: Trace, thread: int) -> str:
    """`CPU: 6 PID: 488 Comm: f Not tainted lockverse`."""
    name, pid = _current(trace, thread)
    return f"CPU: {trace.columns[thread].cpu} PID: {pid} Comm: {name} Not tainted {RELEASE}"


def call_trace(trace: Trace, thread: int, stack: Sequence[int]) -> list[str]:
    """The CPU, and the calls on its stacks: those of a handler above those of the task it interrupts."""
    lines = [cpu_line(trace, thread), "Call Trace:"]
    own = [f" {frame}" for frame in frames(trace, thread, stack)]
    if trace.columns[thread].context == "task":
        return [*lines, " <TASK>", *own, " </TASK>"]
    name = "NMI" if trace.columns[thread].context == "nmi" else "IRQ"
    lines += [f" <{name}>", *own, f" </{name}>"]
    for other in _one_task(trace, thread):
        if other != thread and trace.columns[other].at:
            lines += [" <TASK>", *(f" {frame}" for frame in frames(trace, other, trace.columns[other].at)), " </TASK>"]
    return lines


def banner(title: str) -> list[str]:
    """The title between its rules, which are as long as it is."""
    return ["=" * len(title), title, f"{RELEASE} Not tainted", "-" * len(title)]


def backtrace(trace: Trace, thread: int, stack: Sequence[int]) -> list[str]:
    """Where it was found."""
    return ["", "stack backtrace:", *call_trace(trace, thread, stack)]
