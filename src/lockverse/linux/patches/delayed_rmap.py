"""6.2: a dirty page of a file counts as mapped until the TLBs are flushed, all inside the pte lock.

Source: mm/memory.c and mm/mmu_gather.c, 5df397dec7c4 ("mm: delay page_remove_rmap() until after the TLB has been flushed", 6.2). Modelled: the flag beside a
gathered page, the flush, tlb_flush_rmaps before the pte lock is dropped. Left out: the limit of the batch while removals are delayed; UP and s390.
"""

from __future__ import annotations

from lockverse.lang import READ_ONCE, atomic_dec, patch
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import PageAnon
from lockverse.linux.include.pgtable import (
    pte_dirty,
    pte_none,
    pte_offset_map_lock,
    pte_present,
    pte_unmap_unlock,
    ptep_get_and_clear,
)
from lockverse.linux.mm import memory
from lockverse.linux.mm.mmu_gather import __tlb_remove_page, tlb_batch_pages_flush, tlb_flush_mmu_tlbonly
from lockverse.linux.mm.page_writeback import folio_mark_dirty
from lockverse.linux.mm.rmap import page_remove_rmap


def tlb_flush_rmaps(tlb):
    """Uncount the gathered pages that still count as mapped. Under the pte lock, after the flush."""
    for i in range(tlb.nr):
        if tlb.delayed[i]:
            tlb.delayed[i] = False
            page_remove_rmap(tlb.pages[i])


@patch(memory.zap_pte_range)
def zap_pte_range(tlb, vma):
    """Empty the ptes of a vma. A dirty page of a file is uncounted after the TLBs are flushed, others at once."""
    mm = vma.vm_mm
    force_flush = False
    pte_offset_map_lock(mm)
    for addr in range(vma.vm_start, vma.vm_end):
        ptep = mm.pgtable.pte[addr]
        if pte_none(READ_ONCE(ptep.pte)):
            continue
        ptent = ptep_get_and_clear(ptep)
        if pte_present(ptent):
            page = ptep.page
            if not PageAnon(page) and pte_dirty(ptent):
                folio_mark_dirty(page)
                force_flush = True
                tlb.delayed[tlb.nr] = True
            else:
                page_remove_rmap(page)
            __tlb_remove_page(tlb, page)
        elif ptent == pte_state.swap:
            atomic_dec(ptep.slot.count)
    if force_flush:
        tlb_flush_mmu_tlbonly(tlb)
        tlb_flush_rmaps(tlb)
    pte_unmap_unlock(mm)
    if not force_flush:
        tlb_flush_mmu_tlbonly(tlb)
    tlb_batch_pages_flush(tlb)


PATCHES = [zap_pte_range]
