"""`lockverse run --random SEED`: a random workload, and whether the books agree after each of its operations.

What it prints of a failure is a workload file, as short as can be, that `lockverse run` takes. Exit code 1 then. Leaves out what is looked at (sim/books.py).
"""

from __future__ import annotations

import argparse

from lockverse.diagnostics.model import UsageError
from lockverse.sim.random_runs import OPERATIONS, random_run, shortened
from lockverse.sim.recording import dumps
from lockverse.sim.system import System

from .output import Exit, say


def run_random(options: argparse.Namespace) -> int:
    """Run one seed; gives the exit code."""
    if options.workload is not None or options.interactive or options.schedule is not None:
        raise UsageError("--random makes its workload and runs it in order; leave out the other")
    version, operations = options.cgroup or 1, options.operations or OPERATIONS
    ran, failure = random_run(options.random, operations, version, System)
    if failure is None:
        record = ran.recording
        record.name = f"random-{options.random}"
        if options.json:
            say(dumps(record), end="")
        else:
            failed = sum(result != 0 for result in record.results)
            say(f"seed {options.random}: the books agree after each of {len(record.ops)} operations, {failed} of which the kernel refused; nothing is left")
        return Exit.HOLDS
    short = shortened(failure, System)
    head = f"`lockverse run --random {options.random} --operations {operations} --cgroup {version}`, {len(failure.lines)} operations made short:"
    say(short.text([head]), end="")
    return Exit.BROKEN
