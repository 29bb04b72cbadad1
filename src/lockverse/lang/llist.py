"""Lists without a lock: any number add, one takes all, or one at a time.

Names and order of steps: include/linux/llist.h and lib/llist.c, Linux 6.1. llist_del_first() is right only if nobody else takes anything out
meanwhile: that is the caller's business, and what goes wrong without is found (the ABA problem). Leaves out batches but llist_del_all().
"""

# mypy: disable-error-code="attr-defined,no-any-return,valid-type"

from __future__ import annotations

from typing import Any

from .access import READ_ONCE, smp_load_acquire, try_cmpxchg, xchg
from .null import NULL
from .step import intrinsic
from .structs import container_of, struct
from .types import ptr


@struct
class llist_node:
    """An object's place in a list."""

    next: ptr["llist_node"]  # noqa: UP037


@struct
class llist_head:
    """A list: its first node."""

    first: ptr[llist_node]


def init_llist_head(list: ptr[llist_head]) -> None:
    """Make it empty."""
    list.first = NULL


def llist_add(new: ptr[llist_node], head: ptr[llist_head]) -> bool:
    """Add at the front; give whether the list was empty."""
    first = READ_ONCE(head.first)
    while True:
        new.next = first
        done, first = try_cmpxchg(head.first, first, new)
        if done:
            return not first


def llist_del_all(head: ptr[llist_head]) -> Any:
    """Take everything out; give the first node, from which `next` leads to the others, newest first."""
    return xchg(head.first, NULL)


def llist_del_first(head: ptr[llist_head]) -> Any:
    """Take the first node out and give it, or NULL. One at a time."""
    entry = smp_load_acquire(head.first)
    while True:
        if not entry:
            return NULL
        next = READ_ONCE(entry.next)
        done, entry = try_cmpxchg(head.first, entry, next)
        if done:
            return entry


def llist_empty(head: ptr[llist_head]) -> bool:
    """Whether nothing is in the list just now."""
    return READ_ONCE(head.first) == NULL


@intrinsic
def llist_entry(node: Any, kind: Any, member: str) -> Any:
    """The object that has the llist_node `node` as that member: container_of()."""
    return container_of(node, kind, member)


__all__ = ["init_llist_head", "llist_add", "llist_del_all", "llist_del_first", "llist_empty", "llist_entry", "llist_head", "llist_node"]
