"""What a check says besides the diagram: the headline, the counts, the table of several schemes, the JSON.

`Outcome` is what the session fills in for each scheme. Leaves out the diagram (text.py), and printing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from msgspec import Struct, field

from lockverse.trace.model import Trace
from lockverse.trace.serialize import as_plain
from lockverse.trace.verdict import Verdict

VERSION: Final = 1  # of the JSON
MOST_NEVER: Final = 3  # lines of a pass that say what no execution does


class Engine(Struct, frozen=True):
    """What searched: its name ("reference" or "native"), the bits of a packed state, the CPU seconds of the search and the
    seconds of compiling, how many threads, the reductions, and how likely it is that any state was taken for another."""

    name: str = "reference"
    bits: int = 0
    cpu_seconds: float = 0.0
    compile_seconds: float = 0.0
    jobs: int = 1
    reductions: tuple[str, ...] = ()
    omission: float = 0.0


class Outcome(Struct, frozen=True):
    """The result for one scheme with one choice of parameters.

    `reason` and `message` say how it is broken, `bound` and `bound_message` what kept the verdict unknown. `states`,
    `transitions`, `depth` and `completed` are counted as explore/search.py says; `switches` are those of the race, and
    `shortest` says that no race is shorter. `spinning`: endless spinning was looked for; `findings`: data races and the order of locks were. `exact`: fingerprints were ruled out. `also` is what
    else was found, `never` what there is in the scheme that no execution does. `trace_file` is where the trace was
    written, if it was.
    """

    scheme: str
    file: str
    parameters: tuple[tuple[str, str], ...]
    verdict: Verdict
    states: int
    transitions: int
    depth: int
    completed: int
    seconds: float
    reason: str | None = None
    message: str | None = None
    switches: int | None = None
    bound: str | None = None
    bound_message: str | None = None
    trace: Trace | None = None
    trace_file: str | None = None
    engine: Engine = field(default_factory=Engine)
    shortest: bool = True
    spinning: bool = True
    findings: bool = True
    exact: bool = False
    also: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The scheme with its parameters, as a reader names it."""
        given = ", ".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.scheme}({given})" if given else self.scheme


def headline(outcome: Outcome) -> str:
    """`lock_after_mapcount: BROKEN   memcg2->nr_mapped never underflows`."""
    what = _what(outcome)
    return f"{outcome.title}: {outcome.verdict.upper()}" + (f"   {what}" if what else "")


