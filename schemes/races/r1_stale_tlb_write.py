"""R1: a store through a TLB is lost, because the page counted as unmapped before the TLBs were flushed. 3.15 to 6.1; fixed in 6.2.

Reported by Nadav Amit, 2022; fixed by 5df397dec7c4 ("mm: delay page_remove_rmap() until after the TLB has been flushed"). Writeback sees that nobody maps
the page, so it has no pte to clean and no pte lock to wait for; it writes the page, and a CPU that unmapped it stores once more. What the diagram of the
record needs, three CPUs: one unmaps, one writes, one stores. The page is dirty in one process.
"""
from lockverse import *
from lockverse.linux.patches import delayed_rmap, flush_after_ptl
from lockverse.linux.scenes import unmap_write_store


@scheme
def store_while_unmapped(version: Literal["3.14", "6.1", "6.2"] = "6.1", stores: range(1, 3) = 1):
    if version == "3.14":
        apply(flush_after_ptl.PATCHES)
    if version == "6.2":
        apply(delayed_rmap.PATCHES)
    memcg, file, p, mm, vma, vmas, tlb = unmap_write_store(stores)
