"""The folio lock: bit PG_locked of `flags`, in any struct of the scheme that has an integer field of that name.

Who waits for it sleeps, and anybody may give it back, as a disk interrupt does for a page that was read (mm/filemap.c,
folio_lock() in include/linux/pagemap.h, Linux 6.1). So no task holds it: lockdep knows nothing of it there, and here taking it twice is
a deadlock of one, which the search finds, and a lock that is kept is found by who waits for it. Giving back what is not locked is a BUG,
as VM_BUG_ON_FOLIO() makes it there. lock_page() and its like are the same steps under their older names, on any struct as well.
PG_waiters and the hashed wait queues, which let folio_unlock() wake those who wait, are inside the step. Leaves out those, and
waiting for anything else than the lock.
"""

# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

from .context import check_may_sleep
from .environment import choose, require
from .mutexes import EINTR
from .step import named_step, step
from .task import wait_until

PG_locked = 0


@step("acquire")
def folio_lock(folio: Any) -> None:
    """Wait until nobody holds the folio's lock, and take it. May sleep."""
    check_may_sleep()
    wait_until(folio.flags & (1 << PG_locked) == 0)
    folio.flags |= 1 << PG_locked


@step("acquire")
def folio_trylock(folio: Any) -> bool:
    """Take the folio's lock if nobody holds it; give whether that worked. Never sleeps."""
    if folio.flags & (1 << PG_locked) != 0:
        return False
    folio.flags |= 1 << PG_locked
    return True


@step("release")
def folio_unlock(folio: Any) -> None:
    """Give the folio's lock back, whoever took it."""
    require(folio.flags & (1 << PG_locked) != 0, "bug", "unlocks a folio that is not locked")
    folio.flags &= ~(1 << PG_locked)


@step("once")
def folio_test_locked(folio: Any) -> bool:
    """Whether anybody holds the folio's lock just now."""
    return folio.flags & (1 << PG_locked) != 0


@step("acquire")
def folio_wait_locked(folio: Any) -> None:
    """Wait until nobody holds the folio's lock, and do not take it. May sleep."""
    check_may_sleep()
    wait_until(folio.flags & (1 << PG_locked) == 0)


@step("acquire")
def folio_trylock_fast(folio: Any) -> bool:
    """Take the folio's lock if that needs no waiting."""
    check_may_sleep()
    return folio_trylock(folio)


def folio_lock_killable(folio: Any) -> int:
    """As folio_lock(), but a signal that kills may end the wait. Gives 0, or -EINTR."""
    if folio_trylock_fast(folio):
        return 0
    if choose(bool):
        return -EINTR
    folio_lock(folio)
    return 0


def _page(name: str, body: Any, order: str) -> Any:
    return named_step(name, body, order, {}, f"As {body.__name__}(), of a page.")


lock_page = _page("lock_page", folio_lock, "acquire")
trylock_page = _page("trylock_page", folio_trylock, "acquire")
unlock_page = _page("unlock_page", folio_unlock, "release")
wait_on_page_locked = _page("wait_on_page_locked", folio_wait_locked, "acquire")
PageLocked = _page("PageLocked", folio_test_locked, "once")

__all__ = [
    "PG_locked", "PageLocked", "folio_lock", "folio_lock_killable", "folio_test_locked", "folio_trylock", "folio_unlock",
    "folio_wait_locked", "lock_page", "trylock_page", "unlock_page", "wait_on_page_locked",
]  # fmt: skip
