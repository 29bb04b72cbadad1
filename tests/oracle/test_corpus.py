"""The schemes of the repository: verdicts as expected, counts equal to brute force, every race replayed.

Expected verdicts and reasons come from thinking (said in each .expected.toml), counts from brute force alone. Where brute force
does not know the vocabulary (NOT_BY_BRUTE_FORCE) nothing but verdict and reason is expected.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.session import Task, check, open_file, replay, tasks
from lockverse.trace.serialize import dumps, loads

from ..support import ROOT, SCHEMES
from .explore import brute_force

NOT_BY_BRUTE_FORCE = {"contexts"}  # tests/machine/test_contexts.py has closed forms


def _tasks(every: bool) -> list[Task]:
    return [task for path in SCHEMES for task in tasks(open_file(path), None, {}, every)]


def _name(task: Task) -> str:
    return f"{Path(task.file.shown).stem}-{task.scheme}-{'-'.join(value for _, value in task.shown)}"


@pytest.mark.parametrize("task", _tasks(every=False), ids=_name)
def test_expected(task: Task) -> None:
    with task.file.path.with_suffix(".expected.toml").open("rb") as stream:
        expected = tomllib.load(stream)[task.scheme]
    outcome = check(task, Bounds(), lambda _: None)
    found = {
        "verdict": outcome.verdict.value, "states": outcome.states, "transitions": outcome.transitions, "depth": outcome.depth,
    }  # fmt: skip
    if outcome.reason is not None:
        found |= {"reason": outcome.reason, "context_switches": outcome.switches}
    if task.file.path.parent.name in NOT_BY_BRUTE_FORCE:
        found = {name: value for name, value in found.items() if name in ("verdict", "reason")}
    assert found == expected


@pytest.mark.parametrize("task", [one for one in _tasks(every=True) if one.file.path.parent.name not in NOT_BY_BRUTE_FORCE], ids=_name)
def test_brute_force_agrees(task: Task) -> None:
    outcome = check(task, Bounds(), lambda _: None)
    found = brute_force(task.file.schemes[task.scheme], dict(task.arguments))
    assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth)
    if outcome.reason is None:
        assert not found.failures
    else:
        assert outcome.switches == found.failures[outcome.reason] == min(found.failures.values())


@pytest.mark.parametrize("task", _tasks(every=True), ids=_name)
def test_every_race_replays(task: Task) -> None:
    trace = check(task, Bounds(), lambda _: None).trace
    if trace is not None:
        assert loads(dumps(trace)) == trace
        assert replay(trace, Path(".")) == trace


def test_every_scheme_file_says_what_to_expect() -> None:
    for path in SCHEMES:
        with path.with_suffix(".expected.toml").open("rb") as stream:
            assert set(tomllib.load(stream)) == set(open_file(path).schemes), path.name
    stray = [one for one in (ROOT / "schemes").rglob("*.expected.toml") if not Path(str(one).replace(".expected.toml", ".py")).exists()]
    assert not stray


def test_correct_and_broken_forms() -> None:
    """Each of the classics has at least one scheme that holds and one that is broken."""
    for path in (ROOT / "schemes" / "classics").glob("*.expected.toml"):
        with path.open("rb") as stream:
            verdicts = {one["verdict"] for one in tomllib.load(stream).values()}
        assert verdicts == {"holds", "broken"}, path.name
