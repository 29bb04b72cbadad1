"""R5: mremap drops the lock before it flushes the old address; the page is unmapped at the new one, freed, and a TLB can still write to it.

Fixed by eb66ae030829 ("mremap: properly flush TLB before releasing the page", 2018): the flush comes before the unlock for clean ptes too. An anonymous page,
so that the pte holds the last reference.
"""
from lockverse import *
from lockverse.linux.boot import anon_page, cache_in_tlbs, gather, map_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.mm.memory import zap_pte_range
from lockverse.linux.mm.mremap import move_ptes
from lockverse.linux.patches.mremap_flush import move_ptes_before_4_9, move_ptes_before_4_20


@scheme
def unmapped_after_the_move(version: Literal["4.8", "4.9", "6.1"] = "4.9", dirty: bool = False):
    if version == "4.8":
        apply(move_ptes_before_4_9)
    if version == "4.9":
        apply(move_ptes_before_4_20)
    memcg = memory_cgroup()
    p = anon_page(memcg)
    mm = new_mm(memcg)
    map_page(mm, 0, p, pte_state.dirty if dirty else pte_state.writable)
    cache_in_tlbs(mm)
    vma, moved = vma_of(mm), vma_of(mm, start=1, end=2)
    tlb = gather(moved)
    cpu(move_ptes, vma, 0, 1)
    cpu(zap_pte_range, tlb, moved)
    always(lambda: atomic_read(p._refcount) > 0 or mm.pgtable.tlb[0].cached == pte_state.none, "no TLB has a page that is free")
