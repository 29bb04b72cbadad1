"""What `run` prints of an operation: what it returned, and for `owners` and `check` what they say.

Leaves out reading operations, and where the text goes.
"""

from __future__ import annotations

import argparse

from lockverse.sim.calls import Calls
from lockverse.sim.files import USAGE, memory_stat, memory_usage, result_name
from lockverse.sim.operations import Operation
from lockverse.sim.recording import Statistics
from lockverse.sim.run import Run, Step
from lockverse.sim.tree import tree


class Answers:
    """Does operations, and tells what came of each as the options ask."""

    def __init__(self, version: int, options: argparse.Namespace) -> None:
        self.version = version
        self.nonzero: bool = options.nonzero
        self.tree: bool = options.tree
        self.trace: bool = options.trace

    def of(self, ran: Run, operation: Operation) -> str:
        """Do an operation; its text ends in a newline. Raises Rejected."""
        if not self.trace:
            return self.text(ran.do(operation), ran)
        with Calls() as calls:
            step = ran.do(operation)
        return self.text(step, ran) + calls.text()

    def text(self, step: Step, ran: Run) -> str:
        """What an operation that was done has answered."""
        if step.statistics is not None:
            shown = tree(step.statistics, ran.names, self.version) if self.tree else self._files(step.statistics)
            return f"{step.operation.text}\n{shown}"
        answer = " ".join(step.owners) if step.owners is not None else result_name(step.result)
        return f"{step.operation.text} = {answer}\n"

    def _files(self, statistics: Statistics) -> str:
        """The files of all groups, as `head -n -0` shows several."""
        parts = []
        for group, row in statistics.items():
            folder = "" if group == "." else f"{group}/"
            stat = memory_stat(row, self.version)
            if self.nonzero:
                stat = "".join(line for line in stat.splitlines(keepends=True) if not line.endswith(" 0\n"))
            parts.append(f"==> {folder}{USAGE[self.version]} <==\n{memory_usage(row)}\n==> {folder}memory.stat <==\n{stat}\n")
        return "".join(parts)


def checked(ran: Run, answers: Answers) -> str:
    """The groups as a tree, as they are now."""
    return tree(ran.machine.statistics(), ran.names, answers.version)


