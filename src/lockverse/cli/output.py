"""Printing: results to standard output, complaints to standard error.

Loads nothing but diagnostics, since every command loads it; races.py prints races. Leaves out what is said: diagnostics have the words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import IntEnum

from lockverse.diagnostics.model import Diagnostic
from lockverse.diagnostics.render import TextOf, render
from lockverse.diagnostics.texts import text_of


class Exit(IntEnum):
    """Exit codes; see the room's docstring."""

    HOLDS = 0
    BROKEN = 1
    USAGE = 2
    UNKNOWN = 3
    REJECTED = 4
    OURS = 70


GRAVEST = (Exit.OURS, Exit.REJECTED, Exit.BROKEN, Exit.UNKNOWN, Exit.HOLDS)


def say(text: str = "", end: str = "\n", *, flush: bool = False) -> None:
    """To standard output."""
    print(text, end=end, flush=flush)


def complain(text: str) -> None:
    """To standard error."""
    print(f"lockverse: {text}", file=sys.stderr)


def complain_of(diagnostics: Iterable[Diagnostic], texts: TextOf = text_of) -> None:
    """Diagnostics to standard error, an empty line between them."""
    print("\n".join(render(one, texts) for one in diagnostics), end="", file=sys.stderr)
