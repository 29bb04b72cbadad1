"""The second simulator: it agrees with the real kernel in everything that was recorded, and the simulator agrees with it in random workloads.

So whatever the two share is what a real kernel did, and where no recording goes they are two opinions. Compared are all results, all numbers after each
operation (of the active and inactive lists the sum), and at the end the owners of every page.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.sim.generate import Generator
from lockverse.sim.operations import Check, Fork, Owners
from lockverse.sim.random_runs import random_run, shortened
from lockverse.sim.run import Machine, Run
from lockverse.sim.system import System
from lockverse.sim.workload import parse, parse_line

from .compact import files, read
from .conformance import compared, sums
from .reference import Reference
from .reference_objects import Group, Mm


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_it_is_a_real_kernel(path: Path) -> None:
    recorded = read(path)
    ran = Run(Reference(recorded.cgroup_version), recorded.cgroup_version, recorded.name)
    for operation in parse("\n".join(recorded.ops), "").operations:
        ran.do(operation)
    assert not compared(recorded, ran.recording).differences


def _difference(ours: Run, theirs: Run) -> str:
    """Where the two stand apart now."""
    one, other = (ran.machine.statistics() for ran in (ours, theirs))
    if list(one) != list(other):
        return f"the groups {list(one)}, and {list(other)}"
    rows = [(group, sums(one[group]), sums(other[group])) for group in one]
    return "; ".join(f"{group} {key} {row[key]}, and {second[key]}" for group, row, second in rows for key in row if row[key] != second[key])


def _owners(ours: Run, theirs: Run) -> str:
    for worker, regions in ours.names.workers.items():
        for region in regions:
            one, other = (ran.machine.owners(Owners(worker, region)) for ran in (ours, theirs))
            if one != other:
                return f"owners {worker} {region}: {one}, and {other}"
    return ""


def first_difference(lines: list[str] | None, seed: int, version: int, operations: int, make: Callable[[int], Machine] = System) -> tuple[list[str], str]:
    """Run a random workload, or given lines, on both. Gives the lines up to the first difference, and what it is."""
    generator = Generator(seed, version)
    ours, theirs = Run(make(version), version), Run(Reference(version), version)
    done: list[str] = []
    for number in range(operations if lines is None else len(lines)):
        line = lines[number] if lines is not None else generator.next(ours.names)
        operation = parse_line(line, "", number)
        assert operation is not None and not isinstance(operation, Check)
        try:
            results = [ran.do(operation).result for ran in (ours, theirs)]
        except Rejected:
            continue
        done.append(line)
        what = f"{results[0]}, and {results[1]}" if results[0] != results[1] else _difference(ours, theirs) or _owners(ours, theirs)
        if what:
            return done, what
    return done, ""


class _ForksWithoutCounting(Reference):
    """The child's ptes are not counted."""

    def _fork(self, operation: Fork) -> None:
        super()._fork(operation)
        for pte in self._tasks[operation.new].mm.ptes.values():
            if pte.page is not None and pte.page.parts is None:
                pte.page.maps -= 1


class _MovesWithoutCounting(Reference):
    """The numbers are right, the pages stay with their old group."""

    def _move_charges(self, mm: Mm, old: Group, to: Group) -> None:
        pass


@pytest.mark.parametrize("wrong", [_ForksWithoutCounting, _MovesWithoutCounting])
def test_a_difference_is_found(wrong: type[Reference]) -> None:
    """The first also by the books, in six lines: a group, a worker, memory, a touch, a fork, and what unmaps it. The second's books agree."""
    assert any(first_difference(None, seed, 1, 60, wrong)[1] for seed in range(15))
    failures = [failure for seed in range(15) if (failure := random_run(seed, 60, 1, wrong)[1]) is not None]
    if wrong is _ForksWithoutCounting:
        assert [line.split()[0] for line in shortened(failures[0], wrong).lines[:5]] == ["mkcg", "spawn", "map", "touch", "fork"]
        assert len(shortened(failures[0], wrong).lines) == 6
    else:
        assert not failures


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seed", range(30))
def test_the_simulator_agrees(seed: int, version: int) -> None:
    lines, what = first_difference(None, seed, version, 40)
    assert not what, "\n".join([*lines, what])


@pytest.mark.long
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("hundred", range(10, 20))
def test_it_agrees_in_hundreds(hundred: int, version: int) -> None:
    for seed in range(hundred * 100, hundred * 100 + 100):
        lines, what = first_difference(None, seed, version, 60)
        assert not what, f"seed {seed}\n" + "\n".join([*lines, what])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("seed", range(100, 140))
def test_its_own_books_agree(seed: int, version: int) -> None:
    failure = random_run(seed, 60, version, Reference)[1]
    assert failure is None, failure.text()
