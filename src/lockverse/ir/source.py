"""Where an op comes from: the user's statements, as a tree a report can print without the source file.

Every op carries the index of an `Origin`: a statement, the exact span inside it, and the call it was inlined from.
Leaves out everything the search does not need: no syntax trees, no columns of tokens nobody points at.
"""

from __future__ import annotations

from msgspec import Struct

NO_CALLER = -1


class Statement(Struct, frozen=True, forbid_unknown_fields=True):
    """One statement of a compiled function.

    `text` is its source on one line; for a compound statement its header, with the colon. `kind` is "simple", "if",
    "while", "for" or "with". `depth` counts the blocks round it inside its function: 0 for the function's own
    body. `body` and `orelse` are the indices of the statements directly inside it; an `elif` is an "if" that is the
    only statement of its parent's `orelse` and whose text begins with "elif". `line` is 1-based.
    """

    function: str
    file: str
    line: int
    text: str
    kind: str
    depth: int
    body: tuple[int, ...] = ()
    orelse: tuple[int, ...] = ()


class Span(Struct, frozen=True):
    """A place in a file: 1-based lines, 1-based columns; the end is past the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


class Origin(Struct, frozen=True):
    """The span of an op, the statement it belongs to, and the origin of the call that brought it here.

    `statement` is an index into `Program.statements`, `caller` one into `Program.origins`, or NO_CALLER.
    Code of the vocabulary itself (inside `spin_lock`, say) has the origin of the user's call of it.
    """

    statement: int
    span: Span
    caller: int = NO_CALLER
