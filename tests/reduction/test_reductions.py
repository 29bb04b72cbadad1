"""All sixteen choices of reductions: verdict, reason and race as without; the space is what the plan says it is.

Over the corpus and random programs. Held against the reference are the engine's verdict and schedule; against the unreduced
space of the same code what a reduction has to keep (spaces.essence: states at rest, faults, deadlocks, properties, endless
executions); and the number of states against a space explored in Python by the same plan.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.ir.program import Linked
from lockverse.reduction import REDUCTIONS

from ..codegen.common import SUBSETS, linked_text, looping_linked, random_linked, searched, short_corpus, verdict
from .spaces import essence, explored, keeps, locking_linked, reduced, whole


def test_there_are_sixteen() -> None:
    assert len(set(SUBSETS)) == 16 and SUBSETS[0] == () and SUBSETS[-1] == REDUCTIONS


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_the_corpus_keeps_its_essence(names: tuple[str, ...]) -> None:
    for name, linked in short_corpus().items():
        assert keeps(reduced(linked, names)) is not False, name


def agree(linked: Linked, subsets: list[tuple[str, ...]], limit: int = 1_500) -> int:
    """The engine's verdict for these reductions, and if nothing is wrong the states it counts; gives how many were counted."""
    reference, counted = searched(linked, "reference"), 0
    for names in subsets:
        native = searched(linked, "native", names)
        assert verdict(native) == verdict(reference), names
        if native.failing is None and native.engine.name == "native":
            small, _ = explored(reduced(linked, names), limit)
            if small is not None:
                assert (native.states, native.transitions) == (len(small.moves), small.transitions), names
                counted += 1
    return counted


@pytest.mark.parametrize("half", [0, 1])
def test_the_corpus_by_the_engine(half: int) -> None:
    """Every scheme with four of the sixteen, the next one with four others."""
    counted = [agree(linked, SUBSETS[number // 2 % 4 :: 4]) for number, linked in enumerate(short_corpus().values()) if number % 2 == half]
    assert sum(counted) > 20


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_random_programs_with_locks_keep_their_essence(tmp_path: Path, first: int) -> None:
    kept = merged = exchanged = 0
    for seed in range(first, first + 40):
        linked = locking_linked(tmp_path, seed)
        for names in () if linked is None else (REDUCTIONS, SUBSETS[seed % 16]):
            one = reduced(linked, names)
            found = keeps(one, 1_000)
            assert found is not False, (seed, names)
            kept += found is True
            merged += any(one.merged)
            exchanged += bool(one.exchanges)
    assert kept > 40 and merged > 30 and exchanged > 2


@pytest.mark.parametrize("first", range(1000, 1040, 20))
def test_random_programs_with_locks_by_the_engine(tmp_path: Path, first: int) -> None:
    counted = 0
    for seed in range(first, first + 20):
        linked = locking_linked(tmp_path, seed)
        if linked is not None and whole(reduced(linked, ()), 1_500) is not None:
            counted += agree(linked, [REDUCTIONS, SUBSETS[seed % 16]])
    assert counted > 4


def test_random_programs_of_the_oracle(tmp_path: Path) -> None:
    """With loops and without, with rest() and without; mostly broken, so this is about verdicts and races."""
    for seed in range(300, 318):
        several = [random_linked(tmp_path, seed, 2 + seed % 2, rests=seed % 4 == 0), looping_linked(tmp_path, seed)]
        for linked in several[:1] if seed % 3 else several:
            if linked is not None and searched(linked, "reference").states < 1_000:
                agree(linked, [REDUCTIONS, SUBSETS[seed % 16]])


@pytest.mark.long
@pytest.mark.parametrize("first", range(400_000, 402_000, 50))
def test_many(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 50):
        linked = locking_linked(tmp_path, seed)
        for number, names in enumerate(() if linked is None else (REDUCTIONS, *SUBSETS)):
            if (found := keeps(reduced(linked, names), 1_500)) is None:
                break
            assert found, (seed, names)
            if number == seed % 17:
                agree(linked, [names])


def test_all_of_it_makes_a_space_small(tmp_path: Path) -> None:
    """By hand: three equal CPUs count under one lock, so each is outside, or done; one of them at most can be inside, where it
    is not stored. With who is who forgotten the states are 0, 1, 2 or 3 CPUs done; without, the 8 choices of who is."""
    linked = linked_text(tmp_path, "def run(x):\n    with x.lock:\n        x.big += 1", "x = node()\n" + "cpu(run, x)\n" * 3 + "at_rest(lambda: x.big == 3)")
    assert [searched(linked, "native", names).states for names in (REDUCTIONS, ("local", "locks"))] == [4, 8]


def test_an_essence_tells_spaces_apart(tmp_path: Path) -> None:
    """These comparisons can fail: other memory at rest, a fault, a deadlock, a property, something that spins each show."""
    bodies = ["x.n = 1", "x.n = 2", "x.n -= 1", "spin_lock(x.lock)\n    x.n = 1\n    spin_lock(y.lock)\n    spin_unlock(y.lock)\n    spin_unlock(x.lock)",
              "x.n = 1\n    x.flag = True", "x.n = 1\n    while not y.flag:\n        cpu_relax()"]  # fmt: skip
    other = "def other(x, y):\n    with y.lock:\n        with x.lock:\n            pass"
    seen = []
    for body in bodies:
        linked = linked_text(tmp_path, f"def run(x, y):\n    {body}\n{other}", "x = node()\ny = node()\ncpu(run, x, y)\ncpu(other, x, y)\nalways(lambda: not x.flag)")
        one = reduced(linked, ())
        space = whole(one)
        assert space is not None
        at_rest, *rest = essence(space, one)
        seen.append((len(at_rest), *(bool(part) for part in rest)))  # type: ignore[arg-type]
    # (states at rest, faults, deadlock, a property broken, something witnessed, executions without end)
    assert seen == [
        (1, False, False, False, False, False), (1, False, False, False, False, False), (0, True, False, False, False, False),
        (1, False, True, False, False, False), (1, False, False, True, False, False), (0, False, False, False, False, True),
    ]  # fmt: skip
