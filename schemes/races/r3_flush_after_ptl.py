"""R3: as R1, older: the TLBs are flushed after the pte lock is dropped, so writeback that waits for the lock does not wait for the flush.

Before 3.15; fixed by 1cf35d47712d ("mm: split 'tlb_flush_mmu()' into tlb flushing and memory freeing parts"). A second process, or a third, maps the page all along: without it
writeback does not look at the ptes at all, which is R1, and which the fix of 3.15 leaves.
"""
from lockverse import *
from lockverse.linux.boot import cache_in_tlbs, file_mapping, file_page, gather, map_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.mm_types import pte_state, vm_area_struct
from lockverse.linux.invariants import maps_dirty, nothing_is_lost
from lockverse.linux.mm.memory import zap_pte_range
from lockverse.linux.mm.page_writeback import write_one_page
from lockverse.linux.mm.tlb import store
from lockverse.linux.patches import flush_after_ptl


@scheme
def store_while_unmapped(fixed: bool = False, others: Literal[1, 2] = 1):
    if not fixed:
        apply(flush_after_ptl.PATCHES)
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    mm, *rest = [new_mm(memcg) for _ in range(1 + others)]
    map_page(mm, 0, p, pte_state.dirty)
    for other in rest:
        map_page(other, 0, p)
    cache_in_tlbs(mm)
    vma, *more = [vma_of(one, file) for one in (mm, *rest)]
    vmas = array[ptr[vm_area_struct], 1 + others]([vma, *more])
    tlb = gather(vma)
    cpu(zap_pte_range, tlb, vma)
    cpu(write_one_page, p, vmas)
    cpu(store, mm, 0, 1)
    at_rest(lambda: nothing_is_lost(p, maps_dirty(mm, 0, p)), "a clean page is on disk as it is in memory")
