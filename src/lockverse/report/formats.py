"""Which layouts the failure of a trace can be printed in: the diagram always, those of the kernel's tools where they have a report for it.

Leaves out the diagram itself (story.py, text.py), which has options of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lockverse.trace.model import Trace

from .kasan import kasan
from .kcsan import kcsan
from .lockdep import lockdep

DIAGRAM: Final = "diagram"
_REPORTS: Final[Mapping[str, Callable[[Trace], list[str] | None]]] = {"lockdep": lockdep, "kcsan": kcsan, "kasan": kasan}
FORMATS: Final = (DIAGRAM, *_REPORTS)


def fitting(trace: Trace) -> tuple[str, ...]:
    """The formats that fit, the diagram first."""
    return (DIAGRAM, *(name for name, report in _REPORTS.items() if report(trace) is not None))


def formatted(trace: Trace, name: str) -> str:
    """The trace in a format other than the diagram; where it does not fit, one line that says which do."""
    lines = _REPORTS[name](trace)
    if lines is not None:
        return "\n".join([*lines, ""])
    return f"{name} has no report for this ({trace.failure.reason}); formats that fit: {', '.join(fitting(trace))}\n"
