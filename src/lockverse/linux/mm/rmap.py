"""Reverse mapping: how many ptes map a page, the counters that follow, and walks from a page to its ptes.

Source: mm/rmap.c, Linux 6.1. Modelled: adding and removing for anonymous and file pages, with folio_memcg_lock where 6.1 has it; the same for anonymous huge
pages that a pmd maps; fork's plain increments; folio_mkclean; try_to_unmap. Approximated: a page's mappings are given to a walk as an array of vmas, one for each pte,
in place of the anon_vma and i_mmap trees. Left out: huge pages of files, page_idle, the batching of TLB flushes in reclaim.
"""

from __future__ import annotations

from lockverse.lang import READ_ONCE, atomic_add_negative, atomic_inc, atomic_inc_and_test, atomic_set, xchg
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.mmzone import NR_ANON_MAPPED, NR_ANON_THPS, NR_FILE_MAPPED
from lockverse.linux.include.page_flags import PageAnon, PageKsm, folio_nr_pages, page_mapped
from lockverse.linux.include.pgtable import (
    pte_dirty,
    pte_offset_map_lock,
    pte_present,
    pte_unmap_unlock,
    ptep_get_and_clear,
    set_pte,
)

from . import page_writeback
from .memcontrol import __mod_lruvec_page_state, lock_page_memcg, unlock_page_memcg
from .swap import folio_put
from .tlb import flush_tlb_page


def page_mkclean_one(vma, page):
    """Make one pte of a page clean and read-only; give whether it was dirty or writable. Takes the pte lock even if the pte looks empty."""
    mm = vma.vm_mm
    cleaned = False
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[vma.vm_start]
    pte = READ_ONCE(ptep.pte)
    if ptep.page == page and (pte_dirty(pte) or pte == pte_state.writable):
        old = ptep_get_and_clear(ptep)
        flush_tlb_page(mm, vma.vm_start)
        set_pte(ptep, pte_state.readonly)
        cleaned = True
        if pte_dirty(old):
            page_writeback.folio_mark_dirty(page)
    pte_unmap_unlock(mm)
    return cleaned


def folio_mkclean(folio, vmas):
    """Make all ptes of a locked folio clean and read-only; give how many were not."""
    cleaned = 0
    if not page_mapped(folio):
        return 0
    for vma in vmas:
        if page_mkclean_one(vma, folio):
            cleaned += 1
    return cleaned


def page_add_anon_rmap(page):
    """Count a pte that maps an anonymous page, whose folio is locked; or, for KSM, is not. Under the pte lock."""
    if PageKsm(page):
        lock_page_memcg(page)
    if atomic_inc_and_test(page._mapcount):
        __mod_lruvec_page_state(page, NR_ANON_MAPPED, 1)
    if PageKsm(page):
        unlock_page_memcg(page)


def page_add_new_anon_rmap(page):
    """Count the first pte of a new anonymous page, which nobody else has seen. Under the pte lock."""
    atomic_set(page._mapcount, 0)
    __mod_lruvec_page_state(page, NR_ANON_MAPPED, 1)


def page_add_file_rmap(page):
    """Count a pte that maps a page of a file. Under the pte lock."""
    lock_page_memcg(page)
    if atomic_inc_and_test(page._mapcount):
        __mod_lruvec_page_state(page, NR_FILE_MAPPED, 1)
    unlock_page_memcg(page)


def page_dup_rmap(page):
    """Fork: count one more pte of a page that is mapped already. Never the first, so no counter moves. Under both pte locks."""
    atomic_inc(page._mapcount)


def page_remove_rmap(page):
    """Count a pte that maps the page no longer; the last one out takes it out of the group's counter. Under the pte lock."""
    lock_page_memcg(page)
    if atomic_add_negative(-1, page._mapcount):
        idx = NR_ANON_MAPPED if PageAnon(page) else NR_FILE_MAPPED
        __mod_lruvec_page_state(page, idx, -1)
    unlock_page_memcg(page)


def page_add_new_anon_compound_rmap(page):
    """Count the pmd that maps a new huge page. Under the pmd lock."""
    atomic_set(page.compound_mapcount, 0)
    nr = folio_nr_pages(page)
    __mod_lruvec_page_state(page, NR_ANON_THPS, nr)
    __mod_lruvec_page_state(page, NR_ANON_MAPPED, nr)


def page_dup_compound_rmap(page):
    """Fork: count one more pmd of a huge page that is mapped already. Under both pmd locks."""
    atomic_inc(page.compound_mapcount)


def page_remove_anon_compound_rmap(page):
    """The last pmd out takes a huge page out of the group's counters, but for the small pages that ptes still map."""
    if not atomic_add_negative(-1, page.compound_mapcount):
        return
    nr = folio_nr_pages(page)
    __mod_lruvec_page_state(page, NR_ANON_THPS, -nr)
    if xchg(page.double_map, False):
        nr = 0
        for one in page.pages:
            if atomic_add_negative(-1, one._mapcount):
                nr += 1
    if nr:
        __mod_lruvec_page_state(page, NR_ANON_MAPPED, -nr)


def page_remove_compound_rmap(page):
    """Count a pmd that maps a huge page no longer. Under the pmd lock."""
    lock_page_memcg(page)
    page_remove_anon_compound_rmap(page)
    unlock_page_memcg(page)


def try_to_unmap_one(vma, folio, slot):
    """Reclaim takes one pte of a locked folio away: an anonymous page's becomes a swap entry for `slot`. May skip a pte that
    looks empty already, as another is at it."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[vma.vm_start]
    if pte_present(READ_ONCE(ptep.pte)) and ptep.page == folio:
        old = ptep_get_and_clear(ptep)
        flush_tlb_page(mm, vma.vm_start)
        if pte_dirty(old):
            page_writeback.folio_mark_dirty(folio)
        if PageAnon(folio):
            ptep.slot = slot
            atomic_inc(slot.count)
            set_pte(ptep, pte_state.swap)
        page_remove_rmap(folio)
        folio_put(folio)
    pte_unmap_unlock(mm)


def try_to_unmap(folio, vmas, slot):
    """Take all ptes of a locked folio away."""
    for vma in vmas:
        try_to_unmap_one(vma, folio, slot)


def try_to_migrate_one(vma, folio):
    """Migration takes one pte of a locked folio away and leaves a migration entry."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    ptep = mm.pgtable.pte[vma.vm_start]
    if pte_present(READ_ONCE(ptep.pte)) and ptep.page == folio:
        old = ptep_get_and_clear(ptep)
        flush_tlb_page(mm, vma.vm_start)
        if pte_dirty(old):
            page_writeback.folio_mark_dirty(folio)
        set_pte(ptep, pte_state.migration)
        page_remove_rmap(folio)
        folio_put(folio)
    pte_unmap_unlock(mm)