def _what(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.BROKEN:
        message = outcome.message or ""
        asked_for = outcome.reason in ("always", "at-rest", "sometimes")
        reason = (outcome.reason or "").replace("-", " ")
        named = message.lower().startswith((reason, "underflow"))  # the sentence says it already
        return message if asked_for or named else f"{reason}: {message}"
    return outcome.bound_message or "" if outcome.verdict is Verdict.UNKNOWN else ""


def footer(outcome: Outcome) -> list[str]:
    """What was explored, and how to see the race again."""
    counts, took = _counts(outcome), f"{outcome.seconds:.1f} s"
    if outcome.verdict is Verdict.HOLDS:
        lines = [_everything(outcome), *_limits(outcome), *_shortened(outcome.never)]
        if not outcome.completed:
            lines.append("note: no execution came to its end: assume() cut every one short, so little was checked")
        return lines
    if outcome.verdict is Verdict.UNKNOWN:
        return [f"not every interleaving was explored: {counts}, {took}"]
    lines = [f"explored until the first race: {counts}, {took}"]
    if outcome.trace is not None and outcome.trace.events:
        race = "a shortest race" if outcome.shortest else "a race"
        lines = [f"{race}: {_length(outcome.trace)}, {_count(outcome.switches or 0, 'context switch')}; {counts} explored, {took}"]
        lines += [] if outcome.shortest else ["there may be a shorter one: the search for it, without reduction, did not come to its end"]
    if outcome.reason == "never-exercised":
        return [_everything(outcome), *_limits(outcome), *outcome.never]
    if outcome.reason == "sometimes":
        lines = [_everything(outcome), *_limits(outcome)]
    lines += [f"also: {one}" for one in outcome.also]
    if outcome.trace_file is not None:
        lines.append(f"replay: lockverse replay {outcome.trace_file}")
    return lines


def _shortened(never: Sequence[str]) -> list[str]:
    """The first of what was never exercised; `--strict` shows all."""
    left = len(never) - MOST_NEVER
    return [*never[:MOST_NEVER], *([f"and {left} more that no execution does (--strict shows all, and fails)"] if left > 0 else [])]


def _counts(outcome: Outcome) -> str:
    """`12 states, 14 transitions`, and what left others out."""
    reduced = f" after reduction ({', '.join(outcome.engine.reductions)})" if outcome.engine.reductions else ""
    return f"{outcome.states:,} states, {outcome.transitions:,} transitions{reduced}"


def _everything(outcome: Outcome) -> str:
    """That nothing was left out, and how much it was."""
    took = f"{outcome.seconds:.1f} s"
    if outcome.engine.reductions:
        return f"every interleaving accounted for: {_counts(outcome)}, {took}; --reduce none for all of them"
    return f"every interleaving explored: {_counts(outcome)}, {took}"


def _limits(outcome: Outcome) -> list[str]:
    """What a reader has to know before relying on a pass."""
    lines = []
    if outcome.engine.omission:
        chance = math.ceil(math.log10(outcome.engine.omission))
        lines.append(f"states were told apart by fingerprints: chance that a state was missed: below 1e{chance}")
    if outcome.exact:
        lines.append("states were told apart exactly (--exact)")
    if not outcome.spinning:
        lines.append("endless spinning was not looked for (--no-spinning)")
    if not outcome.findings:
        lines.append("data races and the order of locks were not looked at (--no-findings)")
    return lines


def _length(trace: Trace) -> str:
    """`4 steps`, or `4 steps and a loop of 2 steps`."""
    loop = trace.failure.loop
    if loop is None:
        return _count(len(trace.events), "step")
    return f"{_count(loop, 'step')} and a loop of {_count(len(trace.events) - loop, 'step')}"


def _count(number: int, thing: str) -> str:
    plural = thing + ("es" if thing.endswith("ch") else "s")
    return f"{number} {thing if number == 1 else plural}"


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a scheme, with its file if there are several; ends in a newline."""
    several = len({one.file for one in outcomes}) > 1
    rows = [("scheme", "verdict", "states", "depth", "time", "")]
    for one in outcomes:
        title = f"{PurePath(one.file).name}::{one.title}" if several else one.title
        rows.append((title, one.verdict.upper(), f"{one.states:,}", str(one.depth), f"{one.seconds:.1f} s", _what(one)))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = []
    for row in rows:
        left = "  ".join(part.ljust(width) for part, width in zip(row[:2], widths, strict=False))
        right = "  ".join(part.rjust(width) for part, width in zip(row[2:5], widths[2:], strict=True))
        lines.append(f"{left}  {right}  {row[5]}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain data. Keys are those of Outcome; `trace` is the trace in full, or null."""
    return {
        "scheme": outcome.scheme, "file": outcome.file, "parameters": dict(outcome.parameters),
        "verdict": outcome.verdict.value, "reason": outcome.reason, "message": outcome.message,
        "states": outcome.states, "transitions": outcome.transitions, "depth": outcome.depth,
        "completed": outcome.completed,
        "context_switches": outcome.switches, "shortest": outcome.shortest, "spinning": outcome.spinning, "findings": outcome.findings, "also": list(outcome.also), "never": list(outcome.never),
        "seconds": round(outcome.seconds, 3),
        "engine": {
            "name": outcome.engine.name, "bits": outcome.engine.bits, "cpu_seconds": round(outcome.engine.cpu_seconds, 4),
            "compile_seconds": round(outcome.engine.compile_seconds, 4), "jobs": outcome.engine.jobs,
            "reductions": list(outcome.engine.reductions), "omission_probability": outcome.engine.omission,
        },
        "bound": outcome.bound, "bound_message": outcome.bound_message, "trace_file": outcome.trace_file,
        "trace": None if outcome.trace is None else as_plain(outcome.trace),
    }  # fmt: skip
