"""From the events of a trace to moments: one statement, of one thread, in one unbroken stretch of time.

Several steps of a statement are one moment unless another thread comes between them. A call is one moment unless its
inside must be seen: because another thread comes between, because the race ends there, or because so many levels were
asked for. Leaves out the lines this becomes: story.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence

from msgspec import Struct, field

from lockverse.trace.model import ENTRIES, LOOKED_AT_REST, Access, Blocked, Trace

FOR_EVER = "[ from here on for ever ]"


class Moment(Struct):
    """`stack` are the calls that are shown, outermost first, and the statement. `accesses`, `kinds` and `events` are those
    of its steps. `outcome` is what its condition came out as, `value` what it put in its variable, `picked` what the
    environment picked. `split`: another thread comes between its steps. `note` is a line for all columns; `entry` that of a
    handler which begins here."""

    thread: int
    stack: tuple[int, ...]
    accesses: list[Access] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    outcome: bool | None = None
    value: str | None = None
    picked: str | None = None
    failing: bool = False
    waits: Blocked | None = None
    split: bool = False
    note: str = ""
    entry: bool = False


def moments(trace: Trace, depth: int | None) -> list[Moment]:
    """The moments of a trace in the order of time; `depth` as in `story.tell`."""
    visits = _visits(trace)
    shown = _levels(trace, visits, depth)
    found: list[Moment] = []
    for moment, level in zip(visits, shown, strict=True):
        whole = len(moment.stack) == level
        moment.stack = moment.stack[:level]
        if not whole:
            moment.outcome = moment.value = None  # of a statement inside, which is not shown
        last = found[-1] if found else None
        if last is not None and _goes_on(trace, last, moment):
            _merge(last, moment)
        else:
            found.append(moment)
    _mark_split(found)
    return found


def _visits(trace: Trace) -> list[Moment]:
    """A moment for each visit of a statement; the accesses of a step belong to its own statement."""
    found: list[Moment] = []
    for number, event in enumerate(trace.events):
        if trace.failure.loop == number:
            found.append(Moment(-1, (), note=FOR_EVER))
        if trace.columns[event.thread].context != "task" and event.kind in ENTRIES:
            found.append(Moment(event.thread, (), events=[number], entry=True))
        own = next((visit for visit in event.visits if visit.stack == event.stack), None)
        for visit in event.visits:
            moment = Moment(event.thread, visit.stack, events=[number], outcome=visit.outcome, value=visit.value)
            if visit is own:
                moment.accesses, moment.kinds = list(event.accesses), [event.kind]
                moment.picked = event.picked
            found.append(moment)
    _mark_failing(trace, found)
    found += [Moment(one.thread, one.stack, waits=one) for one in trace.failure.blocked]
    return found


def _mark_failing(trace: Trace, found: list[Moment]) -> None:
    failure = trace.failure
    if failure.thread is None or not found:
        return
    stepped = [moment for moment in found if moment.thread == failure.thread and moment.kinds]
    mine = [moment for moment in found if moment.thread == failure.thread and moment.stack == failure.stack]
    # A property fails after a whole step: its own statement made it so, not what rode along.
    last = mine or stepped or [moment for moment in found if moment.thread == failure.thread]
    if last:
        last[-1].failing = True


def _goes_on(trace: Trace, last: Moment, moment: Moment) -> bool:
    """Whether a moment is more of the one before. What is decided has ended, but a `for` then takes its element."""
    if last.note or last.entry or moment.entry or (last.thread, last.stack) != (moment.thread, moment.stack) or last.waits or moment.waits:
        return False
    takes = trace.statements[last.stack[-1]].kind == "for" and last.outcome is True and moment.outcome is None
    return last.outcome is None or takes


def _merge(last: Moment, moment: Moment) -> None:
    last.accesses += moment.accesses
    last.kinds += moment.kinds
    last.events += [number for number in moment.events if number not in last.events]
    last.outcome = moment.outcome if moment.outcome is not None else last.outcome
    last.failing |= moment.failing
    last.value = moment.value if moment.value is not None else last.value
    last.picked = moment.picked if moment.picked is not None else last.picked


def _mark_split(found: Sequence[Moment]) -> None:
    before: dict[int, int] = {}
    for index, moment in enumerate(found):
        previous = before.get(moment.thread)
        if previous is not None and index > previous + 1:
            earlier = found[previous]
            if earlier.stack == moment.stack and earlier.outcome is None and earlier.accesses and moment.accesses:
                earlier.split = moment.split = True
        before[moment.thread] = index


# How much of each stack is shown


def _levels(trace: Trace, visits: Sequence[Moment], depth: int | None) -> list[int]:
    """For each visit, how many levels of its stack are shown."""
    levels = [len(visit.stack) for visit in visits]
    telling = {index for index, visit in enumerate(visits) if _tells(trace, visits, index)}
    threads: dict[int, list[int]] = {}
    for index, visit in enumerate(visits):
        if visit.stack:
            threads.setdefault(visit.thread, []).append(index)
    for thread, indices in threads.items():
        last = indices[-1]
        if last + 1 < len(visits):  # others go on: they see the call it stands in half done
            telling |= {last} if _inside(visits[last].stack, trace.columns[thread].at) else set()
        _walk(visits, indices, 1, depth, levels, telling)
    return levels


def _inside(stack: tuple[int, ...], cut: tuple[int, ...]) -> bool:
    """Whether a thread that stands at `cut` is still in the call that its last visit, at `stack`, was in."""
    return len(stack) > 1 and len(cut) > 1 and stack[0] == cut[0]


def _tells(trace: Trace, visits: Sequence[Moment], index: int) -> bool:
    """Whether this must be seen wherever it is: where it ends, or a branch not taken for what another thread wrote."""
    visit = visits[index]
    if visit.waits is not None or (visit.failing and trace.failure.reason not in LOOKED_AT_REST):
        return True  # at rest, the last step only happens to be the last
    if visit.outcome is not False or trace.statements[visit.stack[-1]].kind != "if":
        return False
    read = _read_for(visits, index)
    return any(
        access.kind == "write" and access.cell in read
        for event in trace.events[: visit.events[0]]
        if event.thread != visit.thread
        for access in event.accesses
    )


def _read_for(visits: Sequence[Moment], index: int) -> set[str]:
    """The cells that a condition looked at, in the functions that it calls too; of those what they do not change themselves."""
    one = visits[index]
    read = {access.cell for access in one.accesses}
    for before in reversed(visits[:index]):
        if before.thread == one.thread:
            if before.stack[: len(one.stack)] != one.stack or (before.stack == one.stack and before.outcome is not None):
                break
            changed = {access.cell for access in before.accesses if access.kind == "write"}
            read |= {access.cell for access in before.accesses} - changed
    return read


def _walk(
    visits: Sequence[Moment], indices: Sequence[int], level: int, depth: int | None, levels: list[int], telling: Collection[int]
) -> None:
    """Decide for visits that all stand at `level` or deeper inside one call."""
    for run in _runs(indices, lambda index: visits[index].stack[:level]):
        inside = [index for index in run if len(visits[index].stack) > level]
        if inside and _is_shown(run, level, depth, must=any(index in telling for index in inside)):
            for part in _runs(run, lambda index: len(visits[index].stack) > level):
                if len(visits[part[0]].stack) > level:
                    _walk(visits, part, level + 1, depth, levels, telling)
        else:
            for index in run:
                levels[index] = level


def _is_shown(run: Sequence[int], level: int, depth: int | None, *, must: bool) -> bool:
    """Whether the inside of a call is shown: it must be, so many levels are asked for, or others come between."""
    if depth is not None:
        return must or level < depth
    return must or run[-1] - run[0] != len(run) - 1


def _runs(indices: Sequence[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index in indices:
        if runs and key(runs[-1][-1]) == key(index):
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
