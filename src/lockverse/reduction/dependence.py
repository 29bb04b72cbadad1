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
- Giving back a lock is a left mover: the others' steps on a held lock are blocked (those that wait for it, whether to hold
  it alone or shared: Step.takes) or fail in any order (giving it back as a stranger: releases()). So the cell of the lock's owner is
  free for those that give it back if all steps anywhere that touch it are one of these two; one trylock or spin_is_locked on it
  and it is not (Lipton, CACM 18, 1975). Readers are another cell, of which nothing is said.
- Asking whether a lock's owner is oneself, as lockdep_assert_held does, depends on nobody: what others do to the cell makes it
  anybody but the one who asks.
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

from lockverse.codegen.values import Access, Values
from lockverse.ir import ops

from .footprints import StepFootprint


def releases(step: ops.Step) -> bool:
    """Whether a step gives back what its thread alone held."""
    return step.gives in ("exclusive", "downgrade")


class Cells:
    """Who touches which cell."""

    def __init__(self, values: Values, threads: list[dict[int, StepFootprint]]) -> None:
        self._touching: dict[int, set[int]] = {}
        self._written: set[int] = set()
        self._seen: set[int] = set()  # by steps that neither wait for a lock nor give it back
        self.locks = frozenset(values.linked.program.locks)
        for thread, steps in enumerate(threads):
            for one in steps.values():
                self._enter(thread, one)

    def _enter(self, thread: int, one: StepFootprint) -> None:
        self._written |= one.cells(ops.Store)
        mover = bool(one.step.takes) or releases(one.step)
        for access in one.accesses:
            if access.pc in one.asking and access.cells <= self.locks:
                continue
            for cell in access.cells:
                self._touching.setdefault(cell, set()).add(thread)
                if not mover:
                    self._seen.add(cell)

    def is_free(self, cell: int, step: StepFootprint, access: Access) -> bool:
        """Whether no other thread's step depends on what this access of `step` does to the cell."""
        if cell not in self._written or len(self._touching.get(cell, ())) <= 1:
            return True
        if cell in self.locks and access.pc in step.asking:
            return True
        return cell in self.locks and releases(step.step) and cell not in self._seen

    def shared(self) -> Iterable[int]:
        """The cells that more than one thread touches and somebody writes, locks aside."""
        return sorted(
            cell for cell, threads in self._touching.items()
            if len(threads) > 1 and cell in self._written and cell not in self.locks
        )  # fmt: skip
