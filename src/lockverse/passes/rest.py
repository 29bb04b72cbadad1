"""Rest: the steps before which a thread may stay for ever, which `rest()` says.

A Rest stands where the user wrote it; the step it is about may come after work on variables, a branch, a return or the
entry of a function. Facts flow forwards to their least fixed point: which Rests can have run since the last step. A step
that only rested threads come to is marked; the Rests are then taken out, so that nothing else here has to know them.
Right because where a thread stands then says whether it is at rest: a step that is come to both ways is an error.

Leaves out what is made of a thread at rest: machine/ and check/.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from lockverse.ir.ops import Branch, Jump, Op, Rest, Step
from lockverse.ir.source import Origin

from .inline import Inlined, Origins

_NOT_RESTED = -1  # the fact that a thread comes here without a Rest since its last step; others are origins of Rests
Facts = frozenset[int]


class Unclear(Struct, frozen=True):
    """A rest() that does not say where, with its own origin and that of a step that is also come to without it; None if
    it comes to no step at all."""

    rest: Origin
    step: Origin | None


class UnclearRest(Exception):
    """The user's rest() does not say where, as often as there are `found`."""

    def __init__(self, function: str, found: tuple[Unclear, ...]) -> None:
        super().__init__(f"{function}: {len(found)} unclear rest()")
        self.found = found


def mark_rest(function: Inlined, origins: Origins) -> Inlined:
    """The function with its steps marked and without Rests. Raises UnclearRest."""
    if not any(isinstance(op, Rest) for block in function.blocks for op in block):
        return function
    work = _Marker(_facts(function), origins)
    blocks = tuple(tuple(work.block(number, block)) for number, block in enumerate(function.blocks))
    work.look_for_unused(function)
    if work.unclear:
        raise UnclearRest(function.name, tuple(work.unclear))
    return replace(function, blocks=blocks)


class _Marker:
    def __init__(self, before: list[Facts], origins: Origins) -> None:
        self.before, self.origins = before, origins
        self.unclear: list[Unclear] = []
        self.used: set[int] = set()

    def block(self, number: int, block: tuple[Op, ...]) -> Iterator[Op]:
        """The ops of a block, its steps marked, without Rests."""
        facts = self.before[number]
        for op in block:
            if isinstance(op, Step):
                yield self._step(op, facts)
            elif not isinstance(op, Rest):
                yield op
            facts = _after(op, facts)

    def _step(self, step: Step, facts: Facts) -> Step:
        rests = facts - {_NOT_RESTED}
        self.used |= rests
        if rests and _NOT_RESTED in facts:
            self.unclear.append(Unclear(self.origins.all[min(rests)], self.origins.all[step.at]))
        return replace(step, rest=True) if rests else step

    def look_for_unused(self, function: Inlined) -> None:
        """A Rest that can run and comes to no step."""
        for facts, block in zip(self.before, function.blocks, strict=True):
            for op in block if facts else ():
                if isinstance(op, Rest) and op.at not in self.used:
                    self.unclear.append(Unclear(self.origins.all[op.at], None))


def _facts(function: Inlined) -> list[Facts]:
    """The facts at the start of each block; none for one that nothing comes to."""
    before: list[Facts] = [frozenset() for _ in function.blocks]
    before[0] = frozenset({_NOT_RESTED})
    waiting = [0]
    while waiting:
        number = waiting.pop()
        block = function.blocks[number]
        facts = before[number]
        for op in block:
            facts = _after(op, facts)
        for target in _targets(block[-1]):
            if not facts <= before[target]:
                before[target] |= facts
                waiting.append(target)
    return before


def _after(op: Op, facts: Facts) -> Facts:
    if isinstance(op, Rest):
        return (facts - {_NOT_RESTED}) | {op.at}
    return frozenset({_NOT_RESTED}) if isinstance(op, Step) else facts


def _targets(op: Op) -> tuple[int, ...]:
    if isinstance(op, Jump):
        return (op.target,)
    return (op.yes, op.no) if isinstance(op, Branch) else ()
