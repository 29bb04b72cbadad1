"""The Python side of `endless`: memory for the walks, and the states that are caught.

Leaves out the walks themselves, and what is made of those states.
"""

from __future__ import annotations

from typing import Final

from . import endless, kernel
from .table import STATES_A_CALL, WORD, Region, Store

FIRST_SLOTS: Final = 1 << 12
QUADRUPLE_BELOW: Final = 1 << 20  # slots
SLICE: Final = 1 << 17  # moves between two looks at the clock: some tens of milliseconds


class Walks:
    """Walks from all states of a search from which no move goes forward. `forward` is the address of the model's function."""

    def __init__(self, store: Store, forward: int) -> None:
        self.store, words = store, store.shape.words
        self.worker = -1  # from whose states they go
        states = store.states + 1  # visited at most, and one that is entered before more slots are asked for
        self.block = Region(endless.WORDS * WORD)
        self.records = Region(states * (words + 1) * WORD, huge=True)
        self.stacks = Region(2 * states * WORD), Region(states * WORD)
        given, mine = store.workers[0].block.words, self.block.words
        mine[endless.E_EXPAND], mine[endless.E_FORWARD] = store.context.words[kernel.C_EXPAND], forward
        mine[endless.E_NOTE], mine[endless.E_OUT] = given[kernel.P_NOTE], given[kernel.P_OUT]
        mine[endless.E_RECORDS] = self.records.address
        mine[endless.E_PATH], mine[endless.E_OPEN] = (one.address for one in self.stacks)
        mine[endless.E_SLICE] = SLICE
        self._take_slots(FIRST_SLOTS)

    def _take_slots(self, slots: int) -> None:
        """Have so many, and the states visited in them."""
        self.slots = Region(slots * WORD, huge=True)
        words = self.block.words
        words[endless.E_SLOTS], words[endless.E_MASK] = self.slots.address, slots - 1
        words[endless.E_ROOM] = slots * 5 // 8
        found = words[endless.E_FOUND]
        for first in range(0, found, STATES_A_CALL):
            self.store.functions["enter_again"](self.block.address, first, min(first + STATES_A_CALL, found))

    def go_on(self) -> bool:
        """Walk for a while; False once all walks have been gone."""
        words = self.block.words
        code = self.store.functions["walk"](self.block.address)
        if code == endless.GROW:
            slots = words[endless.E_MASK] + 1
            self._take_slots(slots * (4 if slots < QUADRUPLE_BELOW else 2))
        elif code == endless.DONE:
            self.worker += 1
            if self.worker == len(self.store.workers):
                return False
            given = self.store.workers[self.worker].block.words
            words[endless.E_ROOTS] = given[kernel.P_TURNING]
            words[endless.E_NEXT], words[endless.E_LAST] = 0, given[kernel.P_TURNED]
        return True

    def caught(self) -> list[tuple[int, ...]]:
        """The states of components that no move leaves and in which no execution can end."""
        if not self.block.words[endless.E_CAUGHT]:
            return []
        size, records = self.store.shape.words + 1, self.records.words
        found = range(0, self.block.words[endless.E_FOUND] * size, size)
        return [tuple(records[at : at + size - 1]) for at in found if records[at + size - 1] == endless.CAUGHT]
