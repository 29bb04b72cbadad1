"""A data race as KCSAN reports it (kernel/kcsan/report.c and Documentation/dev-tools/kcsan.rst, Linux 6.1).

The access named first is the one that happened, the second the one that was watched; so the first is a write if only one of them is, and
otherwise the one that the failing thread stands before is the second. `value changed` is what the first did to the cell. In the place of
the address stands the cell's name.

Leaves out races of which one side is unknown: here both are known.
"""

from __future__ import annotations

from typing import Final

from lockverse.trace.model import Reason, Side, Trace

from .kernel import cpu_line, frames, function

RULE: Final = "=" * 66


def kcsan(trace: Trace) -> list[str] | None:
    """The report, or None if this is no data race."""
    if trace.failure.reason is not Reason.DATA_RACE or len(trace.failure.sides) != 2:
        return None
    watched, other = trace.failure.sides
    if other.kind == "read":
        watched, other = other, watched
    names = sorted(function(trace, one.thread, one.stack) for one in (watched, other))
    lines = [RULE, f"BUG: KCSAN: data-race in {names[0]} / {names[1]}", "", *_access(trace, other), "", *_access(trace, watched), ""]
    if other.old != other.value:
        lines += [f"value changed: {_number(other.old, other.size)} -> {_number(other.value, other.size)}", ""]
    return [*lines, "Reported by Kernel Concurrency Sanitizer on:", cpu_line(trace, watched.thread), RULE]


def _access(trace: Trace, one: Side) -> list[str]:
    column = trace.columns[one.thread]
    actor = f"task {one.thread}" if column.context == "task" else "interrupt"
    marked = " (marked)" if one.marked else ""
    head = f"{one.kind}{marked} to {one.cell} of {one.size} bytes by {actor} on cpu {column.cpu}:"
    return [head, *(f" {frame}" for frame in frames(trace, one.thread, one.stack))]


def _number(value: str, size: int) -> str:
    """A value in hexadecimal, in all its bytes; what has a name keeps it."""
    known = {"True": 1, "False": 0}.get(value)
    if known is None:
        if not value.removeprefix("-").isdigit():
            return value
        known = int(value)
    return f"0x{known & ((1 << 8 * size) - 1):0{2 * size}x}"
