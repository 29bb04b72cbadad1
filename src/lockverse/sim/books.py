"""What must hold of the numbers of all groups, whatever a workload does: what one sees without looking at a page.

- Nothing is negative; what is mapped is cached, what is shmem is cached, what is huge is anonymous.
- The usage of a group is what its lists and those below hold, and the lists of a group are its cache and its anonymous memory.
- Charges in less charges out are what is charged now. A huge page counts as one in and may leave in pieces: not with huge pages.
- A total of v1 is the group's own number and the totals below it. What removed groups have left is more, never less, and only what
  somebody can still hold.
- When all workers have exited and all files are gone, nothing is left, and as much was charged as was uncharged.

The recordings of a real kernel keep all of these (a test holds that). linux/invariants.py has what must hold of each page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .names import TOP
from .recording import Statistics

LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
_PARTS = {1: {"mapped_file": "cache", "shmem": "cache", "rss_huge": "rss"}, 2: {"file_mapped": "file", "shmem": "file", "anon_thp": "anon"}}
_WHOLE = {1: ("cache", "rss"), 2: ("anon", "file")}


def wrong(statistics: Statistics, version: int, *, huge: bool = False) -> list[str]:
    """What does not hold; `huge` if there may be huge pages."""
    found = [f"{group} {text}" for group, row in statistics.items() for text in _of_group(row, version, huge)]
    if version == 1:
        found += [f"{group} {text}" for group in statistics for text in _of_totals(group, statistics)]
    else:
        found += [f"{group} {text}" for group in statistics for text in _of_sums(group, statistics)]
    return found


def left(statistics: Statistics, version: int, *, huge: bool = False) -> list[str]:
    """What is left though everybody has gone."""
    events = ("pgpgin", "pgpgout", "total_pgpgin", "total_pgpgout")
    found = [f"{group} {key} {value} is left" for group, row in statistics.items() for key, value in row.items() if value and key not in events]
    top = statistics[TOP]
    if version == 1 and not huge and top["total_pgpgin"] != top["total_pgpgout"]:
        found.append(f"{TOP} total_pgpgin {top['total_pgpgin']} is not total_pgpgout {top['total_pgpgout']}")
    return found


def _of_group(row: Mapping[str, int], version: int, huge: bool) -> Iterator[str]:
    for key, value in row.items():
        if value < 0:
            yield f"{key} {value} is negative"
    for part, whole in _PARTS[version].items():
        if row[part] > row[whole]:
            yield f"{part} {row[part]} is more than {whole} {row[whole]}"
    prefix = "total_" if version == 1 else ""
    lists = sum(row[prefix + one] for one in LISTS)
    if row["usage"] != lists:
        yield f"usage {row['usage']} is not what the lists hold, {lists}"
    if huge:  # a huge page that is mapped in part is charged and on the lists whole
        return
    held = sum(row[one] for one in _WHOLE[version])
    if sum(row[one] for one in LISTS) != held:
        yield f"{' + '.join(_WHOLE[version])} {held} is not what the lists hold, {sum(row[one] for one in LISTS)}"
    if version == 1 and row["pgpgin"] - row["pgpgout"] != held:
        yield f"pgpgin - pgpgout {row['pgpgin'] - row['pgpgout']} is not the pages charged, {held}"


def _below(group: str, statistics: Statistics) -> list[str]:
    return [one for one in statistics if one != TOP and (one.rpartition("/")[0] or TOP) == group]


def _of_totals(group: str, statistics: Statistics) -> Iterator[str]:
    row, below = statistics[group], _below(group, statistics)
    for key in row:
        if f"total_{key}" in row:
            shown = row[key] + sum(statistics[one][f"total_{key}"] for one in below)
            if row[f"total_{key}"] < shown:
                yield f"total_{key} {row[f'total_{key}']} is less than its own and those below, {shown}"
    yield from _of_sums(group, statistics)


def _of_sums(group: str, statistics: Statistics) -> Iterator[str]:
    """What counts for the groups above too."""
    row, below = statistics[group], _below(group, statistics)
    for key in row if "anon" in row else ("usage",):
        shown = sum(statistics[one][key] for one in below)
        if row[key] < shown:
            yield f"{key} {row[key]} is less than that of the groups inside, {shown}"
