"""Contexts through brute force and the search: random programs whose threads share CPUs and disable this and that, state for state.

Leaves out the schemes of schemes/contexts, which test_corpus.py holds to brute force too, and the native engine
(tests/machine/test_contexts.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.explore.bounds import Bounds
from lockverse.session import check, open_file, tasks

from ..support import WITHOUT_FINDINGS
from .explore import brute_force
from .programs import contextual

MOST = 600


def compared(folder: Path, seed: int) -> bool | None:
    """Whether something is wrong with a program, brute force and search agreeing; None if it does not compile, or is too large."""
    path = folder / f"c{seed}.py"
    path.write_text(contextual(seed))
    (task,) = tasks(open_file(path), None, {}, every=False)
    try:
        outcome = check(task, Bounds(states=MOST), lambda _: None, WITHOUT_FINDINGS)
    except Rejected:
        return None
    if outcome.bound == "states":
        return None
    found = brute_force(task.file.schemes[task.scheme], {}, limit=MOST)
    assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth), seed
    if outcome.reason is None:
        assert not found.failures, seed
    else:
        assert outcome.switches == found.failures[outcome.reason] == min(found.failures.values()), seed
    return outcome.reason is not None


@pytest.mark.parametrize("first", [3000, 3025, 3050])
def test_search_and_brute_force_agree(tmp_path: Path, first: int) -> None:
    results = [compared(tmp_path, seed) for seed in range(first, first + 25)]
    assert results.count(True) >= 3 and results.count(False) >= 3


@pytest.mark.long
@pytest.mark.parametrize("first", range(610_000, 612_000, 100))
def test_many(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        compared(tmp_path, seed)
