"""A workload whose workers run at once: operations that can be are interleaved at the steps of the checker, and the books are looked at when all of them are done.

schedule.py interleaves; here is which operations run at once. Those that make workers or groups run alone, and so does one that takes away or makes what another names, since the order of
the file then decides what it means. Leaves out looking for a schedule that fails: a seed is one schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .books import wrong
from .names import Names
from .operations import Check, Exit, Kill, Map, Mremap, Operation, Owners, Unlink, Unmap
from .pages import wrong_pages
from .run import Run, Step
from .schedule import ALONE, Scheduler
from .system import System


class BooksDisagree(Exception):
    """What does not hold after operations that ran at once, a line each."""


class Interleaved:
    """A run whose operations are given in order, and done a few at once."""

    def __init__(self, version: int, seed: int, name: str = "") -> None:
        self.system = System(version)
        self.run = Run(self.system, version, name)
        self._version = version
        self._scheduler = Scheduler(self.system, seed)
        self._huge = False

    @property
    def switches(self) -> int:
        """How often another worker has gone on so far."""
        return self._scheduler.switches

    def steps(self, operations: Iterable[Operation]) -> Iterator[Step]:
        """Do all. Raises Rejected as Run.do does, BooksDisagree, or what the kernel's functions raise."""
        together: list[Operation] = []
        for operation in operations:
            if not self._fits(operation, together):
                yield from self._all(together)
                together = []
            if self.run.names.refuse(operation) is not None:
                yield from self._all(together)
                self.run.do(operation)  # refuses it
            together.append(operation)
            if not isinstance(operation, (*ALONE, Mremap)):  # a mremap can fail; whatever its result decides is not done at once with it
                self.run.names.note(operation, 0)
        yield from self._all(together)

    def _fits(self, operation: Operation, together: list[Operation]) -> bool:
        if not together:
            return True
        if isinstance(operation, ALONE) or isinstance(together[0], ALONE):
            return False
        return not any(_depends(operation, other, self.run.names) or _depends(other, operation, self.run.names) for other in together)

    def _all(self, together: list[Operation]) -> Iterator[Step]:
        if not together:
            return
        if isinstance(together[0], ALONE):
            yield self.run.do(together[0])
        else:
            results = self._scheduler.run(together)
            for operation, result in zip(together, results, strict=True):
                if isinstance(operation, Mremap):
                    self.run.names.note(operation, result)
                yield self.run.took(operation, result)
        self._huge = self._huge or any(operation.name == "hugepage" for operation in together)
        if not isinstance(together[0], Check | Owners):
            found = wrong(self.system.statistics(), self._version, huge=self._huge) + wrong_pages(self.system)
            if found:
                raise BooksDisagree("\n".join(found))


def _depends(one: Operation, other: Operation, names: Names) -> bool:
    """Whether what `one` does to names decides what `other` means."""
    match one:
        case Unlink(file=file):
            return getattr(other, "file", "") == file
        case Map() | Mremap() | Unmap(pages=None):
            theirs = getattr(other, "worker", "")
            shared = theirs != one.worker or not isinstance(one, Map | Unmap)
            return shared and getattr(other, "region", "") == one.region and _regions(names, theirs) is _regions(names, one.worker)
        case Exit() | Kill():
            return getattr(other, "worker", "") == one.worker
        case _:
            return False


def _regions(names: Names, worker: str) -> dict[str, int] | None:
    return names.workers.get(worker)


