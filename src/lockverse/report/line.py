"""A line of a race diagram. Leaves out where on the page it goes."""

from __future__ import annotations

from enum import Enum, auto

from msgspec import Struct


class Kind(Enum):
    """What a line is: something that ran, something that was skipped, where it fails, a note over all columns, where a
    handler begins."""

    PLAIN = auto()
    SKIPPED = auto()
    FAILING = auto()
    NOTE = auto()
    ENTRY = auto()


class Line(Struct, frozen=True):
    """A line: its column (None for a note), its depth, its text, its remark without the `//`. `events` are the first and
    the last event it shows. `private`: it has no part in the race and may be folded."""

    column: int | None
    depth: int
    text: str
    remark: str = ""
    kind: Kind = Kind.PLAIN
    events: tuple[int, int] | None = None
    private: bool = False
