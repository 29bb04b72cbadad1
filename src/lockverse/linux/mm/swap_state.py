"""The swap cache: which page holds what a swap slot holds; reading a page from swap.

Source: mm/swap_state.c, Linux 6.1. Modelled: the lookup with a reference, adding a locked page and taking it out. Approximated: a pointer in the
slot in place of the swap address space. Approximated: what is read is there at once, and one CPU reads a slot, where the kernel has a flag for
it. Left out: readahead, clusters.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE
from lockverse.linux.include.errno import ENOMEM
from lockverse.linux.include.mmzone import NR_SWAPCACHE
from lockverse.linux.include.page_flags import folio_get, folio_lock, folio_try_get, folio_unlock

from . import memcontrol, swap, swap_cgroup


def find_get_swap_page(slot):
    """The page cached for a slot, with a reference, or NULL."""
    while True:
        folio = READ_ONCE(slot.folio)
        if not folio:
            return NULL
        if not folio_try_get(folio):
            continue
        if folio == READ_ONCE(slot.folio):
            return folio
        swap.folio_put(folio)


def add_to_swap_cache(folio, slot):
    """Cache a locked page for a slot."""
    folio_get(folio)
    WRITE_ONCE(folio.swapcache, True)
    WRITE_ONCE(slot.folio, folio)
    memcontrol.__mod_lruvec_page_state(folio, NR_SWAPCACHE, 1)


def read_swap_cache_async(slot, folio, mm):
    """Read a slot into a new page, whose lock is held until it is read: 0, or -ENOMEM. Nobody else reads it meanwhile."""
    folio_lock(folio)
    if swap_cgroup.mem_cgroup_swapin_charge_folio(folio, mm, slot):
        folio_unlock(folio)
        swap.folio_put(folio)
        return -ENOMEM
    add_to_swap_cache(folio, slot)
    swap_cgroup.mem_cgroup_swapin_uncharge_swap(slot)
    swap.folio_add_lru(folio)
    folio_unlock(folio)
    swap.folio_put(folio)  # the cache has its own reference
    return 0


def delete_from_swap_cache(folio, slot):
    """Take a locked page out of the swap cache."""
    WRITE_ONCE(slot.folio, NULL)
    WRITE_ONCE(folio.swapcache, False)
    memcontrol.__mod_lruvec_page_state(folio, NR_SWAPCACHE, -1)
    swap.folio_put(folio)
