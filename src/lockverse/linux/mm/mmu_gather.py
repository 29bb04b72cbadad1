"""Gathering pages whose ptes are gone: they are freed only after the TLBs have forgotten them.

Source: mm/mmu_gather.c, include/asm-generic/tlb.h, Linux 6.1. Modelled: the batch, the flush, the freeing. Left out: page-table pages, more than
one batch, other page sizes.
"""

from __future__ import annotations

from lockverse.lang import NULL, array, ptr, struct, u8
from lockverse.linux.include.mm_types import NR_CACHED, mm_struct, page
from lockverse.linux.include.page_flags import page_folio

from .swap import folio_put
from .tlb import flush_tlb_page


@struct
class mmu_gather:
    """The pages of one unmapping that are not freed yet. `delayed` says which of them still count as mapped (6.2)."""

    mm: ptr[mm_struct]
    start: u8  # what is to be flushed: addresses start to before end
    end: u8
    nr: u8
    pages: array[ptr[page], NR_CACHED]
    delayed: array[bool, NR_CACHED]


def __tlb_remove_page(tlb, page):
    """Put a page into the batch."""
    tlb.pages[tlb.nr] = page
    tlb.nr += 1


def tlb_flush_mmu_tlbonly(tlb):
    """Flush the TLBs of what was unmapped."""
    mm = tlb.mm
    for addr in range(tlb.start, tlb.end):
        flush_tlb_page(mm, addr)


def tlb_batch_pages_flush(tlb):
    """Drop the references of the batch."""
    for i in range(tlb.nr):
        page = tlb.pages[i]
        tlb.pages[i] = NULL
        folio_put(page_folio(page))
    tlb.nr = 0


def tlb_finish_mmu(tlb):
    """The end of the unmapping: flush what was not flushed yet, then free."""
    tlb_flush_mmu_tlbonly(tlb)
    tlb_batch_pages_flush(tlb)
