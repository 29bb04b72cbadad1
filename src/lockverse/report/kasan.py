"""A use after free, or a double free, as KASAN reports it (mm/kasan/report.c, Linux 6.4, which first said `slab-use-after-free`).

In the place of the address stands the name of the cell, or of the object. Who freed the object, and who allocated it, is read off the
trace; an object that the scheme made before any step has no `Allocated by`.

Leaves out the memory round the address: objects have no bytes.
"""

from __future__ import annotations

from typing import Final

from lockverse.trace.model import Event, Reason, Trace

from .kernel import call_trace, frames, place, who

RULE: Final = "=" * 66
_ALLOCATED: Final = " is allocated"  # the end of the name of the cell that says so of an object
_REMARK: Final = "USE AFTER FREE "


def kasan(trace: Trace) -> list[str] | None:
    """The report, or None if this is none of KASAN's, or the trace does not say which object it is about."""
    failure = trace.failure
    found = _object(trace) if failure.reason in (Reason.USE_AFTER_FREE, Reason.DOUBLE_FREE) else None
    if found is None or failure.thread is None:
        return None
    name, freed = found
    where = place(trace, failure.thread, failure.stack)  # the kernel prints its offset here, which KCSAN does not
    if failure.reason is Reason.DOUBLE_FREE:
        head = [f"BUG: KASAN: double-free in {where}", f"Free of addr {name} by task {who(trace, failure.thread)}"]
    else:
        cell = failure.remark.removeprefix(_REMARK)
        way = "Write" if "is written" in failure.message else "Read"
        size = f" of size {_size(trace, cell)}" if _size(trace, cell) else ""
        head = [f"BUG: KASAN: slab-use-after-free in {where}", f"{way}{size} at addr {cell} by task {who(trace, failure.thread)}"]
    lines = [RULE, *head, "", *call_trace(trace, failure.thread, failure.stack), ""]
    allocated = _last(trace, name, "True")
    if allocated is not None:
        lines += [f"Allocated by task {allocated.thread}:", *_frames(trace, allocated), ""]
    lines += [f"Freed by task {freed.thread}:", *_frames(trace, freed), ""]
    return [*lines, f"The buggy address belongs to the object at {name}", RULE]


def _object(trace: Trace) -> tuple[str, Event] | None:
    """The freed object that the failure speaks of, and where it was freed."""
    words = trace.failure.message.replace(",", " ").split()
    cells = {access.cell for event in trace.events for access in event.accesses if access.cell.endswith(_ALLOCATED)}
    for cell in sorted(cells):
        name = cell.removesuffix(_ALLOCATED)
        freed = _last(trace, name, "False")
        if name in words and freed is not None:
            return name, freed
    return None


def _last(trace: Trace, name: str, value: str) -> Event | None:
    """The last event that made an object allocated, or not."""
    for event in reversed(trace.events):
        if any(access.cell == name + _ALLOCATED and access.kind == "write" and access.value == value for access in event.accesses):
            return event
    return None


def _size(trace: Trace, cell: str) -> int:
    return next((access.size for event in trace.events for access in event.accesses if access.cell == cell), 0)


def _frames(trace: Trace, event: Event) -> list[str]:
    return [f" {event.kind}", *(f" {frame}" for frame in frames(trace, event.thread, event.stack))]
