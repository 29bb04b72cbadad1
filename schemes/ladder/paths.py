"""All other paths of the model against the mover: reclaim, migration, fork, copy on write, two faults at one pte, truncation.

In 6.1 the books are right after each but one. In 6.3 to 6.12, without the memcg lock in rmap, likewise: each of these paths holds the folio lock where it
maps or unmaps a page that the mover could find behind another pte, or works on the mover's own page table. What breaks 6.3 is an unmapper that holds neither
(rung E). Truncation breaks both, which is not on record: the mover has found the page in the cache, truncation takes it out and counts it out, and the
mover, which has a reference and does not look again, moves an NR_FILE_PAGES that is not there any more. Left out: swap-in from disk, reads.
"""
from lockverse import *
from lockverse.linux.boot import anon_page, file_mapping, file_page, gather, map_page, memory_cgroup, new_mm, start_move, vma_of
from lockverse.linux.include.mm_types import page, pte_state, swap_slot, vm_area_struct
from lockverse.linux.include.page_flags import folio_lock, folio_try_get, folio_unlock
from lockverse.linux.invariants import (
    anon_mapped_is_counted, dirty_is_counted, file_mapped_is_counted, file_pages_are_counted, mapcount_is_right, maps, usage_is_exact,
)
from lockverse.linux.mm.filemap import filemap_remove_folio
from lockverse.linux.mm.memcontrol import mem_cgroup_move_task
from lockverse.linux.mm.memory import copy_pte_range, do_fault, wp_page_copy, zap_pte_range
from lockverse.linux.mm.migrate import unmap_and_move
from lockverse.linux.mm.page_writeback import folio_cancel_dirty
from lockverse.linux.mm.swap import folio_put
from lockverse.linux.mm.vmscan import shrink_folio
from lockverse.linux.patches import delayed_rmap, move_locked_pages, rmap_without_memcg_lock

Path = Literal["reclaim", "reclaim to swap", "migration", "fork", "copy on write", "two faults", "truncation"]


def truncate(p, tlb, vma):
    if folio_try_get(p):
        zap_pte_range(tlb, vma)
        folio_lock(p)
        if READ_ONCE(p.mapping):
            zap_pte_range(tlb, vma)
            folio_cancel_dirty(p)
            filemap_remove_folio(p)
        folio_unlock(p)
        folio_put(p)


@scheme
def books_after(version: Literal["6.1", "6.3"], path: Path, others: range(0, 3) = 0, nested: bool = False):
    """`others`: processes of memcg1 that map the page too and unmap it."""
    if version == "6.3":
        apply(delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    top = memory_cgroup() if nested else None
    memcg1 = memory_cgroup(top)
    memcg2 = memory_cgroup(top)
    anon = path in ("reclaim to swap", "fork", "copy on write")
    file = NULL if anon else file_mapping()
    p = anon_page(memcg1) if anon else file_page(memcg1, file)
    new = page(_mapcount=-1, _refcount=1, anon=anon, swapbacked=anon)
    slot = swap_slot()
    mm1, mm2 = new_mm(memcg2), new_mm(memcg1)
    if path not in ("two faults", "truncation"):
        map_page(mm1, 0, p, pte_state.readonly)
    if path == "copy on write":
        map_page(mm2, 0, p, pte_state.readonly)
    vma1, vma2 = vma_of(mm1, file), vma_of(mm2, file)
    vmas = array[ptr[vm_area_struct], 1]([vma1])
    tlb = gather(vma1)
    mms = [new_mm(memcg1) for _ in range(others)]
    for mm in mms:
        map_page(mm, 0, p, pte_state.readonly)
    mc = start_move(memcg1, memcg2)
    cpu(mem_cgroup_move_task, vma1)
    if path.startswith("reclaim"):
        cpu(shrink_folio, p, vmas, slot)
    if path == "migration":
        cpu(unmap_and_move, new, p, vmas)
    if path == "fork":
        cpu(copy_pte_range, vma2, vma1)
    if path == "copy on write":
        cpu(wp_page_copy, vma1, 0, p, new)
    if path == "two faults":
        cpu(do_fault, vma1, 0, False)
        cpu(do_fault, vma1, 0, False)
    if path == "truncation":
        cpu(truncate, p, tlb, vma1)
    for vma in [vma_of(mm, file) for mm in mms]:
        cpu(zap_pte_range, gather(vma), vma)
    at_rest(lambda: file_mapped_is_counted(memcg1, p, new) and file_mapped_is_counted(memcg2, p, new), "mapped file pages are counted")
    at_rest(lambda: anon_mapped_is_counted(memcg1, p, new) and anon_mapped_is_counted(memcg2, p, new), "mapped anonymous pages are counted")
    at_rest(lambda: file_pages_are_counted(memcg1, p, new) and file_pages_are_counted(memcg2, p, new), "pages in the cache are counted")
    at_rest(lambda: dirty_is_counted(memcg1, p, new) and dirty_is_counted(memcg2, p, new), "dirty pages are counted")
    at_rest(lambda: usage_is_exact(memcg1, p, new) and usage_is_exact(memcg2, p, new), "each group is charged for its pages, and for no more")
    at_rest(lambda: mapcount_is_right(p, maps(mm1, 0, p) + maps(mm2, 0, p)), "the mapcount is the number of ptes")
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")
