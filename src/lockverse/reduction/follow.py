"""Moves as a plan merges them, made by the interpreter: the compiled code's twin, for races and for tests.

A move is a step, and every step after it that the plan takes at once. Leaves out which those are: fusion.py.
"""

from __future__ import annotations

from msgspec.structs import replace

from lockverse.codegen.layout import FINISHED, MachineState
from lockverse.codegen.plan import FREE, Need, Plan
from lockverse.ir.ops import Imm
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Moved, Outcome, TooLong


class Follower:
    """The moves of a machine under a plan."""

    def __init__(self, machine: Interpreter, plan: Plan) -> None:
        self.machine, self.plan = machine, plan

    def move(self, state: MachineState, thread: int, choice: int) -> tuple[Outcome, int]:
        """What a move does, and of how many steps it is."""
        outcome = self.machine.step(state, thread, choice)
        count = 1
        choices = outcome.choices if isinstance(outcome, Moved) else 1
        while isinstance(outcome, Moved) and self.goes_on(outcome.state, thread):
            outcome = self.machine.step(outcome.state, thread, 0)
            count += 1
        return (outcome if isinstance(outcome, Blocked | TooLong) else replace(outcome, choices=choices)), count

    def goes_on(self, state: MachineState, thread: int) -> bool:
        """Whether the plan takes the next step of the thread at once."""
        pc, registers = state[1][thread]
        needs = None if pc == FINISHED else self.plan.going_on.get(thread, {}).get(pc)
        return needs is not None and all(self._met(need, state[0], registers, thread) for need in needs)

    def _met(self, need: Need, memory: tuple[int, ...], registers: tuple[int, ...], thread: int) -> bool:
        task = self.machine.linked.program.threads[thread].task
        if need.address is None:
            return all(memory[lock] == task for lock in need.locks.values() if lock != FREE)
        address = need.address.value if isinstance(need.address, Imm) else registers[need.address.number]
        lock = need.locks.get(address)
        return lock is not None and (lock == FREE or memory[lock] == task)
