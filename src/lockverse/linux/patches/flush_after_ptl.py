"""Before 3.15: the TLBs are flushed after the pte lock is dropped, also for dirty pages of files.

Source: mm/memory.c before 1cf35d47712d ("mm: split 'tlb_flush_mmu()' into tlb flushing and memory freeing parts", 3.15). Otherwise 6.1's, and with its omissions.
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
from lockverse.linux.mm.mmu_gather import __tlb_remove_page, tlb_finish_mmu
from lockverse.linux.mm.page_writeback import folio_mark_dirty
from lockverse.linux.mm.rmap import page_remove_rmap


@patch(memory.zap_pte_range)
def zap_pte_range(tlb, vma):
    """Empty the ptes of a vma, then flush and free."""
    mm = vma.vm_mm
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
            page_remove_rmap(page)
            __tlb_remove_page(tlb, page)
        elif ptent == pte_state.swap:
            atomic_dec(ptep.slot.count)
    pte_unmap_unlock(mm)
    tlb_finish_mmu(tlb)


PATCHES = [zap_pte_range]
