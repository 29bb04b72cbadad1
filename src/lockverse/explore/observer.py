"""What looks on while a search runs: properties, deadlock, endless spinning. Observers never steer it.

Leaves out the observers themselves: they are in check/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from lockverse.ir.reason import Reason
from lockverse.machine.protocol import State

from .graph import Graph


class Violation(Struct, frozen=True):
    """Something is wrong with a state. `rank` orders violations of one search: the lower is told first."""

    reason: Reason
    rank: int
    condition: int | None = None
    loop: tuple[tuple[int, int], ...] = ()  # moves from that state back to it, for endless spinning


class Expansion(Struct, frozen=True):
    """What the threads could do in a state: those that had finished, that were blocked, that were pruned. `at_rest`: all
    of them have finished or may stay where they are for ever."""

    finished: int
    blocked: int
    pruned: int
    at_rest: bool


class Observer(Protocol):
    """One thing that is looked for."""

    def on_state(self, state: State) -> Violation | None:
        """A state was reached for the first time."""
        ...

    def on_expanded(self, state: State, expansion: Expansion) -> Violation | None:
        """All moves from a state were made."""
        ...

    def on_explored(self, graph: Graph) -> Sequence[tuple[int, Violation]]:
        """Everything was explored and nothing was wrong: what is wrong with the whole, with the state it is told at."""
        ...
