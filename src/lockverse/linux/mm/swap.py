"""References and the LRU: the last reference frees a page; who takes a page off the LRU has it for itself.

Source: mm/swap.c, mm/vmscan.c (folio_isolate_lru, folio_putback_lru), Linux 6.1. Modelled: PG_lru, references, the uncharge of a page that is
freed. Left out: the lists themselves, their sizes and their locks, and pagevecs.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE
from lockverse.linux.include.page_flags import folio_get, folio_test_clear_lru, put_page_testzero

from . import memcontrol


def __folio_put(folio):
    """Free a folio: it is off the LRU and charged to nobody from here on."""
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
    return True


def folio_add_lru(folio):
    """Put a folio on the LRU."""
    WRITE_ONCE(folio.lru, True)


def folio_putback_lru(folio):
    """Put an isolated folio back on the LRU and drop the reference of the isolation."""
    folio_add_lru(folio)
    folio_put(folio)
