"""Locks and waiting under plain Python, where one task runs at a time and what would wait raises WouldBlock.

Expected values are those of the kernel's documentation that each primitive's file names, for what can be told without a second CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lockverse import *
from lockverse.lang.environment import set_chooser
from lockverse.lang.errors import CheckFailed, WouldBlock
from lockverse.lang.task import current_task

for _name in [one for one in globals() if one.startswith("test_")]:
    del globals()[_name]  # bit operations, which pytest would take for tests


@struct
class node:
    flags: u8
    done: bool
    spin: spinlock_t
    raw: raw_spinlock_t
    rw: rwlock_t
    m: mutex
    sem: rw_semaphore
    s: semaphore
    c: completion
    wq: wait_queue_head_t
    seq: seqcount_t
    sl: seqlock_t


EXCLUSIVE: list[tuple[str, Any, Any, Any]] = [
    ("spin", spin_lock, spin_unlock, spin_trylock), ("raw", raw_spin_lock, raw_spin_unlock, raw_spin_trylock),
    ("rw", write_lock, write_unlock, write_trylock), ("m", mutex_lock, mutex_unlock, mutex_trylock),
    ("sem", down_write, up_write, down_write_trylock), ("sl", write_seqlock, write_sequnlock, None),
    ("sl", read_seqlock_excl, read_sequnlock_excl, None),
]  # fmt: skip
SHARED: list[tuple[str, Any, Any, Any]] = [
    ("rw", read_lock, read_unlock, read_trylock), ("sem", down_read, up_read, down_read_trylock),
]  # fmt: skip


@contextmanager
def fails(reason: str) -> Iterator[None]:
    """What is inside breaks that rule."""
    with pytest.raises(CheckFailed) as caught:
        yield
    assert caught.value.reason == reason


@contextmanager
def another() -> Iterator[None]:
    """What is inside runs as another task."""
    with running(task_struct(pid=1, cpu=1)):
        yield


@pytest.mark.parametrize(("name", "take", "give", "trial"), [*EXCLUSIVE, *SHARED])
def test_holding(name: str, take: Any, give: Any, trial: Any) -> None:
    """Taken and given back, taken twice, given back by a stranger, known to lockdep."""
    lock = getattr(node(), name)
    take(lock)
    assert lockdep_is_held(lock)
    lockdep_assert_held(lock)
    with fails("lock-not-held"):
        lockdep_assert_not_held(lock)
    with fails("recursive-locking"):
        take(lock)
    with another(), fails("unlock-by-stranger"):
        give(lock)
    give(lock)
    lockdep_assert_not_held(lock)
    with fails("lock-not-held"):
        lockdep_assert_held(lock)
    with fails("unlock-by-stranger"):
        give(lock)


@pytest.mark.parametrize(("name", "take", "give", "trial"), EXCLUSIVE)
def test_excluding(name: str, take: Any, give: Any, trial: Any) -> None:
    lock = getattr(node(), name)
    take(lock)
    with another():
        with pytest.raises(WouldBlock):
            take(lock)
        if trial is not None:
            assert trial(lock) is False
    give(lock)
    with another():
        take(lock)
        give(lock)
        if trial is not None:
            assert trial(lock) is True
            give(lock)


@pytest.mark.parametrize(("name", "take", "give", "trial"), SHARED)
def test_sharing(name: str, take: Any, give: Any, trial: Any) -> None:
    """Readers together; a writer alone."""
    lock = getattr(node(), name)
    write, unwrite, trial_write = {"rw": (write_lock, write_unlock, write_trylock), "sem": (down_write, up_write, down_write_trylock)}[name]
    take(lock)
    lockdep_assert_held_read(lock)
    with fails("lock-not-held"):
        lockdep_assert_held_write(lock)
    with another():
        assert trial(lock)
        give(lock)
        assert not trial_write(lock)
        with pytest.raises(WouldBlock):
            write(lock)
    give(lock)
    write(lock)
    lockdep_assert_held_write(lock)
    with another():
        assert not trial(lock)
        with pytest.raises(WouldBlock):
            take(lock)
    unwrite(lock)


def test_downgrading() -> None:
    x: Any = node()
    with fails("unlock-by-stranger"):
        downgrade_write(x.sem)
    down_write(x.sem)
    downgrade_write(x.sem)
    assert rwsem_is_locked(x.sem)
    with another():
        down_read(x.sem)
        up_read(x.sem)
    up_read(x.sem)
    assert not rwsem_is_locked(x.sem)


def test_with() -> None:
    """Given back whatever happens inside."""
    x: Any = node()
    for guard in (x.spin, x.raw, x.m):
        with pytest.raises(KeyError), guard:
            lockdep_assert_held(guard)
            raise KeyError
        lockdep_assert_not_held(guard)
    for way, lock in ((read_lock, x.rw), (write_lock, x.rw), (rwsem_read, x.sem), (rwsem_write, x.sem)):
        with pytest.raises(KeyError), scoped_guard(way, lock):
            lockdep_assert_held(lock)
            raise KeyError
        lockdep_assert_not_held(lock)
    with pytest.raises(TypeError, match="read_lock"):
        scoped_guard(spin_lock, x.spin)


SLEEPS: list[Callable[[Any], object]] = [
    lambda x: mutex_lock(x.m), lambda x: down_read(x.sem), lambda x: down_write(x.sem), lambda x: down(x.s), lambda x: wait_for_completion(x.c),
    folio_lock, lambda x: wait_event(x.wq, True), lambda x: schedule(), lambda x: mutex_lock_interruptible(x.m),
    folio_wait_locked, lambda x: down_write_killable(x.sem),
]  # fmt: skip


@pytest.mark.parametrize("sleep", SLEEPS)
def test_where_sleep_is_forbidden(sleep: Callable[[Any], object]) -> None:
    x: Any = node(s=1)
    with x.spin, fails("sleeping-while-atomic"):
        sleep(x)


def test_blocking_while_about_to_sleep() -> None:
    """It would forget what it was about to sleep for: __might_sleep() warns."""
    x: Any = node()
    set_current_state(TASK_INTERRUPTIBLE)
    with fails("warning"):
        mutex_lock(x.m)
    set_current_state(TASK_RUNNING)
    mutex_lock(x.m)


def test_signals() -> None:
    """A lock that is free is taken whatever the environment picks; one that is held is waited for, or not."""
    x: Any = node()
    pairs = [(mutex_lock_interruptible, mutex_unlock, x.m), (mutex_lock_killable, mutex_unlock, x.m), (down_read_interruptible, up_read, x.sem),
             (down_read_killable, up_read, x.sem), (down_write_killable, up_write, x.sem)]  # fmt: skip
    for take, give, lock in pairs:
        for pick in (0, 1):
            set_chooser(lambda options, pick=pick: options[pick])
            assert take(lock) == 0
            give(lock)
        held, unheld = (mutex_lock, mutex_unlock) if lock is x.m else (down_write, up_write)
        held(lock)
        with another():
            assert take(lock) == -EINTR
            set_chooser(lambda options: options[0])
            with pytest.raises(WouldBlock):
                take(lock)
        unheld(lock)
    assert EINTR == 4 and ERESTARTSYS == 512


def test_semaphores() -> None:
    """down_trylock() says 0 when it worked; up() is anybody's."""
    x: Any = node()
    sema_init(x.s, 1)
    assert down_trylock(x.s) == 0 and down_trylock(x.s) == 1 and x.s.count == 0
    with pytest.raises(WouldBlock):
        down(x.s)
    with another():
        up(x.s)
    down(x.s)
    up(x.s)
    assert down_interruptible(x.s) == 0
    up(x.s)
    assert down_killable(x.s) == 0


