"""The whole move of charges of 6.1 and 6.3, from can_attach to the clearing, in scenes of any size: for benches, and for doubt.

Process 1 maps all pages and goes from memcg1 to memcg2, once, or on to memcg3 or back. Other processes map all pages too and unmap them. Every group's
books are checked, page counters included: with 6.1 they are right in all sizes. 6.3 breaks with one more process, if process 1 does not
have the pages in its page table (`present`). How many states that makes is in docs/fidelity-linux.md.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, gather, map_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE
from lockverse.linux.invariants import file_mapped_is_counted, file_pages_are_counted, usage_is_exact
from lockverse.linux.kernel.cgroup.cgroup import cgroup_attach_task
from lockverse.linux.mm.memory import zap_pte_range
from lockverse.linux.patches import delayed_rmap, move_locked_pages, rmap_without_memcg_lock

ALL = MOVE_ANON | MOVE_FILE


def attach_twice(vma, memcg1, memcg2, memcg3):
    cgroup_attach_task(vma, memcg1, memcg2, ALL)
    cgroup_attach_task(vma, memcg2, memcg3, ALL)


@scheme
def moves(version: Literal["6.1", "6.3"], pages: range(1, 3), others: range(0, 4), present: bool = True, groups: Literal[2, 3] = 2,
          nested: bool = False, exits: bool = False):
    if version == "6.3":
        apply(delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    top = memory_cgroup()
    memcg1 = memory_cgroup(top if nested else None)
    memcg2 = memory_cgroup(top if nested else None)
    memcg3 = memory_cgroup(top if nested else None)
    file = file_mapping()
    p = file_page(memcg1, file)
    q = file_page(memcg1, file, 1) if pages == 2 else NULL
    mm = new_mm(memcg1)
    mms = [new_mm(memcg1) for _ in range(others)]
    for one in ([mm] if present else []) + mms:
        map_page(one, 0, p)
        if q is not NULL:
            map_page(one, 1, q)
    vma = vma_of(mm, file, 0, pages)
    vmas = [vma_of(one, file, 0, pages) for one in mms]
    tlbs = [gather(one) for one in vmas]
    if groups == 3:
        cpu(attach_twice, vma, memcg1, memcg2, memcg3)
    else:
        cpu(cgroup_attach_task, vma, memcg1, memcg2, ALL)
    for tlb, one in zip(tlbs, vmas):
        cpu(zap_pte_range, tlb, one)
    if exits:
        tlb = gather(vma)
        cpu(zap_pte_range, tlb, vma)
    for memcg in (memcg1, memcg2, memcg3)[:groups]:
        counted(memcg, p, q)
    if nested:
        at_rest(lambda: usage_is_exact_below(top, pages), "the group above is charged for all pages, and for no more")


def usage_is_exact_below(top, pages):
    return atomic_long_read(top.memory.usage) == pages


def counted(memcg, p, q):
    at_rest(lambda: file_mapped_is_counted(memcg, p, q), "each group counts its mapped pages")
    at_rest(lambda: file_pages_are_counted(memcg, p, q), "each group counts its pages in the cache")
    at_rest(lambda: usage_is_exact(memcg, p, q), "each group is charged for its pages, and for no more")
