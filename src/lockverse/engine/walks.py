"""Which takings of locks a few random executions do, so that nobody need search for them to know that they are possible.

What is not seen here may happen all the same: that is for a search to say. Leaves out schedules: who wants to show a taking searches for
its shortest one.
"""

from __future__ import annotations

from typing import Final

from lockverse.ir.program import Linked
from lockverse.ir.traps import Taking, Traps
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, started

STEPS: Final = 6_000  # of all walks together


def seen(linked: Linked, among: set[Taking]) -> set[Taking]:
    """Those that random executions do."""
    # Not at the top: most small schemes are done without.
    from lockverse.reduction.sample import walks

    machine = Interpreter(linked)
    wanted = {one: Interpreter(linked, traps=Traps(takings=frozenset({one}))) for one in sorted(among)}
    for state, thread, outcome in walks(machine, started(machine), STEPS):
        if not isinstance(outcome, Faulted):
            for one in [one for one, watcher in wanted.items() if isinstance(watcher.step(state, thread, 0), Faulted)]:
                del wanted[one]
        if not wanted:
            break
    return among - wanted.keys()
