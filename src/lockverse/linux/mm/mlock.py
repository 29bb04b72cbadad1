"""mlock(): pages that are not evicted, and are counted on a list of their own.

Source: mm/mlock.c, mm/internal.h, Linux 6.1. Modelled: how many mappings lock a page, and the list it is on. Approximated: the count goes on while the page is off the
lists. Left out: the pagevecs that delay it. Pages and vmas of a scene are not locked, and pay nothing.
"""

from __future__ import annotations

from lockverse.linux.include.page_flags import folio_nr_pages, folio_test_clear_lru, page_folio
from lockverse.linux.include.pgtable import pte_present

from . import swap


def change_mlock_count(folio, by):
    """Take a page off its list, and put it on the one that it then belongs on. If another has taken it off, that one will."""
    isolated = folio_test_clear_lru(folio)
    if isolated:
        swap.lruvec_del_folio(folio)
    folio.mlock_count += by
    if isolated:
        swap.folio_add_lru(folio)


def mlock_folio(folio):
    """One more mapping locks a page."""
    change_mlock_count(folio, 1)


def munlock_folio(folio):
    """One less."""
    if folio.mlock_count > 0:
        change_mlock_count(folio, -1)


def mlock_vma_folio(page, vma):
    """A page comes into a mapping that may be locked. Huge pages that ptes map are left alone."""
    if hasattr(vma, "locked"):
        if vma.locked and folio_nr_pages(page_folio(page)) == 1:
            mlock_folio(page)


def munlock_vma_folio(page, vma):
    """It goes out of it."""
    if hasattr(vma, "locked"):
        if vma.locked and folio_nr_pages(page_folio(page)) == 1:
            munlock_folio(page)


def mlock_vma_huge(page, vma):
    """A huge page that a pmd maps comes into a mapping that may be locked."""
    if hasattr(vma, "locked"):
        if vma.locked:
            mlock_folio(page)


def munlock_vma_huge(page, vma):
    """It goes out of it, or its pmd is split."""
    if hasattr(vma, "locked"):
        if vma.locked:
            munlock_folio(page)


def mlock_pte_range(vma, lock):
    """mlock() and munlock() of what a vma has in one page table."""
    table = vma.vm_mm.pgtable
    change = mlock_folio if lock else munlock_folio
    if table.huge:
        change(table.huge)
        return
    for addr in range(vma.vm_start, vma.vm_end):
        ptep = table.pte[addr]
        page = ptep.page
        if pte_present(ptep.pte) and page and folio_nr_pages(page_folio(page)) == 1:
            change(page)
