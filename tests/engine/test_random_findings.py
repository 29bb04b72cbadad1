"""Coverage and circles of locks of random programs: all engines say what definitions that are written here again have.

The definitions look at every state that is reached, and see what a step does by taking it; they use none of what notes or traps use.
Data races are held to theirs in test_findings.py. Leaves out inversions, of which the programs have too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lockverse.engine.choose import Options, search
from lockverse.engine.takings import contendable
from lockverse.explore.bounds import Bounds
from lockverse.ir import ops
from lockverse.ir.contexts import keepers
from lockverse.ir.coverage import Contended, Item, Way
from lockverse.ir.ops import Op
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.machine.interpreter import Interpreter, MachineState, Run
from lockverse.machine.protocol import Blocked, Moved
from lockverse.passes.coverage import items, possible
from lockverse.session import _observers

from ..codegen.common import reachable, silent
from ..machine.test_contexts import made
from ..reduction.spaces import locking_linked
from .test_findings import ENGINES, finds

FEW = Bounds(states=1_500)


@dataclass
class Defined:
    """Over all states of a program: conditions by how they came out, locks that somebody waited for who had his CPU, and for each lock
    those that were held by who stood before taking it."""

    went: set[tuple[int, bool]] = field(default_factory=set)
    waited: set[int] = field(default_factory=set)
    held: dict[int, set[int]] = field(default_factory=dict)


def defined(linked: Linked) -> Defined | None:
    """None if there are too many states."""
    machine, states, found = Interpreter(linked), reachable(linked), Defined()

    def watch(op: Op, run: Run) -> None:
        if isinstance(op, ops.Branch):
            decided = op.yes_decides if run.value(op.condition) else op.no_decides
            found.went |= {(linked.origins[op.at].statement, decided)} if decided is not None else set()

    machine.start(watch)
    for state in states or ():
        for thread in range(machine.threads):
            choice, choices = 0, 0 if machine.finished(state, thread) else 1
            while choice < choices:
                outcome = machine.step(state, thread, choice, watch)
                choices, choice = getattr(outcome, "choices", 1), choice + 1
                _locks(linked, state, thread, found, blocked=isinstance(outcome, Blocked))
    return None if states is None else found


def _locks(linked: Linked, state: MachineState, thread: int, found: Defined, *, blocked: bool) -> None:
    memory, (pc, registers), program = state[0], state[1][thread], linked.program
    step = linked.codes[thread].ops[pc]
    if not isinstance(step, ops.Step) or not step.takes or step.target is None:
        return
    wanted = registers[step.target.number] if isinstance(step.target, ops.Reg) else step.target.value
    task = program.threads[thread].task
    found.held.setdefault(wanted, set()).update(lock for lock in program.locks if memory[lock] == task and lock != wanted)
    if blocked and not any(memory[keeper.cell] for keeper in keepers(program, thread, begins=False)):
        found.waited.add(wanted)


def circular(held: dict[int, set[int]]) -> bool:
    """Whether a lock leads back to itself."""

    def leads_back(lock: int, goal: int, seen: frozenset[int]) -> bool:
        return any(one == goal or (one not in seen and leads_back(one, goal, seen | {one})) for one in held.get(lock, ()))

    return any(leads_back(lock, lock, frozenset((lock,))) for lock in held)


def programs(folder: Path, seeds: range) -> Iterator[Linked]:
    """Those that start, with threads that share CPUs and with locks."""
    for seed in seeds:
        for linked in (made(folder, seed), locking_linked(folder, seed)):
            if linked is not None and isinstance(Interpreter(linked).start().outcome, Moved):
                yield linked


def compared(linked: Linked) -> tuple[int, Reason | None] | None:
    """How many items are never exercised, and the reason; None if nothing is to be compared: something else is wrong, or too large."""
    first = search(linked, _observers, FEW, silent, Options("reference"))
    wanted = defined(linked) if first.complete and first.failing is None else None
    if wanted is None:
        return None
    some: set[Item] = (items(linked) & possible(linked)) | contendable(linked)
    done: set[Item] = {Way(*one) for one in wanted.went} | {Contended(one) for one in wanted.waited}
    for engine, reductions in ENGINES:
        result = search(linked, _observers, Bounds(), silent, Options(engine, reductions, 1))
        assert {one for one in result.never if isinstance(one, Way | Contended)} == some - done
        found = finds(linked, engine, reductions)
        reason = None if found.failing is None else found.failing.reason
        assert reason is Reason.DATA_RACE or (reason is Reason.LOCK_ORDER) == circular(wanted.held)
    return len(some - done), reason


def test_random_coverage_and_circles(tmp_path: Path) -> None:
    found = [one for linked in programs(tmp_path, range(6100, 6112)) if (one := compared(linked)) is not None]
    assert sum(never for never, _ in found) > 0 and len(found) > 3


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 1000, 20))
def test_more_random_coverage_and_circles(tmp_path: Path, first: int) -> None:
    for linked in programs(tmp_path, range(720_000 + first, 720_020 + first)):
        compared(linked)
