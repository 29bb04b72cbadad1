"""struct completion: wait until something has been done.

Names and meaning: include/linux/completion.h and kernel/sched/completion.c, Linux 6.1. The count and those who wait are under one
lock in the kernel, so nobody who waits is missed, and a wait is one step. complete_all() is a flag of its own here, where the
kernel has a count that is never taken off from. A signal ends a wait as in mutexes.py, with -ERESTARTSYS. Leaves out timeouts.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import check_may_sleep
from .environment import choose
from .step import step
from .structs import struct
from .task import wait_until
from .types import ptr, u32

ERESTARTSYS = 512


@struct(opaque=True)
class completion:
    """How many waits complete() has let go on in advance, and whether complete_all() lets all of them."""

    done: u32
    for_all: bool


@step("plain")
def init_completion(x: ptr[completion]) -> None:
    """Nothing has been done yet."""
    x.done = 0
    x.for_all = False


@step("plain")
def reinit_completion(x: ptr[completion]) -> None:
    """Nothing has been done yet, again."""
    x.done = 0
    x.for_all = False


def _take_one(x: ptr[completion]) -> None:
    if not x.for_all:
        x.done -= 1


@step("full")
def wait_for_completion(x: ptr[completion]) -> None:
    """Wait for a complete() of one's own, or for complete_all(). May sleep."""
    check_may_sleep()
    wait_until(x.for_all or x.done > 0)
    _take_one(x)


@step("full")
def try_wait_for_completion(x: ptr[completion]) -> bool:
    """As wait_for_completion() if that needs no waiting; gives whether that was so."""
    if not x.for_all and x.done == 0:
        return False
    _take_one(x)
    return True


@step("full")
def wait_for_completion_fast(x: ptr[completion]) -> bool:
    """The same, where waiting is what comes next."""
    check_may_sleep()
    if not x.for_all and x.done == 0:
        return False
    _take_one(x)
    return True


def wait_for_completion_interruptible(x: ptr[completion]) -> int:
    """As wait_for_completion(), but a signal may end the wait. Gives 0, or -ERESTARTSYS."""
    if wait_for_completion_fast(x):
        return 0
    if choose(bool):
        return -ERESTARTSYS
    wait_for_completion(x)
    return 0


def wait_for_completion_killable(x: ptr[completion]) -> int:
    """As wait_for_completion_interruptible(); only a signal that kills ends the wait."""
    return wait_for_completion_interruptible(x)


@step("full")
def complete(x: ptr[completion]) -> None:
    """Let one wait go on."""
    if not x.for_all:
        x.done += 1


@step("full")
def complete_all(x: ptr[completion]) -> None:
    """Let all waits go on, those to come among them."""
    x.done = 0
    x.for_all = True


@step("once")
def completion_done(x: ptr[completion]) -> bool:
    """Whether a wait would go on at once."""
    return x.for_all or x.done > 0


__all__ = [
    "ERESTARTSYS", "complete", "complete_all", "completion", "completion_done", "init_completion", "reinit_completion",
    "try_wait_for_completion", "wait_for_completion", "wait_for_completion_interruptible", "wait_for_completion_killable",
]  # fmt: skip
