"""However the table holds states, and whatever the processor can do: the same states, moves, verdicts and races.

Expected values are the reference's, and with reductions those of the search as it goes on this machine (tests/reduction holds that to the
reference).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.engine import native
from lockverse.explore import table
from lockverse.explore.bounds import Bounds
from lockverse.ir.program import Linked
from lockverse.jit import machine_code
from lockverse.reduction import REDUCTIONS

from ..codegen.common import SUBSETS, corpus, counts, looping_linked, random_linked, searched, short_corpus
from ..reduction.spaces import locking_linked
from .ways import WAYS, way

FEW = Bounds(states=3_000)


def agree(linked: Linked, name: str, jobs: int, *subsets: tuple[str, ...]) -> bool:
    """Whether a way of searching agrees with the reference, and with reductions with the usual way; gives whether the program is wrong."""
    reference = searched(linked, "reference")
    usual = {subset: counts(searched(linked, "native", subset, jobs)) for subset in subsets}
    with way(name):
        found = searched(linked, "native", (), jobs)
        assert found.engine.name == "native" and counts(found) == counts(reference)
        assert found.engine.exact == (name != "fingerprints")
        for subset in subsets:
            assert counts(searched(linked, "native", subset, jobs)) == usual[subset], subset
    return reference.failing is not None


@pytest.mark.parametrize("name", WAYS)
def test_the_corpus(name: str) -> None:
    chosen = list(short_corpus().values())[WAYS.index(name) :: 30]
    wrong = sum(agree(linked, name, 1 + number % 2, REDUCTIONS) for number, linked in enumerate(chosen))
    assert 0 < wrong < len(chosen)


@pytest.mark.parametrize("name", WAYS)
def test_random_programs(tmp_path: Path, name: str) -> None:
    compared = wrong = 0
    for seed in range(6_000, 6_005):
        for linked in (random_linked(tmp_path, seed), looping_linked(tmp_path, seed), locking_linked(tmp_path, seed)):
            if linked is not None and searched(linked, "reference", bounds=FEW).bound is None:
                compared += 1
                wrong += agree(linked, name, 1 + seed % 2, SUBSETS[seed % len(SUBSETS)])
    assert compared > 5 and 0 < wrong < compared


@pytest.mark.long
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", WAYS)
def test_the_whole_corpus(name: str, jobs: int) -> None:
    for linked in corpus().values():
        agree(linked, name, jobs, *SUBSETS)


@pytest.mark.long
@pytest.mark.parametrize("first", range(600_000, 600_400, 50))
@pytest.mark.parametrize("name", WAYS)
def test_many_random_programs(tmp_path: Path, name: str, first: int) -> None:
    for seed in range(first, first + 50):
        for linked in (random_linked(tmp_path, seed, 2 + seed % 2, rests=seed % 5 == 0), looping_linked(tmp_path, seed), locking_linked(tmp_path, seed)):
            if linked is not None and searched(linked, "reference", bounds=FEW).bound is None:
                agree(linked, name, 1 + seed % 2, SUBSETS[seed % len(SUBSETS)], REDUCTIONS)


def test_the_ways_are_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each does what it says: slots of 16 bytes, several words, code without pext."""
    tables: list[tuple[bool, bool, bool, int]] = []
    texts: list[str] = []
    functions, make = table.compiled_soon, machine_code._object
    monkeypatch.setattr(native, "compiled_soon", lambda one: (tables.append((one.wide, one.exact, one.whole, one.words)), functions(one))[1])
    monkeypatch.setattr(machine_code.cache, "read", lambda key: None)
    monkeypatch.setattr(machine_code, "_object", lambda text, level: (texts.append(text), make(text, level))[1])
    told = {}
    for name in WAYS:
        del texts[:]
        with way(name):
            searched(corpus()["m1_mail-before-1-1-1-1"], "native")
            told[name] = tables[-1], any("pext" in text for text in texts), machine_code.brings_bits_together()
    assert [told[name][0] for name in ("16 bytes", "fingerprints")] == [(True, True, False, 2), (True, False, False, 2)]
    assert told["whole"][0][:3] == (False, True, True) and told["whole"][0][3] > 1
    assert [told[name][1:] for name in ("no pext", "old processor")] == [(False, False)] * 2
    assert told["whole"][1] == machine_code.brings_bits_together()
