"""The operations of a workload, one class each; docs/workloads.md describes them for people who write them.

The operations and their words are those of the recordings of a real kernel that the simulator is held to. An operation is a
value: what a line says, with its place. Its docstring is what `help` prints; `forms` are the ways to write it, in which a word in
capitals stands for an argument (`workload.py` says which), `a|b` is a choice, and what is in brackets may be left out.
Leaves out reading them (workload.py) and doing them (system.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lockverse.diagnostics.model import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of a workload: where it stands (1-based), how it was written (words apart by one space), and where each argument is."""

    name: ClassVar[str] = ""
    forms: ClassVar[tuple[str, ...]] = ()

    line: int = field(default=0, compare=False)
    column: int = field(default=1, compare=False)
    text: str = field(default="", compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)  # by the names of fields; "" is the first word

    def place(self, field: str = "") -> Place:
        """Where an argument stands."""
        return self.places.get(field, Place("", self.line, self.column, self.line, self.column + len(self.text)))


@dataclass(frozen=True, slots=True)
class Mkcg(Operation):
    """Make a group: mkdir of A, or of B inside A for A/B."""

    name = "mkcg"
    forms = ("CG",)
    group: str


@dataclass(frozen=True, slots=True)
class Rmcg(Operation):
    """Remove a group: rmdir. EBUSY with a task or a group inside; charges that are left stay in the totals of the groups above."""

    name = "rmcg"
    forms = ("CG",)
    group: str


@dataclass(frozen=True, slots=True)
class Flags(Operation):
    """Write memory.move_charge_at_immigrate of a group: 1 takes anonymous pages along, 2 file pages, 3 both, 0 none. v1 only."""

    name = "flags"
    forms = ("CG NUMBER",)
    group: str
    number: int


@dataclass(frozen=True, slots=True)
class Limit(Operation):
    """Write the limit of a group, in pages: memory.limit_in_bytes (v1), memory.max (v2); -1 for none."""

    name = "limit"
    forms = ("CG PAGES|-1",)
    group: str
    pages: int


@dataclass(frozen=True, slots=True)
class Write(Operation):
    """Write a value into another file of a group, such as memory.force_empty."""

    name = "write"
    forms = ("CG PATH VALUE",)
    group: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Sysw(Operation):
    """Write a value into a file of the system, such as /proc/sys/vm/drop_caches."""

    name = "sysw"
    forms = ("PATH VALUE",)
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Sleepms(Operation):
    """Let some milliseconds pass, in which the kernel settles what it does later."""

    name = "sleepms"
    forms = ("NUMBER",)
    number: int


@dataclass(frozen=True, slots=True)
class File(Operation):
    """Make a sparse file of so many pages in tmpfs, or in ramfs."""

    name = "file"
    forms = ("F PAGES [ramfs]",)
    file: str
    pages: int
    ramfs: bool = False


@dataclass(frozen=True, slots=True)
class Unlink(Operation):
    """Remove a file's name; its pages go when nobody maps it any more."""

    name = "unlink"
    forms = ("F",)
    file: str


@dataclass(frozen=True, slots=True)
class Truncate(Operation):
    """Set a file's size, in pages; what is beyond it is unmapped and freed."""

    name = "truncate"
    forms = ("F PAGES",)
    file: str
    pages: int


@dataclass(frozen=True, slots=True)
class Punch(Operation):
    """Punch a hole: fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) of N pages from page OFF. EOPNOTSUPP on ramfs."""

    name = "punch"
    forms = ("F OFF N",)
    file: str
    offset: int
    pages: int


@dataclass(frozen=True, slots=True)
class Spawn(Operation):
    """Start a worker, a process with no charged page, in a group."""

    name = "spawn"
    forms = ("W CG",)
    worker: str
    group: str


@dataclass(frozen=True, slots=True)
class Fork(Operation):
    """fork(): the child is in its parent's group and has its regions under the same names."""

    name = "fork"
    forms = ("W NEW",)
    worker: str
    new: str


@dataclass(frozen=True, slots=True)
class Vmfork(Operation):
    """clone(CLONE_VM) without CLONE_THREAD: a process of its own in the same address space, whose mm->owner the parent stays."""

    name = "vmfork"
    forms = ("W NEW",)
    worker: str
    new: str


@dataclass(frozen=True, slots=True)
class Exit(Operation):
    """The worker exits by itself."""

    name = "exit"
    forms = ("W",)
    worker: str


@dataclass(frozen=True, slots=True)
class Kill(Operation):
    """The worker is killed by SIGKILL."""

    name = "kill"
    forms = ("W",)
    worker: str


