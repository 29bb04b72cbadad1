"""Printing of what `check` and `replay` find: races in the layout that was asked for, and how a search comes on.

Leaves out what is said: reports have the words.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from lockverse.explore.bounds import memory_used
from lockverse.explore.search import Progress
from lockverse.report.formats import DIAGRAM, formatted
from lockverse.report.story import tell
from lockverse.report.text import Style, draw
from lockverse.trace.model import Trace

PROGRESS_EVERY = 0.2  # seconds between two lines of progress
LINE = 110  # columns of a line of progress: one that wraps is not taken away


def failure(trace: Trace, options: argparse.Namespace) -> str:
    """The failure of a trace in the format that the options ask for: as a diagram, if they do not say."""
    return diagram(trace, options) if options.format == DIAGRAM else formatted(trace, options.format)


def diagram(trace: Trace, options: argparse.Namespace) -> str:
    """The diagram of a trace, as the options ask for it."""
    colour = options.color == "always" or (options.color == "auto" and _colourful())
    story = tell(trace, depth=options.depth, fold=not options.no_fold)
    return draw(story, Style(options.columns, options.tabs, options.width, colour))


def _colourful() -> bool:
    """Colour only where somebody looks: no-color.org asks for NO_COLOR to be heard."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def progress_line(name: str) -> Callable[[Progress], None]:
    """What tells of a search while it runs: a line on the terminal, nothing anywhere else."""
    if not sys.stderr.isatty():
        return lambda _: None
    last = time.monotonic()

    def tell_progress(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY:
            last = now
            rate = progress.states / progress.seconds if progress.seconds else 0.0
            text = (
                f"{name}: {progress.states:,} states, {rate:,.0f}/s, "
                f"depth {progress.depth}, {progress.frontier:,} to go there, {memory_used():,.0f} MiB"
            )
            print(f"\r\x1b[K{text[:LINE]}", end="", file=sys.stderr, flush=True)

    return tell_progress


def count_line(checks: int) -> Callable[[int], None]:
    """What tells of several checks while they run."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda done: print(f"\r\x1b[K{done} of {checks} checks", end="", file=sys.stderr, flush=True)


def clear_progress() -> None:
    """Take the line of progress away."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
