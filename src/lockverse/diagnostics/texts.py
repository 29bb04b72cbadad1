"""Where a diagnostic's source text comes from: the file it names, as the user named it or as lockverse's own files are shown.

Leaves out text that is in no file, such as what was typed: whoever read it has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parents[2]  # files of lockverse itself are shown as they are imported: lockverse/linux/mm/rmap.py


def text_of(file: str) -> str | None:
    """The text of a source file, for a diagnostic; None if it cannot be had."""
    for path in (Path(file), PACKAGE / file):
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return None
