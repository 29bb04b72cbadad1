"""The recordings are what was recorded: how many there are, how many numbers, and the sums that hold in the kernel's own books.

The counts are those of the JSON files they were made from, counted there: 89 workloads, 2,246 operations, 64 answers of `owners` with 131
runs, 1,908 rows with 46,746 statistics. (The 101,742 numbers that were compared over repeated boots are of those boots.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.sim.recording import NotARecording, dumps, loads
from lockverse.sim.workload import parse

from .compact import HERE, KEYS, files, read, text_of


def test_counts() -> None:
    all_ = [read(path) for path in files()]
    assert [sum(one.cgroup_version == version for one in all_) for version in (1, 2)] == [74, 15]
    assert sum(len(one.ops) for one in all_) == sum(len(one.results) for one in all_) == 2246
    assert sum(len(one.owners) for one in all_) == 64 and sum(len(runs) for one in all_ for runs in one.owners.values()) == 131
    assert sum(len(groups) for one in all_ for groups in one.checkpoints.values()) == 1908
    assert sum(one.numbers() for one in all_) == 46746
    assert sum(path.stat().st_size for path in files()) < 200_000


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_text_and_json_say_the_same(path: Path) -> None:
    one = read(path)
    assert text_of(one) == path.read_text()
    assert loads(dumps(one)) == one
    assert {tuple(row) for groups in one.checkpoints.values() for row in groups.values()} <= {KEYS[one.cgroup_version]}


def test_a_recording_is_a_workload() -> None:
    """Its answers are comments to the workload language."""
    for path in files():
        workload, one = parse(path.read_text(), path.name), read(path)
        assert not workload.diagnostics and workload.cgroup_version == one.cgroup_version
        assert [operation.text for operation in workload.operations] == one.ops


def test_the_kernels_own_books() -> None:
    """A group's lists hold its pages: on v1 cache and rss, on v2 anon and file. Not where huge pages are split or pages are freed later."""
    for path in files():
        one = read(path)
        if "thp" in path.stem:
            continue
        for groups in one.checkpoints.values():
            for row in groups.values():
                lists = sum(row[f"{active}active_{kind}"] for active in ("", "in") for kind in ("anon", "file")) + row["unevictable"]
                assert lists == (row["cache"] + row["rss"] if one.cgroup_version == 1 else row["anon"] + row["file"]), path


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"ops": 1}', '{"ops": [1]}', '{"ops": [], "cgroup_version": 3}', '{"ops": [], "results": 1}', '{"ops": ["a\\nb"]}',
             '{"ops": [], "owners": [{}]}', '{"ops": [], "checkpoints": [{"after_op": 0, "cgroup": "A", "stats": 1}]}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_recording(text: str) -> None:
    with pytest.raises(NotARecording):
        loads(text)


def test_provenance_is_told() -> None:
    from .compact import CMDLINE, KERNEL

    text = (HERE / "README.md").read_text()
    assert KERNEL in text and CMDLINE in text
