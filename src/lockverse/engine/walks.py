"""Which takings of locks a few random executions do, so that nobody need search for them to know that they are possible.

What is not seen here may happen all the same: that is for a search to say. Leaves out schedules: who wants to show a taking searches for
its shortest one.
"""

from __future__ import annotations

import random
from typing import Final

from lockverse.ir.program import Linked
from lockverse.ir.traps import Taking, Traps
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Faulted, Moved, State, started

WALKS: Final = 24
STEPS: Final = 6_000  # of all walks together
STAYING: Final = 0.7  # how often a walk stays with a thread: that gets far, and changing now and then meets others half way
SEED: Final = 1


def seen(linked: Linked, among: set[Taking]) -> set[Taking]:
    """Those that random executions do."""
    machine, rng, left = Interpreter(linked), random.Random(SEED), STEPS
    first = started(machine)
    wanted = {one: Interpreter(linked, traps=Traps(takings=frozenset({one}))) for one in sorted(among)}
    for _ in range(WALKS):
        state, running = first, list(range(machine.threads))
        current = rng.choice(running)
        while left > 0 and running and wanted:
            left -= 1
            found = [one for one, watcher in wanted.items() if isinstance(watcher.step(state, current, 0), Faulted)]
            outcome = _step(machine, state, current, rng)
            if isinstance(outcome, Faulted):
                break
            for one in found:
                del wanted[one]
            if isinstance(outcome, Moved):
                state = outcome.state
                running = [thread for thread in range(machine.threads) if not machine.finished(state, thread)]
            else:
                running = [thread for thread in running if thread != current]
            if running and (current not in running or rng.random() > STAYING):
                current = rng.choice(running)
    return among - wanted.keys()


def _step(machine: Interpreter, state: State, thread: int, rng: random.Random) -> object:
    """A step with any of its outcomes."""
    outcome = machine.step(state, thread, 0)
    choices = 1 if isinstance(outcome, Blocked) else getattr(outcome, "choices", 1)
    choice = rng.randrange(choices)
    return machine.step(state, thread, choice) if choice else outcome
