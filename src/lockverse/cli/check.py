"""`lockverse check`: explore, then the verdict, the race, and what was explored.

One scheme gives its headline and diagram; several give a table first, and the diagrams of those that are broken.
Leaves out how any of it looks.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from lockverse.diagnostics.model import Diagnostic, Rejected, UsageError
from lockverse.diagnostics.render import render
from lockverse.diagnostics.texts import text_of
from lockverse.engine import Options, threads
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Progress
from lockverse.report.formats import DIAGRAM
from lockverse.report.provided import as_json as provided_as_json
from lockverse.report.provided import provided
from lockverse.report.verdict import VERSION, Outcome, as_json, footer, headline, table
from lockverse.session import Task, check, files_of, open_file, tasks, write_trace
from lockverse.trace.verdict import Verdict

from .output import GRAVEST, Exit, complain, complain_of, say
from .races import clear_progress, count_line, failure, progress_line

SOON = 0.2  # seconds: to have processes takes a good part of it
_EXITS = {Verdict.HOLDS: Exit.HOLDS, Verdict.BROKEN: Exit.BROKEN, Verdict.UNKNOWN: Exit.UNKNOWN}


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    wrong: list[Diagnostic] = []
    outcomes: list[Outcome] = []
    bounds = Bounds(options.max_states, options.max_depth, options.max_seconds, options.max_memory, options.max_ops)
    engine = Options(options.engine, options.reduce, options.jobs, not options.no_spinning, options.strict, not options.no_findings, options.exact)
    taken: set[str] = set()
    given = list(_tasks(options, wrong))
    left = len(given)
    for found in _checked(given, bounds, engine):
        left -= 1
        if not isinstance(found, Outcome):
            wrong += found
            continue
        outcomes.append(_with_trace(found, options, taken))
    if left:
        complain(f"interrupted: {left} of {len(given)} schemes were not begun")
    _print_json(outcomes, wrong) if options.json else _print(outcomes, wrong, options)
    codes = [_EXITS[one.verdict] for one in outcomes] + [Exit.REJECTED] * bool(wrong) + [Exit.UNKNOWN] * bool(left)
    return next(code for code in GRAVEST if code in codes)


def _tasks(options: argparse.Namespace, wrong: list[Diagnostic]) -> Iterator[Task]:
    given = dict(_parameter(text) for text in options.param)
    for target in options.targets:
        paths, scheme = files_of(target)
        for path in paths:
            try:
                yield from tasks(open_file(path), scheme, given, options.all)
            except Rejected as problem:
                wrong += problem.diagnostics


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"--param {text}: write NAME=VALUE")
    return name, value


def _checked(found: list[Task], bounds: Bounds, engine: Options) -> Iterator[Outcome | tuple[Diagnostic, ...]]:
    """Of each task the outcome, or what is wrong with its scheme. What is not done soon is done several at a time, as many as a search would
    have threads, with one each."""
    began = time.monotonic()
    for number, task in enumerate(found):
        at_once = min(len(found) - number, engine.jobs or threads())
        if at_once > 1 and hasattr(os, "fork") and time.monotonic() - began > SOON:
            yield from _at_once(found[number:], at_once, bounds, engine)
            return
        try:
            outcome = _check(task, bounds, engine, progress_line(task.scheme))
        finally:
            clear_progress()
        yield outcome
        if isinstance(outcome, Outcome) and outcome.bound == "interrupted":
            return


def _at_once(found: list[Task], processes: int, bounds: Bounds, engine: Options) -> Iterator[Outcome | tuple[Diagnostic, ...]]:
    from .several import in_order  # not at the top: most checks are of few schemes

    alone = replace(engine, jobs=1)
    try:
        yield from in_order([partial(_check, task, bounds, alone, lambda _: None) for task in found], processes, count_line(len(found)))
    finally:
        clear_progress()


def _check(task: Task, bounds: Bounds, engine: Options, progress: Callable[[Progress], None]) -> Outcome | tuple[Diagnostic, ...]:
    try:
        return check(task, bounds, progress, engine)
    except Rejected as problem:
        return problem.diagnostics


def _with_trace(outcome: Outcome, options: argparse.Namespace, taken: set[str]) -> Outcome:
    if outcome.trace is None or options.no_trace:
        return outcome
    try:
        path = write_trace(outcome.trace, Path(options.trace_dir), taken)
    except OSError as problem:
        complain(f"the trace of {outcome.scheme} could not be written: {problem.strerror or problem}")
        return outcome
    return replace(outcome, trace_file=str(path))


def _print_json(outcomes: list[Outcome], wrong: list[Diagnostic]) -> None:
    diagnostics = [
        {"code": one.code, "headline": one.headline, "file": one.primary.place.file, "line": one.primary.place.line,
         "text": render(one, text_of)}
        for one in wrong
    ]  # fmt: skip
    body = {"format": "lockverse results", "version": VERSION, "results": [as_json(one) for one in outcomes], "provided": provided_as_json(outcomes), "diagnostics": diagnostics}
    say(json.dumps(body, indent=1))


def _telling(outcomes: list[Outcome]) -> list[Outcome]:
    """Of several outcomes, those that are shown in full: all that do not hold, but of each scheme's choices that break in one way only that
    with the shortest race."""
    shortest: dict[tuple[str, str, str | None], Outcome] = {}
    for one in outcomes:
        if one.verdict is not Verdict.HOLDS:
            key = one.file, one.scheme, one.message or one.bound_message
            shortest[key] = min(shortest.get(key, one), one, key=lambda each: len(each.trace.events) if each.trace else 0)
    return list(shortest.values())


def _print(outcomes: list[Outcome], wrong: list[Diagnostic], options: argparse.Namespace) -> None:
    if len(outcomes) > 1:
        say(table(outcomes), end="")
        conditions = provided(outcomes)
        for line in ["", *conditions] if conditions else []:
            say(line)
    for outcome in outcomes if len(outcomes) == 1 else _telling(outcomes):
        if len(outcomes) > 1:
            say()
            say()
        say(headline(outcome))
        say()
        if outcome.trace is not None and (outcome.trace.events or outcome.trace.initial or options.format != DIAGRAM):
            say(failure(outcome.trace, options))
        for line in footer(outcome):
            say(line)
    if wrong:
        complain_of(dict.fromkeys(wrong))
