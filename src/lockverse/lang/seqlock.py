"""seqcount_t and seqlock_t: readers that write nothing, and read again if somebody else has written.

Names and meaning: include/linux/seqlock.h and Documentation/locking/seqlock.rst, Linux 6.1. The kernel counts, twice for each
section of a writer, and a reader compares. All he asks is whether a writer is at work (the count is odd) and whether one has been
since he began; so that is what is kept, the second as a bit for each task, which every writer clears. That is a count without end in a
few states, however often writers come. A count that wraps would have as many states as values, and would take a reader that
slept through half of them for one that nobody disturbed: 2 to the 31 sections in the kernel, 128 with eight bits.

A reader that finds a writer at work waits for its end, as spinning would, which costs no states; if there is none, that is a
deadlock. Writers are to be serialised, and one that is not is a fault: in the kernel both would make the count even between them,
and readers would trust what they see. Leaves out a count that is kept over another read_seqcount_begin() of the same seqcount by the
same task, or that is given to another task: it is taken for the newest. Leaves out latches, seqcounts that know their lock, and
what becomes of a reader that preempts a writer, which comes with the contexts.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from typing import Any

from .context import after_spinning, before_spinning, exit_atomic
from .environment import require
from .ownership import give_back, take
from .step import step
from .structs import struct
from .task import current_task, task_struct, wait_until
from .types import ptr, u64


@struct(kind="seqcount", opaque=True)
class seqcount_t:
    """Whether a writer is at work, and for which readers none has been since they began, a bit for each task."""

    odd: bool
    undisturbed: u64


@struct(kind="lock", opaque=True)
class seqlock_t:
    """A spinlock for writers, and a seqcount."""

    owner: ptr[task_struct]
    odd: bool
    undisturbed: u64


# The parts, of both


def begin_reading(s: Any) -> None:
    """The task is a reader that nobody has disturbed yet."""
    s.undisturbed |= 1 << current_task().pid


def begin_writing(s: Any) -> None:
    """A writer is at work."""
    require(not s.odd, "lock-not-held", "another writer is at work: nothing serialises the writers of this seqcount")
    s.odd = True
    s.undisturbed = 0


def end_writing(s: Any) -> None:
    """And is no more."""
    require(s.odd, "unlock-by-stranger", "ends a section of a writer that has not begun")
    s.odd = False
    s.undisturbed = 0


def is_disturbed(s: Any) -> bool:
    """Whether a writer has been at work since the task began to read."""
    return (s.undisturbed >> current_task().pid) & 1 == 0


# seqcount_t


@step("plain")
def seqcount_init(s: ptr[seqcount_t]) -> None:
    """No writer is at work."""
    s.odd = False
    s.undisturbed = 0


@step("acquire")
def read_seqcount_begin(s: ptr[seqcount_t]) -> int:
    """Wait until no writer is at work. Gives what read_seqcount_retry() is to be given: an even count, which is 0 here."""
    wait_until(not s.odd)
    begin_reading(s)
    return 0


@step("acquire")
def raw_read_seqcount(s: ptr[seqcount_t]) -> int:
    """As read_seqcount_begin(), but waits for nobody: the count is odd, which is 1 here, if a writer is at work."""
    begin_reading(s)
    return 1 if s.odd else 0


@step("acquire")
def raw_seqcount_begin(s: ptr[seqcount_t]) -> int:
    """As read_seqcount_begin(), but waits for nobody: if a writer is at work, read_seqcount_retry() will say so."""
    if s.odd:
        s.undisturbed &= ~(1 << current_task().pid)
    else:
        begin_reading(s)
    return 0


@step("acquire")
def read_seqcount_retry(s: ptr[seqcount_t], start: int) -> bool:
    """Whether a writer has been at work since read_seqcount_begin(), so that what was read may not belong together."""
    return is_disturbed(s)


@step("release")
def write_seqcount_begin(s: ptr[seqcount_t]) -> None:
    """A writer begins. Whoever calls this holds a lock that keeps others from it."""
    begin_writing(s)


@step("release")
def write_seqcount_end(s: ptr[seqcount_t]) -> None:
    """The end of what write_seqcount_begin() began."""
    end_writing(s)


@step("release")
def raw_write_seqcount_begin(s: ptr[seqcount_t]) -> None:
    """As write_seqcount_begin(), without lockdep."""
    begin_writing(s)


@step("release")
def raw_write_seqcount_end(s: ptr[seqcount_t]) -> None:
    """The end of what raw_write_seqcount_begin() began."""
    end_writing(s)


# seqlock_t. The lock and the count are one step: nobody can tell what is between, since readers look at the count alone and
# writers wait for the lock.


@step("acquire")
def read_seqbegin(sl: ptr[seqlock_t]) -> int:
    """Wait until no writer is at work. Gives what read_seqretry() is to be given: an even count, which is 0 here."""
    wait_until(not sl.odd)
    begin_reading(sl)
    return 0


@step("acquire")
def read_seqretry(sl: ptr[seqlock_t], start: int) -> bool:
    """Whether a writer has been at work since read_seqbegin()."""
    return is_disturbed(sl)


def write_seqlock(sl: ptr[seqlock_t]) -> None:
    """Wait until nobody holds the lock, take it, and begin to write."""
    before_spinning()
    spin_to_write(sl)


@step("acquire", name="write_seqlock", takes="exclusive")
def spin_to_write(sl: ptr[seqlock_t]) -> None:
    """The lock and the count."""
    take(sl)
    after_spinning()
    begin_writing(sl)


@step("release", gives="exclusive")
def write_sequnlock(sl: ptr[seqlock_t]) -> None:
    """The end of what write_seqlock() began."""
    require(sl.owner == current_task(), "unlock-by-stranger", "gives back a lock that it does not hold")
    end_writing(sl)
    give_back(sl)
    exit_atomic()


def read_seqlock_excl(sl: ptr[seqlock_t]) -> None:
    """Keep writers out, and other readers of this kind, and disturb nobody."""
    before_spinning()
    spin_to_read(sl)


@step("acquire", name="read_seqlock_excl", takes="exclusive")
def spin_to_read(sl: ptr[seqlock_t]) -> None:
    """The lock alone."""
    take(sl)
    after_spinning()


@step("release", gives="exclusive")
def read_sequnlock_excl(sl: ptr[seqlock_t]) -> None:
    """The end of what read_seqlock_excl() began."""
    give_back(sl)
    exit_atomic()


__all__ = [
    "raw_read_seqcount", "raw_seqcount_begin", "raw_write_seqcount_begin", "raw_write_seqcount_end", "read_seqbegin", "read_seqcount_begin",
    "read_seqcount_retry", "read_seqlock_excl", "read_seqretry", "read_sequnlock_excl", "seqcount_init", "seqcount_t", "seqlock_t",
    "write_seqcount_begin", "write_seqcount_end", "write_seqlock", "write_sequnlock",
]  # fmt: skip
