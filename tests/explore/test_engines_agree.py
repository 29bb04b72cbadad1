"""The search in machine code is the reference search: all counts, verdicts and races, with one thread of work and with two.

Expected values are the reference's, which brute force is held against (tests/oracle). Then bounds, each of which must give
"unknown" with its own name; and a search that has forgotten its states, which must still tell the same race and loop.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.explore import native
from lockverse.explore.bounds import Bounds
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.reduction import REDUCTIONS

from ..codegen.common import NO_BOUNDS, corpus, counts, linked_text, looping_linked, random_linked, searched, verdict
from ..reduction.spaces import locking_linked


def agree(linked: Linked, *jobs: int) -> int:
    """Whether the engines agree on everything, with these numbers of jobs; gives 1 if something is wrong with it."""
    reference = searched(linked, "reference")
    for number in jobs:
        found = searched(linked, "native", (), number)
        assert counts(found) == counts(reference), number
        assert found.engine.name == "native"
    return reference.failing is not None


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_corpus(jobs: int) -> None:
    assert 5 < sum(agree(linked, jobs) for linked in corpus().values()) < len(corpus())


@pytest.mark.parametrize(("first", "threads", "rests"), [*((n, 2, False) for n in range(2000, 2120, 40)), (7100, 3, False), (41000, 2, True), (42000, 3, True)])
def test_random_programs(tmp_path: Path, first: int, threads: int, rests: bool) -> None:
    """Those that do not compile are left out, and those of three threads that are too large for many of them."""
    compared = wrong = 0
    for seed in range(first, first + 40):
        linked = random_linked(tmp_path, seed, threads, 2 if rests else 3, rests=rests)
        first = None if linked is None else searched(linked, "reference", bounds=Bounds(states=3_000))
        if linked is not None and first is not None and first.bound is None and first.states:
            compared += 1
            wrong += agree(linked, 1 + seed % 2)
    assert compared >= 8 and wrong


def test_random_loops_and_locks(tmp_path: Path) -> None:
    compared = wrong = 0
    for seed in range(2000, 2040):
        for linked in (looping_linked(tmp_path, seed), locking_linked(tmp_path, seed)):
            if linked is not None and searched(linked, "reference", bounds=Bounds(states=3_000)).bound is None:
                compared += 1
                wrong += agree(linked, 1 + seed % 2)
    assert compared > 40 and 5 < wrong < compared


@pytest.mark.long
@pytest.mark.parametrize("first", range(500_000, 503_000, 100))
def test_many_random_programs(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        for linked in (random_linked(tmp_path, seed, 2 + seed % 2, rests=seed % 5 == 0), looping_linked(tmp_path, seed), locking_linked(tmp_path, seed)):
            if linked is None:
                continue
            first = searched(linked, "reference", bounds=Bounds(states=5_000))
            if first.bound is None and first.states:  # no states: it fails before its first step
                agree(linked, 1, 2)


WIDE = "def run(x, y, k: u8):\n    for i in range(12):\n        x.slots[k] = i\n{}"


def wide(folder: Path, last: str = "", scene: str = "") -> Linked:
    """Three CPUs that each write twelve numbers to a cell of their own: 13 states each, so 13**3 = 2197 in all."""
    cpus = "".join(f"cpu(run, x, y, {k})\n" for k in range(3))
    return linked_text(folder, WIDE.format(last), f"x = node()\ny = node()\n{cpus}{scene}")


def test_a_level_that_two_workers_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second worker starts at large levels only; made to start at once it changes nothing. States in closed form."""
    linked = wide(tmp_path)
    assert searched(linked, "native").states == 13**3
    monkeypatch.setattr(native, "PARALLEL_FROM", 2)
    assert searched(linked, "native", (), 2).states == 13**3
    assert agree(linked, 2) == 0
    assert agree(wide(tmp_path, "    x.n += 1\n    assert x.n < 2"), 2) == 1


