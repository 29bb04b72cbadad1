"""Charging a group and all groups above it.

Source: mm/page_counter.c, Linux 6.1. Modelled: the walk to the root, a step for each group, each with its own limit; what was charged
on the way is taken back if one refuses. Left out: protection and watermarks. Approximated: the kernel notes a failure per counter.
"""

from __future__ import annotations

from lockverse.lang import NULL, atomic_long_add_return, atomic_long_sub, ptr
from lockverse.linux.include.page_counter import page_counter


def page_counter_charge(counter, nr_pages):
    """Charge without a look at the limits."""
    c: ptr[page_counter] = counter
    while c:
        atomic_long_add_return(nr_pages, c.usage)
        c = c.parent


def page_counter_try_charge(counter, nr_pages):
    """Charge, or charge nothing if some group has no room. Gives whether it did."""
    c: ptr[page_counter] = counter
    failed: ptr[page_counter] = NULL
    while c:
        if atomic_long_add_return(nr_pages, c.usage) > c.max:
            atomic_long_sub(nr_pages, c.usage)
            failed = c
            break
        c = c.parent
    if not failed:
        return True
    c = counter
    while c != failed:
        atomic_long_sub(nr_pages, c.usage)
        c = c.parent
    return False


def page_counter_uncharge(counter, nr_pages):
    """Take back a charge."""
    c: ptr[page_counter] = counter
    while c:
        atomic_long_sub(nr_pages, c.usage)
        c = c.parent
