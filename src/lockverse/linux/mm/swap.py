"""References and the LRU: the last reference frees a page; who takes a page off the LRU has it for itself.

Source: mm/swap.c, mm/vmscan.c (folio_isolate_lru, folio_putback_lru), include/linux/mm_inline.h, Linux 6.1. Modelled: PG_lru, references, the uncharge of
a page that is freed; the sizes of the lists where pages are counted there, which those of a scene are not. The lists and their locks: lruvec.py. Left out: pagevecs.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE
from lockverse.linux.include.mmzone import NR_INACTIVE_ANON, NR_INACTIVE_FILE, NR_UNEVICTABLE
from lockverse.linux.include.page_flags import (
    folio_get,
    folio_nr_pages,
    folio_test_clear_lru,
    page_folio,
    put_page_testzero,
)

from . import memcontrol


def folio_lru_list(folio):
    """The list that a folio belongs on. Pages of ramfs are never evicted."""
    if folio.mlock_count > 0 or (folio.mapping and folio.mapping.unevictable):
        return NR_UNEVICTABLE
    return NR_INACTIVE_ANON if folio.swapbacked else NR_INACTIVE_FILE


def lruvec_add_folio(folio):
    """Count a folio that comes on a list of its group."""
    folio.lru_list = folio_lru_list(folio)
    memcontrol.__mod_lruvec_page_state(folio, folio.lru_list, folio_nr_pages(folio))


def lruvec_del_folio(folio):
    """Count a folio that goes off it."""
    memcontrol.__mod_lruvec_page_state(folio, folio.lru_list, -folio_nr_pages(folio))


def __folio_put(page):
    """Free a folio: it is off the LRU and charged to nobody from here on."""
    folio = page_folio(page)
    if hasattr(folio, "lru_list"):
        if folio.lru:
            lruvec_del_folio(folio)
    WRITE_ONCE(folio.lru, False)
    memcontrol.mem_cgroup_uncharge(folio)


def folio_put(folio):
    """Drop a reference; the last one frees the folio."""
    if put_page_testzero(folio):
        __folio_put(folio)


def folio_isolate_lru(folio):
    """Take a folio off the LRU, with a reference of one's own; give whether it was there."""
    if not folio_test_clear_lru(folio):
        return False
    folio_get(folio)
    if hasattr(folio, "lru_list"):
        lruvec_del_folio(folio)
    return True


def folio_add_lru(folio):
    """Put a folio on the LRU."""
    if hasattr(folio, "lru_list"):
        lruvec_add_folio(folio)
    WRITE_ONCE(folio.lru, True)


def folio_putback_lru(folio):
    """Put an isolated folio back on the LRU and drop the reference of the isolation."""
    folio_add_lru(folio)
    folio_put(folio)


def mark_page_lazyfree(folio):
    """MADV_FREE: an anonymous page may be dropped rather than swapped, so it goes on the list of file pages."""
    if folio.anon and folio.swapbacked and folio.mlock_count == 0 and folio_test_clear_lru(folio):
        lruvec_del_folio(folio)
        WRITE_ONCE(folio.swapbacked, False)
        folio_add_lru(folio)
