"""Moving a mapping: ptes go from one address to another.

Source: mm/mremap.c, Linux 6.1. Modelled: move_ptes for one pte, with the flush of the old address under the pte lock (since 5d1904204c99 for dirty
ptes, since eb66ae030829 for all that are present). Approximated: both addresses are in one page table. Left out: rmap locks, pmd moves.
"""

from __future__ import annotations

from lockverse.linux.include.pgtable import pte_none, pte_offset_map_lock, pte_unmap_unlock, ptep_get_and_clear, set_pte

from .tlb import flush_tlb_page


def move_ptes(vma, old_addr, new_addr):
    """Move one pte. Whoever comes to the new address after the unlock finds no TLB that still has the old one."""
    mm = vma.vm_mm
    old_pte, new_pte = mm.pgtable.pte[old_addr], mm.pgtable.pte[new_addr]
    pte_offset_map_lock(mm)
    pte = ptep_get_and_clear(old_pte)
    if not pte_none(pte):
        flush_tlb_page(mm, old_addr)
        new_pte.page = old_pte.page
        if hasattr(old_pte, "special"):
            new_pte.special = old_pte.special
            old_pte.special = False
        set_pte(new_pte, pte)
    pte_unmap_unlock(mm)
