"""Traces as JSON text: versioned, complete, strict on reading.

The form follows the structs of model.py field by field, so there is one description of a trace. A trace of another
version, or with a part missing, unknown or of the wrong type, is refused with the path to that part.

Leaves out files: the session reads and writes them.
"""

from __future__ import annotations

import enum
import json
import types
from typing import Any, Final, get_args, get_origin, get_type_hints

from msgspec import Struct

from .model import VERSION, Trace

FORMAT: Final = "lockverse trace"


class TraceFormatError(ValueError):
    """The text is not a trace: says which part, as in `events[3].kind`."""


def dumps(trace: Trace) -> str:
    """The trace as JSON text, ending in a newline."""
    return json.dumps({"format": FORMAT, "version": VERSION, **_plain(trace)}, indent=1) + "\n"


def as_plain(trace: Trace) -> dict[str, Any]:
    """The trace as plain dicts, lists, strings, numbers: what `dumps` writes, without its heading."""
    found: dict[str, Any] = _plain(trace)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, enum.Enum) else value


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
    body = {key: value for key, value in found.items() if key not in ("format", "version")}
    trace: Trace = _read(Trace, body, "trace")
    _check(trace)
    return trace


def _read(kind: Any, value: Any, path: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _read_record(kind, value, path)
    origin = get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else _read(next(k for k in get_args(kind) if k is not types.NoneType), value, path)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            raise TraceFormatError(f"{path}: {value!r} is none of {', '.join(one.value for one in kind)}") from None
    if type(value) is not kind:
        raise TraceFormatError(f"{path}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _read_record(kind: Any, value: Any, path: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise TraceFormatError(f"{path}: expected an object, found {type(value).__name__}")
    unknown = [name for name in value if name not in hints]
    missing = [name for name in hints if name not in value]
    if unknown or missing:
        raise TraceFormatError(f"{path}: {'unknown' if unknown else 'missing'} part {(unknown or missing)[0]!r}")
    return kind(**{name: _read(hints[name], value[name], f"{path}.{name}") for name in hints})


def _read_tuple(inner: tuple[Any, ...], value: Any, path: str) -> Any:
    if not isinstance(value, list):
        raise TraceFormatError(f"{path}: expected a list, found {type(value).__name__}")
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_read(inner[0], one, f"{path}[{index}]") for index, one in enumerate(value))
    if len(value) != len(inner):
        raise TraceFormatError(f"{path}: expected {len(inner)} parts, found {len(value)}")
    return tuple(_read(kind, one, f"{path}[{index}]") for index, (kind, one) in enumerate(zip(inner, value, strict=True)))


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
