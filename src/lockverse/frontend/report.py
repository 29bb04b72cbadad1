"""Collecting what is wrong with a scheme: one choke point through which every diagnostic of the frontend goes.

One cause gives one error: the same code at the same place is kept once, and an expression that is already reported has
an unknown type, which nothing complains about. Leaves out rendering (diagnostics/render.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from lockverse.diagnostics.model import Diagnostic, Label, Place, Rejected

Key = tuple[str, Place]

LIMIT = 20  # more than a screenful helps nobody; the rest come back after the first are mended


class Reporter:
    """The diagnostics found so far."""

    def __init__(self) -> None:
        self._found: dict[Key, Diagnostic] = {}

    def add(
        self,
        code: str,
        place: Place,
        headline: str,
        label: str = "",
        *,
        help: str = "",
        secondary: Iterable[Label] = (),
        notes: Iterable[str] = (),
    ) -> Key | None:
        """Report something at `place`. See `Diagnostic` for the parts. Gives a key to take it back by, or None if the
        same was reported before."""
        key = (code, place)
        if key in self._found:
            return None
        self._found[key] = Diagnostic(code, headline, Label(place, label), tuple(secondary), help, tuple(notes))
        return key

    @property
    def any(self) -> bool:
        """Whether anything was reported."""
        return bool(self._found)

    def forget(self, key: Key) -> None:
        """Take back one report."""
        self._found.pop(key, None)

    def raise_if_any(self) -> None:
        """Raise Rejected with all that was reported, sorted by place, LIMIT at most."""
        if self._found:
            found = sorted(self._found.values(), key=lambda one: (one.primary.place, one.code))
            raise Rejected(tuple(found[:LIMIT]))


def place_of(file: str, node: ast.AST) -> Place:
    """The place of a node of the syntax tree of `file`. Columns of the tree count bytes from 0; ours characters from 1,
    which the renderer's file text settles for lines that are not ASCII."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    end_line, end_column = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column)
    return Place(file, line, column + 1, end_line, end_column + 1)
