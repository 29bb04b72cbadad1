"""KSM: one page in place of equal ones.

Source: mm/ksm.c, Linux 6.1. Modelled: replace_page, which maps the stable page with only the replaced page locked. Left out: finding equal pages.
"""

from __future__ import annotations

from lockverse.lang import READ_ONCE
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import folio_get
from lockverse.linux.include.pgtable import (
    pte_offset_map_lock,
    pte_present,
    pte_unmap_unlock,
    ptep_get_and_clear,
    set_pte,
)

from .rmap import page_add_anon_rmap, page_remove_rmap
from .swap import folio_put


def replace_page(vma, page, kpage):
    """Map the KSM page in place of a locked page. The KSM page is not locked."""
    mm = vma.vm_mm
    ptep = mm.pgtable.pte[vma.vm_start]
    pte_offset_map_lock(mm)
    replaced = pte_present(READ_ONCE(ptep.pte)) and ptep.page == page
    if replaced:
        folio_get(kpage)
        page_add_anon_rmap(kpage)
        ptep_get_and_clear(ptep)
        ptep.page = kpage
        set_pte(ptep, pte_state.readonly)
        page_remove_rmap(page)
    pte_unmap_unlock(mm)
    if replaced:
        folio_put(page)
