"""Transparent huge pages of anonymous memory: one pmd maps 512 pages (in a scene 2) that are charged, counted and moved as one.

Source: mm/huge_memory.c, Linux 6.1. Modelled: the fault, fork's copy, the unmapping, the split of a pmd into ptes, whose page stays one folio. A page table
has its huge page in `huge` while the pmd maps that in place of the table. Left out: the split of the folio itself (it takes reclaim), huge
pages of files, khugepaged, migration. Scenes with huge pages have the types of include/huge_mm.py.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    WRITE_ONCE,
    atomic_add,
    atomic_add_negative,
    atomic_dec,
    atomic_inc,
    atomic_read,
    xchg,
)
from lockverse.linux.include.errno import ENOMEM
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.mmzone import NR_ANON_THPS
from lockverse.linux.include.page_flags import folio_get, folio_nr_pages
from lockverse.linux.include.pgtable import pte_offset_map_lock, pte_unmap_unlock, set_pte

from .memcontrol import __mod_lruvec_page_state, lock_page_memcg, mem_cgroup_charge, unlock_page_memcg
from .mlock import mlock_vma_huge, munlock_vma_huge
from .mmu_gather import __tlb_remove_page, tlb_batch_pages_flush
from .rmap import page_add_new_anon_compound_rmap, page_dup_compound_rmap, page_remove_compound_rmap
from .swap import folio_add_lru, folio_put


def do_huge_pmd_anonymous_page(vma, page):
    """A write fault where no page table is yet, in memory that wants huge pages, with the page that is allocated for it: 0 or an error."""
    mm = vma.vm_mm
    if mem_cgroup_charge(page, READ_ONCE(mm.memcg)):
        return -ENOMEM
    pte_offset_map_lock(mm)
    if mm.pgtable.huge or mm.pgtable.pte or mm.pgtable.gone:  # somebody was faster
        pte_unmap_unlock(mm)
        folio_put(page)
        return 0
    page_add_new_anon_compound_rmap(page)
    folio_add_lru(page)
    mlock_vma_huge(page, vma)
    WRITE_ONCE(mm.pgtable.huge, page)
    mm.pgtable.writable = True
    pte_unmap_unlock(mm)
    return 0


def do_huge_pmd_zero_page(mm):
    """A read fault there: the huge zero page. It is here what its split makes of it, a zero page for each pte."""
    pte_offset_map_lock(mm)
    if mm.pgtable.huge or mm.pgtable.pte or mm.pgtable.gone:
        pte_unmap_unlock(mm)
        return
    for addr in range(mm.pgtable.start, mm.pgtable.start + mm.pgtable.size):
        ptep = mm.pgtable.pte[addr]
        ptep.special = True
        set_pte(ptep, pte_state.readonly)
    pte_unmap_unlock(mm)


def copy_huge_pmd(dst, src):
    """Fork: the child maps the huge page too, and both map it read-only."""
    pte_offset_map_lock(dst)
    pte_offset_map_lock(src)
    page = src.pgtable.huge
    folio_get(page)
    if hasattr(page, "exclusive"):
        page.exclusive = False
    page_dup_compound_rmap(page)
    WRITE_ONCE(dst.pgtable.huge, page)
    src.pgtable.writable = False
    dst.pgtable.writable = False
    pte_unmap_unlock(src)
    pte_unmap_unlock(dst)


def do_huge_pmd_wp_page(vma):
    """A write to a huge page that is mapped read-only: it is written to if nobody else has it, and split if not."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    page = mm.pgtable.huge
    if page and (page.exclusive or atomic_read(page._refcount) == 1):
        page.exclusive = True
        mm.pgtable.writable = True
        pte_unmap_unlock(mm)
        return
    pte_unmap_unlock(mm)
    split_huge_pmd(vma)


def zap_huge_pmd(tlb, vma):
    """Unmap a whole huge page."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    page = mm.pgtable.huge
    if not page:
        pte_unmap_unlock(mm)
        return
    if hasattr(mm.pgtable, "gone"):
        mm.pgtable.clear()
    else:
        WRITE_ONCE(mm.pgtable.huge, NULL)
    page_remove_compound_rmap(page)
    munlock_vma_huge(page, vma)
    __tlb_remove_page(tlb, page)
    pte_unmap_unlock(mm)
    tlb_batch_pages_flush(tlb)


def __split_huge_pmd_locked(mm, page, vma):
    """Let ptes map a huge page in place of the pmd. It stays charged and on the list as one."""
    nr = folio_nr_pages(page)
    atomic_add(nr - 1, page._refcount)
    state = pte_state.dirty if mm.pgtable.writable else pte_state.readonly
    for i in range(nr):
        one = page.pages[i]
        if hasattr(page, "exclusive"):
            one.exclusive = page.exclusive
        ptep = mm.pgtable.pte[mm.pgtable.start + i]
        ptep.page = one
        set_pte(ptep, state)
        atomic_inc(one._mapcount)
    if atomic_read(page.compound_mapcount) > 0 and not xchg(page.double_map, True):  # the other pmds count as one mapping of each small page
        for one in page.pages:
            atomic_inc(one._mapcount)
    lock_page_memcg(page)
    if atomic_add_negative(-1, page.compound_mapcount):
        __mod_lruvec_page_state(page, NR_ANON_THPS, -nr)
        if xchg(page.double_map, False):
            for one in page.pages:
                atomic_dec(one._mapcount)
    unlock_page_memcg(page)
    munlock_vma_huge(page, vma)


def split_huge_pmd(vma):
    """Split the pmd of a huge page."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    page = mm.pgtable.huge
    if page:
        WRITE_ONCE(mm.pgtable.huge, NULL)
        __split_huge_pmd_locked(mm, page, vma)
    pte_unmap_unlock(mm)
