"""Deadlock: no thread can move, and not all are at rest: have finished, or stand where they may stay for ever.

The kernel's word covers what the field calls both deadlock and lost wakeup: whoever waits here waits for ever. Who
waits for what is found when the race is recorded. Leaves out lock order over executions that do not deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockverse.explore.graph import Graph
from lockverse.explore.observer import Expansion, Violation
from lockverse.ir.reason import Reason
from lockverse.machine.protocol import State

RANK = 2_000_000


class Deadlock:
    """Observer of states nobody can leave."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def on_state(self, state: State) -> Violation | None:
        """Nothing: it takes all moves of a state to know."""

    def on_expanded(self, state: State, expansion: Expansion) -> Violation | None:
        """A violation if every thread that has not finished is blocked, and one of them at least must go on."""
        stuck = expansion.finished + expansion.blocked == self._threads and not expansion.at_rest
        return Violation(Reason.DEADLOCK, RANK) if stuck else None

    def on_explored(self, graph: Graph) -> Sequence[tuple[int, Violation]]:
        """Nothing more."""
        return ()
