"""Bit locks, and waiting for a bit: `bit_spin_lock(nr, x.flags)`, `wait_on_bit(x.flags, nr, TASK_UNINTERRUPTIBLE)`.

Names and order of arguments: include/linux/bit_spinlock.h and wait_bit.h, kernel/sched/wait_bit.c, Linux 6.1. A bit does not know
who set it, so lockdep sees nothing; but bit_spin_lock() disables preemption, so a lock that is kept and one that is given back by
another task come out as `preempt-imbalance`, as they do there, and giving back what is not locked is a BUG. Who waits in
wait_on_bit() sleeps until wake_up_bit() finds him and the bit clear; one who clears the bit and wakes nobody leaves him asleep.

The compiler knows these by their PlaceInfo (frontend/bit_locks.py); the bodies here are what they mean under plain Python. Leaves out
exclusive waiters, so wake_up_bit() wakes all; timeouts; the modes in which a signal ends the wait; actions other than to sleep.
"""

# mypy: disable-error-code="attr-defined,no-any-return,operator"

from __future__ import annotations

from typing import Any

from .bits import has_bit, put_bit
from .context import after_spinning, before_spinning, check_may_sleep, enter_atomic, exit_atomic
from .environment import require
from .features import needs_feature
from .places import caller_place
from .step import place_macro, rides_along
from .task import TASK_RUNNING, all_tasks, current_task, wait_until
from .types import u64
from .wait import TASK_UNINTERRUPTIBLE

# Parts of steps


@rides_along
def taken() -> None:
    """A bit lock is taken: its holder may not sleep, and whether he may is known."""
    needs_feature("preempt_count")
    after_spinning()


@rides_along
def tried() -> None:
    """The same, by who waited for nothing."""
    needs_feature("preempt_count")
    enter_atomic()


@rides_along
def given_back() -> None:
    """The end of what taken() or tried() began."""
    needs_feature("preempt_count")
    exit_atomic()


@rides_along
def get_ready(key: u64) -> None:  # type: ignore[valid-type]
    """The task is about to sleep until the bit of that key is cleared and it is woken."""
    task = current_task()
    task.bit_wait = key
    task.state = TASK_UNINTERRUPTIBLE


@rides_along
def done_waiting() -> None:
    """The task sleeps no more."""
    task = current_task()
    task.bit_wait = 0
    task.state = TASK_RUNNING


@rides_along
def wake_waiters(key: u64) -> None:  # type: ignore[valid-type]
    """Wake all who wait for the bit of that key."""
    for task in all_tasks():
        if task.bit_wait == key:
            task.bit_wait = 0
            task.state = TASK_RUNNING


# Bit spinlocks


@place_macro("bit_spin_lock", "acquire", "bit_spin_lock")
def bit_spin_lock(nr: int, place: Any) -> None:
    """Wait until the bit is clear, and set it. Its holder may not sleep."""
    found = caller_place(1)
    before_spinning()
    wait_until(not has_bit(nr, found))
    put_bit(nr, found, True)
    taken()


@place_macro("bit_spin_trylock", "acquire", "bit_spin_trylock")
def bit_spin_trylock(nr: int, place: Any) -> bool:
    """Set the bit if it is clear; give whether that worked. Its holder may not sleep."""
    found = caller_place(1)
    if has_bit(nr, found):
        return False
    put_bit(nr, found, True)
    tried()
    return True


@place_macro("bit_spin_unlock", "release", "bit_spin_unlock")
def bit_spin_unlock(nr: int, place: Any) -> None:
    """Clear the bit, which must be set."""
    found = caller_place(1)
    require(has_bit(nr, found), "bug", "gives back a bit lock that is not taken")
    put_bit(nr, found, False)
    given_back()


@place_macro("__bit_spin_unlock", "plain", "__bit_spin_unlock")
def __bit_spin_unlock(nr: int, place: Any) -> None:
    """As bit_spin_unlock(), by a plain load and a plain store: two steps, and what others do to the word in between is lost."""
    found = caller_place(1)
    require(has_bit(nr, found), "bug", "gives back a bit lock that is not taken")
    put_bit(nr, found, False)
    given_back()


@place_macro("bit_spin_is_locked", "once", "bit_spin_is_locked")
def bit_spin_is_locked(nr: int, place: Any) -> bool:
    """Whether the bit is set just now."""
    return has_bit(nr, caller_place(1))


# Waiting for a bit


@place_macro("wait_on_bit", "acquire", "wait_on_bit")
def wait_on_bit(place: Any, bit: int, mode: int) -> int:
    """Sleep until the bit is clear. Gives 0."""
    check_may_sleep()
    wait_until(not has_bit(bit, caller_place()))
    return 0


@place_macro("wait_on_bit_lock", "acquire", "wait_on_bit_lock")
def wait_on_bit_lock(place: Any, bit: int, mode: int) -> int:
    """Sleep until the bit is clear, and set it. Gives 0."""
    found = caller_place()
    check_may_sleep()
    wait_until(not has_bit(bit, found))
    put_bit(bit, found, True)
    return 0


@place_macro("wake_up_bit", "full", "wake_up_bit")
def wake_up_bit(place: Any, bit: int) -> None:
    """Wake all who wait for the bit, if it is clear."""
    caller_place()


@place_macro("clear_and_wake_up_bit", "release", "clear_and_wake_up_bit")
def clear_and_wake_up_bit(bit: int, place: Any) -> None:
    """Clear the bit, and wake all who wait for it: two steps."""
    put_bit(bit, caller_place(1), False)


__all__ = [name for name, value in list(globals().items()) if hasattr(value, "__lockverse_place__")]
