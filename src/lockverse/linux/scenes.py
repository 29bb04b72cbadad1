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

A scene has a size: the smallest, or one with more of something, which shows nothing new and says how the states grow. A third mapper is a
process of memcg1 that maps every page and unmaps it. Of two pages the second fares as the first does, but that nobody faults it in; nested groups have one group above them.

Not from the kernel. Leaves out two movers (schemes/ladder/movers.py), three groups and the rest of a move (schemes/ladder/sizes.py).
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
Size = Literal["smallest", "nested groups", "two pages", "three mappers", "two pages, three mappers"]

MAPPED_BY_1 = ("unmap_here", "unmap_elsewhere")
PRESENT_HERE = (*MAPPED_BY_1, "refault")  # where process 1 has the page in a present pte at some time
MAPPED_BY_2 = ("unmap_elsewhere", "not_present", "refault")


def the_pages(memory, scenario, memcg1, number):
    """The pages, and the file they are of, or the swap slots that they are cached for."""
    if memory == "file" and scenario != "ksm":
        file = file_mapping()
        return [file_page(memcg1, file, index) for index in range(number)], file, [NULL] * number
    pages, slots = [], []
    for _ in range(number):
        p = anon_page(memcg1)
        p.ksm = scenario == "ksm"
        p._refcount.counter += 1  # the swap cache's
        if p.ksm:
            p._refcount.counter += 1  # KSM's own, while it is at work
        pages.append(p)
        slots.append(swap_slot(folio=p, count=1))
    return pages, NULL, slots


def reparenting(mappers=1):
    """The mover of before 3.19, which holds no pte lock: a page goes from memcg1 to its parent memcg2 while process 1 unmaps it, and others."""
    memcg2 = memory_cgroup()
    memcg1 = memory_cgroup(parent=memcg2)
    file = file_mapping()
    p = file_page(memcg1, file)
    mm1, *mms = [new_mm(memcg1) for _ in range(mappers)]
    for mm in (mm1, *mms):
        map_page(mm, 0, p)
    vma1 = vma_of(mm1, file)
    tlb = gather(vma1)
    cpu(zap_pte_range, tlb, vma1)
    cpu(mem_cgroup_reparent_charges, memcg1, p)
    for vma in [vma_of(mm, file) for mm in mms]:
        cpu(zap_pte_range, gather(vma), vma)
    return memcg1, memcg2, file, p, mm1, vma1, tlb


def mms_of(scenario, pages, slots, groups):
    """Processes, one in each of these groups, that map the pages as the scenario has it, the third one all of them."""
    mms = [new_mm(memcg) for memcg in groups]
    for which, mm in enumerate(mms):
        for addr, slot in enumerate(slots):
            if slot is not NULL:
                mm.pgtable.pte[addr].slot = slot
                mm.pgtable.pte[addr].pte = pte_state.swap
        if which == 2 or scenario in (MAPPED_BY_1, MAPPED_BY_2)[which]:
            for addr, p in enumerate(pages):
                map_page(mm, addr, p)
    return mms


def move_of_charges(memory, scenario, check_books=True, size="smallest"):
    """Build a scene; gives its objects for the scheme to name."""
    number, third = 2 if "two pages" in size else 1, "three mappers" in size
    top = memory_cgroup() if size == "nested groups" else None
    memcg1, memcg2 = memory_cgroup(top), memory_cgroup(top)
    (p, *more), file, slots = the_pages(memory, scenario, memcg1, number)
    slot = slots[0]
    mms = mms_of(scenario, [p, *more], slots, [memcg2, memcg1] + [memcg1] * third)
    mm1, mm2 = mms[:2]
    vma1, vma2, *vmas = (vma_of(mm, file, 0, number) for mm in mms)
    tlb = gather(vma1 if scenario == "unmap_here" else vma2)
    mc = start_move(memcg1, memcg2, number)

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
    for vma in vmas:
        cpu(zap_pte_range, gather(vma), vma)
    if check_books:
        books(memcg1, memcg2, p, replaced, *more)
        for addr, one in enumerate([p, *more]):
            mapcount(addr, one, *mms)
    return memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced


def mapcount(addr, p, mm1, mm2, mm3=None):
    """A page's mapcount is the number of the ptes that map it (I7)."""
    if mm3 is None:
        at_rest(lambda: mapcount_is_right(p, maps(mm1, addr, p) + maps(mm2, addr, p)), "the mapcount is the number of ptes")
    else:
        at_rest(lambda: mapcount_is_right(p, maps(mm1, addr, p) + maps(mm2, addr, p) + maps(mm3, addr, p)), "the mapcount is the number of ptes")


def unmap_write_store(stores=1):
    """A dirty page of a file is unmapped, written to disk, and stored to through a TLB that still has it, or through two."""
    memcg = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg, file)
    mm = new_mm(memcg)
    map_page(mm, 0, p, pte_state.dirty)
    cache_in_tlbs(mm, stores)
    vma = vma_of(mm, file)
    vmas = array[ptr[vm_area_struct], 1]([vma])
    tlb = gather(vma)
    cpu(zap_pte_range, tlb, vma)
    cpu(write_one_page, p, vmas)
    for which in range(stores):
        cpu(store, mm, which, which + 1)
    at_rest(lambda: nothing_is_lost(p, maps_dirty(mm, 0, p)), "a clean page is on disk as it is in memory")
    at_rest(lambda: dirty_is_counted(memcg, p) and file_mapped_is_counted(memcg, p), "the group counts the page as what it is")
    at_rest(lambda: mapcount_is_right(p, maps(mm, 0, p)), "the mapcount is the number of ptes")
    sometimes(lambda: p.data == stores, "the store is done")
    return memcg, file, p, mm, vma, vmas, tlb


def dying_group(freed=False, mappers=1, nested=False):
    """A group with a page that processes of the parent's map goes away; they unmap the page meanwhile. If it is `freed`, its
    books cannot be read in the end."""
    top = memory_cgroup() if nested else None
    parent = memory_cgroup(top)
    if freed:
        pool(mem_cgroup, 1)
    child = memory_cgroup(parent, kmalloc(mem_cgroup) if freed else None)
    objcg = obj_cgroup(memcg=child)
    file = file_mapping()
    p = file_page(child, file)
    p.objcg = objcg
    mm, *mms = [new_mm(parent) for _ in range(mappers)]
    for one in (mm, *mms):
        map_page(one, 0, p)
    count_by_cpu(child, 1)
    vma = vma_of(mm, file)
    tlb = gather(vma)
    cpu(zap_pte_range, tlb, vma)
    cpu(cgroup_destroy, child, objcg)
    for another in [vma_of(one, file) for one in mms]:
        cpu(zap_pte_range, gather(another), another)
    return parent, child, objcg, file, p, mm, vma, tlb


def books(memcg1, memcg2, p, q, r=NULL):
    """Each group counts the pages of its own that are mapped (I1)."""
    at_rest(lambda: file_mapped_is_counted(memcg1, p, r), "memcg1 counts its mapped file pages")
    at_rest(lambda: file_mapped_is_counted(memcg2, p, r), "memcg2 counts its mapped file pages")
    at_rest(lambda: anon_mapped_is_counted(memcg1, p, q, r), "memcg1 counts its mapped anonymous pages")
    at_rest(lambda: anon_mapped_is_counted(memcg2, p, q, r), "memcg2 counts its mapped anonymous pages")
