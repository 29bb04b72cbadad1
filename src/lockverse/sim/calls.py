"""Which of the kernel's functions ran, and how often: what `lockverse run --trace` shows of an operation.

Those of `linux/` are counted, in the order they were first called; the vocabulary they are written in (locks, atomics: the steps of the checker)
is not. Leaves out who called whom.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import lockverse.linux

_LINUX = str(Path(lockverse.linux.__file__).parent)


class Calls:
    """Counts while it is entered."""

    def __init__(self) -> None:
        self._counts: dict[CodeType, int] = {}

    def __enter__(self) -> Calls:
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, _: Any) -> None:  # what it is depends on the event
        if event == "call":
            self._counts[frame.f_code] = self._counts.get(frame.f_code, 0) + 1

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each function ran, by its file in `linux/` and its name."""
        found: dict[tuple[str, str], int] = {}
        for code, count in self._counts.items():
            if code.co_filename.startswith(_LINUX) and not code.co_name.startswith("<"):
                key = str(Path(code.co_filename).relative_to(_LINUX)), code.co_name
                found[key] = found.get(key, 0) + count
        return found

    def text(self) -> str:
        """A line a function."""
        counts = self.counts()
        width = max((len(file) for file, _ in counts), default=0)
        most = max((len(f"{count:,}") for count in counts.values()), default=0)
        return "".join(f"    {count:{most},}  {file:{width}}  {name}\n" for (file, name), count in counts.items())
