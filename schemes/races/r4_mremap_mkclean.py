"""R4: mremap moves a dirty pte and drops the lock before it flushes the old address; a store through the old TLB entry is lost.

Fixed by 5d1904204c99 ("mremap: fix race between mremap() and page cleanning", 4.9): the flush comes before the unlock.
"""
from lockverse import *
from lockverse.linux.boot import cache_in_tlbs, file_mapping, file_page, map_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.mm_types import pte_state, vm_area_struct
from lockverse.linux.invariants import maps_dirty, nothing_is_lost
from lockverse.linux.mm.mremap import move_ptes
from lockverse.linux.mm.page_writeback import write_one_page
from lockverse.linux.mm.tlb import store
from lockverse.linux.patches.mremap_flush import move_ptes_before_4_9, move_ptes_before_4_20


@scheme
def store_while_moved(version: Literal["4.8", "4.9", "6.1"] = "4.8"):
    if version == "4.8":
        apply(move_ptes_before_4_9)
    if version == "4.9":
        apply(move_ptes_before_4_20)
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    mm = new_mm(memcg)
    map_page(mm, 0, p, pte_state.dirty)
    cache_in_tlbs(mm)
    vma = vma_of(mm, file)
    moved = vma_of(mm, file, start=1, end=2)
    vmas = array[ptr[vm_area_struct], 2]([vma, moved])  # both are looked at, as mremap holds the locks of the walk or of neither
    cpu(move_ptes, vma, 0, 1)
    cpu(write_one_page, p, vmas)
    cpu(store, mm, 0, 1)
    at_rest(lambda: nothing_is_lost(p, maps_dirty(mm, 0, p) + maps_dirty(mm, 1, p)), "a clean page is on disk as it is in memory")
