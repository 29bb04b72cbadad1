"""Page for page with Linux 6.1: the simulator gives what a real kernel gave, in every workload that was recorded.

The expected values are the recordings. The table in docs/fidelity-linux.md is what is compared here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..support import ROOT
from .compact import files, read
from .conformance import Comparison, compared, run, table

_found: dict[str, Comparison] = {}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_conformance(path: Path) -> None:
    recorded = read(path)
    found = _found[path.stem] = compared(recorded, run(recorded))
    assert not found.differences, "\n".join(found.differences[:20])
    assert (found.results, found.owners, found.numbers) == (len(recorded.ops), len(recorded.owners), recorded.numbers())


def test_the_table_is_true() -> None:
    """That of docs/fidelity-linux.md, to the letter."""
    for path in files():
        if path.stem not in _found:  # only this test was asked for
            recorded = read(path)
            _found[path.stem] = compared(recorded, run(recorded))
    ran = table([_found[path.stem] for path in files()])
    assert ran in (ROOT / "docs" / "fidelity-linux.md").read_text()
    assert re.search(r"^\| all \| 89 \| 2,246 \| 64 \| 46,746 \| 0 \|$", ran, re.M)


@pytest.mark.parametrize("path", files()[:5], ids=lambda path: path.stem)
def test_a_difference_is_noticed(path: Path) -> None:
    """Each kind of answer, changed in one place."""
    recorded = read(path)
    for change in ("results", "owners", "numbers", "groups"):
        other = read(path)
        if change == "results":
            other.results[-1] = -16
        elif change == "owners" and other.owners:
            next(iter(other.owners.values()))[0] = "nonex1"
        elif change == "numbers":
            row = dict(next(iter(other.checkpoints.values()))["."])
            other.checkpoints[next(iter(other.checkpoints))] = {**next(iter(other.checkpoints.values())), ".": row | {"usage": row["usage"] + 1}}
        elif change == "groups":
            other.checkpoints[next(iter(other.checkpoints))] = {".": next(iter(other.checkpoints.values()))["."]}
        else:
            continue
        assert len(compared(recorded, other).differences) == 1, change
