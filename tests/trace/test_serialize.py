"""Trace files: complete, versioned, strict. A part that is missing, unknown, or of the wrong type is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockverse.ir.reason import Reason
from lockverse.ir.source import Statement
from lockverse.trace.model import Access, Blocked, Column, Event, Failure, Trace, Visit
from lockverse.trace.serialize import TraceFormatError, dumps, loads

from ..support import checked

text = st.text(max_size=5)
zero = st.just((0,))
traces = st.builds(
    Trace, text, text, st.lists(st.tuples(text, text), max_size=2).map(tuple),
    st.lists(st.builds(Statement, text, text, st.integers(0, 9), text, st.just("simple"), st.integers(0, 3)), min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(Column, text, st.integers(0, 3), zero), min_size=1, max_size=2).map(tuple), st.lists(st.tuples(text, text), max_size=2).map(tuple),
    st.lists(
        st.builds(
            Event, st.just(0), text, zero, st.integers(0, 3), st.one_of(st.none(), text),
            st.lists(st.builds(Access, text, st.sampled_from(["read", "write"]), text, text, st.integers(0, 8)), max_size=2).map(tuple),
            st.lists(st.builds(Visit, zero, st.one_of(st.none(), st.booleans()), st.one_of(st.none(), text)), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    st.builds(
        Failure, st.sampled_from(list(Reason)), text, text, st.one_of(st.none(), st.just(0)), zero,
        st.lists(st.builds(Blocked, st.just(0), zero, text, st.one_of(st.none(), text), st.none()), max_size=1).map(tuple), st.none(),
        st.one_of(st.none(), st.integers(0, 3)), st.lists(text, max_size=2).map(tuple),
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(traces)
def test_round_trip(trace: Trace) -> None:
    assert loads(dumps(trace)) == trace
    assert dumps(loads(dumps(trace))) == dumps(trace)


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, Any]:
    """A real trace as plain data."""
    trace = checked(tmp_path, "def run(x):\n    x.n += 1\n    assert x.n == 1", "x = node()\ncpu(run, x)\ncpu(run, x)").trace
    assert trace is not None
    found: dict[str, Any] = json.loads(dumps(trace))
    return found


def _refused(body: object, expected: str) -> None:
    with pytest.raises(TraceFormatError) as caught:
        loads(json.dumps(body))
    assert expected in str(caught.value)


def test_what_is_no_trace(plain: dict[str, Any]) -> None:
    with pytest.raises(TraceFormatError, match="not JSON"):
        loads("{")
    _refused([], "not a trace")
    _refused({**plain, "format": "other"}, "not a trace")
    _refused({**plain, "version": 99}, "version 99")


def test_parts_are_named(plain: dict[str, Any]) -> None:
    _refused({**plain, "extra": 1}, "trace: Object contains unknown field extra")
    _refused({key: value for key, value in plain.items() if key != "events"}, "trace: Object missing required field events")
    _refused({**plain, "scheme": 3}, "trace.scheme: Expected str, got int")
    _refused({**plain, "events": {}}, "trace.events: Expected array, got object")
    _refused({**plain, "initial": [["a"]]}, "trace.initial[0]: Expected array of length 2, got 1")


def test_parts_inside_are_named(plain: dict[str, Any]) -> None:
    plain["events"][1]["thread"] = "0"
    _refused(plain, "trace.events[1].thread: Expected int, got str")
    plain["events"][1]["thread"] = 7
    _refused(plain, "trace.events[1].thread: there is no number 7")
    plain["events"][1]["thread"] = True
    _refused(plain, "trace.events[1].thread: Expected int, got bool")


def test_indices_lead_somewhere(plain: dict[str, Any]) -> None:
    stack = plain["events"][0]["stack"]
    plain["events"][0]["stack"] = [99]
    _refused(plain, "there is no number 99")
    plain["events"][0]["stack"] = stack
    plain["failure"]["reason"] = "boredom"
    _refused(plain, "trace.failure.reason: Invalid enum value 'boredom'")
    plain["failure"]["reason"] = "assertion"
    plain["failure"]["loop"] = 50
    _refused(plain, "there is no such event")
    plain["failure"]["loop"] = None
    plain["statements"][1]["body"] = [1]
    _refused(plain, "a statement comes before those inside it")
