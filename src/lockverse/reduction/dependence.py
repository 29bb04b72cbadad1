"""When one thread's next step need not wait its turn: the argument for all merging of steps.

In a state where thread t's next step a is (1) able to run whatever others do, with one outcome, (2) independent of every
step the others can take before t moves, and (3) invisible to the properties, exploring a alone is enough: {a} is an
ample set (Peled, CAV 1993; Clarke, Grumberg and Peled, "Model Checking", chapter 10, conditions C0 to C2). It has one
element, so the branching structure is kept as well (Gerth, Kuiper, Peled and Penczek, Information and Computation 150,
1999): what cannot come to an end cannot in the reduced space either. The search therefore runs a at once and never
stores the state before it. C3, that nothing is put off for ever, holds as every loop of a code keeps a position where a
thread is not run on (fusion.py).

Two steps are independent unless both touch a cell that one of them writes. Who can touch a cell is known by value sets:

- A cell that never changes, or that one thread alone ever touches, is free.
- Giving back a lock is a left mover: the others' steps on a held lock are blocked (spin_lock) or fail in any order
  (spin_unlock by a stranger). So the lock's cell is free for spin_unlock if all steps anywhere that touch it are one of
  these two; one spin_trylock or spin_is_locked on it and it is not (Lipton, CACM 18, 1975).
- A cell that is only ever touched with a lock held is free for who holds that lock. Which lock that is, is guessed from
  runs, and every access in the reduced search is checked: if all accesses there keep the rule, all accesses of the whole
  space do (Stoller and Cohen, "Optimistic synchronization-based state-space reduction", TACAS 2003). Otherwise the guess is
  dropped and the search begins again.

(1) rules out steps with Await, Choose or Assume. A step that fails, fails in any order. (3): a step that writes a cell
which an `always` or a `sometimes` looks at is not run on; `at_rest` looks only at states where nobody is inside a code
path, and those are all kept.

What is kept: verdicts, faults by reason, deadlocks, states at rest, endless spinning. Not kept: how many steps a race
has, so the shortest one is looked for again without reduction. Leaves out more than one step in an ample set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lockverse.codegen.values import Values
from lockverse.ir import ops

from .footprints import StepFootprint

ACQUIRES: Final = ("spin_lock",)
RELEASES: Final = ("spin_unlock",)


class Cells:
    """Who touches which cell."""

    def __init__(self, values: Values, threads: list[dict[int, StepFootprint]]) -> None:
        self._touching: dict[int, set[int]] = {}
        self._written: set[int] = set()
        self._kinds: dict[int, set[str]] = {}
        self.locks = frozenset(values.linked.program.locks)
        for thread, steps in enumerate(threads):
            for one in steps.values():
                self._enter(thread, one)

    def _enter(self, thread: int, one: StepFootprint) -> None:
        self._written |= one.cells(ops.Store)
        for cell in one.cells():
            self._touching.setdefault(cell, set()).add(thread)
            self._kinds.setdefault(cell, set()).add(one.step.kind)

    def is_free(self, cell: int, step: StepFootprint) -> bool:
        """Whether no other thread's step depends on what `step` does to the cell."""
        if cell not in self._written or len(self._touching.get(cell, ())) <= 1:
            return True
        return cell in self.locks and step.step.kind in RELEASES and self._kinds[cell] <= {*ACQUIRES, *RELEASES}

    def shared(self) -> Iterable[int]:
        """The cells that more than one thread touches and somebody writes, locks aside."""
        return sorted(
            cell for cell, threads in self._touching.items()
            if len(threads) > 1 and cell in self._written and cell not in self.locks
        )  # fmt: skip
