"""cgroup v1's memory+swap counter: charged for each page in memory and for each record in swap, wherever the two go while the charges move.

A swap slot says which group its contents are charged to. A page that is swapped out leaves its memory+swap charge to that record; one that is
read again is charged anew, and the record goes at once. The mover takes a record by changing whom it names; what that means for four counts is
put right at the end of the move, but for the reference of the new group's id, which is taken right after: in `swapped in` that is R13
(schemes/races/r13_swap_reference.py), here in the whole move, unless something else in swap holds the id (`more_in_swap`). `fixups` leaves the
repairs out in turn, to show what each is for. Linux 6.1 and 6.3. Left out: the stock, groups that have gone offline, whose records their parents
get, huge pages, readahead, and that a slot is read by two.
"""
from lockverse import *
from lockverse.linux.boot import anon_page, charge_memsw, gather, map_page, map_swap, memory_cgroup, new_mm, swap_record, vma_of
from lockverse.linux.include.memcontrol import MOVE_ANON
from lockverse.linux.include.mm_types import page, pte_state, swap_slot, vm_area_struct
from lockverse.linux.invariants import anon_mapped_is_counted, memsw_is_exact, references_are_exact, swap_is_counted, usage_is_exact
from lockverse.linux.kernel.cgroup.cgroup import cgroup_attach_task
from lockverse.linux.mm import memcontrol, memsw
from lockverse.linux.mm.memcontrol import mc
from lockverse.linux.mm.memory import do_swap_page_read, zap_pte_range
from lockverse.linux.mm.memsw import mem_cgroup_id_put_many
from lockverse.linux.mm.page_counter import page_counter_uncharge
from lockverse.linux.mm.vmscan import shrink_folio
from lockverse.linux.patches import delayed_rmap, move_locked_pages, rmap_without_memcg_lock


@patch(memcontrol.mem_cgroup_fixup_swap)
def memsw_stays(from_, to):
    mem_cgroup_id_put_many(from_, mc.moved_swap)
    page_counter_uncharge(to.memory, mc.moved_swap)


@patch(memcontrol.mem_cgroup_fixup_swap)
def memory_stays(from_, to):
    page_counter_uncharge(from_.memsw, mc.moved_swap)
    mem_cgroup_id_put_many(from_, mc.moved_swap)


@patch(memcontrol.mem_cgroup_fixup_swap)
def id_stays(from_, to):
    page_counter_uncharge(from_.memsw, mc.moved_swap)
    page_counter_uncharge(to.memory, mc.moved_swap)


FIXUPS = {"no memory+swap": [memsw_stays], "no memory": [memory_stays], "no id": [id_stays]}


@scheme
def memory_and_swap(scene: Literal["in swap", "swapped out", "swapped in", "unmapped"] = "in swap", fixups: Literal["all", "no memory+swap", "no memory", "no id"] = "all",
                    more_in_swap: bool = True, version: Literal["6.1", "6.3"] = "6.1", others: range(0, 3) = 0, nested: bool = False):
    """`others`: processes of memcg1 whose ptes name the page or the slot too, as after a fork, and who unmap it."""
    apply(memsw.PATCHES, FIXUPS.get(fixups, []))
    if version == "6.3":
        apply(delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    top = memory_cgroup() if nested else None
    memcg1, memcg2 = memory_cgroup(top), memory_cgroup(top)
    mms = [new_mm(memcg1) for _ in range(1 + others)]
    p, new = in_memory(scene, memcg1, mms), page(_mapcount=-1, _refcount=1, anon=True, swapbacked=True)
    slot = swap_slot() if scene == "swapped out" else in_swap(memcg1, mms)
    other = swap_record(memcg2) if more_in_swap else NULL
    vmas = [vma_of(mm) for mm in mms]
    mapped = array[ptr[vm_area_struct], 1 + others](vmas)
    cpu(cgroup_attach_task, vmas[0], memcg1, memcg2, MOVE_ANON)
    if scene == "swapped out":
        cpu(shrink_folio, p, mapped, slot)
    if scene == "swapped in":
        cpu(do_swap_page_read, vmas[0], 0, new)
    for vma in vmas if scene == "unmapped" else vmas[1:]:
        cpu(zap_pte_range, gather(vma), vma)
    for memcg in (memcg1, memcg2):
        counted(memcg, p, new, slot, other)
    if nested:
        at_rest(lambda: above_is_exact(top, memcg1, memcg2), "the group above is charged for all that those below are")
    if scene in ("in swap", "swapped in"):
        sometimes(lambda: slot.memcg == memcg2, "the record moves")
    if scene == "swapped out":
        sometimes(lambda: slot.memcg == memcg2, "the record that has come meanwhile moves")


def in_memory(scene, memcg, mms):
    if scene != "swapped out":
        return NULL
    p = anon_page(memcg)
    charge_memsw(memcg)
    for mm in mms:
        map_page(mm, 0, p)
    return p


def in_swap(memcg, mms):
    slot = swap_record(memcg)
    for mm in mms:
        map_swap(mm, 0, slot)
    return slot


def above_is_exact(top, memcg1, memcg2):
    memory = atomic_long_read(memcg1.memory.usage) + atomic_long_read(memcg2.memory.usage)
    memsw = atomic_long_read(memcg1.memsw.usage) + atomic_long_read(memcg2.memsw.usage)
    return atomic_long_read(top.memory.usage) == memory and atomic_long_read(top.memsw.usage) == memsw


def counted(memcg, p, new, slot, other):
    at_rest(lambda: memsw_is_exact(memcg, new, p, slot, other), "each group is charged to memory+swap for its pages and its swap records, and for no more")
    at_rest(lambda: usage_is_exact(memcg, new, p), "each group is charged to memory for its pages, and for no more")
    at_rest(lambda: swap_is_counted(memcg, slot, other), "each group counts its swap records, and each of them holds the group's id")
    at_rest(lambda: anon_mapped_is_counted(memcg, new, p), "each group counts its mapped pages")
    at_rest(lambda: references_are_exact(memcg, new, p), "each page holds a reference of its group")
