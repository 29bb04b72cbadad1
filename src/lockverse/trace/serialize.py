"""Traces as JSON text: versioned, complete, strict on reading.

The form follows the structs of model.py field by field, so there is one description of a trace. A trace of another
version, or with a part missing, unknown or of the wrong type, is refused with the path to that part.

Leaves out files: the session reads and writes them.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from .model import VERSION, Trace

FORMAT: Final = "lockverse trace"


class TraceFormatError(ValueError):
    """The text is not a trace: says which part, as in `events[3].kind`."""


def dumps(trace: Trace) -> str:
    """The trace as JSON text, ending in a newline."""
    return json.dumps({"format": FORMAT, "version": VERSION, **as_plain(trace)}, indent=1) + "\n"


def as_plain(trace: Trace) -> dict[str, Any]:
    """The trace as plain dicts, lists, strings, numbers: what `dumps` writes, without its heading."""
    found: dict[str, Any] = msgspec.to_builtins(trace)
    return found


def loads(text: str) -> Trace:
    """The trace in `text`. Raises TraceFormatError if there is none of this version."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise TraceFormatError(f"this is not JSON: {problem}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise TraceFormatError("this is not a trace of lockverse")
    if found.get("version") != VERSION:
        raise TraceFormatError(f"this trace is of version {found.get('version')!r}; this lockverse reads version {VERSION}")
    try:
        trace = msgspec.convert({key: value for key, value in found.items() if key not in ("format", "version")}, Trace)
    except msgspec.ValidationError as problem:
        what, _, path = str(problem).partition(" - at `$")
        raise TraceFormatError(f"trace{path.rstrip('`')}: {what.replace('`', '')}") from None
    _check(trace)
    return trace


def _check(trace: Trace) -> None:
    """Indices lead somewhere."""
    for index, statement in enumerate(trace.statements):
        _within(f"trace.statements[{index}]", (*statement.body, *statement.orelse), len(trace.statements))
        if any(child <= index for child in (*statement.body, *statement.orelse)):
            raise TraceFormatError(f"trace.statements[{index}]: a statement comes before those inside it")
    for index, event in enumerate(trace.events):
        stacks = [event.stack, *(visit.stack for visit in event.visits)]
        _within(f"trace.events[{index}]", tuple(one for stack in stacks for one in stack), len(trace.statements))
        _within(f"trace.events[{index}].thread", (event.thread,), len(trace.columns))
    failure = trace.failure
    others = [*(blocked.stack for blocked in failure.blocked), *(side.stack for side in failure.sides)]
    others += [stack for link in failure.chain for stack in (link.stack, link.held_stack)]
    stuck = tuple(one for stack in others for one in stack)
    _within("trace.failure", (*failure.stack, *stuck), len(trace.statements))
    threads = [failure.thread, *(t for b in failure.blocked for t in (b.thread, b.holder)), *(side.thread for side in failure.sides)]
    threads += [link.thread for link in failure.chain]
    _within("trace.failure", tuple(t for t in threads if t is not None), len(trace.columns))
    if failure.loop is not None and not 0 <= failure.loop <= len(trace.events):
        raise TraceFormatError("trace.failure.loop: there is no such event")


def _within(path: str, indices: tuple[int, ...], count: int) -> None:
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong:
        raise TraceFormatError(f"{path}: there is no number {wrong[0]}")
