"""The mail's question of huge pages: one pmd maps two pages here that are charged and moved as one; it goes away, or is split into ptes, while the charge moves. Linux 6.1.

Is lock_page_memcg() in rmap needed for them (`memcg_lock`), and the pmd lock that the mover holds (`pmd_lock`)? With the pmd lock the memcg lock is redundant: the mover moves only what its own pmd
maps, so some pmd maps the page throughout, no counter changes elsewhere, and none is yet to be changed, since nothing maps an anonymous huge page again that was unmapped. Without the
pmd lock the memcg lock is not enough, other than for small pages: the mover takes a huge page for counted in NR_ANON_THPS and with both its pages in NR_ANON_MAPPED, which
is so only while a pmd maps it.

- unmap_here: process 1, whose charges move, alone maps it, and unmaps it.
- split_here: it alone maps it; the pmd is split, and one of the two ptes goes.
- fork_here: it alone maps it, and forks.
- unmap_elsewhere, split_elsewhere: both processes map it, and process 2 does these.
- split_both: both map it, and both split.

Left out: the split of the folio, huge pages of files (which 6.1 looks at as if they were anonymous), the move by 6.3, which locks the folio first.
"""
from lockverse import *
from lockverse.linux.boot import huge_page, map_huge, memory_cgroup, start_move
from lockverse.linux.include.huge_mm import huge_gather, huge_mm_struct, huge_vma
from lockverse.linux.invariants import anon_thps_are_counted, huge_anon_is_counted, huge_mapcounts_are_right, maps, maps_huge
from lockverse.linux.include import pgtable
from lockverse.linux.mm import memcontrol
from lockverse.linux.mm.huge_memory import copy_huge_pmd, split_huge_pmd, zap_huge_pmd
from lockverse.linux.mm.memcontrol import mem_cgroup_move_task
from lockverse.linux.mm.memory import zap_pte_range
from lockverse.linux.patches.posted import PRESENT_ONLY

Scenario = Literal["unmap_here", "split_here", "fork_here", "unmap_elsewhere", "split_elsewhere", "split_both"]


@patch(memcontrol.lock_page_memcg)
def no_memcg_lock(page):
    pass


@patch(memcontrol.unlock_page_memcg)
def no_memcg_unlock(page):
    pass


@patch(pgtable.pmd_trans_huge_lock)
def look_at_pmd(mm):
    return READ_ONCE(mm.pgtable.huge)


@patch(pgtable.pmd_trans_huge_unlock)
def nothing_to_unlock(mm):
    pass


def split_and_unmap_first(tlb, vma, first):
    split_huge_pmd(vma)
    zap_pte_range(tlb, first)


@scheme
def moved(scenario: Scenario = "split_here", pmd_lock: bool = True, memcg_lock: bool = True):
    apply(PRESENT_ONLY)  # there is no file, and nothing in swap
    if not memcg_lock:
        apply(no_memcg_lock, no_memcg_unlock)
    if not pmd_lock:
        apply(look_at_pmd, nothing_to_unlock)
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    p = huge_page(memcg1)
    tail = p.pages[1]
    p._refcount.counter += 1  # somebody looks at it, so that it stays in the end
    mm1, mm2 = huge_mm_struct(memcg=memcg2), huge_mm_struct(memcg=memcg1)
    map_huge(mm1, p)
    if scenario in ("unmap_elsewhere", "split_elsewhere", "split_both"):
        map_huge(mm2, p)
    vma1, vma2 = huge_vma(vm_mm=mm1, vm_end=2), huge_vma(vm_mm=mm2, vm_end=2)
    first = huge_vma(vm_mm=mm1 if scenario == "split_here" else mm2, vm_end=1)
    tlb = huge_gather(mm=mm1 if scenario.endswith("here") else mm2, end=2)
    mc = start_move(memcg1, memcg2, precharge=2)
    cpu(mem_cgroup_move_task, vma1)
    if scenario.startswith("unmap"):
        cpu(zap_huge_pmd, tlb, vma1 if scenario == "unmap_here" else vma2)
    elif scenario == "fork_here":
        cpu(copy_huge_pmd, mm2, mm1)
    elif scenario == "split_both":
        cpu(split_huge_pmd, vma1)
        cpu(split_huge_pmd, vma2)
    else:
        cpu(split_and_unmap_first, tlb, vma1 if scenario == "split_here" else vma2, first)
    for memcg in (memcg1, memcg2):
        counted(memcg, p)
    at_rest(lambda: huge_mapcounts_are_right(p, maps_huge(mm1, p) + maps_huge(mm2, p), maps(mm1, 0, p) + maps(mm2, 0, p), maps(mm1, 1, tail) + maps(mm2, 1, tail)),
            "the mapcounts are the numbers of pmds and ptes")
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


def counted(memcg, p):
    at_rest(lambda: huge_anon_is_counted(memcg, p), "each group counts its mapped anonymous pages")
    at_rest(lambda: anon_thps_are_counted(memcg, p), "each group counts its huge pages")
    at_rest(lambda: atomic_long_read(memcg.memory.usage) == (2 if p.memcg_data == memcg else 0), "each group is charged for its pages, and for no more")
