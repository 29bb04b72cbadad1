"""`python -m bench.simulator`: what a page costs in `lockverse run`: to fault in, to copy, to unmap, to move.

Each row is one operation on so many pages, after operations that are not timed; the best of some repetitions. Leaves out the start of the command, which is a few tens of
milliseconds, and other tools: none of those of `python -m bench` runs workloads.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lockverse.sim.run import Run
from lockverse.sim.system import System
from lockverse.sim.workload import parse_line

PAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """What is timed, and what comes before it. N stands for the number of pages."""

    name: str
    before: tuple[str, ...]
    timed: str


_ANON: Final = ("mkcg A", "mkcg B", "flags B 3", "spawn w A", "map w r anon N")
_FILE: Final = ("mkcg A", "mkcg B", "flags B 3", "spawn w A", "file f N", "map w r file f 0 N shared")
CASES: Final = (
    Case("fault, anonymous, write", _ANON, "touch w r 0 N w"),
    Case("fault, file, write: a hole", _FILE, "touch w r 0 N w"),
    Case("fault, file, read: 16 at a time", (*_FILE, "fwrite w f 0 N"), "touch w r 0 N r"),
    Case("fork", (*_ANON, "touch w r 0 N w"), "fork w c"),
    Case("fault, copy on write", (*_ANON, "touch w r 0 N w", "fork w c"), "touch c r 0 N w"),
    Case("move of charges, anonymous", (*_ANON, "touch w r 0 N w"), "move w B"),
    Case("move of charges, file", (*_FILE, "touch w r 0 N w"), "move w B"),
    Case("unmap, anonymous", (*_ANON, "touch w r 0 N w"), "unmap w r"),
    Case("unmap, file", (*_FILE, "touch w r 0 N w"), "unmap w r"),
    Case("check", (*_ANON, "touch w r 0 N w"), "check"),
)


def seconds(case: Case, pages: int) -> float:
    """One run of a case."""
    run = Run(System(1), 1)
    for line in case.before:
        _do(run, line, pages)
    start = time.perf_counter()
    _do(run, case.timed, pages)
    return time.perf_counter() - start


def _do(run: Run, line: str, pages: int) -> None:
    operation = parse_line(" ".join(str(pages) if word == "N" else word for word in line.split()), "", 1)
    assert operation is not None
    assert run.do(operation).result == 0, line


def table(pages: int, repeat: int) -> str:
    """All cases."""
    lines = [f"| {pages:,} pages | seconds | microseconds a page |", "|---|---|---|"]
    for case in CASES:
        best = min(seconds(case, pages) for _ in range(repeat))
        lines.append(f"| {case.name} | {best:.2f} | {best / pages * 1e6:.2f} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description="What a page costs in lockverse run.")
    parser.add_argument("--pages", type=int, default=PAGES, metavar="N", help=f"pages of each case (default: {PAGES:,})")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each case, of which the best counts (default: 3)")
    options = parser.parse_args(arguments)
    if options.pages < 1 or options.repeat < 1:
        parser.error("at least 1")
    sys.stdout.write(table(options.pages, options.repeat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
