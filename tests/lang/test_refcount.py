"""refcount_t, kref and container_of under plain Python.

Expected: the rules at which include/linux/refcount.h and lib/refcount.c of Linux 6.1 warn, and what their functions give.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import lockverse
from lockverse import (
    KREF_INIT,
    NULL,
    REFCOUNT_INIT,
    container_of,
    kref,
    kref_get,
    kref_get_unless_zero,
    kref_init,
    kref_put,
    kref_put_lock,
    kref_read,
    mutex,
    mutex_is_locked,
    mutex_unlock,
    refcount_dec_and_lock,
    refcount_dec_and_lock_irqsave,
    refcount_dec_and_mutex_lock,
    refcount_read,
    refcount_t,
    running,
    spin_is_locked,
    spin_unlock,
    spin_unlock_irqrestore,
    spinlock_t,
    struct,
    task_struct,
    u8,
)
from lockverse.lang.errors import CheckFailed, NullDereference, OutOfBounds, Overflow


@pytest.fixture(autouse=True)
def own_task() -> Iterator[None]:
    """Whatever else raised in the middle of a step, this task holds nothing."""
    with running(task_struct(pid=0)):
        yield


V = "v"
TOP = (1 << 31) - 1
UNDERFLOW, RESURRECTION, LEAK = "refcount-underflow", "refcount-resurrection", "leak"
# what is there before, the arguments, what is there after and is given; or what goes wrong
TABLE: dict[str, list[tuple[int, tuple[object, ...], object]]] = {
    "set": [(0, (V, 1), (1, None)), (3, (V, 2), (2, None))], "read": [(4, (V,), (4, 4))],
    "inc": [(1, (V,), (2, None)), (0, (V,), RESURRECTION), (TOP, (V,), Overflow)],
    "add": [(1, (2, V), (3, None)), (0, (2, V), RESURRECTION), (TOP - 1, (2, V), Overflow)],
    "inc_not_zero": [(1, (V,), (2, True)), (0, (V,), (0, False)), (TOP, (V,), Overflow)],
    "add_not_zero": [(1, (2, V), (3, True)), (0, (2, V), (0, False))],
    "dec_and_test": [(2, (V,), (1, False)), (1, (V,), (0, True)), (0, (V,), UNDERFLOW)],
    "sub_and_test": [(3, (2, V), (1, False)), (2, (2, V), (0, True)), (1, (2, V), UNDERFLOW)],
    "dec": [(2, (V,), (1, None)), (1, (V,), LEAK), (0, (V,), UNDERFLOW)],
    "dec_if_one": [(1, (V,), (0, True)), (2, (V,), (2, False)), (0, (V,), (0, False))],
    "dec_not_one": [(2, (V,), (1, True)), (1, (V,), (1, False)), (0, (V,), UNDERFLOW)],
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_refcount(name: str) -> None:
    for before, arguments, expected in TABLE[name]:
        count = REFCOUNT_INIT(before)
        given = [count if one is V else one for one in arguments]
        function = getattr(lockverse, f"refcount_{name}")
        if isinstance(expected, str):
            with pytest.raises(CheckFailed) as caught:
                function(*given)
            assert caught.value.reason == expected
        elif isinstance(expected, type):
            with pytest.raises(expected):
                function(*given)
        else:
            result = function(*given)
            assert (refcount_read(count), result) == expected


def test_the_table_is_whole() -> None:
    from lockverse.lang.refcount import __all__ as names

    steps = {name.removeprefix("refcount_") for name in names if name.startswith("refcount_")}
    assert steps == {*TABLE, "t", "dec_and_lock", "dec_and_lock_irqsave", "dec_and_mutex_lock"}


def test_dec_and_lock() -> None:
    """The lock is held if the last reference is gone, and is not touched while there are others."""
    count, held, sleeping = REFCOUNT_INIT(2), spinlock_t(), mutex()
    assert refcount_dec_and_lock_irqsave(count, held) == (False, False) and not spin_is_locked(held)
    last, flags = refcount_dec_and_lock_irqsave(count, held)
    assert last and spin_is_locked(held)
    spin_unlock_irqrestore(held, flags)
    count = REFCOUNT_INIT(2)
    assert not refcount_dec_and_mutex_lock(count, sleeping) and not mutex_is_locked(sleeping)
    assert refcount_dec_and_mutex_lock(count, sleeping) and mutex_is_locked(sleeping)
    mutex_unlock(sleeping)
    count, lock = REFCOUNT_INIT(2), spinlock_t()
    assert not refcount_dec_and_lock(count, lock) and not spin_is_locked(lock)
    assert refcount_dec_and_lock(count, lock) and spin_is_locked(lock) and refcount_read(count) == 0
    spin_unlock(lock)


@struct
class stats:
    n: u8
    ref: kref


@struct
class session:
    n: u8
    ref: kref
    stats: stats
    count: refcount_t
    lock: spinlock_t


def test_kref() -> None:
    released: list[Any] = []
    one: Any = session(ref=1)
    kref_get(one.ref)
    assert kref_read(one.ref) == 2 and not kref_put(one.ref, released.append) and not released
    assert kref_put(one.ref, released.append) and released == [one.ref]
    assert not kref_get_unless_zero(one.ref)
    with pytest.raises(CheckFailed) as caught:
        kref_get(one.ref)
    assert caught.value.reason == RESURRECTION
    kref_init(one.ref)
    assert kref_get_unless_zero(one.ref) and kref_read(one.ref) == 2 == kref_read(KREF_INIT(2))
    kref_put(one.ref, released.append)
    assert kref_put_lock(one.ref, lambda k: spin_unlock(one.lock), one.lock) and not spin_is_locked(one.lock)


def test_container_of() -> None:
    one: Any = session()
    assert container_of(one.ref, session, "ref") is one
    assert container_of(one.stats, session, "stats") is one
    assert container_of(one.stats.ref, stats, "ref") is one.stats and container_of(one.stats.ref, session, "stats.ref") is one
    for part, kind, member, error in (
        (one.ref, session, "stats.ref", OutOfBounds), (one.stats.ref, session, "ref", OutOfBounds), (one.ref, stats, "ref", OutOfBounds),
        (KREF_INIT(1), session, "ref", OutOfBounds), (NULL, session, "ref", NullDereference), (one, session, "ref", OutOfBounds),
    ):  # fmt: skip
        with pytest.raises(error):
            container_of(part, kind, member)
