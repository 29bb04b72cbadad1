"""Charts as SVG, written by hand: bars side by side, and lines over a size, both on a logarithmic scale.

Leaves out everything else a plotting library has. Colours are those of Okabe and Ito, which most eyes can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#B0A400")
_FONT = 'font-family="Helvetica, Arial, sans-serif"'
_WIDTH, _LEFT, _RIGHT, _TOP = 960, 74, 20, 56


@dataclass(frozen=True, slots=True)
class Value:
    """A median and its extremes."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of lines: for each series, its points by size."""

    title: str
    across: str
    series: Mapping[str, Mapping[int, Value]]


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {_FONT} fill="#222" {more}>{escape(text)}</text>'


def _document(height: float, parts: Sequence[str], width: float = _WIDTH) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


class _Scale:
    """A logarithmic scale from `low` to `high`, whole decades, upwards between two heights."""

    def __init__(self, values: Sequence[float], bottom: float, top: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.first = math.floor(math.log10(min(positive)) - 0.05)
        self.last = max(self.first + 1, math.ceil(math.log10(max(positive)) + 0.02))
        self.bottom, self.top = bottom, top

    def y(self, value: float) -> float:
        share = (math.log10(max(value, 10.0**self.first)) - self.first) / (self.last - self.first)
        return self.bottom - share * (self.bottom - self.top)

    def grid(self, left: float, right: float) -> Iterator[str]:
        for decade in range(self.first, self.last + 1):
            y = self.y(10.0**decade)
            yield f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            yield _text(left - 6, y + 4, short(10.0**decade), size=11, anchor="end")


def short(value: float) -> str:
    """A number for an axis or a bar: .02, 3.4, 120, 12k, 1.3M."""
    for bound, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= bound:
            return f"{value / bound:.3g}{unit}"
    return (f"{value:.2g}" if value < 10 else f"{value:.0f}").removeprefix("0") or "0"


def _legend(names: Sequence[str], y: float, colours: Mapping[str, str]) -> tuple[list[str], float]:
    """The legend's parts, and the height below it: a row of names, more rows if they do not fit."""
    parts, x = [], float(_LEFT)
    for name in names:
        wide = 26 + 6.4 * len(name)
        if x + wide > _WIDTH - _RIGHT and x > _LEFT:
            x, y = float(_LEFT), y + 18
        parts.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" fill="{colours[name]}"/>')
        parts.append(_text(x + 17, y, name))
        x += wide
    return parts, y + 14


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, Value]]) -> str:
    """A bar for each series of each group, with a whisker from the least to the greatest; the number above it."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    legend, top = _legend(names, _TOP, colours)
    bottom = top + 330
    values = [one for group in groups.values() for value in group.values() for one in (value.low, value.high)]
    scale = _Scale(values, bottom, top + 14)
    parts = [_text(_LEFT, 26, title, size=17), *legend, *scale.grid(_LEFT, _WIDTH - _RIGHT)]
    parts.append(_text(16, (top + bottom) / 2, unit, anchor="middle", more=f'transform="rotate(-90 16 {(top + bottom) / 2:.1f})"'))
    across = (_WIDTH - _LEFT - _RIGHT) / max(1, len(groups))
    for number, (label, group) in enumerate(groups.items()):
        left = _LEFT + number * across
        parts.append(_text(left + across / 2, bottom + 20, label, size=13, anchor="middle"))
        present = [name for name in names if name in group]
        each = min(38.0, across * 0.86 / max(1, len(present)))
        start = left + (across - each * len(present)) / 2
        for place, name in enumerate(present):
            parts += _bar(start + place * each, each, group[name], scale, colours[name])
    return _document(bottom + 36, parts)


def _bar(x: float, width: float, value: Value, scale: _Scale, colour: str) -> Iterator[str]:
    top, middle = scale.y(value.median), x + width / 2
    yield f'<rect x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{scale.bottom - top:.1f}" fill="{colour}"/>'
    yield (f'<line x1="{middle:.1f}" y1="{scale.y(value.low):.1f}" x2="{middle:.1f}" y2="{scale.y(value.high):.1f}" '
           'stroke="#222" stroke-width="1.2"/>')  # fmt: skip
    if width >= 15:
        yield _text(middle, scale.y(value.high) - 4, short(value.median), size=9, anchor="middle")


def lines(title: str, unit: str, panels: Sequence[Panel]) -> str:
    """Panels side by side, each with a line for each series, on one scale."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    legend, top = _legend(names, _TOP, colours)
    top, bottom = top + 24, top + 340
    values = [one for panel in panels for points in panel.series.values() for value in points.values() for one in (value.low, value.high)]
    scale = _Scale(values, bottom, top + 8)
    parts = [_text(_LEFT, 26, title, size=17), *legend]
    parts.append(_text(16, (top + bottom) / 2, unit, anchor="middle", more=f'transform="rotate(-90 16 {(top + bottom) / 2:.1f})"'))
    across = (_WIDTH - _LEFT - _RIGHT + 30) / max(1, len(panels))
    for number, panel in enumerate(panels):
        left = _LEFT + number * across
        parts += scale.grid(left, left + across - 50)
        parts.append(_text(left, top - 2, panel.title, size=12))
        parts += _panel(panel, left + 14, left + across - 64, scale, colours)
    return _document(bottom + 52, parts)


def _panel(panel: Panel, left: float, right: float, scale: _Scale, colours: Mapping[str, str]) -> Iterator[str]:
    sizes = sorted({size for points in panel.series.values() for size in points})
    if not sizes:
        return
    wide = max(1, sizes[-1] - sizes[0])

    def x(size: int) -> float:
        return left + (right - left) * (size - sizes[0]) / wide

    for size in sizes:
        yield _text(x(size), scale.bottom + 18, str(size), size=11, anchor="middle")
    yield _text((left + right) / 2, scale.bottom + 38, panel.across, anchor="middle")
    for name, points in panel.series.items():
        places = [(x(size), scale.y(value.median)) for size, value in sorted(points.items())]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>'
        for a, b in places:
            yield f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.2" fill="{colours[name]}"/>'
