"""Diagnostics as data: a code, what is wrong, where, and what to write instead.

A headline says what is wrong with the program, a label what the marked text is, `help` what to type. Leaves out any
knowledge of what is checked: that is the frontend's.
"""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True, order=True):
    """A span of a file: 1-based lines and columns, the end past the last character. Line 0: the file as a whole."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class Label(Struct, frozen=True):
    """A place and what stands there, in a few words ("" for nothing to add)."""

    place: Place
    text: str = ""


class Diagnostic(Struct, frozen=True):
    """One thing that is wrong. `code` is a key of `codes.CODES`."""

    code: str
    headline: str
    primary: Label
    secondary: tuple[Label, ...] = ()
    help: str = ""
    notes: tuple[str, ...] = ()


class UsageError(Exception):
    """The request makes no sense: says what does."""


class Rejected(Exception):
    """The scheme does not compile, or the workload cannot be run: these diagnostics say why, sorted by place."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(f"{len(diagnostics)} diagnostic(s)")
        self.diagnostics = diagnostics
