"""R14: a mover that waits for mmap_lock, whose holder waits for the move to end; and the whole walk of a move against all who hold that lock for writing.

Who is over the limit while charges move waits for the move, since it may free what is charged in advance (mem_cgroup_wait_acct_move(), mm/memcontrol.c,
Linux 6.1); it may hold the mmap_lock of the mm that moves. So the mover only tries the lock; if that fails it gives back what is charged in advance, wakes
who waits, and tries again (dfe076b0971a, "memcg: fix deadlock between cpuset and memcg", 2.6.37). Broken: it waits. Also broken: it tries again
and wakes nobody, or wakes them and keeps the charge. The holder is a fork here, which charges the child's page table.

`walked_while_changed` is the whole move of 6.1, from can_attach on, against munmap, fork and exit: the books are right after each. Exit does not meet the walk, since the move holds the mm. Left out: reclaim, the OOM killer.
"""
from lockverse import *
from lockverse.linux.boot import anon_page, file_mapping, file_page, gather, map_page, memory_cgroup, mm_of, new_mm, start_move, vma_of
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.invariants import (
    anon_mapped_is_counted, file_mapped_is_counted, file_pages_are_counted, mapcount_is_right, maps, owned, usage_is_exact,
)
from lockverse.linux.mm import memcontrol
from lockverse.linux.mm.memcontrol import mem_cgroup_can_attach, mem_cgroup_move_task
from lockverse.linux.mm.memcontrol_waitq import WAITQ, waiters
from lockverse.linux.mm.mmap import dup_mmap, mmput, vm_munmap
from lockverse.linux.mm.mmu_gather import mmu_gather
from lockverse.linux.mm.page_counter import page_counter_uncharge


@patch(memcontrol.mem_cgroup_lock_mm)
def waits(mm):
    down_read(mm.mmap_lock)


@patch(memcontrol.mem_cgroup_lock_mm)
def wakes_only(mm):
    while not down_read_trylock(mm.mmap_lock):
        wake_up_all(waiters.waitq)


@patch(memcontrol.mem_cgroup_lock_mm)
def gives_back_only(mm):
    while not down_read_trylock(mm.mmap_lock):
        if mc.precharge:
            page_counter_uncharge(mc.to.memory, mc.precharge)
            mc.precharge = 0


mc = memcontrol.mc
MOVERS = {"waits": [waits], "tries, wakes only": [wakes_only], "tries, gives back only": [gives_back_only], "2.6.37": []}


@scheme
def charged_while_charges_move(mover: Literal["waits", "tries, wakes only", "tries, gives back only", "2.6.37"] = "waits"):
    """The new group has room for two pages, and two were counted, of which one has gone since. The other moves, and a thread forks. That may fail all the same: at its
    end the move says that it is over before it gives back what it has too much. The kernel tries a few times more then; the model does not."""
    apply(WAITQ, MOVERS[mover])
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    memcg2.memory.max = 2
    p = anon_page(memcg1)
    table, child_table = new_mm(memcg2), new_mm(memcg2)
    map_page(table, 0, p, pte_state.dirty)
    vma, child_vma = vma_of(table), vma_of(child_table)
    mm, child = mm_of(vma), mm_of(child_vma)
    move = start_move(memcg1, memcg2, precharge=2)
    queue = waiters
    queue.moving_task = cpu(mem_cgroup_move_task, mm)
    cpu(dup_mmap, mm, 0, child, child_vma)
    at_rest(lambda: usage_is_exact(memcg1, p), "the old group is charged for its pages")
    at_rest(lambda: atomic_long_read(memcg2.memory.usage) == owned(memcg2, p) + maps(child_table, 0, p), "the new one for its own, and for the child's page table")
    at_rest(lambda: anon_mapped_is_counted(memcg1, p) and anon_mapped_is_counted(memcg2, p), "each group counts its mapped pages")
    sometimes(lambda: p.memcg_data == memcg2 and maps(child_table, 0, p) == 1, "the page moves, and the child has it")


def attach(mm, from_, to, tlbs):
    if not atomic_inc_not_zero(mm.mm_users):  # get_task_mm() in mem_cgroup_can_attach()
        return
    if not mem_cgroup_can_attach(mm, from_, to, MOVE_ANON | MOVE_FILE):
        mem_cgroup_move_task(mm)
    mmput(mm, tlbs)  # the end of mem_cgroup_clear_mc()


@scheme
def walked_while_changed(by: Literal["munmap", "munmap, write lock kept", "fork", "exit"] = "munmap", memory: Literal["file", "anon"] = "file"):
    """The mover walks two page tables, first to count and then to move; the page is in both if it is of a file, else in the first. The first goes, or is copied, or all go."""
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    file = file_mapping() if memory == "file" else NULL
    p = file_page(memcg1, file) if memory == "file" else anon_page(memcg1)
    first, second, child_table = new_mm(memcg2), new_mm(memcg2), new_mm(memcg2)
    map_page(first, 0, p)
    if memory == "file":
        map_page(second, 0, p)
    vma1, vma2, child_vma = vma_of(first, file), vma_of(second, file), vma_of(child_table, file)
    mm, child = mm_of(vma1, vma2), mm_of(child_vma)
    tlb1, tlb2 = gather(vma1), gather(vma2)
    tlbs = array[ptr[mmu_gather], 2]([tlb1, tlb2])
    move = mc
    cpu(attach, mm, memcg1, memcg2, tlbs)
    if by == "fork":
        cpu(dup_mmap, mm, 0, child, child_vma)
    elif by == "exit":
        cpu(mmput, mm, tlbs)
    else:
        cpu(vm_munmap, mm, 0, tlb1, by == "munmap")
    for memcg in (memcg1, memcg2):
        counted(memcg, p, memcg2, by == "fork")
    at_rest(lambda: mapcount_is_right(p, maps(first, 0, p) + maps(second, 0, p) + maps(child_table, 0, p)), "the mapcount is the number of ptes")
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")
    if by == "exit":
        at_rest(lambda: maps(first, 0, p) == 0 and maps(second, 0, p) == 0, "the last user has unmapped all")


def counted(memcg, p, charged, forked):
    more = 1 if forked and memcg is charged else 0  # the child's page table
    at_rest(lambda: file_mapped_is_counted(memcg, p) and anon_mapped_is_counted(memcg, p), "each group counts its mapped pages")
    at_rest(lambda: file_pages_are_counted(memcg, p), "each group counts its pages in the cache")
    at_rest(lambda: atomic_long_read(memcg.memory.usage) == owned(memcg, p) + more, "each group is charged for its pages, and for no more")
