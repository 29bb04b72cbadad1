"""struct semaphore: a count of how many may go on. It is held by nobody, so anybody may call up().

Names and meaning: include/linux/semaphore.h and kernel/locking/semaphore.c, Linux 6.1. A signal ends a wait as in mutexes.py.
Leaves out timeouts, and the order in which those who wait go on.
"""

# mypy: disable-error-code="attr-defined,valid-type,no-any-return"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from .context import check_may_sleep
from .environment import choose
from .mutexes import EINTR
from .step import step
from .structs import struct
from .task import wait_until
from .types import ptr, u32


@struct(opaque=True)
class semaphore:
    """A semaphore: `semaphore(1)` in a scene lets one go on."""

    count: u32


@step("plain")
def sema_init(sem: ptr[semaphore], val: u32) -> None:
    """Give the semaphore its first count."""
    sem.count = val


@step("acquire")
def down(sem: ptr[semaphore]) -> None:
    """Wait until the count is above 0, and take one off. May sleep."""
    check_may_sleep()
    wait_until(sem.count > 0)
    sem.count -= 1


@step("acquire")
def down_trylock(sem: ptr[semaphore]) -> int:
    """Take one off if the count is above 0. Gives 0 if that worked and 1 if not: the other way round than all other trylocks."""
    if sem.count == 0:
        return 1
    sem.count -= 1
    return 0


@step("acquire")
def down_fast(sem: ptr[semaphore]) -> bool:
    """Take one off if that needs no waiting."""
    check_may_sleep()
    if sem.count == 0:
        return False
    sem.count -= 1
    return True


def down_interruptible(sem: ptr[semaphore]) -> int:
    """As down(), but a signal may end the wait. Gives 0, or -EINTR."""
    if down_fast(sem):
        return 0
    if choose(bool):
        return -EINTR
    down(sem)
    return 0


def down_killable(sem: ptr[semaphore]) -> int:
    """As down_interruptible(); only a signal that kills ends the wait."""
    return down_interruptible(sem)


@step("release")
def up(sem: ptr[semaphore]) -> None:
    """Add one. Whoever does need not have called down()."""
    sem.count += 1


__all__ = ["down", "down_interruptible", "down_killable", "down_trylock", "sema_init", "semaphore", "up"]
