"""mremap before its fixes: the old address is flushed after the pte lock is dropped.

Source: mm/mremap.c before 5d1904204c99 ("mremap: fix race between mremap() and page cleanning", 4.9), which flushes before the unlock where the pte is
dirty, and before eb66ae030829 ("mremap: properly flush TLB before releasing the page", 4.20), which does so wherever it is present. Leaves out what mremap.py does.
"""

from __future__ import annotations

from lockverse.lang import patch
from lockverse.linux.include.pgtable import (
    pte_dirty,
    pte_none,
    pte_offset_map_lock,
    pte_unmap_unlock,
    ptep_get_and_clear,
    set_pte,
)
from lockverse.linux.mm import mremap
from lockverse.linux.mm.tlb import flush_tlb_page


@patch(mremap.move_ptes)
def move_ptes_before_4_9(vma, old_addr, new_addr):
    """Move one pte; flush when all is done."""
    mm = vma.vm_mm
    old_pte, new_pte = mm.pgtable.pte[old_addr], mm.pgtable.pte[new_addr]
    pte_offset_map_lock(mm)
    pte = ptep_get_and_clear(old_pte)
    if not pte_none(pte):
        new_pte.page = old_pte.page
        set_pte(new_pte, pte)
    pte_unmap_unlock(mm)
    flush_tlb_page(mm, old_addr)


@patch(mremap.move_ptes)
def move_ptes_before_4_20(vma, old_addr, new_addr):
    """Move one pte; flush before the unlock only if it was dirty."""
    mm = vma.vm_mm
    old_pte, new_pte = mm.pgtable.pte[old_addr], mm.pgtable.pte[new_addr]
    pte_offset_map_lock(mm)
    pte = ptep_get_and_clear(old_pte)
    if not pte_none(pte):
        new_pte.page = old_pte.page
        set_pte(new_pte, pte)
    if pte_dirty(pte):
        flush_tlb_page(mm, old_addr)
    pte_unmap_unlock(mm)
    if not pte_dirty(pte):
        flush_tlb_page(mm, old_addr)
