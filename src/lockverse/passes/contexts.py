"""Contexts: a step waits while something else has its CPU.

What keeps a thread off its CPU is known (ir/contexts.py) and is put as loads and Awaits behind every Step of the threads
concerned, so that the machines need to know nothing of it. Right because a thread that may not go on is then one
whose step is blocked, and nothing is written before an Await. Threads that have their CPU to themselves are left alone.

Leaves out how a handler begins and ends: the frontend writes that round it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from lockverse.ir.contexts import ENTRIES, GUARD, keepers
from lockverse.ir.ops import Await, Binary, Choose, Imm, Load, Op, Reg, Step, Unary
from lockverse.ir.program import Program, Register
from lockverse.ir.types import S64, Bool

from .inline import Inlined


def in_context(function: Inlined, program: Program, number: int) -> Inlined:
    """The function as that thread runs it, which shares its CPU: its steps wait for the CPU."""
    work = _Guard(program, number, Reg(len(function.registers)), Reg(len(function.registers) + 1))
    blocks = tuple(tuple(work.block(block)) for block in function.blocks)
    registers = (*function.registers, Register(GUARD, S64, "temp"), Register(GUARD, Bool(), "temp"))
    return replace(function, registers=registers, blocks=blocks)


class _Guard(Struct, frozen=True):
    program: Program
    number: int
    value: Reg
    clear: Reg

    def block(self, block: tuple[Op, ...]) -> Iterator[Op]:
        """The ops of a block, a guard behind each Step."""
        handler = self.program.threads[self.number].context != "task"
        step: Step | None = None
        for op in block:
            yield op
            step = op if isinstance(op, Step) else step
            if step is not None and (step.kind != "choose" or isinstance(op, Choose)):  # a Choose stays right behind its Step
                for one in keepers(self.program, self.number, begins=handler and step.kind in ENTRIES):
                    yield from self._wait(one.cell, step.at)
                step = None

    def _wait(self, cell: int, at: int) -> Iterator[Op]:
        kind = self.program.cells[cell].type
        if isinstance(kind, Bool):
            yield Load(self.clear, Imm(cell), kind, at)
            yield Unary(self.clear, "not", self.clear, kind, at)
        else:
            yield Load(self.value, Imm(cell), kind, at)
            yield Binary(self.clear, "eq", self.value, Imm(0), kind, at)
        yield Await(self.clear, at)
