"""Random programs that allocate, free, read under RCU and queue callbacks: the search against brute force, count for count.

`pooled(seed)` is the text of a program that fails here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.diagnostics.model import Rejected
from lockverse.explore.bounds import Bounds
from lockverse.session import check, open_file, tasks

from ..reduction.pooled import pooled
from ..support import WITHOUT_FINDINGS, write
from .explore import brute_force


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_brute_force_agrees(tmp_path: Path, first: int) -> None:
    compared, reasons = 0, set()
    for seed in range(first, first + 15):
        try:
            task = tasks(open_file(write(tmp_path, pooled(seed))), None, {}, every=False)[0]
            outcome = check(task, Bounds(states=150), lambda _: None, WITHOUT_FINDINGS)
        except Rejected:
            continue
        if outcome.bound is None:
            found = brute_force(task.file.schemes["scene"], {})
            assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth), seed
            assert (outcome.reason is None) == (not found.failures), seed
            assert outcome.reason is None or outcome.switches == found.failures[outcome.reason], seed
            compared += 1
            reasons.add(outcome.reason)
    assert compared >= 8 and len(reasons) >= 3
