"""Running it all: every tool on every case, round by round, so that no tool has a quiet machine to itself.

Within a case the tools take turns at going first. A tool that fails or is out of time on a case gives a run that says
so, and is not asked again for that case. Leaves out what is made of the runs: report.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .cases import Case
from .measure import Measured, measure
from .tools import HERE, Found, Tool, Unreadable

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """One tool on one case, once. Seconds and bytes are None if `problem` says why there are none."""

    case: str
    tool: str
    round: int
    problem: str | None = None
    verdict: str | None = None
    states: int | None = None
    transitions: int | None = None
    state_bytes: float | None = None
    search_cpu: float | None = None
    search_wall: float | None = None
    whole_cpu: float | None = None
    whole_wall: float | None = None
    peak_bytes: int | None = None
    engine: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The run as it stands in results.json."""
        return asdict(self)


def run_all(tools: Sequence[Tool], cases: Sequence[Case], repeat: int, limit: float, say: Say) -> Iterator[Run]:
    """All runs, round by round."""
    given_up: set[tuple[str, str]] = set()
    for number in range(repeat):
        for case in cases:
            wanted = [tool for tool in tools if _fits(tool, case) and (tool.name, case.name) not in given_up]
            turn = number % len(wanted) if wanted else 0
            for tool in wanted[turn:] + wanted[:turn]:
                run = run_one(tool, case, number, limit)
                if run.problem:
                    given_up.add((tool.name, case.name))
                say(f"round {number + 1}/{repeat}  {case.name:4} {tool.name:20} {_brief(run)}")
                yield run


def _fits(tool: Tool, case: Case) -> bool:
    return tool.takes(case) and any(group in tool.groups for group in case.groups)


def _brief(run: Run) -> str:
    if run.problem:
        return run.problem
    cpu = "-" if run.search_cpu is None else f"{run.search_cpu:.2f}"
    return f"{run.verdict}, {run.states or 0:,} states, search {cpu} s CPU, whole {run.whole_wall:.2f} s"


def run_one(tool: Tool, case: Case, number: int, limit: float) -> Run:
    """One tool on one case, in an empty folder; `limit` is for all its stages together."""
    run = Run(case.name, tool.name, number)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            done = _stages(tool, case, Path(folder), limit, run)
        except OSError as problem:
            run.problem = f"could not be started: {problem.strerror}"
            return run
    if run.problem is None:
        _read(run, tool, done)
    return run


def _stages(tool: Tool, case: Case, folder: Path, limit: float, run: Run) -> list[Measured]:
    done: list[Measured] = []
    stages = tool.stages(case)
    for stage in stages:
        one = measure(stage.command, folder, max(1.0, limit - sum(before.wall for before in done)))
        done.append(one)
        run.stages[stage.name] = {"wall": one.wall, "cpu": one.cpu, "peak_bytes": one.peak_bytes}
        if one.timed_out:
            run.problem = f"out of time: the limit is {limit:g} s ({stage.name})"
        elif one.code < 0:
            run.problem = f"{stage.name} was ended by signal {-one.code}"
        elif one.code and stage is not stages[-1]:
            run.problem = f"{stage.name} failed with code {one.code}"
        if run.problem:
            break
    return done


def _read(run: Run, tool: Tool, done: Sequence[Measured]) -> None:
    last = done[-1]
    try:
        found = tool.read(last.output)
    except Unreadable as problem:
        run.problem = f"no verdict: {problem}".replace(f"{HERE}{os.sep}", "").replace("|", "/")  # results name no folder of a machine
        return
    _take(run, found, last)
    run.whole_cpu, run.whole_wall = sum(one.cpu for one in done), sum(one.wall for one in done)
    run.peak_bytes = last.peak_bytes


def _take(run: Run, found: Found, last: Measured) -> None:
    run.verdict, run.states, run.transitions, run.state_bytes = found.verdict, found.states, found.transitions, found.state_bytes
    run.search_cpu, run.search_wall = (found.cpu, found.wall) if found.says_cpu else (last.cpu, last.wall)
    run.engine = dict(found.engine)