@dataclass(frozen=True, slots=True)
class Move(Operation):
    """Write the worker into cgroup.procs of a group: with the group's flags (v1) its charges move along."""

    name = "move"
    forms = ("W CG",)
    worker: str
    group: str


@dataclass(frozen=True, slots=True)
class Map(Operation):
    """mmap() of N pages under a new name: private anonymous, shared anonymous, or of a file from page OFF.

    Regions are 64 MiB apart, each with page tables of its own; @SLOT+PAGE puts one elsewhere (a slot is 64 MiB).
    """

    name = "map"
    forms = (
        "W R anon N [@SLOT+PAGE]",
        "W R shanon N [@SLOT+PAGE]",
        "W R file F OFF N shared|private [@SLOT+PAGE]",
    )
    worker: str
    region: str
    kind: str  # anon, shanon, file
    pages: int
    file: str = ""  # this and the next two are of a file's mapping only
    offset: int = 0
    sharing: str = ""  # shared, private
    slot: int | None = None  # None: nothing was said
    page: int = 0


@dataclass(frozen=True, slots=True)
class Touch(Operation):
    """Read or write a byte of each page, from the first to the last."""

    name = "touch"
    forms = ("W R OFF N r|w",)
    worker: str
    region: str
    offset: int
    pages: int
    access: str  # r, w


@dataclass(frozen=True, slots=True)
class OnRange(Operation):
    """What the operations on a part of a region have in common; `pages` is None for the whole region."""

    worker: str
    region: str
    offset: int = 0
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class Unmap(OnRange):
    """munmap() of pages of a region, or of all of it."""

    name = "unmap"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Mremap(Operation):
    """mremap(MREMAP_MAYMOVE | MREMAP_FIXED) of pages of a region to the start of a slot; the region is then what was moved."""

    name = "mremap"
    forms = ("W R OFF N SLOT",)
    worker: str
    region: str
    offset: int
    pages: int
    slot: int


@dataclass(frozen=True, slots=True)
class Dontneed(OnRange):
    """madvise(MADV_DONTNEED): the pages are unmapped, anonymous ones freed."""

    name = "dontneed"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Madvfree(OnRange):
    """madvise(MADV_FREE): anonymous pages may be freed when memory is short; until then they stay charged."""

    name = "madvfree"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Remove(OnRange):
    """madvise(MADV_REMOVE): a hole is punched into the file that is mapped there."""

    name = "remove"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Hugepage(OnRange):
    """madvise(MADV_HUGEPAGE): from now on write faults there may take a huge page."""

    name = "hugepage"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Pageout(OnRange):
    """madvise(MADV_PAGEOUT): the pages are reclaimed where that is possible; there is no swap."""

    name = "pageout"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Mlock(OnRange):
    """mlock(): the pages are faulted in and unevictable."""

    name = "mlock"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Munlock(OnRange):
    """munlock()."""

    name = "munlock"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Mprotect(Operation):
    """mprotect() to nothing, reading, or reading and writing."""

    name = "mprotect"
    forms = ("W R OFF N none|r|rw",)
    worker: str
    region: str
    offset: int
    pages: int
    protection: str  # none, r, rw


@dataclass(frozen=True, slots=True)
class Fread(Operation):
    """read(2) of pages of a file by a worker, without a mapping."""

    name = "fread"
    forms = ("W F OFF N",)
    worker: str
    file: str
    offset: int
    pages: int


@dataclass(frozen=True, slots=True)
class Fwrite(Operation):
    """write(2) of pages of a file by a worker, without a mapping: the page cache is filled and charged to the writer's group."""

    name = "fwrite"
    forms = ("W F OFF N",)
    worker: str
    file: str
    offset: int
    pages: int


@dataclass(frozen=True, slots=True)
class Owners(OnRange):
    """For each page of a region: the group it is charged to and how often it is mapped, as runs GROUP/mapMxN.

    `nonexN` are pages not present, `uncharged/mapMxN` those that no group is charged for (the zero page, the tails of a huge page).
    """

    name = "owners"
    forms = ("W R [OFF N]",)


@dataclass(frozen=True, slots=True)
class Check(Operation):
    """Let the kernel settle, then read the numbers of every group that is there."""

    name = "check"
    forms = ("",)


OPERATIONS: dict[str, type[Operation]] = {
    one.name: one
    for one in (
        Mkcg, Rmcg, Flags, Limit, Write, Sysw, Sleepms, File, Unlink, Truncate, Punch, Spawn, Fork, Vmfork, Exit, Kill, Move, Map, Touch,
        Unmap, Mremap, Dontneed, Madvfree, Remove, Hugepage, Pageout, Mlock, Munlock, Mprotect, Fread, Fwrite, Owners, Check,
    )
}  # fmt: skip
