"""A scheme's source with a mark at every step: what `dump --steps` prints.

Leaves out where the steps come from: the session reads them off the linked code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct


class StepMark(Struct, frozen=True, order=True):
    """A step of the source: its file, line, column, and kind ("load", "spin_lock")."""

    file: str
    line: int
    column: int
    kind: str


def marked(marks: Sequence[StepMark], text_of: Callable[[str], str | None]) -> str:
    """Every file that has a step, each line with a star a step and what the steps are; ends in a newline."""
    parts = [_file(file, sorted({mark for mark in marks if mark.file == file}), text_of) for file in sorted({m.file for m in marks})]
    return "\n".join(parts)


def _file(file: str, marks: Sequence[StepMark], text_of: Callable[[str], str | None]) -> str:
    lines = (text_of(file) or "").splitlines()
    found: dict[int, list[str]] = {}
    for mark in marks:
        found.setdefault(mark.line, []).append(mark.kind)
    stars = max([len(kinds) for kinds in found.values()], default=1)
    width = max([len(lines[line - 1]) for line in found if line <= len(lines)], default=0)
    shown = [f"{file}: * marks a step"]
    for number, text in enumerate(lines, 1):
        kinds = found.get(number, [])
        remark = f"{text.ljust(width)}  # {', '.join(kinds)}" if kinds else text
        shown.append(f"{number:4} {'*' * len(kinds):{stars}} {remark}".rstrip())
    return "\n".join([*shown, ""])
