"""From runs to results.md and the charts: tables by group, counts compared, ratios by round.

Every number is a median with its extremes; a tool that failed on a case has a row that says how. Leaves out running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import svg
from .cases import CASES, GROWTH, HOLDS, Case
from .runner import Run
from .stats import Summary, paired_ratio, summary
from .tools import TOOLS, Tool

HEAD = ("tool", "verdict", "states", "transitions", "search CPU s", "search s", "whole CPU s", "whole s", "peak MB", "bytes/state", "against {}")
_TOOLS = {tool.name: tool for tool in TOOLS}


@dataclass(frozen=True, slots=True)
class Session:
    """All that a report is made of."""

    runs: Sequence[Run]
    facts: Mapping[str, str]  # the machine, its load, the versions
    absent: Mapping[str, str]  # tools that could not run, and why
    repeat: int
    limit: float


def markdown(session: Session) -> str:
    """The whole of results.md."""
    parts = ["# lockverse beside other model checkers", "", "Made by `python -m bench`; README.md says what each column means.", ""]
    parts += [f"- {name}: {value}" for name, value in session.facts.items()]
    parts.append(f"- {session.repeat} runs of each, tools taking turns; medians, least and greatest in brackets; "
                 f"limit {session.limit:g} s a run")  # fmt: skip
    parts += ["", "Not run:" if session.absent else "Every tool was there.", ""]
    parts += [f"- {_title(name)}: {why}" for name, why in session.absent.items()]
    parts += ["", *_group(session, "raw", "Raw speed: no reduction on either side", "lockverse-1", "search_cpu")]
    parts += _group(session, "verdict", "Time to verdict: everything on, as each tool comes", "lockverse", "whole_wall")
    parts += _growth(session)
    parts += _startup(session)
    parts += ["## Counts", "", *(counts_report(session.runs) or ["Every count of a search without reductions is the one expected."]), ""]
    return "\n".join(parts)


def _title(name: str) -> str:
    return _TOOLS[name].title if name in _TOOLS else name


def _of(session: Session, case: str, tool: str) -> list[Run]:
    return [run for run in session.runs if (run.case, run.tool) == (case, tool)]


def _group(session: Session, group: str, title: str, ours: str, ratio_of: str) -> list[str]:
    parts = [f"## {title}", ""]
    for case in CASES:
        names = [tool.name for tool in TOOLS if group in tool.groups and _of(session, case.name, tool.name)]
        if group in case.groups and names:
            parts += [f"### {case.name}: {case.title}", "", *_table(session, case, names, ours, ratio_of), ""]
    return parts if len(parts) > 2 else []


def _table(session: Session, case: Case, names: Sequence[str], ours: str, ratio_of: str) -> list[str]:
    what = "search CPU" if ratio_of == "search_cpu" else "whole time"
    rows = [[cell.format(f"{ours} ({what})") for cell in HEAD]]
    own = _by_round(_of(session, case.name, ours), ratio_of)
    for name in names:
        rows.append(row(_of(session, case.name, name), case, own, ratio_of))
    return _as_table(rows)


def _as_table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return [lines[0], "|---" * 2 + "|---:" * (len(rows[0]) - 2) + "|", *lines[1:]]


def _by_round(runs: Sequence[Run], what: str) -> dict[int, float]:
    return {run.round: value for run in runs if not run.problem and (value := getattr(run, what)) is not None}


def row(runs: Sequence[Run], case: Case, own: Mapping[int, float], ratio_of: str) -> list[str]:
    """One tool's row of a table."""
    good = [run for run in runs if not run.problem]
    title = _title(runs[0].tool)
    if not good:
        return [title, f"**{runs[-1].problem}**", *["-"] * (len(HEAD) - 2)]
    numbers = [_shown(good, what, _seconds) for what in ("search_cpu", "search_wall", "whole_cpu", "whole_wall")]
    failed = len(runs) - len(good)
    verdict = good[0].verdict or "-"
    verdict += "" if verdict == case.verdict else f" (**expected {case.verdict}**)"
    verdict += f" ({failed} of {len(runs)} runs failed: {runs[-1].problem})" if failed else ""
    ratio = paired_ratio(_by_round(good, ratio_of), own)
    return [
        title, verdict, _count(good[0].states), _count(good[0].transitions), *numbers,
        _shown(good, "peak_bytes", lambda value: f"{value / 1e6:.0f}"), _shown(good, "state_bytes", lambda value: f"{value:.1f}", extremes=False),
        "-" if ratio is None else f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
    ]  # fmt: skip


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _summary(runs: Sequence[Run], what: str) -> Summary | None:
    return summary(list(_by_round(runs, what).values()))


def _shown(runs: Sequence[Run], what: str, show: Callable[[float], str], *, extremes: bool = True) -> str:
    found = _summary(runs, what)
    if found is None:
        return "-"
    spread = f" [{show(found.low)}, {show(found.high)}]" if extremes and found.count > 1 else ""
    return show(found.median) + spread


