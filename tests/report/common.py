"""A scheme's race, and its report in one of the kernel's layouts, for the tests of reports."""

from __future__ import annotations

import re
from pathlib import Path

from lockverse.explore.bounds import Bounds
from lockverse.report.formats import formatted
from lockverse.session import check
from lockverse.trace.model import Trace
from lockverse.trace.serialize import dumps, loads

from ..support import HEAD, scheme_text, task_of


def trace_of(folder: Path, body: str, scene: str) -> Trace:
    """The race of a scheme with this body and scene."""
    trace = check(task_of(folder, scheme_text(body, scene)), Bounds(), lambda _: None).trace
    assert trace is not None
    return trace


def lines_of(trace: Trace, name: str) -> list[str]:
    """A report, with the lines of places counted from the beginning of the body."""
    before = HEAD.count("\n")
    text = re.sub(r"[^\s(]*s\d+\.py:(\d+)", lambda found: str(int(found[1]) - before), formatted(loads(dumps(trace)), name))
    assert text.endswith("\n") and text.isascii()
    return text[:-1].split("\n")
