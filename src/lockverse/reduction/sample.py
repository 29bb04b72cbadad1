"""A few random executions: what values there are, and which locks are held at which accesses.

Only guesses come of it, all of which are checked while searching: ranges of what is counted (codegen/layout.py), and for
each cell a lock that was held at all accesses seen (Savage et al., "Eraser", ACM TOCS 15, 1997, section 2). The walks
are drawn with a fixed seed, so that a scheme is treated alike each time.

Leaves out any conclusion: dependence.py.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from typing import Final, TypeAlias

from msgspec import Struct, field

from lockverse.codegen.layout import MachineState
from lockverse.ir import ops
from lockverse.ir.ops import Op
from lockverse.machine.interpreter import Interpreter, Run, Watch
from lockverse.machine.protocol import Blocked, Moved, Outcome

WALKS: Final = 24
STEPS: Final = 1_500  # of all walks together: a few hundredths of a second
SEED: Final = 1

Walked: TypeAlias = tuple[MachineState, int, Outcome]


class Sample(Struct):
    """States that were seen, and for each cell that was accessed the locks held at every access."""

    states: list[MachineState] = field(default_factory=list)
    held: dict[int, frozenset[int]] = field(default_factory=dict)

    def protected(self) -> dict[int, int]:
        """For each cell that always had a lock held, such a lock."""
        return {cell: min(locks) for cell, locks in self.held.items() if locks}


class _Watch:
    """Told of every op: notes the locks the running thread holds when it loads or stores."""

    def __init__(self, machine: Interpreter, sample: Sample) -> None:
        program = machine.linked.program
        self._locks = program.locks
        self._tasks = [thread.task for thread in program.threads]
        self._sample = sample
        self._seen: list[tuple[int, frozenset[int]]] = []

    def __call__(self, op: Op, run: Run) -> None:
        if isinstance(op, ops.Load | ops.Store):
            task = self._tasks[run.thread]
            holding = frozenset(lock for lock in self._locks if run.memory[lock] == task)
            self._seen.append((run.value(op.address), holding))

    def finish(self, happened: bool) -> None:
        """The step is over; what a blocked one looked at does not count."""
        if happened:
            held = self._sample.held
            for cell, holding in self._seen:
                held[cell] = held[cell] & holding if cell in held else holding
        self._seen.clear()


def sample(machine: Interpreter, initial: MachineState) -> Sample:
    """Random walks from the initial state, each to its end, as far as STEPS go."""
    found = Sample([initial])
    watch = _Watch(machine, found)
    for _, _, outcome in walks(machine, initial, STEPS, watch):
        watch.finish(not isinstance(outcome, Blocked))
        if isinstance(outcome, Moved):
            found.states.append(outcome.state)
    return found


def walks(machine: Interpreter, initial: MachineState, steps: int, watch: Watch | None = None) -> Iterator[Walked]:
    """Random walks from a state, so many steps in all: of each step the state it was taken in, the thread, and what became of it. `watch`
    is told of every op of a step's first outcome."""
    rng = random.Random(SEED)
    for _ in range(WALKS):
        steps -= yield from _walk(machine, initial, watch, rng, steps)


def _walk(machine: Interpreter, state: MachineState, watch: Watch | None, rng: random.Random, most: int) -> Generator[Walked, None, int]:
    """One walk; gives how many steps it took."""
    running, taken = list(range(machine.threads)), 0
    current = rng.choice(running)
    while taken < most and running:
        taken += 1
        outcome = machine.step(state, current, 0, watch)
        choices = getattr(outcome, "choices", 1)
        if choices > 1 and (choice := rng.randrange(choices)):
            outcome = machine.step(state, current, choice)
        yield state, current, outcome
        if isinstance(outcome, Moved):
            state = outcome.state
            running = [thread for thread in range(machine.threads) if not machine.finished(state, thread)]
        elif isinstance(outcome, Blocked):
            running = [thread for thread in running if thread != current]
        else:
            break
        # Staying with a thread most of the time gets far; changing now and then meets others half way.
        if running and (current not in running or rng.random() < 0.3):
            current = rng.choice(running)
    return taken