def counts_report(runs: Sequence[Run]) -> list[str]:
    """Where a count of states or a verdict is not what it must be, a line each; nothing if all agree."""
    known = {case.name: case for case in CASES}
    found: dict[str, None] = {}
    for run in runs:
        case, tool = known.get(run.case), _TOOLS.get(run.tool)
        if case is None or tool is None or run.problem:
            continue
        if run.verdict != case.verdict:
            found[f"- {case.name}, {tool.title}: the verdict is {run.verdict}, expected {case.verdict}"] = None
        if case.verdict == HOLDS and case.states is not None and run.states not in (case.states, None):
            why = _why(tool)
            found[f"- {case.name}, {tool.title}: {run.states:,} states, {case.states:,} without reductions{why}"] = None
    return list(found)


def _why(tool: Tool) -> str:
    if not tool.same_grain:
        return " (its own grain: a step is one of its bytecode's)"
    return " (reductions are on)" if tool.reduces else " - **THIS MUST NOT BE**"


def _growth(session: Session) -> list[str]:
    parts = ["## Growth with size", "", "CPU seconds of the search alone, and peak memory in MB.", ""]
    for title, (letter, cases) in GROWTH.items():
        names = [tool.name for tool in TOOLS if "growth" in tool.groups and any(_of(session, case, tool.name) for case in cases)]
        if not names:
            continue
        rows = [[title, "states", *(_title(name) for name in names)]]
        for case in (one for name in cases for one in CASES if one.name == name):
            if not any(_of(session, case.name, name) for name in names):
                continue
            rows.append([f"{letter} = {case.parameters[letter]}", _count(case.states), *(_growth_cell(_of(session, case.name, name)) for name in names)])
        parts += [*_as_table(rows), ""]
    return parts if len(parts) > 4 else []


def _growth_cell(runs: Sequence[Run]) -> str:
    good = [run for run in runs if not run.problem]
    if not good:
        return (runs[-1].problem or "-") if runs else "-"
    seconds = _shown(good, "search_cpu", _seconds)
    if seconds == "-":
        seconds = f"{_shown(good, 'search_wall', _seconds)} wall"
    return f"{seconds}; {_shown(good, 'peak_bytes', lambda value: f'{value / 1e6:.0f}', extremes=False)} MB"


def _startup(session: Session) -> list[str]:
    runs = [run for run in session.runs if run.case == "S0"]
    rows = [["from the command to the verdict", "verdict", "wall s", "CPU s", "peak MB"]]
    for name in dict.fromkeys(run.tool for run in runs):
        good = [run for run in runs if run.tool == name and not run.problem]
        label = {"python": "`python -c pass`", "lockverse": "`lockverse check schemes/mail/rung_a.py`"}.get(name, f"{_title(name)}, L1")
        if good:
            peak = _shown(good, "peak_bytes", lambda value: f"{value / 1e6:.0f}")
            rows.append([label, good[0].verdict or "-", _shown(good, "whole_wall", _seconds), _shown(good, "whole_cpu", _seconds), peak])
        else:
            rows.append([label, next(run.problem or "-" for run in runs if run.tool == name), "-", "-", "-"])
    return ["## Start-up", "", *_as_table(rows), ""] if len(rows) > 1 else []


# Charts


def charts(session: Session) -> dict[str, str]:
    """The charts there is data for, by file name."""
    found = {}
    speed, memory = _bars(session, "search_cpu", 1.0), _bars(session, "peak_bytes", 1e6)
    if speed:
        found["speed.svg"] = svg.bars("Search alone, no reduction: CPU seconds (lower is better)", "CPU seconds", speed)
    if memory:
        found["memory.svg"] = svg.bars("Peak memory of the search's process, no reduction: MB (lower is better)", "MB", memory)
    panels = [_panel(session, title, letter, cases) for title, (letter, cases) in GROWTH.items()]
    if any(panel.series for panel in panels):
        found["growth.svg"] = svg.lines("Growth with size: CPU seconds of the search alone", "CPU seconds", panels)
    return found


def _value(runs: Sequence[Run], what: str, unit: float) -> svg.Value | None:
    found = _summary(runs, what)
    return None if found is None else svg.Value(found.median / unit, found.low / unit, found.high / unit)


def _bars(session: Session, what: str, unit: float) -> dict[str, dict[str, svg.Value]]:
    found: dict[str, dict[str, svg.Value]] = {}
    for case in CASES:
        if "raw" in case.groups and (case.states or 0) > 50_000:
            values = {t.name: v for t in TOOLS if "raw" in t.groups and (v := _value(_of(session, case.name, t.name), what, unit))}
            if values:
                found[case.name] = values
    return found


def _panel(session: Session, title: str, letter: str, cases: Sequence[str]) -> svg.Panel:
    series: dict[str, dict[int, svg.Value]] = {}
    for tool in (one for one in TOOLS if "growth" in one.groups):
        for case in (one for one in CASES if one.name in cases):
            value = _value(_of(session, case.name, tool.name), "search_cpu", 1.0)
            if value is not None and value.median > 0:
                series.setdefault(tool.name, {})[case.parameters[letter]] = value
    return svg.Panel(title.split(",")[0], letter, series)
