"""Random workloads keep the books in order; a fault that is put in is found, and shown in few lines.

How short a failure gets is told by counting by hand what it needs. Leaves out which rule finds what: test_books.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lockverse.lang import applied, atomic_add_negative, atomic_inc, patch
from lockverse.linux.mm import rmap
from lockverse.sim.generate import Generator
from lockverse.sim.operations import OPERATIONS, Mkcg, Move, Operation, Owners, Rmcg
from lockverse.sim.random_runs import failure_of, random_run, shortened
from lockverse.sim.system import System
from lockverse.sim.workload import parse

from ..support import run
from .compact import KEYS
from .reference import Reference

SEEDS = range(24)  # of each version, in the default set


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_agree(seed: int, version: int) -> None:
    _, failure = random_run(seed, 60, version, System)
    assert failure is None, shortened(failure, System).text()


@pytest.mark.long
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("hundred", range(1, 21))
def test_thousands(hundred: int, version: int) -> None:
    for seed in range(hundred * 100, hundred * 100 + 100):
        _, failure = random_run(seed, 80, version, System)
        assert failure is None, shortened(failure, System).text()


def test_a_seed_is_a_workload() -> None:
    first, second = (random_run(7, 60, 1, System)[0].recording for _ in range(2))
    other = random_run(8, 60, 1, System)[0].recording
    assert first == second != other
    again = failure_of(first.ops, 1, System)
    assert again is None


def test_everything_occurs() -> None:
    """In a hundred seeds: every operation but check, every form of map, and the refusals of the kernel's that a workload can meet. On the second
    simulator, which is faster and agrees (test_reference.py)."""
    seen: set[str] = set()
    for seed in range(100):
        record = random_run(seed, 60, 1, Reference)[0].recording
        seen |= {op.split()[0] for op in record.ops} | {" ".join(op.split()[3:4]) for op in record.ops if op.startswith("map")}
        seen |= {str(result) for result in record.results}
    assert set(OPERATIONS) - {"check"} <= seen and {"anon", "shanon", "file"} <= seen
    assert {"-12", "-16", "-22", "-95"} <= seen  # ENOMEM, EBUSY, EINVAL, EOPNOTSUPP


def test_generating_needs_no_luck() -> None:
    """With nothing there but the top group there is a line."""
    from lockverse.sim.names import Names

    assert re.fullmatch(r"mkcg g\d+", Generator(0, 1).next(Names()))


class _Wrong:
    """A machine that counts a page too few after the second move, and fails altogether at `owners` after it."""

    def __init__(self, version: int) -> None:
        self._keys, self._groups, self._moves = KEYS[version], ["."], 0

    def execute(self, operation: Operation) -> int:
        if isinstance(operation, Mkcg):
            self._groups.append(operation.group)
        if isinstance(operation, Rmcg):
            return -16
        self._moves += isinstance(operation, Move)
        return 0

    def owners(self, operation: Owners) -> list[str]:
        return [f"./map1x{1 // (2 - min(self._moves, 2))}"]

    def statistics(self) -> dict[str, dict[str, int]]:
        wrong = -1 if self._moves == 2 else 0
        return {group: dict.fromkeys(self._keys, 0) | {"rss" if "rss" in self._keys else "anon": wrong} for group in self._groups}


@pytest.mark.parametrize("version", [1, 2])
def test_a_failure_is_made_short(version: int) -> None:
    """Two moves need a group and a worker: four lines."""
    for seed in range(5):
        failure = random_run(seed, 100, version, _Wrong)[1]
        assert failure is not None
        short = shortened(failure, _Wrong)
        assert sorted(line.split()[0] for line in short.lines) in (["mkcg", "move", "move", "spawn"], ["fork", "mkcg", "move", "spawn"])
        workload = parse(short.text(["why"]), "w.txt")
        assert not workload.diagnostics and workload.cgroup_version == version and len(workload.operations) == len(short.lines)
        assert " is negative" in short.what and short.text(["why"]).startswith(f"# why\n# {short.what.splitlines()[0]}\n")


def test_what_is_raised_is_a_failure() -> None:
    lines = ["mkcg A", "spawn w A", "map w r anon 1", "move w A", "owners w r"]
    assert failure_of(lines, 1, _Wrong) is None
    failure = failure_of([*lines[:4], "move w .", *lines[4:]], 1, _Wrong)
    assert failure is not None and failure.what.startswith(". rss -1 is negative")


@patch(rmap.page_remove_rmap)
def _unmaps_without_counting(page):  # type: ignore[no-untyped-def]
    """The last unmapper leaves the page in its group's counter."""
    atomic_add_negative(-1, page._mapcount)


@patch(rmap.page_add_file_rmap)
def _maps_without_counting(page):  # type: ignore[no-untyped-def]
    """The first mapper does not count the page."""
    atomic_inc(page._mapcount)


@pytest.mark.parametrize("fault", [_unmaps_without_counting, _maps_without_counting])
def test_a_fault_is_found(fault: Callable[..., None]) -> None:
    """A group, a worker, memory or a file, a mapping, a touch, and what unmaps it: seven lines at most."""
    with applied(fault):
        failures = [random_run(seed, 60, 1, System)[1] for seed in range(6)]
        found = [shortened(failure, System) for failure in failures if failure is not None]
        assert len(found) >= 4
        assert min(len(one.lines) for one in found) <= 7
        assert all(failure_of(one.lines, 1, System) == one for one in found)
    assert all(failure_of(one.lines, 1, System) is None for one in found)


def test_the_command() -> None:
    fine = run("run", "--random", "5", "--operations", "30")
    assert fine.code == 0 and re.fullmatch(r"seed 5: the books agree after each of \d+ operations, \d+ of which the kernel refused; nothing is left\n", fine.out)
    with applied(_unmaps_without_counting):
        broken = run("run", "--random", "1", "--operations", "80")
    assert broken.code == 1 and broken.out.startswith("# `lockverse run --random 1 --operations 80 --cgroup 1`, ")
    assert not parse(broken.out, "w.txt").diagnostics
    assert run("run", "--random", "5", "--json").out == run("run", "--random", "5", "--json", "--cgroup", "1").out != ""
