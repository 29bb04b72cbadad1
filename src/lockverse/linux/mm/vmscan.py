"""Reclaim: a page is taken off the LRU, unmapped, written, and taken out of its cache.

Source: mm/vmscan.c (shrink_folio_list, __remove_mapping), mm/memcontrol.c (mem_cgroup_swapout), Linux 6.1. Modelled: the isolation, the trylock, the swap
cache, try_to_unmap, pageout for files, the frozen reference count. Approximated: one page, whose mappings are given; writing to swap is nothing.
Left out: references and ages, batches of TLB flushes, MGLRU, demotion, anonymous pages that are clean in swap already.
"""

from __future__ import annotations

from lockverse.lang import NULL, WRITE_ONCE, atomic_cmpxchg, atomic_set, spin_lock_irq, spin_unlock_irq
from lockverse.linux.include.mmzone import MEMCG_SWAP, NR_FILE_PAGES, NR_SHMEM, NR_SWAPCACHE
from lockverse.linux.include.page_flags import (
    PageAnon,
    folio_mapped,
    folio_test_clear_dirty,
    folio_test_dirty,
    folio_trylock,
    folio_unlock,
)

from .memcontrol import (
    __mod_lruvec_page_state,
    __mod_memcg_state,
    css_put,
    folio_memcg,
    mem_cgroup_charge_statistics,
    mem_cgroup_uncharge,
)
from .page_counter import page_counter_uncharge
from .page_writeback import folio_clear_dirty_for_io, folio_end_writeback, folio_start_writeback
from .rmap import try_to_unmap
from .swap import folio_isolate_lru, folio_putback_lru
from .swap_state import add_to_swap_cache
from .swapfile import put_swap_folio


def mem_cgroup_swapout(folio, slot):
    """A page goes to swap (cgroup v1): the slot is charged to its group in its place. The references are frozen."""
    memcg = folio_memcg(folio)
    if not memcg:
        return
    WRITE_ONCE(slot.memcg, memcg)
    __mod_memcg_state(memcg, MEMCG_SWAP, 1)
    WRITE_ONCE(folio.memcg_data, NULL)
    page_counter_uncharge(memcg.memory, 1)
    mem_cgroup_charge_statistics(memcg, -1)
    css_put(memcg)


def __remove_mapping(folio, slot):
    """Take a locked page out of its cache, if nobody else has a reference and it is clean; give whether."""
    if atomic_cmpxchg(folio._refcount, 2, 0) != 2:  # the cache's and the isolation's
        return False
    if folio_test_dirty(folio):
        atomic_set(folio._refcount, 2)
        return False
    if PageAnon(folio):
        __mod_lruvec_page_state(folio, NR_SWAPCACHE, -1)
        mem_cgroup_swapout(folio, slot)
        WRITE_ONCE(folio.swapcache, False)
        WRITE_ONCE(slot.folio, NULL)
        put_swap_folio(slot)
        return True
    mapping = folio.mapping
    spin_lock_irq(mapping.i_pages_lock)
    __mod_lruvec_page_state(folio, NR_FILE_PAGES, -1)
    if folio.swapbacked:
        __mod_lruvec_page_state(folio, NR_SHMEM, -1)
    WRITE_ONCE(mapping.i_pages[folio.index], NULL)
    WRITE_ONCE(folio.mapping, NULL)
    spin_unlock_irq(mapping.i_pages_lock)
    return True


def pageout(folio, vmas):
    """Write a dirty page."""
    if PageAnon(folio):
        folio_test_clear_dirty(folio)
    elif folio_clear_dirty_for_io(folio, vmas):
        folio_start_writeback(folio)
        mapping = folio.mapping
        WRITE_ONCE(mapping.disk[folio.index], folio.data)
        folio_end_writeback(folio)


def shrink_folio(folio, vmas, slot):
    """Reclaim one page; give whether it was freed."""
    if not folio_isolate_lru(folio):
        return False
    if not folio_trylock(folio):
        folio_putback_lru(folio)
        return False
    if PageAnon(folio) and not folio.swapcache:
        add_to_swap_cache(folio, slot)
    try_to_unmap(folio, vmas, slot)
    freed = False
    if not folio_mapped(folio):
        pageout(folio, vmas)
        freed = __remove_mapping(folio, slot)
    folio_unlock(folio)
    if freed:
        mem_cgroup_uncharge(folio)
    else:
        folio_putback_lru(folio)
    return freed
