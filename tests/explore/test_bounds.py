"""Each bound is hit, says its name and what moves it, and is never a pass. A scheme that just fits passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import fields

from lockverse.explore import search
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Progress, explore
from lockverse.machine.interpreter import Interpreter
from lockverse.session import check

from ..support import WITHOUT_FINDINGS, checked, linked_of, scheme_text, task_of

# Two CPUs of four steps each: 25 states, 40 moves, depth 8 (the grid of test_closed_forms.py).
BODY = "def run(x):\n" + "    atomic_inc(x.count)\n" * 4
SCENE = "x = node()\ny = node()\ncpu(run, x)\ncpu(run, y)"


@pytest.mark.parametrize(
    ("bounds", "name"),
    [(Bounds(states=24), "states"), (Bounds(depth=7), "depth"), (Bounds(seconds=0), "seconds"), (Bounds(memory=1), "memory")],
)
def test_hit(tmp_path: Path, bounds: Bounds, name: str) -> None:
    outcome = checked(tmp_path, BODY, SCENE, bounds)
    assert (outcome.verdict, outcome.bound) == ("unknown", name)
    assert outcome.bound_message is not None and f"--max-{name}" in outcome.bound_message


def test_just_enough(tmp_path: Path) -> None:
    outcome = checked(tmp_path, BODY, SCENE, Bounds(states=25, depth=8))
    assert (outcome.verdict, outcome.states, outcome.depth) == ("holds", 25, 8)
    assert checked(tmp_path, BODY, SCENE, Bounds(None, None, None, None)).verdict == "holds"


def test_work_inside_a_step(tmp_path: Path) -> None:
    """Each round of the loop is at least three operations and none repeats a state, as i only grows."""
    body = "def run(x):\n    i = 0\n    while i < 2000:\n        i += 1\n    x.n = 1"
    outcome = checked(tmp_path, body, bounds=Bounds(ops=3000))
    assert (outcome.verdict, outcome.bound) == ("unknown", "ops")
    assert checked(tmp_path, body).verdict == "holds"


def test_every_bound_is_hit_somewhere() -> None:
    assert {field.name for field in fields(Bounds)} == {"states", "depth", "seconds", "memory", "ops"}


def test_interrupted(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    outcome = check(task_of(tmp_path, scheme_text(BODY, SCENE)), Bounds(), interrupt, WITHOUT_FINDINGS)
    assert (outcome.verdict, outcome.bound) == ("unknown", "interrupted")


def test_a_failure_found_before_the_bound_counts(tmp_path: Path) -> None:
    """The lost update fails at depth 4, so a depth of 4 is enough to see it and 3 is not."""
    body, scene = "def run(x):\n    x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)"
    assert checked(tmp_path, body, scene, Bounds(depth=4)).verdict == "broken"
    assert checked(tmp_path, body, scene, Bounds(depth=3)).verdict == "unknown"


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[Progress] = []
    explore(Interpreter(linked_of(tmp_path, scheme_text(BODY, SCENE))), [], Bounds(), told.append)
    assert [one.depth for one in told] == list(range(9))  # each level is smaller than LOOK_EVERY
    assert search.LOOK_EVERY > 25