# Bounds


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("bounds", "name"),
    [(Bounds(states=100), "states"), (Bounds(depth=5), "depth"), (Bounds(seconds=0.0), "seconds"), (Bounds(memory=1), "memory")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_bounds(tmp_path: Path, bounds: Bounds, name: str, jobs: int) -> None:
    """Each is hit by 2197 states of a depth of 36 steps, in no time or in 1 MiB, and then nothing is said to hold."""
    found = searched(wide(tmp_path), "native", (), jobs, bounds)
    assert found.bound is not None and found.bound.name == name and not found.complete and found.failing is None


def test_ops(tmp_path: Path) -> None:
    """A step of a million rounds where a thousand ops are allowed; three rounds are no trouble."""
    body = "def run(x):\n    x.n = 1\n    i = 0\n    while i < {}:\n        i += 1"
    large, small = (linked_text(tmp_path, body.format(rounds), "x = node()\ncpu(run, x)") for rounds in ("1_000_000", "3"))
    for names in ((), REDUCTIONS):
        found = searched(large, "native", names, bounds=Bounds(ops=1_000))
        assert found.bound is not None and found.bound.name == "ops" and not found.complete
        assert searched(small, "native", names, bounds=Bounds(ops=1_000)).complete


@pytest.mark.parametrize("rounds", ["i = 1 - i", "cpu_relax()"])
def test_spinning_inside_a_step(tmp_path: Path, rounds: str) -> None:
    """No look at memory and no way out: endless, whoever searches, and no matter of how many ops are allowed."""
    linked = linked_text(tmp_path, f"def run(x):\n    x.n = 1\n    i = 0\n    while i < 2:\n        {rounds}", "x = node()\ncpu(run, x)")
    for names in ((), REDUCTIONS):
        found = searched(linked, "native", names, bounds=Bounds(ops=50_000))
        assert found.failing is not None and found.failing.reason is Reason.ENDLESS_SPINNING
        assert found.failing == searched(linked, "reference").failing


@pytest.mark.parametrize(("flag", "reason"), [("x.flag", Reason.ENDLESS_SPINNING), ("y.flag", Reason.SOMETIMES)])
def test_spinning_where_something_holds_sometimes(tmp_path: Path, flag: str, reason: Reason) -> None:
    """x.flag holds sometimes and what comes then spins; y.flag never holds, which is told first."""
    body = "def run(x, y):\n    x.flag = True\n    while x.n == 0:\n        cpu_relax()"
    linked = linked_text(tmp_path, body, f"x = node()\ny = node()\ncpu(run, x, y)\nsometimes(lambda: {flag})")
    for names in ((), REDUCTIONS):
        found = searched(linked, "native", names)
        assert found.failing is not None and found.failing.reason is reason
        assert found.failing == searched(linked, "reference").failing


def test_bounds_that_are_not_hit(tmp_path: Path) -> None:
    """One state more and one step more than there are, and all is explored."""
    linked = wide(tmp_path)
    assert searched(linked, "native", bounds=Bounds(states=13**3, depth=36, memory=None)).complete
    assert searched(linked, "native", bounds=Bounds(states=13**3 - 1, memory=None)).bound is not None
    assert searched(linked, "native", bounds=Bounds(depth=35, memory=None)).bound is not None


def test_a_race_within_the_bounds_is_found(tmp_path: Path) -> None:
    """What is wrong at a depth that is explored is told, though not all is."""
    linked = wide(tmp_path, scene="always(lambda: x.slots[0] + x.slots[1] < 4)")
    for bounds in (Bounds(depth=9), Bounds(states=2_000)):
        found, reference = searched(linked, "native", bounds=bounds), searched(linked, "reference", bounds=bounds)
        assert found.failing == reference.failing and found.failing is not None and found.failing.reason is Reason.ALWAYS


# States that were forgotten


@pytest.mark.parametrize(
    ("last", "scene", "reason"),
    [
        ("    x.n += 1\n    assert x.n < 3", "", Reason.ASSERTION), ("", "at_rest(lambda: x.slots[0] == 0)", Reason.AT_REST),
        ("    spin_lock(x.lock)\n    if k == 0:\n        spin_unlock(x.lock)\n    else:\n        spin_lock(y.lock)\n        spin_unlock(y.lock)\n        spin_unlock(x.lock)\n    if k == 0:\n        with y.lock:\n            with x.lock:\n                pass", "", Reason.DEADLOCK),
        ("    while not y.flag:\n        cpu_relax()", "", Reason.ENDLESS_SPINNING), ("", "sometimes(lambda: x.n == 1)", Reason.SOMETIMES),
    ],
    ids=lambda one: one.value if isinstance(one, Reason) else "",
)  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 2])
def test_forgotten_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, scene: str, reason: Reason, jobs: int) -> None:
    """The queue keeps two levels only: the race and the loop come out the same, from a search that runs again."""
    linked = wide(tmp_path, last, scene)
    reference = searched(linked, "reference")
    assert reference.failing is not None and reference.failing.reason is reason
    forgotten: list[int] = []
    keep_from = native.Store.keep_from
    for name, value in (("FIRST_KEPT", 512), ("KEPT_BYTES", 64)):
        monkeypatch.setattr(native, name, value)
    monkeypatch.setattr(native.Store, "keep_from", lambda store, first: (forgotten.append(first), keep_from(store, first))[1])
    assert counts(searched(linked, "native", (), jobs)) == counts(reference)
    assert forgotten and max(forgotten) > 1_000
    assert verdict(searched(linked, "native", REDUCTIONS, jobs)) == verdict(reference)


def test_the_bounds_of_these_tests(tmp_path: Path) -> None:
    """What is compared above is never cut short by a bound of its own."""
    assert NO_BOUNDS.states is not None and all(searched(linked, "reference").states < NO_BOUNDS.states for linked in corpus().values())
