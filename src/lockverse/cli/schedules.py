"""`lockverse run --schedule random`: what several workers do at once, interleaved as a seed says.

Exit code 1 if then the books do not agree, or something in the kernel's functions is wrong: the same command shows it again. Leaves out which operations run at once (sim/interleaved.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lockverse.diagnostics.model import Rejected
from lockverse.diagnostics.render import TextOf
from lockverse.lang.errors import SchemeError
from lockverse.sim.interleaved import BooksDisagree, Interleaved
from lockverse.sim.operations import Operation
from lockverse.sim.recording import dumps
from lockverse.sim.schedule import Deadlock

from .answers import Answers
from .output import Exit, complain_of, say


def run_scheduled(name: str, version: int, operations: Sequence[Operation], texts: TextOf, options: argparse.Namespace) -> int:
    """Run a workload so; gives the exit code."""
    answers, several = Answers(version, options), Interleaved(version, options.seed or 0, name)
    try:
        for step in several.steps(operations):
            if not options.json:
                say(answers.text(step, several.run), end="")
    except Rejected as problem:
        complain_of(problem.diagnostics, texts)
        return Exit.REJECTED
    except (BooksDisagree, Deadlock, SchemeError) as problem:
        what = {BooksDisagree: "the books do not agree", Deadlock: "a deadlock"}.get(type(problem), type(problem).__name__)
        say(f"{what}, with --seed {options.seed or 0}:")
        say(str(problem))
        return Exit.BROKEN
    if options.json:
        say(dumps(several.run.recording), end="")
    else:
        say(f"the books agree; {several.switches:,} times another worker went on")
    return Exit.HOLDS
