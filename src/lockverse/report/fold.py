"""Folding: lines that have no part in a race, and rounds of a loop that are alike, become one line.

Leaves out which lines have no part: story.py knows. Folded lines are in one column and next to each other in time, so
what is left keeps its order.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from .line import Kind, Line

LEAST_PRIVATE = 3  # lines worth one "..."
LEAST_ROUNDS = 3  # alike rounds worth folding
LONGEST_ROUND = 12  # lines of a round


def folded(lines: Sequence[Line]) -> list[Line]:
    """The lines, with runs that say nothing of the race folded."""
    return _fold_private(_fold_rounds(list(lines)))


def _fold_private(lines: list[Line]) -> list[Line]:
    found: list[Line] = []
    index = 0
    while index < len(lines):
        end = index
        while end < len(lines) and lines[end].private and lines[end].column == lines[index].column:
            end += 1
        if end - index >= LEAST_PRIVATE:
            depth = min(line.depth for line in lines[index:end])
            found.append(Line(lines[index].column, depth, "...", events=_events(lines[index:end])))
            index = end
        else:
            found.append(lines[index])
            index += 1
    return found


def _events(lines: Sequence[Line]) -> tuple[int, int] | None:
    known = [line.events for line in lines if line.events is not None]
    return (known[0][0], known[-1][1]) if known else None


def _fold_rounds(lines: list[Line]) -> list[Line]:
    found: list[Line] = []
    index = 0
    while index < len(lines):
        length, rounds = _rounds(lines, index)
        found += lines[index : index + max(length, 1)]
        if rounds >= LEAST_ROUNDS:
            last = lines[index + length : index + length * rounds]
            note = f"... {rounds - 1} more times round"
            found.append(Line(lines[index].column, lines[index].depth, note, events=_events(last)))
            index += length * rounds
        else:
            index += 1
            del found[len(found) - max(length, 1) + 1 :]
    return found


def _rounds(lines: Sequence[Line], start: int) -> tuple[int, int]:
    """The length of a round that begins here and how often it runs in a row, at most one if it does not."""
    for length in range(1, LONGEST_ROUND + 1):
        first = [_alike(line) for line in lines[start : start + length]]
        if len({line.column for line in lines[start : start + length]}) != 1 or any(one.kind in (Kind.FAILING, Kind.NOTE) for one in first):
            break
        rounds = 1
        while [_alike(line) for line in lines[start + length * rounds : start + length * (rounds + 1)]] == first:
            rounds += 1
        if rounds >= LEAST_ROUNDS:
            return length, rounds
    return 1, 1


def _alike(line: Line) -> Line:
    """What has to be the same in two rounds: all but when they were, and the values."""
    return replace(line, events=None, remark="", private=False)
