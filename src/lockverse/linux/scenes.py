"""Scenes of a charge that moves: one page, two groups, and who does what while its charge moves.

Process 1 goes from memcg1 to memcg2, and its charges with it. Process 2 stays. The page belongs to memcg1 in the beginning. A scene starts
after can_attach: memcg2 is charged for one page that may come.

- alone: process 1 has no pte for the page, and nobody maps it; it is in the page cache, or the swap cache. Nothing else happens.
- unmap_here: process 1 maps the page, and unmaps it.
- unmap_elsewhere: both map it, process 2 unmaps it.
- not_present: process 2 alone maps it, and unmaps it.
- fault_elsewhere: nobody maps it, process 2 faults it in.
- refault: process 2 maps it and unmaps it, process 1 faults it in.
- ksm: a page of KSM's that nobody maps, in the swap cache: KSM maps it in process 2, without its folio lock.

Not from the kernel. Leaves out more pages, more groups and more processes: schemes/bench has larger ones.
"""

from __future__ import annotations

from typing import Literal

from lockverse.lang import NULL, array, at_rest, cpu, kmalloc, pool, ptr, sometimes
from lockverse.linux.boot import (
    anon_page,
    cache_in_tlbs,
    count_by_cpu,
    file_mapping,
    file_page,
    gather,
    map_page,
    memory_cgroup,
    new_mm,
    start_move,
    vma_of,
)  # fmt: skip
from lockverse.linux.include.memcontrol import mem_cgroup, obj_cgroup
from lockverse.linux.include.mm_types import pte_state, swap_slot, vm_area_struct
from lockverse.linux.invariants import (
    anon_mapped_is_counted,
    dirty_is_counted,
    file_mapped_is_counted,
    mapcount_is_right,
    maps,
    maps_dirty,
    nothing_is_lost,
)  # fmt: skip
from lockverse.linux.mm.ksm import replace_page
from lockverse.linux.mm.memcontrol import mem_cgroup_move_task
from lockverse.linux.mm.memory import do_fault, do_swap_page, zap_pte_range
from lockverse.linux.mm.page_writeback import write_one_page
from lockverse.linux.mm.tlb import store
from lockverse.linux.patches.lru_reparenting import mem_cgroup_reparent_charges
from lockverse.linux.patches.objcg_reparenting import cgroup_destroy

Scenario = Literal["alone", "unmap_here", "unmap_elsewhere", "not_present", "fault_elsewhere", "refault", "ksm"]
Memory = Literal["file", "anon"]

MAPPED_BY_1 = ("unmap_here", "unmap_elsewhere")
PRESENT_HERE = (*MAPPED_BY_1, "refault")  # where process 1 has the page in a present pte at some time
MAPPED_BY_2 = ("unmap_elsewhere", "not_present", "refault")


def a_page(memory, scenario, memcg1):
    """The page, and the file it is of, or the swap slot that it is cached for."""
    if memory == "file" and scenario != "ksm":
        file = file_mapping()
        return file_page(memcg1, file), file, NULL
    p = anon_page(memcg1)
    p.ksm = scenario == "ksm"
    slot = swap_slot(folio=p, count=1)
    p._refcount.counter += 1  # the swap cache's
    if p.ksm:
        p._refcount.counter += 1  # KSM's own, while it is at work
    return p, NULL, slot


def reparenting():
    """The mover of before 3.19, which holds no pte lock: a page goes from memcg1 to its parent memcg2 while process 1 unmaps it."""
    memcg2 = memory_cgroup()
    memcg1 = memory_cgroup(parent=memcg2)
    file = file_mapping()
    p = file_page(memcg1, file)
    mm1 = new_mm(memcg1)
    map_page(mm1, 0, p)
    vma1 = vma_of(mm1, file)
    tlb = gather(vma1)
    cpu(zap_pte_range, tlb, vma1)
    cpu(mem_cgroup_reparent_charges, memcg1, p)
    return memcg1, memcg2, file, p, mm1, vma1, tlb