def test_completions() -> None:
    x: Any = node()
    with pytest.raises(WouldBlock):
        wait_for_completion(x.c)
    complete(x.c)
    complete(x.c)
    assert completion_done(x.c)
    wait_for_completion(x.c)
    assert try_wait_for_completion(x.c) and not try_wait_for_completion(x.c) and not completion_done(x.c)
    complete_all(x.c)
    complete(x.c)
    for _ in range(3):
        wait_for_completion(x.c)
    assert wait_for_completion_interruptible(x.c) == 0 and wait_for_completion_killable(x.c) == 0
    reinit_completion(x.c)
    assert not completion_done(x.c)
    init_completion(x.c)
    assert not try_wait_for_completion(x.c)


def test_sleeping() -> None:
    """schedule() is nothing for who is TASK_RUNNING; who is not sleeps until he is woken."""
    x: Any = node()
    me = get_current()
    schedule()
    for state in (TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_KILLABLE, TASK_IDLE):
        set_current_state(state)
        with pytest.raises(WouldBlock):
            schedule()
        assert wake_up_process(me) and not wake_up_process(me)
        schedule()
    prepare_to_wait(x.wq, TASK_UNINTERRUPTIBLE)
    assert waitqueue_active(x.wq) and wq_has_sleeper(x.wq)
    wake_up_interruptible(x.wq)
    wake_up_interruptible_all(x.wq)
    with pytest.raises(WouldBlock):
        schedule()
    wake_up(x.wq)
    assert not waitqueue_active(x.wq)
    schedule()
    prepare_to_wait(x.wq, TASK_INTERRUPTIBLE)
    finish_wait(x.wq)
    assert not waitqueue_active(x.wq) and me.state == TASK_RUNNING
    init_waitqueue_head(x.wq)
    wake_up_all(x.wq)


