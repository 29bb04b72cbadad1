"""What holds for every diagram, tried on the races of random programs: nothing is out of order, in two columns, or lost.

Leaves out what a good diagram looks like: test_diagrams.py.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockverse.explore.bounds import Bounds
from lockverse.report.fold import folded
from lockverse.report.line import Kind, Line
from lockverse.report.story import Story, tell
from lockverse.report.text import Style, draw
from lockverse.session import check
from lockverse.trace.model import Column, Trace

from ..oracle.programs import program
from ..support import WITHOUT_FINDINGS, task_of


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[Trace]:
    """The races of a few hundred random programs."""
    folder = tmp_path_factory.mktemp("programs")
    found = []
    for seed in range(40000, 40160):
        outcome = check(task_of(folder, program(seed, threads=2 + seed % 3)), Bounds(states=800), lambda _: None, WITHOUT_FINDINGS)
        if outcome.trace is not None and outcome.trace.events:
            found.append(outcome.trace)
    assert len(found) >= 30
    return found


def _column_starts(text: str, story: Story) -> list[int]:
    header = next(line for line in text.split("\n") if ":" in line or line.startswith("CPU"))
    return [match.start() for match in re.finditer(r"\S+(?: \(CPU\d\))?:?", header)][: len(story.columns)]


def test_order_and_completeness(traces: list[Trace]) -> None:
    for trace in traces:
        for depth in (None, 1, 2):
            story = tell(trace, depth=depth, fold=False)
            shown = [line.events for line in story.lines if line.events is not None]
            assert [first for first, _ in shown] == sorted(first for first, _ in shown), "time goes downwards"
            covered = {number for first, last in shown for number in range(first, last + 1)}
            assert covered == set(range(len(trace.events))), "every step is on some line"
            for line in story.lines:
                if line.events is not None:
                    mine = {trace.events[number].thread for number in range(line.events[0], line.events[1] + 1)}
                    assert line.column in mine


def test_the_failing_line_is_there(traces: list[Trace]) -> None:
    for trace in traces:
        if trace.failure.thread is not None:
            failing = [line for line in tell(trace).lines if line.kind is Kind.FAILING]
            assert failing and failing[-1].column == trace.failure.thread
            assert trace.failure.remark in failing[-1].remark


def test_text(traces: list[Trace]) -> None:
    for trace in traces:
        for style in (Style(), Style(headers="cpu"), Style(tabs=True), Style(headers="function", tabs=True)):
            story = tell(trace)
            text = draw(story, style)
            assert all(line == line.rstrip() for line in text.split("\n"))
            assert text.isprintable() or all(ch.isprintable() or ch in "\n\t" for ch in text)
            assert style.tabs or "\t" not in text
            assert "\x1b" not in text
            wide = [line.expandtabs() for line in text.split("\n")]
            quoted = [("> " + line).expandtabs() for line in text.split("\n")]
            if not style.tabs:
                assert [line[2:] for line in quoted] == wide, "quoting moves all columns alike"


def test_folding_keeps_order_and_columns(traces: list[Trace]) -> None:
    for trace in traces:
        full, short = tell(trace, fold=False).lines, tell(trace).lines
        assert len(short) <= len(full)
        kept = [line for line in short if not line.text.startswith("...")]
        places = iter(full)
        assert all(any(line == other for other in places) for line in kept), "what is left is in the same order"


lines = st.builds(
    Line, st.integers(0, 2), st.integers(0, 3), st.sampled_from(["a", "b = 1", "if c:", "f(x)"]), st.sampled_from(["", "reads 0"]),
    st.sampled_from([Kind.PLAIN, Kind.PLAIN, Kind.SKIPPED, Kind.FAILING]), st.none(), st.booleans(),
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, min_size=1, max_size=25), st.sampled_from(["function", "cpu"]), st.booleans())
def test_a_line_is_in_its_own_column(all_lines: list[Line], headers: str, tabs: bool) -> None:
    columns = tuple(Column(f"f{n}", n) for n in range(3))
    text = draw(Story(columns, (), tuple(all_lines)), Style(headers, tabs))
    rows = [row.expandtabs() for row in text.split("\n")[1 + (headers == "cpu") : -1]]
    header = text.split("\n")[0].expandtabs()
    starts = [header.index(f"f{n}:" if headers == "function" else f"CPU{n}") for n in range(3)]
    assert not tabs or all(start % 8 == 0 for start in starts)
    assert len(rows) == len(all_lines)
    for row, line in zip(rows, all_lines, strict=True):
        assert line.column is not None
        body = starts[line.column] + (2 if headers == "function" else 0) + 2 * line.depth
        assert row[:body].strip() == "" and row[body:].startswith(line.text)
        if line.remark:
            assert row.endswith(f"// {line.remark}")


@settings(max_examples=200, deadline=None)
@given(st.lists(lines, max_size=25))
def test_folding_loses_only_what_is_private_or_alike(all_lines: list[Line]) -> None:
    short = folded(all_lines)
    for line in all_lines:
        alike = sum(1 for other in all_lines if (other.text, other.depth, other.column) == (line.text, line.depth, line.column))
        assert line in short or line.private or alike >= 3
        assert line.kind is not Kind.FAILING or line in short or line.private
