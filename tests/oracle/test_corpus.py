"""The schemes of the repository: verdicts as expected, counts equal to brute force, every race replayed.

Expected verdicts and reasons come from thinking (said in each .expected.toml), counts from brute force alone: those of a search
without reduction. Where brute force never comes to an end (TOO_LARGE) nothing but
verdict and reason is expected. It runs here for what has up to MOST states; what is stored beyond that took it minutes.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.report.verdict import Outcome
from lockverse.session import Task, check, open_file, replay, tasks
from lockverse.trace.serialize import dumps, loads

from ..support import ROOT, SCHEMES
from .explore import brute_force

NOT_BY_BRUTE_FORCE = {"circle_of_three", "lockless_read", "safe_before_unsafe"}  # findings of no one execution
TOO_LARGE = {("qspinlock", "pending_and_queue")}
MOST = 300
ALL_LARGE = {"atomics/percpu_ref", "ports/rcu_grace_period", "ports/try_to_wake_up"}
UNREDUCED = Options(reductions=())


def _tasks(every: bool) -> list[Task]:
    return [task for path in SCHEMES for task in tasks(open_file(path), None, {}, every)]


def _name(task: Task) -> str:
    path = task.file.path
    return f"{path.parent.name}-{path.stem}-{task.scheme}-{'-'.join(value for _, value in task.shown)}"


def _expected(task: Task) -> dict[str, Any]:
    with task.file.path.with_suffix(".expected.toml").open("rb") as stream:
        found: dict[str, Any] = tomllib.load(stream)[task.scheme]
    return found


EVERY = {_name(task): task for task in _tasks(every=True)}
BY_BRUTE_FORCE = [path for path in SCHEMES if path.stem not in NOT_BY_BRUTE_FORCE]


@cache
def _outcome(name: str) -> Outcome:
    """What a check as it comes says."""
    return check(EVERY[name], Bounds(), lambda _: None)


@pytest.mark.parametrize("task", _tasks(every=False), ids=_name)
def test_expected(task: Task) -> None:
    outcome = _outcome(_name(task))
    found = {"verdict": outcome.verdict.value} | ({} if outcome.reason is None else {"reason": outcome.reason})
    if task.file.path in BY_BRUTE_FORCE and (task.file.path.stem, task.scheme) not in TOO_LARGE:
        counted = check(task, Bounds(), lambda _: None, UNREDUCED)
        assert (counted.verdict, counted.reason) == (outcome.verdict, outcome.reason)
        found |= {"states": counted.states, "transitions": counted.transitions, "depth": counted.depth}
        found |= {} if outcome.reason is None else {"context_switches": outcome.switches}
    assert found == _expected(task)


def compared(task: Task, most: int) -> bool:
    """Whether a task has few enough states for brute force, which then agrees."""
    outcome = check(task, Bounds(states=most), lambda _: None, UNREDUCED)
    if outcome.bound == "states":
        return False
    found = brute_force(task.file.schemes[task.scheme], dict(task.arguments))
    assert (outcome.states, outcome.transitions, outcome.depth) == (found.states, found.transitions, found.depth), _name(task)
    if outcome.reason is None:
        assert not found.failures, _name(task)
    else:
        assert outcome.switches == found.failures[outcome.reason] == min(found.failures.values()), _name(task)
    return True


def _compared(path: Path, most: int) -> list[bool]:
    return [compared(task, most) for task in tasks(open_file(path), None, {}, True)]


@pytest.mark.parametrize("path", BY_BRUTE_FORCE, ids=lambda path: path.stem)
def test_brute_force_agrees(path: Path) -> None:
    """With all choices of parameters that are small enough: in all files but a few there are some."""
    assert any(_compared(path, MOST)) != (f"{path.parent.name}/{path.stem}" in ALL_LARGE)


@pytest.mark.long
@pytest.mark.parametrize("path", BY_BRUTE_FORCE, ids=lambda path: path.stem)
def test_brute_force_agrees_on_larger_ones(path: Path) -> None:
    _compared(path, 3 * MOST)


@pytest.mark.parametrize("name", EVERY)
def test_every_race_replays(name: str) -> None:
    trace = _outcome(name).trace
    if trace is not None:
        assert loads(dumps(trace)) == trace
        assert replay(trace, Path(".")) == trace


@pytest.mark.parametrize("name", [name for name, task in EVERY.items() if task.file.path.parent.name == "ports"])
def test_a_port_does_at_every_size_what_it_does_at_one(name: str) -> None:
    assert _outcome(name).verdict.value == _expected(EVERY[name])["verdict"]


def test_every_scheme_file_says_what_to_expect() -> None:
    for path in SCHEMES:
        with path.with_suffix(".expected.toml").open("rb") as stream:
            assert set(tomllib.load(stream)) == set(open_file(path).schemes), path.name
    stray = [one for one in (ROOT / "schemes").rglob("*.expected.toml") if not Path(str(one).replace(".expected.toml", ".py")).exists()]
    assert not stray


def test_correct_and_broken_forms() -> None:
    """Each of the classics and of the ports has at least one scheme that holds and one that is broken."""
    for path in [*(ROOT / "schemes" / "classics").glob("*.expected.toml"), *(ROOT / "schemes" / "ports").glob("*.expected.toml")]:
        with path.open("rb") as stream:
            verdicts = {one["verdict"] for one in tomllib.load(stream).values()}
        assert verdicts == {"holds", "broken"}, path.name
