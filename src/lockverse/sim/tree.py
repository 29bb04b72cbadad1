"""The groups as a tree, each with what is charged to it: for people who want to see a workload at one glance.

A group's line has what is charged to it and below, its own part where that differs, its limit, and who is in it. Charges that removed groups have left
are a line of their own. Of v2 only the former is known: its files count what is below too. Leaves out all other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from .books import LISTS
from .names import TOP, Names
from .recording import Statistics


def tree(statistics: Statistics, names: Names, version: int) -> str:
    """The tree of a checkpoint."""
    rows = list(_rows(TOP, "", "", statistics, names, version))
    width = max(len(label) for label, _ in rows)
    return "".join(f"{label:{width}}  {text}".rstrip() + "\n" for label, text in rows)


def _rows(group: str, lead: str, own_lead: str, statistics: Statistics, names: Names, version: int) -> Iterator[tuple[str, str]]:
    yield own_lead + group.rpartition("/")[2], _text(group, statistics, names, version)
    below = [one for one in statistics if one != TOP and (one.rpartition("/")[0] or TOP) == group]
    left = _left(group, below, statistics, version)
    for number, one in enumerate(below, start=1):
        last = number == len(below) and not left
        yield from _rows(one, lead + ("    " if last else "│   "), lead + ("└── " if last else "├── "), statistics, names, version)
    if left:
        yield lead + "└── (removed)", _pages(left)


def _text(group: str, statistics: Statistics, names: Names, version: int) -> str:
    row = statistics[group]
    parts = [_pages(row["usage"])]
    if version == 1 and (own := _own(group, statistics)) not in (0, row["usage"]):
        parts.append(f"{own:,} its own")
    if group in names.limits:
        parts.append(f"limit {names.limits[group]:,}")
    workers = [worker for worker, where in names.where.items() if where == group]
    return ", ".join(parts) + (f"  [{' '.join(workers)}]" if workers else "")


def _own(group: str, statistics: Statistics) -> int:
    return sum(statistics[group][one] for one in LISTS)


def _left(group: str, below: list[str], statistics: Statistics, version: int) -> int:
    """Pages that removed groups right below are still charged for."""
    if version == 2:
        return 0
    return statistics[group]["usage"] - _own(group, statistics) - sum(statistics[one]["usage"] for one in below)


def _pages(number: int) -> str:
    return f"{number:,} page{'' if number == 1 else 's'}"
