"""Running operations one after the other, and taking down what they answer.

The names are looked at first (names.py), so what is wrong with a workload is told before the system is asked. Leaves out the system itself
and all printing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lockverse.diagnostics.model import Rejected

from .names import Names
from .operations import Check, Operation, Owners
from .recording import Recording, Statistics


class Machine(Protocol):
    """What runs operations: system.py's System, or in tests what stands for it."""

    def execute(self, operation: Operation) -> int:
        """Do it: 0, or what the kernel returned (-errno)."""

    def owners(self, operation: Owners) -> list[str]:
        """Which group each page is charged to, as runs."""

    def statistics(self) -> Statistics:
        """The numbers of every group that is there."""


@dataclass(frozen=True, slots=True)
class Step:
    """An operation that was done: what it returned; for `owners` the runs, for `check` the numbers."""

    number: int
    operation: Operation
    result: int
    owners: list[str] | None = None
    statistics: Statistics | None = None


class Run:
    """A workload on its way. `recording` has all answers so far."""

    def __init__(self, machine: Machine, version: int, name: str = "") -> None:
        self.machine, self.names = machine, Names()
        self.recording = Recording(name, version)

    def do(self, operation: Operation) -> Step:
        """Run one operation. Raises Rejected if it names what is not there; nothing has changed then."""
        wrong = self.names.refuse(operation)
        if wrong is not None:
            raise Rejected((wrong,))
        step = self._step(operation)
        self.names.note(operation, step.result)
        return self._noted(step)

    def took(self, operation: Operation, result: int) -> Step:
        """Take down an operation that was done, and noted, elsewhere."""
        return self._noted(Step(len(self.recording.ops), operation, result))

    def _noted(self, step: Step) -> Step:
        record = self.recording
        record.ops.append(step.operation.text)
        record.results.append(step.result)
        if step.owners is not None:
            record.owners[step.number] = step.owners
        if step.statistics is not None:
            record.checkpoints[step.number] = step.statistics
        return step

    def _step(self, operation: Operation) -> Step:
        number = len(self.recording.ops)
        if isinstance(operation, Owners):
            return Step(number, operation, 0, owners=self.machine.owners(operation))
        if isinstance(operation, Check):
            return Step(number, operation, 0, statistics=self.machine.statistics())
        return Step(number, operation, self.machine.execute(operation))
