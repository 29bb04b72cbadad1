"""`lockverse replay`: a recorded race again, in the scheme as it is now.

Exit code 1 if it ends as it did (the scheme is still broken so), 3 if it no longer fits: that says nothing about other
races. Leaves out searching for another.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lockverse.machine.record import DoesNotFit
from lockverse.session import read_trace, replay
from lockverse.trace.model import Trace

from .output import Exit, say
from .races import failure


def run(options: argparse.Namespace) -> int:
    """Run the command; gives the exit code."""
    path = Path(options.trace)
    old = read_trace(path)
    try:
        new = replay(old, path.parent)
    except DoesNotFit as problem:
        _misfit(old, problem)
        return Exit.UNKNOWN
    say(f"{new.scheme}: BROKEN   {new.failure.message}")
    say()
    say(failure(new, options))
    same = "as recorded" if new == old else "the same race; the scheme's text or values have changed since it was recorded"
    say(f"replayed {len(new.events)} steps: {same}")
    return Exit.BROKEN


def _misfit(old: Trace, problem: DoesNotFit) -> None:
    say(f"{old.scheme}: the race no longer fits")
    say()
    if problem.position < len(old.events):
        event = old.events[problem.position]
        where = [old.statements[one] for one in event.stack[-1:]]
        say(f"step {problem.position + 1} of {len(old.events)} was {event.kind} of CPU{event.thread}:")
        for statement in where:
            say(f"  {statement.file}:{statement.line}: {statement.text}")
    else:
        say(f"all {len(old.events)} steps were made")
    say(f"now {problem.why}")
    say(f"recorded: {old.failure.message}")