def test_wait_event() -> None:
    x: Any = node()
    for wait in (wait_event, wait_event_idle, wait_event_interruptible, wait_event_killable):
        assert wait(x.wq, True) in (None, 0)
        with pytest.raises(WouldBlock):
            wait(x.wq, x.done)


def test_seqcounts() -> None:
    """Even while nobody writes, changed if somebody has; a reader that begins inside a writer's section reads again."""
    x: Any = node()
    seq = read_seqcount_begin(x.seq)
    assert seq % 2 == 0 and not read_seqcount_retry(x.seq, seq) and not read_seqcount_retry(x.seq, seq)
    with another():
        write_seqcount_begin(x.seq)
        with fails("lock-not-held"):
            raw_write_seqcount_begin(x.seq)
    assert read_seqcount_retry(x.seq, seq) and raw_read_seqcount(x.seq) % 2 == 1
    seq = raw_seqcount_begin(x.seq)
    assert seq % 2 == 0 and read_seqcount_retry(x.seq, seq)
    with pytest.raises(WouldBlock):
        read_seqcount_begin(x.seq)
    raw_write_seqcount_end(x.seq)
    with fails("unlock-by-stranger"):
        write_seqcount_end(x.seq)
    assert read_seqcount_retry(x.seq, seq)
    seq = read_seqcount_begin(x.seq)
    seqcount_init(x.seq)
    assert read_seqcount_retry(x.seq, seq)


def test_seqlocks() -> None:
    x: Any = node()
    seq = read_seqbegin(x.sl)
    assert not read_seqretry(x.sl, seq)
    read_seqlock_excl(x.sl)
    read_sequnlock_excl(x.sl)
    assert not read_seqretry(x.sl, seq)
    write_seqlock(x.sl)
    with pytest.raises(WouldBlock):
        read_seqbegin(x.sl)
    write_sequnlock(x.sl)
    assert read_seqretry(x.sl, seq)


def test_the_folio_lock() -> None:
    """A bit of any struct's flags, which anybody may clear; the other bits stay."""
    x: Any = node(flags=6)
    folio_lock(x)
    assert x.flags == 7 and folio_test_locked(x) and PageLocked(x) and not folio_trylock(x)
    for wait in (folio_lock, lock_page, folio_wait_locked, wait_on_page_locked):
        with pytest.raises(WouldBlock):
            wait(x)
    with another():
        folio_unlock(x)
    assert x.flags == 6
    with fails("bug"):
        unlock_page(x)
    assert trylock_page(x) and x.flags & 1 << PG_locked
    unlock_page(x)
    lock_page(x)
    folio_unlock(x)
    folio_wait_locked(x)
    assert folio_lock_killable(x) == 0


def test_bit_locks() -> None:
    x: Any = node(flags=128)
    before = current_task().preempt_count
    bit_spin_lock(3, x.flags)
    assert x.flags == 136 and bit_spin_is_locked(3, x.flags) and not bit_spin_trylock(3, x.flags)
    with fails("sleeping-while-atomic"):
        might_sleep()
    with pytest.raises(WouldBlock):
        bit_spin_lock(3, x.flags)
    preempt_enable()  # what the wait had disabled
    bit_spin_unlock(3, x.flags)
    assert x.flags == 128 and current_task().preempt_count == before
    with fails("bug"):
        bit_spin_unlock(3, x.flags)
    with fails("bug"):
        __bit_spin_unlock(3, x.flags)
    assert bit_spin_trylock(3, x.flags)
    __bit_spin_unlock(3, x.flags)


def test_waiting_for_bits() -> None:
    x: Any = node(flags=2)
    assert wait_on_bit(x.flags, 0, TASK_UNINTERRUPTIBLE) == 0
    with pytest.raises(WouldBlock):
        wait_on_bit(x.flags, 1, TASK_UNINTERRUPTIBLE)
    assert wait_on_bit_lock(x.flags, 0, TASK_UNINTERRUPTIBLE) == 0 and x.flags == 3
    clear_and_wake_up_bit(0, x.flags)
    wake_up_bit(x.flags, 1)
    assert x.flags == 2


def test_nesting_is_said_and_changes_nothing() -> None:
    x, y = node(), node()  # type: Any, Any
    for name, take, nested, give in (
        ("m", mutex_lock, mutex_lock_nested, mutex_unlock), ("sem", down_write, down_write_nested, up_write),
        ("sem", down_read, down_read_nested, up_read), ("rw", write_lock, write_lock_nested, write_unlock),
        ("spin", spin_lock, spin_lock_nested, spin_unlock), ("raw", raw_spin_lock, raw_spin_lock_nested, raw_spin_unlock),
    ):  # fmt: skip
        first, second = getattr(x, name), getattr(y, name)
        take(first)
        nested(second, SINGLE_DEPTH_NESTING)
        with fails("recursive-locking"):
            nested(first, SINGLE_DEPTH_NESTING)
        give(second)
        give(first)
