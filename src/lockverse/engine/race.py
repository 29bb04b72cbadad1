"""The race of a reduced search as the steps it is made of, taken by the threads that really take them.

A move of a reduced search is several steps where they were merged, and one thread's move stands for its twin's where
threads were exchanged. Leaves out the search.
"""

from __future__ import annotations

from msgspec.structs import replace

from lockverse.codegen.layout import MachineState
from lockverse.explore.native import Compiled
from lockverse.explore.search import Failing
from lockverse.explore.shortest import Schedule, switches
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, Moved, Outcome, started
from lockverse.reduction.follow import Follower


def in_steps(made: Compiled, follower: Follower, failing: Failing, machine: Interpreter) -> Failing:
    """The race of a reduced search, each of its moves as the steps it is made of, by the threads that really take them.
    `machine` runs the scheme itself, with all that its states have."""
    schedule, here = _steps(made, follower, failing.schedule, started(follower.machine))
    if not failing.loop:
        return replace(failing, schedule=schedule, switches=switches(schedule))
    # In the reduced search the loop closes at once. Really threads may have changed roles, and variables that are not read
    # again their values: it closes when a lap ends where one began, and laps before that one are on the way to it.
    full = _after(machine, schedule, started(machine))
    laps: list[Schedule] = []
    ends = {(here, full): 0}
    while len(ends) > len(laps):
        lap, here = _steps(made, follower, failing.loop, here)
        full = _after(machine, lap, full)
        laps.append(lap)
        ends.setdefault((here, full), len(laps))
    begin = ends[(here, full)]
    schedule += tuple(move for lap in laps[:begin] for move in lap)
    loop = tuple(move for lap in laps[begin:] for move in lap)
    return replace(failing, schedule=schedule, switches=switches(schedule), loop=loop)


def _after(machine: Interpreter, schedule: Schedule, state: MachineState) -> MachineState:
    for thread, choice in schedule:
        outcome = machine.step(state, thread, choice)
        assert isinstance(outcome, Moved)  # as it was in the reduced search
        state = outcome.state
    return state


def _steps(made: Compiled, follower: Follower, moves: Schedule, state: MachineState) -> tuple[Schedule, MachineState]:
    steps: list[tuple[int, int]] = []
    for thread, choice in moves:
        wanted, _ = follower.move(made.ordered(state), thread, choice)
        for mover in [thread, *range(follower.machine.threads)]:
            if follower.machine.finished(state, mover):
                continue
            outcome, count = follower.move(state, mover, choice)
            if _alike(made, outcome, wanted):
                break
        else:
            raise AssertionError("no thread takes the step that its twin takes")
        steps += [(mover, choice), *[(mover, 0)] * (count - 1)]
        if isinstance(outcome, Moved):
            state = outcome.state
    return tuple(steps), state


def _alike(made: Compiled, a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes are the same but for the order of the threads."""
    if isinstance(a, Moved) and isinstance(b, Moved):
        return made.ordered(a.state) == made.ordered(b.state)
    if isinstance(a, Faulted) and isinstance(b, Faulted):
        return a.reason == b.reason
    return type(a) is type(b)
