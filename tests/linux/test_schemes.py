"""The schemes over the modelled kernel come out as their .expected.toml says, for the reason it says.

Expected verdicts come from the record, or from thinking where it has none; each file says which. With their defaults here; all
choices of all parameters in the long run (`-m long`). Leaves out counts: tests/oracle holds small schemes to brute force, and here
the reference and the native engine are held to each other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.session import Task, check, open_file, replay, tasks
from lockverse.trace.serialize import dumps, loads

from ..support import OVER_LINUX


def _tasks(every: bool) -> list[Task]:
    return [task for path in OVER_LINUX for task in tasks(open_file(path), None, {}, every)]


def _name(task: Task) -> str:
    return f"{Path(task.file.shown).stem}-{task.scheme}-{'-'.join(value for _, value in task.shown)}"


def _expected(task: Task) -> dict[str, Any]:
    with task.file.path.with_suffix(".expected.toml").open("rb") as stream:
        return dict(tomllib.load(stream)[task.scheme])


def _is_one_of(task: Task, patterns: Iterable[str]) -> str | None:
    """The first of some patterns that a choice of parameters is one of."""
    values = " ".join(value for _, value in task.shown)
    return next((pattern for pattern in patterns if fnmatchcase(values, pattern)), None)


def _verdict(task: Task) -> str:
    """What is expected of one choice of parameters."""
    return "broken" if _is_one_of(task, _expected(task).get("broken", ())) else "holds"


def _is_run(task: Task) -> bool:
    """Whether a run of all choices takes this one: `every` names those that are small enough, or is false where none is."""
    every = _expected(task).get("every", True)
    return every if isinstance(every, bool) else _is_one_of(task, every) is not None


def test_every_file_says_what_to_expect() -> None:
    for path in OVER_LINUX:
        with path.with_suffix(".expected.toml").open("rb") as stream:
            assert set(tomllib.load(stream)) == set(open_file(path).schemes), path.name


def _reason(task: Task) -> str:
    """What a broken one breaks for; `reasons` says where that is another reason than with the defaults."""
    expected = _expected(task)
    reasons = expected.get("reasons", {})
    return str(reasons.get(_is_one_of(task, reasons), expected.get("reason", "at-rest")))


@pytest.mark.parametrize("task", _tasks(every=False), ids=_name)
def test_defaults(task: Task) -> None:
    outcome = check(task, Bounds(), lambda _: None)
    assert outcome.verdict.value == _expected(task)["verdict"] == _verdict(task)
    if outcome.reason is not None:
        assert outcome.reason == _expected(task)["reason"]
        assert outcome.trace is not None
        assert loads(dumps(outcome.trace)) == outcome.trace
        assert replay(outcome.trace, Path(".")) == outcome.trace


@pytest.mark.long
@pytest.mark.parametrize("task", [task for task in _tasks(every=True) if _is_run(task)], ids=_name)
def test_all_choices(task: Task) -> None:
    outcome = check(task, Bounds(), lambda _: None)
    assert outcome.verdict.value == _verdict(task)
    if outcome.reason is not None:
        assert outcome.reason == _reason(task)


@pytest.mark.long
@pytest.mark.parametrize("task", _tasks(every=False), ids=_name)
def test_engines_agree(task: Task) -> None:
    counts = []
    for engine in ("reference", "native"):
        outcome = check(task, Bounds(), lambda _: None, Options(engine=engine, reductions=()))
        counts.append((outcome.verdict, outcome.reason, outcome.states, outcome.transitions, outcome.depth))
    assert counts[0] == counts[1]
