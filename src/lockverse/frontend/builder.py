"""Building one function of the IR: registers, blocks, ops.

Blocks that nothing reaches (code after a return) are dropped at the end. Leaves out any check: the verifier has them.
"""

from __future__ import annotations

from msgspec.structs import replace

from lockverse.ir.ops import Branch, Jump, Op, Reg, Return
from lockverse.ir.program import Block, Function, Register
from lockverse.ir.types import Scalar


class Builder:
    """A function that is being built. Ops go to the end of the current block."""

    def __init__(self) -> None:
        self.registers: list[Register] = []
        self._blocks: list[list[Op]] = [[]]
        self._current = 0

    def register(self, name: str, kind: Scalar, role: str) -> Reg:
        """A new register; `role` is "param", "local" or "temp"."""
        self.registers.append(Register(name, kind, role))
        return Reg(len(self.registers) - 1)

    def block(self) -> int:
        """A new empty block, not yet current."""
        self._blocks.append([])
        return len(self._blocks) - 1

    @property
    def position(self) -> int:
        """The current block."""
        return self._current

    def enter(self, block: int) -> None:
        """Make `block` the current one."""
        self._current = block

    @property
    def closed(self) -> bool:
        """Whether the current block has its terminator."""
        ops = self._blocks[self._current]
        return bool(ops) and isinstance(ops[-1], Jump | Branch | Return)

    def emit(self, op: Op) -> None:
        """Append an op. After a terminator it goes to a new block, which nothing reaches."""
        if self.closed:
            self.enter(self.block())
        self._blocks[self._current].append(op)

    def finish(self, name: str, results: tuple[Scalar, ...], parameters: int, *, observer: bool, primitive: bool) -> Function:
        """The function, without the blocks that nothing reaches."""
        order = self._reachable()
        number = {old: new for new, old in enumerate(order)}
        blocks = tuple(Block(tuple(_retarget(op, number) for op in self._blocks[old])) for old in order)
        return Function(name, parameters, tuple(self.registers), results, blocks, observer, primitive)

    def _reachable(self) -> list[int]:
        order, waiting = [], [0]
        seen = {0}
        while waiting:
            block = waiting.pop()
            order.append(block)
            for target in reversed(_targets(self._blocks[block][-1])):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return order


def _targets(op: Op) -> tuple[int, ...]:
    if isinstance(op, Jump):
        return (op.target,)
    return (op.yes, op.no) if isinstance(op, Branch) else ()


def _retarget(op: Op, number: dict[int, int]) -> Op:
    if isinstance(op, Jump):
        return replace(op, target=number[op.target])
    return replace(op, yes=number[op.yes], no=number[op.no]) if isinstance(op, Branch) else op
