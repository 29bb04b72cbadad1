"""What must hold of the numbers: the recordings of a real kernel keep it, and each rule finds a number that is wrong.

Rows are written out here by hand, consistent as they are: group A with 3 anonymous pages and 5 of a file, 2 of them mapped.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.sim.books import LISTS, left, wrong

from .compact import OWN, files, read

V1 = {"cache": 5, "rss": 3, "shmem": 5, "mapped_file": 2, "inactive_anon": 8, "pgpgin": 10, "pgpgout": 2}
V2 = {"anon": 3, "file": 5, "shmem": 5, "file_mapped": 2, "inactive_anon": 8}


def _checkpoint(version: int) -> dict[str, dict[str, int]]:
    empty = dict.fromkeys(OWN[version], 0)
    if version == 2:
        row = {"usage": 8} | empty | V2
        return {".": dict(row), "A": dict(row), "A/B": {"usage": 0} | empty}
    row, none = empty | V1, dict(empty)
    totals = {f"total_{key}": value for key, value in row.items()}
    return {
        ".": {"usage": 8} | none | totals,
        "A": {"usage": 8} | row | totals,
        "A/B": {"usage": 0} | none | {f"total_{key}": 0 for key in none},
    }


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_real_kernel_keeps_them(path: Path) -> None:
    one = read(path)
    for groups in one.checkpoints.values():
        assert not wrong(groups, one.cgroup_version, huge="thp" in path.stem)


# version, group, key, the value it is given, part of what is told
CASES = [
    (1, "A", "pgpgout", 3, "A pgpgin - pgpgout 7 is not the pages charged, 8"), (1, "A", "mapped_file", 6, "A mapped_file 6 is more than cache 5"),
    (1, "A", "mapped_file", -1, "A mapped_file -1 is negative"), (1, "A", "rss_huge", 4, "A rss_huge 4 is more than rss 3"),
    (1, "A", "shmem", 6, "A shmem 6 is more than cache 5"), (1, "A", "cache", 6, "A cache + rss 9 is not what the lists hold, 8"),
    (1, "A", "usage", 9, "A usage 9 is not what the lists hold, 8"), (1, ".", "usage", 7, ". usage 7 is less than that of the groups inside, 8"),
    (1, ".", "total_cache", 4, ". total_cache 4 is less than its own and those below, 5"), (1, ".", "total_pgpgin", 9, ". total_pgpgin 9 is less"),
    (2, "A", "file_mapped", 6, "A file_mapped 6 is more than file 5"), (2, "A", "anon", 4, "A anon + file 9 is not what the lists hold, 8"),
    (2, "A/B", "anon", 4, "A anon 3 is less than that of the groups inside, 4"), (2, ".", "usage", 7, ". usage 7 is not what the lists hold, 8"),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_consistent_passes(version: int) -> None:
    assert not wrong(_checkpoint(version), version)


@pytest.mark.parametrize(("version", "group", "key", "value", "told"), CASES, ids=[f"{case[1]}-{case[2]}" for case in CASES])
def test_one_wrong_number_is_found(version: int, group: str, key: str, value: int, told: str) -> None:
    groups = _checkpoint(version)
    groups[group][key] = value
    assert any(told in text for text in wrong(groups, version)), wrong(groups, version)


def test_what_removed_groups_left_is_more() -> None:
    groups = _checkpoint(1)
    groups["."] |= {"usage": 10, "total_cache": 7, "total_inactive_anon": 10, "total_pgpgin": 12}
    assert not wrong(groups, 1)


def test_huge_pages_are_charged_whole() -> None:
    """The numbers of v1/thp_split_pmd_not_moved: half of a huge page is unmapped, rss drops, the lists hold all of it."""
    groups = _checkpoint(1)
    for key in ("rss", "total_rss"):
        groups["A"][key] = groups["."]["total_rss"] = 1
    assert wrong(groups, 1) and not wrong(groups, 1, huge=True)


def test_nothing_may_be_left() -> None:
    groups = _checkpoint(1)
    assert "A rss 3 is left" in left(groups, 1) and "A pgpgin 10 is left" not in left(groups, 1)
    for row in groups.values():
        row |= {key: 0 for key in row if "pgp" not in key}
    assert left(groups, 1) == [". total_pgpgin 10 is not total_pgpgout 2"] and not left(groups, 1, huge=True)
    groups["."]["total_pgpgout"] = 10
    assert not left(groups, 1)


def test_the_lists_are_all_lists() -> None:
    assert set(LISTS) == {key for key in OWN[2] if key.endswith(("_anon", "_file")) and "active" in key} | {"unevictable"}
