"""The race diagram as text, by the conventions of kernel mails: columns, `//` remarks, no colour, no box drawing.

A pure function of a story. Columns are headed by the function each CPU runs, or CPU0, CPU1. They are as wide as they
have to be and no wider, since a mail has 75 columns (Documentation/process/submitting-patches.rst of Linux); what
would be wider than asked for has its long statements wrapped. With tabs, columns begin at multiples of eight and survive a mailer.

Leaves out headlines and counts: verdict.py.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from .line import Kind, Line
from .story import Story

GUTTER: Final = 3  # blanks between a column's widest line and the next column
WIDTH: Final = 100  # beyond this a diagram is no longer read side by side
LEAST: Final = 24  # narrower statements are no longer read at all
READABLE: Final = 48  # what statements are wrapped to where nothing makes the diagram fit
CONTINUED: Final = 4  # how far the second line of a statement is indented

_RED, _DIM, _BOLD, _END = "\x1b[31;1m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Style(Struct, frozen=True):
    """How a diagram is laid out. `headers` is "function", "cpu", or "auto": functions, unless there are more than two
    columns. `width` is what statements are wrapped to fit in, remarks aside. `colour` is for terminals only."""

    headers: str = "auto"
    tabs: bool = False
    width: int = WIDTH
    colour: bool = False
    indent: int = 2


def draw(story: Story, style: Style | None = None) -> str:
    """The diagram; ends in a newline, has no blanks at the end of a line."""
    style = style or Style()
    page = _Page(story, style)
    lines = [f"{name} = {value}" for name, value in story.initial]
    if story.lines:  # what never happens has none
        lines += [""] * bool(lines)
        lines += page.header()
    lines += [one for line in story.lines for one in page.line(line)]
    if story.closing:
        lines += ["", f" {story.closing}"]
    if story.elsewhere:
        lines += ["", "in other executions:", *(f"  {one}" for one in story.elsewhere)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


class _Page:
    """The columns of one diagram and where they begin."""

    def __init__(self, story: Story, style: Style) -> None:
        self.story, self.style = story, style
        self.by_function = style.headers == "function" or (style.headers == "auto" and len(story.columns) <= 2)
        self.base = style.indent if self.by_function else 0
        self.wrap: int | None = None
        self.starts = self._starts()
        for wrap in self._wraps():
            self.wrap = wrap
            self.starts = self._starts()
            if self._widest() <= style.width:
                return
        if self.wrap is not None:
            self.wrap = READABLE
            self.starts = self._starts()

    def _wraps(self) -> list[int]:
        """The widths to try for a statement, the largest first; none if all fits as it is."""
        if self._widest() <= self.style.width:
            return []
        longest = max(len(text) for line in self.story.lines for text in self._texts(line))
        return list(range(max(longest - 1, LEAST), LEAST - 1, -1))

    def titles(self) -> list[str]:
        """The columns' headers."""
        names, cpus = [column.title for column in self.story.columns], [column.cpu for column in self.story.columns]
        if not self.by_function:
            return [column.title if column.cpu < 0 else f"CPU{column.cpu}" if cpus.count(column.cpu) == 1 else f"CPU{column.cpu} {column.title}" for column in self.story.columns]
        return [
            f"{column.title}:" if names.count(column.title) == 1 else f"{column.title} (CPU{column.cpu}):"
            for column in self.story.columns
        ]

    def _texts(self, line: Line) -> list[str]:
        """The lines a statement takes, without remark, with their indentation."""
        indent = " " * (self.base + line.depth * self.style.indent)
        if self.wrap is None or len(indent) + len(line.text) <= self.wrap:
            return [indent + line.text]
        parts = _wrap(line.text, max(self.wrap - len(indent), 16))
        return [indent + parts[0], *(indent + " " * CONTINUED + part for part in parts[1:])]

    def _starts(self) -> list[int]:
        starts, at = [], 0
        for number, title in enumerate(self.titles()):
            starts.append(at)
            mine = [text for line in self.story.lines if line.column == number for text in self._texts(line)]
            at += max([len(title), *map(len, mine)]) + GUTTER
            if self.style.tabs:
                at += -at % 8
        return starts

    def _widest(self) -> int:
        lines = [text for line in self.story.lines for text in self.line(replace(line, remark=""))]
        return max((len(text.expandtabs()) for text in [*self.header(), *lines]), default=0)

    def header(self) -> list[str]:
        """The headers, and a rule under them if they are CPUs."""
        titles = self.titles()
        if self.by_function:
            return [self._row(titles)]
        return [self._row(titles), self._row(["-" * len(title) for title in titles])]

    def _row(self, parts: Sequence[str]) -> str:
        text = ""
        for start, part in zip(self.starts, parts, strict=True):
            text = self._to(text, start) + part
        return text

    def _to(self, text: str, column: int) -> str:
        """`text` filled up to a column."""
        if not self.style.tabs:
            return text.ljust(column)
        while len(text.expandtabs()) < column:
            text += "\t"
        return text

    def line(self, line: Line) -> list[str]:
        """The text of one line of the story."""
        if line.column is None:
            return [f"{' ' * self.base}{line.text}"]
        texts = [self._to("", self.starts[line.column]) + self._paint(text, line.kind) for text in self._texts(line)]
        if line.remark:
            texts[-1] = self._remarked(texts[-1], line)
        return texts

    def _remarked(self, text: str, line: Line) -> str:
        """A remark begins where the next column does: nothing else is in the line."""
        assert line.column is not None
        following = line.column + 1
        if following < len(self.starts):
            plain = self._to("", self.starts[line.column]) + self._texts(line)[-1]
            gap = self._to(plain, self.starts[following])[len(plain) :] or "  "
        else:
            gap = "  "
        return f"{text}{gap}{self._paint(f'// {line.remark}', line.kind)}"

    def _paint(self, text: str, kind: Kind) -> str:
        if not self.style.colour or kind is Kind.PLAIN:
            return text
        indent = text[: len(text) - len(text.lstrip())]
        return f"{indent}{_RED if kind is Kind.FAILING else _DIM}{text.lstrip()}{_END}"


def _wrap(text: str, width: int) -> list[str]:
    """Split a statement at blanks, but not right after a keyword or an `x =`; in the middle of a word never."""
    parts = [""]
    for word in text.split(" "):
        room = width if len(parts) == 1 else width - CONTINUED
        bound = keyword.iskeyword(parts[-1]) or parts[-1].endswith(" =")
        if parts[-1] and not bound and len(parts[-1]) + 1 + len(word) > room:
            parts.append(word)
        else:
            parts[-1] = f"{parts[-1]} {word}" if parts[-1] else word
    return parts
