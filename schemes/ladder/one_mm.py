"""The ladder within one address space: a page of a file that two page tables of the mover's own mm map, or could, each under a pte lock of its own.

The mover walks both tables under mmap_lock, the first one first, and holds the pte lock of the one it is at. Another thread of the process unmaps the page in the second table, or faults it
in. That lock is not the thread's: for the mover it is as if another process did it, and the rungs break where they break with another process (schemes/ladder/ladder.py).
What is different is mmap_lock: who unmaps and holds it for writing all along keeps the mover away, and then each rung holds. MADV_DONTNEED holds it for reading, and munmap
only that, from the time on when the vma is out (4.20).

- unmap_second: both tables have the page, and the second loses it.
- not_present: only the second has it, and loses it; the mover finds it in the page cache, behind the first table's empty pte.
- fault_second: no table has it, and it is faulted in in the second.
- refault: the second has it and loses it, a third thread faults it in in the first.

Left out: anonymous memory, of which one mm has a page twice only by KSM; more tables; vmas that share one.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, gather, map_page, memory_cgroup, mm_of, new_mm, start_move, vma_of
from lockverse.linux.invariants import file_mapped_is_counted, mapcount_is_right, maps, usage_is_exact
from lockverse.linux.mm.memcontrol import mem_cgroup_move_task
from lockverse.linux.mm.mmap import handle_mm_fault, madvise_dontneed, vm_munmap
from lockverse.linux.patches import move_locked_pages, rmap_without_memcg_lock
from lockverse.linux.patches.posted import PRESENT_ONLY, move_account_state_unconditional

RUNGS = {
    "B": [*rmap_without_memcg_lock.PATCHES, *PRESENT_ONLY],
    "D": rmap_without_memcg_lock.PATCHES,
    "K": [*rmap_without_memcg_lock.PATCHES, *PRESENT_ONLY, move_account_state_unconditional],
    "E": [*rmap_without_memcg_lock.PATCHES, *move_locked_pages.PATCHES],
    "G": [],
}
Unmapper = Literal["MADV_DONTNEED", "munmap", "munmap, write lock kept"]
Scenario = Literal["unmap_second", "not_present", "fault_second", "refault"]


@scheme
def two_page_tables(rung: Literal["B", "D", "K", "E", "G"] = "G", scenario: Scenario = "not_present", unmapper: Unmapper = "MADV_DONTNEED"):
    apply(RUNGS[rung])
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    file = file_mapping()
    p = file_page(memcg1, file)
    first, second = new_mm(memcg2), new_mm(memcg2)
    if scenario == "unmap_second":
        map_page(first, 0, p)
    if scenario != "fault_second":
        map_page(second, 0, p)
    vma1, vma2 = vma_of(first, file), vma_of(second, file)
    mm = mm_of(vma1, vma2)
    tlb = gather(vma2)
    mc = start_move(memcg1, memcg2)
    cpu(mem_cgroup_move_task, mm)
    if scenario == "fault_second":
        cpu(handle_mm_fault, mm, 1, False)
    elif unmapper == "MADV_DONTNEED":
        cpu(madvise_dontneed, mm, 1, tlb)
    else:
        cpu(vm_munmap, mm, 1, tlb, unmapper == "munmap")
    if scenario == "refault":
        cpu(handle_mm_fault, mm, 0, False)
    at_rest(lambda: file_mapped_is_counted(memcg1, p), "memcg1 counts its mapped file pages")
    at_rest(lambda: file_mapped_is_counted(memcg2, p), "memcg2 counts its mapped file pages")
    at_rest(lambda: usage_is_exact(memcg1, p) and usage_is_exact(memcg2, p), "each group is charged for its pages, and for no more")
    at_rest(lambda: mapcount_is_right(p, maps(first, 0, p) + maps(second, 0, p)), "the mapcount is the number of ptes")
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")
