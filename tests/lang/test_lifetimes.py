"""Pools, RCU, SRCU and lists under plain Python. Expected values by hand."""

from __future__ import annotations

from typing import Any

import pytest

from lockverse import (
    GFP_ATOMIC,
    INIT_LIST_HEAD,
    NULL,
    array,
    call_rcu,
    container_of,
    kfree,
    kfree_rcu,
    kmalloc,
    kzalloc,
    list_add,
    list_add_rcu,
    list_add_tail,
    list_add_tail_rcu,
    list_del,
    list_del_init,
    list_del_rcu,
    list_empty,
    list_entry,
    list_first_entry,
    list_first_entry_or_null,
    list_for_each_entry,
    list_for_each_entry_rcu,
    list_for_each_entry_safe,
    list_head,
    pool,
    preempt_disable,
    preempt_enable,
    ptr,
    rcu_barrier,
    rcu_dereference,
    rcu_head,
    rcu_read_lock,
    rcu_read_unlock,
    scheme,
    spin_lock,
    spin_unlock,
    spinlock_t,
    srcu_read_lock,
    srcu_read_unlock,
    srcu_struct,
    struct,
    synchronize_rcu,
    synchronize_srcu,
    u8,
)  # fmt: skip
from lockverse.lang.errors import CheckFailed, WrongType
from lockverse.lang.scene import build


@struct
class item:
    n: u8 = 7  # type: ignore[assignment]
    slots: array[u8, 2]  # type: ignore[valid-type]
    lock: spinlock_t
    link: list_head
    rcu: rcu_head
    other: ptr["item"]  # type: ignore[valid-type]  # noqa: UP037


@struct
class chain:
    srcu: srcu_struct
    items: list_head


def reason(action: Any) -> str:
    """The reason of the rule that an action breaks."""
    with pytest.raises(CheckFailed) as caught:
        action()
    return caught.value.reason


def test_allocated_objects_are_zero() -> None:
    """Whatever the struct's fields start as in a scene."""
    for one in (kmalloc(item), kzalloc(item), kmalloc(item, GFP_ATOMIC)):
        assert (one.n, list(one.slots), one.other) == (0, [0, 0], NULL)
    assert item().n == 7


def test_a_free_object_is_not_to_be_used() -> None:
    """Nor what is embedded in it; what it points to is another's business."""
    one, other = kmalloc(item), kmalloc(item)
    one.other = other
    lock = one.lock
    kfree(one)
    kfree(NULL)
    assert reason(lambda: one.n) == reason(lambda: setattr(one, "n", 1)) == reason(lambda: spin_lock(lock)) == "use-after-free"
    assert reason(lambda: kfree(one)) == "double-free"
    assert "free" in repr(one) and other.n == 0


def test_sleeping_allocations() -> None:
    lock = spinlock_t()
    spin_lock(lock)
    assert reason(lambda: kmalloc(item)) == "sleeping-while-atomic"
    assert kmalloc(item, GFP_ATOMIC).n == 0
    spin_unlock(lock)


def test_a_scene_takes_from_its_pools() -> None:
    @scheme
    def two() -> None:
        pool(item, 2)
        a, b = kmalloc(item), kmalloc(item)
        assert a is not b

    declared = build(two, {}).pools[item]
    assert (declared.kind, len(declared.objects), declared.name, declared.taken) == (item, 2, "item", 2)

    @scheme
    def three() -> None:
        pool(item, 2)
        for _ in range(3):
            kmalloc(item)

    assert reason(lambda: build(three, {})) == "pool-exhausted"

    @scheme
    def none() -> None:
        kmalloc(item)

    with pytest.raises(WrongType, match="there is no pool of item"):
        build(none, {})


def test_callbacks_run_when_there_is_no_reader() -> None:
    one, calls = kmalloc(item), []
    call_rcu(one.rcu, lambda head: calls.append(container_of(head, item, "rcu")))
    assert calls == [one]
    rcu_read_lock()
    preempt_disable()
    kfree_rcu(one, "rcu")
    kfree_rcu(NULL)
    assert one.n == 0
    rcu_read_unlock()
    assert one.n == 0
    preempt_enable()
    assert reason(lambda: one.n) == "use-after-free"
    rcu_barrier()


def test_readers_do_not_wait_for_themselves() -> None:
    c = chain()
    spin_lock(lock := spinlock_t())
    assert reason(synchronize_rcu) == "rcu-self-wait"
    spin_unlock(lock)
    synchronize_rcu()
    idx = srcu_read_lock(c.srcu)
    assert reason(lambda: synchronize_srcu(c.srcu)) == "rcu-self-wait"
    srcu_read_unlock(c.srcu, idx)
    synchronize_srcu(c.srcu)
    assert reason(lambda: srcu_read_unlock(c.srcu, idx)) == "rcu-imbalance"


def test_suspicious_usage() -> None:
    one = item()
    assert reason(lambda: rcu_dereference(one.other)) == "suspicious-rcu-usage"
    rcu_read_lock()
    assert rcu_dereference(one.other) is NULL
    rcu_read_unlock()


def items(c: Any) -> list[int]:
    """The list forwards; the other direction is held to it."""
    forwards = [one.n for one in list_for_each_entry(c.items, item, "link")]
    backwards, at = [], c.items.prev
    while at is not c.items:
        backwards.append(list_entry(at, item, "link").n)
        at = at.prev
    assert backwards[::-1] == forwards
    return forwards


def test_lists() -> None:
    """Documentation/core-api/list.rst: front and end, taking out, walking while taking out."""
    c, (a, b, d) = chain(), (item(n=n) for n in (1, 2, 3))
    INIT_LIST_HEAD(c.items)
    assert list_empty(c.items) and items(c) == [] and list_first_entry_or_null(c.items, item, "link") is NULL
    list_add(a.link, c.items)
    list_add(b.link, c.items)
    list_add_tail(d.link, c.items)
    assert items(c) == [2, 1, 3] and not list_empty(c.items)
    assert list_first_entry(c.items, item, "link") is list_first_entry_or_null(c.items, item, "link") is b
    list_del(a.link)
    assert items(c) == [2, 3] and (a.link.next, a.link.prev) == (NULL, NULL)
    list_del_init(b.link)
    assert items(c) == [3] and list_empty(b.link)
    list_add_rcu(b.link, c.items)
    list_add_tail_rcu(a.link, c.items)
    assert items(c) == [2, 3, 1]
    list_del_rcu(d.link)
    assert items(c) == [2, 1] and d.link.next is a.link and d.link.prev is NULL
    assert reason(lambda: list_for_each_entry_rcu(c.items, item, "link")) == "suspicious-rcu-usage"
    rcu_read_lock()
    assert [one.n for one in list_for_each_entry_rcu(c.items, item, "link")] == [2, 1]
    rcu_read_unlock()
    for one in list_for_each_entry_safe(c.items, item, "link"):
        list_del(one.link)
        kfree(one)
    assert list_empty(c.items)
