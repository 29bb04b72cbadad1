"""What a machine is told to take for a fault, beyond what the program itself checks: findings that break no execution.

A data race and a lock taken in the wrong order harm only some executions, yet are wrong in each. A search looks for them by
treating the step that shows one as a fault, which gives the shortest race to it. Leaves out how it is found out which
takings are worth a trap: engine/findings.py.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from .reason import Reason


class Taking(Struct, frozen=True, order=True):
    """A thread takes the lock at address `wanted`: while it holds the one at `held` (0: whatever it holds), or, if `open_to` is
    "hardirq" or "softirq", where such a handler could come to its CPU, or, if `inside` is one of these, as such a handler. `alone`:
    not as a reader."""

    wanted: int
    held: int = 0
    open_to: str = ""
    inside: str = ""
    alone: bool = False

    @property
    def reason(self) -> Reason:
        """What a search that finds this taking has found."""
        return Reason.LOCK_ORDER if self.held else Reason.IRQ_LOCK_INVERSION


class Traps(Struct, frozen=True):
    """What is taken for a fault: data races, and these takings of locks."""

    races: bool = False
    takings: frozenset[Taking] = frozenset()


NO_TRAPS: Final = Traps()
FINDINGS: Final = (Reason.DATA_RACE, Reason.LOCK_ORDER, Reason.IRQ_LOCK_INVERSION)
