"""The swap cache: which page holds what a swap slot holds.

Source: mm/swap_state.c, Linux 6.1. Modelled: the lookup with a reference, adding a locked page and taking it out. Approximated: a pointer in the
slot in place of the swap address space. Left out: readahead, clusters.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE
from lockverse.linux.include.mmzone import NR_SWAPCACHE
from lockverse.linux.include.page_flags import folio_get, folio_try_get

from . import memcontrol, swap


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


def delete_from_swap_cache(folio, slot):
    """Take a locked page out of the swap cache."""
    WRITE_ONCE(slot.folio, NULL)
    WRITE_ONCE(folio.swapcache, False)
    memcontrol.__mod_lruvec_page_state(folio, NR_SWAPCACHE, -1)
    swap.folio_put(folio)