def move_of_charges(memory, scenario, check_books=True):
    """Build a scene; gives its objects for the scheme to name."""
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    p, file, slot = a_page(memory, scenario, memcg1)
    mm1, mm2 = new_mm(memcg2), new_mm(memcg1)
    for mm in (mm1, mm2):
        if slot is not NULL:
            mm.pgtable.pte[0].slot = slot
            mm.pgtable.pte[0].pte = pte_state.swap
    if scenario in MAPPED_BY_1:
        map_page(mm1, 0, p)
    if scenario in MAPPED_BY_2:
        map_page(mm2, 0, p)
    vma1, vma2 = vma_of(mm1, file), vma_of(mm2, file)
    tlb = gather(vma1 if scenario == "unmap_here" else vma2)
    mc = start_move(memcg1, memcg2)

    cpu(mem_cgroup_move_task, vma1)
    if scenario == "unmap_here":
        cpu(zap_pte_range, tlb, vma1)
    if scenario in MAPPED_BY_2:
        cpu(zap_pte_range, tlb, vma2)
    if scenario in ("fault_elsewhere", "refault"):
        vma = vma1 if scenario == "refault" else vma2
        if slot is NULL:
            cpu(do_fault, vma, 0, False)
        else:
            cpu(do_swap_page, vma, 0)
    replaced = anon_page(memcg1)  # process 2's page that the KSM page takes the place of
    if scenario == "ksm":
        map_page(mm2, 0, replaced)
        cpu(replace_page, vma2, replaced, p)
    if check_books:
        books(memcg1, memcg2, p, replaced)
        at_rest(lambda: mapcount_is_right(p, maps(mm1, 0, p) + maps(mm2, 0, p)), "the mapcount is the number of ptes")
    return memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced


def unmap_write_store():
    """A dirty page of a file is unmapped, written to disk, and stored to through a TLB that still has it."""
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    mm = new_mm(memcg)
    map_page(mm, 0, p, pte_state.dirty)
    cache_in_tlbs(mm)
    vma = vma_of(mm, file)
    vmas = array[ptr[vm_area_struct], 1]([vma])
    tlb = gather(vma)
    cpu(zap_pte_range, tlb, vma)
    cpu(write_one_page, p, vmas)
    cpu(store, mm, 0, 1)
    at_rest(lambda: nothing_is_lost(p, maps_dirty(mm, 0, p)), "a clean page is on disk as it is in memory")
    at_rest(lambda: dirty_is_counted(memcg, p) and file_mapped_is_counted(memcg, p), "the group counts the page as what it is")
    at_rest(lambda: mapcount_is_right(p, maps(mm, 0, p)), "the mapcount is the number of ptes")
    sometimes(lambda: p.data == 1, "the store is done")
    return memcg, file, p, mm, vma, vmas, tlb


def dying_group(freed=False):
    """A group with a page that a process of the parent's maps goes away; the process unmaps the page meanwhile. If it is `freed`, its
    books cannot be read in the end."""
    parent = memory_cgroup()
    if freed:
        pool(mem_cgroup, 1)
    child = memory_cgroup(parent, kmalloc(mem_cgroup) if freed else None)
    objcg = obj_cgroup(memcg=child)
    file = file_mapping()
    p = file_page(child, file)
    p.objcg = objcg
    mm = new_mm(parent)
    map_page(mm, 0, p)
    count_by_cpu(child, 2)
    vma = vma_of(mm, file)
    tlb = gather(vma)
    groups = array[ptr[mem_cgroup], 2]([child, parent])
    cpu(zap_pte_range, tlb, vma)
    cpu(cgroup_destroy, child, objcg, groups)
    return parent, child, objcg, file, p, mm, vma, tlb, groups


def books(memcg1, memcg2, p, q):
    """Each group counts the pages of its own that are mapped (I1)."""
    at_rest(lambda: file_mapped_is_counted(memcg1, p), "memcg1 counts its mapped file pages")
    at_rest(lambda: file_mapped_is_counted(memcg2, p), "memcg2 counts its mapped file pages")
    at_rest(lambda: anon_mapped_is_counted(memcg1, p, q), "memcg1 counts its mapped anonymous pages")
    at_rest(lambda: anon_mapped_is_counted(memcg2, p, q), "memcg2 counts its mapped anonymous pages")
