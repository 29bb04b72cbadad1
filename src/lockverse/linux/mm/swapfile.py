"""Swap slots: who still needs one.

Source: mm/swapfile.c (swap_free, put_swap_page), Linux 6.1. Modelled: the last of the ptes that name a slot, or the swap cache, ends its record
(swap_cgroup.py). Approximated: the cache's share is the pointer in the slot, where the kernel has it in one byte with the count, under a lock.
Left out: the slots themselves, clusters, the cache of free slots.
"""

from __future__ import annotations

from lockverse.lang import atomic_dec_and_test

from . import swap_cgroup


def swap_free(slot):
    """A pte names the slot no longer. With the last one its record goes; if the page is in the swap cache it has none."""
    if atomic_dec_and_test(slot.count):
        swap_cgroup.mem_cgroup_uncharge_swap(slot)


def put_swap_folio(slot):
    """The swap cache needs the slot no longer. See memsw.py for what follows if no pte does."""
