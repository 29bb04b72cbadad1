"""`--exact`: states of more than 127 bits are told apart by all of them, with one thread and with two, and it is said so.

States of these schemes are that wide because their fields count in large steps: the counts are closed forms. That such a search is the
search as ever, on more programs than have wide states: test_ways.py. The table itself: tests/explore/test_whole.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lockverse.engine import Options, search
from lockverse.explore import native
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Progress, Result
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.reduction import REDUCTIONS
from lockverse.report.verdict import footer
from lockverse.session import _observers, check

from ..codegen.common import NO_BOUNDS, corpus, counts, linked_text, searched, silent, verdict
from ..support import run, scheme_text, task_of

FIELDS, STEPS = 4, 10
HEAD = "@struct\nclass wide:\n" + "".join(f"    f{n}: s64\n" for n in range(FIELDS))
STEP = 10**14  # a field needs some fifty bits for STEPS of these


def wide(folder: Path, last: str = "", scene: str = "") -> Linked:
    """A CPU for each field, which counts it up: each goes through a read and a write STEPS times."""
    functions = "".join(f"def run{n}(w):\n    for i in range({STEPS}):\n        w.f{n} += {STEP}\n" + last for n in range(FIELDS))
    cpus = "".join(f"cpu(run{n}, w)\n" for n in range(FIELDS))
    return linked_text(folder, functions, f"w = wide()\n{cpus}{scene}", HEAD)


def exactly(linked: Linked, reductions: tuple[str, ...] = (), jobs: int = 1, bounds: Bounds = NO_BOUNDS, tell: Callable[[Progress], None] = silent) -> Result:
    """Search for all that there is without fingerprints."""
    return search(linked, _observers, bounds, tell, Options("native", reductions, jobs, exact=True))


@pytest.mark.parametrize("jobs", [1, 2])
def test_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """A read and a write each round, one thread's alone: (2 * STEPS + 1) ** FIELDS states. The table grows on the way."""
    monkeypatch.setattr(native, "FIRST_LINES", 4)
    monkeypatch.setattr(native, "PARALLEL_FROM", 2)
    linked = wide(tmp_path)
    found, usual = exactly(linked, (), jobs), searched(linked, "native", (), jobs)
    assert found.states == (2 * STEPS + 1) ** FIELDS and found.complete
    assert counts(found) == counts(usual)
    assert found.engine.bits > 127 and found.engine.exact and not usual.engine.exact


@pytest.mark.parametrize("name", ["list_rcu-add_and_delete", "qspinlock-pending_and_queue"])
def test_schemes_with_wide_states(name: str) -> None:
    """The two of the repository that have more than 127 bits as they are."""
    linked = corpus()[name]
    for subset in ((), REDUCTIONS):
        found, usual = exactly(linked, subset, 2), searched(linked, "native", subset, 1)
        assert counts(found) == counts(usual) and found.engine.exact
        assert not usual.engine.exact or subset
    if name.startswith("list"):
        assert counts(exactly(linked)) == counts(searched(linked, "reference"))


SMALL = f"def run(w, x, y):\n    w.f0 += {STEP}\n    w.f1 += {STEP}\n    w.f2 += {STEP}\n    w.f3 -= {STEP}\n"


@pytest.mark.parametrize(
    ("last", "scene", "reason"),
    [
        ("    assert w.f0 > 0 and w.f3 != -2", f"at_rest(lambda: w.f0 == {2 * STEP})", Reason.AT_REST), (f"    assert w.f1 != {STEP} or w.f2 < {2 * STEP}", "", Reason.ASSERTION),
        ("    spin_lock(x.lock)\n    spin_lock(y.lock)\n    spin_unlock(y.lock)\n    spin_unlock(x.lock)\n", "", Reason.DEADLOCK), (f"    while READ_ONCE(w.f3) != {STEP}:\n        cpu_relax()", "", Reason.ENDLESS_SPINNING),
        ("", f"sometimes(lambda: w.f3 == {STEP})", Reason.SOMETIMES),
    ],
    ids=lambda one: one.value if isinstance(one, Reason) else "",
)  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 2])
def test_races_and_loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, scene: str, reason: Reason, jobs: int) -> None:
    """They are found among whole states, of which none is forgotten though the queue may keep but few."""
    for name, value in (("FIRST_KEPT", 64), ("KEPT_BYTES", 64), ("FIRST_LINES", 1), ("PARALLEL_FROM", 2)):
        monkeypatch.setattr(native, name, value)
    linked = linked_text(tmp_path, SMALL + last, f"w = wide()\nx = node()\ny = node()\ncpu(run, w, x, y)\ncpu(run, w, y, x)\n{scene}", HEAD)
    reference = searched(linked, "reference")
    assert reference.failing is not None and reference.failing.reason is reason
    found = exactly(linked, (), jobs)
    assert counts(found) == counts(reference) and found.engine.exact and found.engine.bits > 127
    assert verdict(exactly(linked, REDUCTIONS, jobs)) == verdict(reference)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("bounds", "name"),
    [(Bounds(states=1_000), "states"), (Bounds(depth=5), "depth"), (Bounds(seconds=0.0), "seconds"), (Bounds(memory=1), "memory")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_bounds(tmp_path: Path, bounds: Bounds, name: str, jobs: int) -> None:
    found = exactly(wide(tmp_path), (), jobs, bounds)
    assert found.bound is not None and found.bound.name == name and not found.complete and found.failing is None


def test_the_end_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue may not grow further, whatever the process has: that is the bound on memory, and is told as that."""
    for name in ("FIRST_KEPT", "FIRST_LINES"):
        monkeypatch.setattr(native, name, 1 << 8)
    monkeypatch.setattr(native, "memory_used", lambda: 0.0)
    linked = wide(tmp_path)
    found = exactly(linked, bounds=Bounds(memory=1))
    assert found.bound is not None and found.bound.name == "memory" and not found.complete
    size = -(-found.engine.bits // 64) * 8
    assert 1 << 20 <= found.states * size < 2 << 20  # the queue doubles


def test_interrupted(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    found = exactly(wide(tmp_path), tell=interrupt)
    assert found.bound is not None and found.bound.name == "interrupted" and not found.complete


def test_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chance that a state was missed, or that there is none. Asked for, it is said of small states too."""
    cpus = "".join(f"cpu(run, w, {n})\n" for n in range(2))
    text = scheme_text(f"def run(w, k: u8):\n    w.f0 += {STEP}\n    w.f1 += {STEP}\n    w.f2 += {STEP}", f"w = wide()\n{cpus}").replace("@struct", HEAD + "\n\n@struct", 1)
    task = task_of(tmp_path, text)
    likely, exact = (check(task, Bounds(), silent, Options("native", (), 1, findings=False, exact=one)) for one in (False, True))
    assert 0 < likely.engine.omission < 1e-30 and "fingerprints" in footer(likely)[1]
    assert exact.engine.omission == 0 and footer(exact)[1] == "states were told apart exactly (--exact)"
    assert exact.states == likely.states
    path = tmp_path / "wide.py"
    path.write_text(text)
    arguments = ("check", str(path), "--engine", "native", "--no-findings", "--no-trace")
    assert json.loads(run(*arguments, "--json").out)["results"][0]["engine"]["omission_probability"] > 0
    assert json.loads(run(*arguments, "--json", "--exact").out)["results"][0]["engine"]["omission_probability"] == 0
    assert "told apart exactly" in run(*arguments, "--exact").out
