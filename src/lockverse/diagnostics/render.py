"""Diagnostics as text: what is wrong, where, with the line and a caret under it, and what to write instead.

The form is that of rustc and ty, which readers of compilers' messages know: a headline with its code, an arrow to the
place, the source with a gutter, `= help:` below. Leaves out colour, and where the source comes from: it is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .model import Diagnostic, Label, Place

TextOf = Callable[[str], str | None]


def render(diagnostic: Diagnostic, text_of: TextOf) -> str:
    """One diagnostic; ends in a newline. `text_of` gives the text of a file, or None if it cannot be had."""
    place = diagnostic.primary.place
    labels = [(diagnostic.primary, "^"), *((label, "-") for label in diagnostic.secondary)]
    shown = [(label, mark) for label, mark in labels if label.place.line > 0]
    gutter = max([len(str(label.place.line)) for label, _ in shown], default=1)
    lines = [f"error[{diagnostic.code}]: {diagnostic.headline}"]
    lines.append(f"{' ' * gutter}--> {_where(place, text_of)}")
    for label, mark in _in_order(shown, place):
        lines += _snippet(label, mark, gutter, text_of, other=label.place.file != place.file)
    if diagnostic.help or diagnostic.notes:
        lines.append(f"{' ' * gutter} |")
    lines += [f"{' ' * gutter} = note: {note}" for note in diagnostic.notes]
    lines += [f"{' ' * gutter} = help: {diagnostic.help}"] if diagnostic.help else []
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _in_order(labels: Sequence[tuple[Label, str]], primary: Place) -> list[tuple[Label, str]]:
    """Labels of the primary's file by line, then those of other files."""
    return sorted(labels, key=lambda one: (one[0].place.file != primary.file, one[0].place))


def _where(place: Place, text_of: TextOf) -> str:
    if place.line == 0:
        return place.file
    return f"{place.file}:{place.line}:{_column(_line(place.file, place.line, text_of) or '', place.column)}"


def _line(file: str, line: int, text_of: TextOf) -> str | None:
    text = text_of(file)
    lines = text.splitlines() if text is not None else []
    return lines[line - 1] if 0 < line <= len(lines) else None


def _column(text: str, column: int) -> int:
    """The character a place's column is: places count the bytes of UTF-8, as Python's own positions do."""
    encoded = text.encode()
    return len(encoded[: column - 1].decode(errors="replace")) + 1 if column <= len(encoded) + 1 else column


def _snippet(label: Label, mark: str, gutter: int, text_of: TextOf, *, other: bool) -> list[str]:
    """The first line of a label's place, with marks under it and the label's words."""
    place = label.place
    lines = [f"{' ' * gutter}::: {_where(place, text_of)}"] if other else []
    lines.append(f"{' ' * gutter} |")
    text = _line(place.file, place.line, text_of)
    if text is not None:
        start = _column(text, place.column)
        end = _column(text, place.end_column) if place.line == place.end_line else len(text.rstrip()) + 1
        lines.append(f"{place.line:{gutter}} | {text.expandtabs(1)}")
        lines.append(f"{' ' * gutter} | {' ' * (start - 1)}{mark * max(end - start, 1)} {label.text}")
    return lines
