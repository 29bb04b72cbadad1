"""list_head: the kernel's doubly linked lists, embedded in what they link, and their RCU variants.

Each access to a pointer is a step of its own, in the kernel's order and marked where the kernel marks it (include/linux/list.h
and rculist.h, Linux 6.12). So a reader that walks while others add and delete sees what it would see there. Where the kernel
poisons a pointer it is NULL here, so that following it is a fault in both.

    for pos in list_for_each_entry(q.head, node, "link"):

Leaves out hlist, whose `pprev` points to a pointer; splicing, cutting and sorting; CONFIG_DEBUG_LIST.
"""

# mypy: disable-error-code="attr-defined,assignment"
# (mypy reads ptr[...] as a class of its own and does not see through it)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .access import READ_ONCE, WRITE_ONCE, rcu_assign_pointer
from .context import is_reader
from .environment import require
from .features import needs_feature
from .null import NULL
from .step import intrinsic, rides_along
from .structs import container_of, struct
from .task import current_task
from .types import ptr


@struct
class list_head:
    """A list, or an object's place in one. INIT_LIST_HEAD() makes it an empty list."""

    next: ptr["list_head"]  # type: ignore[valid-type]  # noqa: UP037
    prev: ptr["list_head"]  # type: ignore[valid-type]  # noqa: UP037


def INIT_LIST_HEAD(list: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Make it an empty list."""
    WRITE_ONCE(list.next, list)
    WRITE_ONCE(list.prev, list)


def list_add(new: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Add behind `head`: at the front of the list."""
    _add(new, head, head.next)


def list_add_tail(new: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Add before `head`: at the end of the list."""
    _add(new, head.prev, head)


def _add(new: ptr[list_head], prev: ptr[list_head], next: ptr[list_head]) -> None:  # type: ignore[valid-type]
    next.prev = new
    new.next = next
    new.prev = prev
    WRITE_ONCE(prev.next, new)


def list_del(entry: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Take it out of its list. Its pointers lead nowhere after that."""
    _del(entry.prev, entry.next)
    entry.next = NULL
    entry.prev = NULL


def list_del_init(entry: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Take it out of its list and make it an empty one."""
    _del(entry.prev, entry.next)
    INIT_LIST_HEAD(entry)


def _del(prev: ptr[list_head], next: ptr[list_head]) -> None:  # type: ignore[valid-type]
    next.prev = prev
    WRITE_ONCE(prev.next, next)


def list_move(list: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Take it out of its list and add it behind `head`."""
    _del(list.prev, list.next)
    list_add(list, head)


def list_move_tail(list: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Take it out of its list and add it before `head`."""
    _del(list.prev, list.next)
    list_add_tail(list, head)


def list_empty(head: ptr[list_head]) -> bool:  # type: ignore[valid-type]
    """Whether nothing is in the list just now."""
    return READ_ONCE(head.next) == head  # type: ignore[no-any-return]


def list_add_rcu(new: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Add at the front of a list that RCU readers walk."""
    _add_rcu(new, head, head.next)


def list_add_tail_rcu(new: ptr[list_head], head: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Add at the end of a list that RCU readers walk."""
    _add_rcu(new, head.prev, head)


def _add_rcu(new: ptr[list_head], prev: ptr[list_head], next: ptr[list_head]) -> None:  # type: ignore[valid-type]
    new.next = next
    new.prev = prev
    rcu_assign_pointer(prev.next, new)
    next.prev = new


def list_del_rcu(entry: ptr[list_head]) -> None:  # type: ignore[valid-type]
    """Take it out of a list that RCU readers walk: who is at it finds the way on."""
    _del(entry.prev, entry.next)
    entry.prev = NULL


def list_first_entry(head: ptr[list_head], kind: Any, member: Any) -> Any:  # type: ignore[valid-type]
    """The first object of a list that is not empty."""
    return container_of(head.next, kind, member)


def list_first_entry_or_null(head: ptr[list_head], kind: Any, member: Any) -> Any:  # type: ignore[valid-type]
    """The first object of a list, or NULL."""
    first = READ_ONCE(head.next)
    if first == head:
        return NULL
    return container_of(first, kind, member)


@intrinsic
def list_entry(entry: Any, kind: Any, member: str) -> Any:
    """The object that has the list_head `entry` as that member: container_of()."""
    return container_of(entry, kind, member)


# Loops: the compiler knows them by name; see frontend/lists.py


@rides_along
def check_list_reader() -> None:
    """rcu_read_lock_any_held(). Inside a step."""
    needs_feature("preempt_count")
    require(is_reader(current_task()), "suspicious-rcu-usage", "an RCU list is walked outside of any reader")


@intrinsic
def list_for_each_entry(head: Any, kind: Any, member: str) -> Iterator[Any]:
    """The objects of a list, in order. Stands only in a for loop."""
    at = head.next
    while at is not head:
        yield container_of(at, kind, member)
        at = at.next


@intrinsic
def list_for_each_entry_safe(head: Any, kind: Any, member: str) -> Iterator[Any]:
    """As list_for_each_entry(), for a loop that takes the object out of the list."""
    at = head.next
    while at is not head:
        following = at.next
        yield container_of(at, kind, member)
        at = following


@intrinsic
def list_for_each_entry_rcu(head: Any, kind: Any, member: str) -> Iterator[Any]:
    """As list_for_each_entry(), in a reader."""
    check_list_reader()
    return list_for_each_entry(head, kind, member)


__all__ = [
    "INIT_LIST_HEAD", "list_add", "list_add_rcu", "list_add_tail", "list_add_tail_rcu", "list_del", "list_del_init", "list_del_rcu", "list_empty",
    "list_entry", "list_first_entry", "list_first_entry_or_null", "list_for_each_entry", "list_for_each_entry_rcu", "list_for_each_entry_safe",
    "list_head", "list_move", "list_move_tail",
]  # fmt: skip
