"""R15: an interrupt on top of the memcg lock wants a lock, whose holder waits for the memcg lock.

e767e0561d7f ("memcg: fix deadlock between lock_page_cgroup and mapping tree_lock", 2009): the interrupt wants tree_lock (i_pages), under which another CPU
wants the memcg lock. dbd4ea78f002 ("memcg: add lock to synchronize page accounting and migration", 2011): writeback ends in an interrupt, which wants the memcg lock
itself. Both need folio_memcg_lock to keep interrupts away, as 6.1's does: irqsave, and not irq, since its users may have them disabled already. The functions
are the model's (linux/mm); in the first scheme the interrupt and the other CPU do what they did in 2009. Left out: softirqs, in which writeback ends too.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, map_page, memory_cgroup, new_mm, start_move, vma_of
from lockverse.linux.include.mmzone import NR_FILE_DIRTY, NR_WRITEBACK
from lockverse.linux.invariants import dirty_is_counted, writeback_is_counted
from lockverse.linux.mm.memcontrol import folio_memcg_lock, folio_memcg_unlock, mem_cgroup_move_task
from lockverse.linux.mm.page_writeback import folio_cancel_dirty, folio_end_writeback
from lockverse.linux.patches import irq_unsafe_move_lock


def end_writeback_2009(mapping, folio):
    flags = spin_lock_irqsave(mapping.i_pages_lock)
    xchg(folio.writeback, False)
    spin_unlock_irqrestore(mapping.i_pages_lock, flags)


def uncharge_2009(mapping, folio):
    spin_lock_irq(mapping.i_pages_lock)
    folio_memcg_lock(folio)
    folio_memcg_unlock(folio)
    spin_unlock_irq(mapping.i_pages_lock)


@scheme
def interrupt_wants_tree_lock(irqsave: bool = False, removers: range(1, 4) = 1):
    if not irqsave:
        apply(irq_unsafe_move_lock.PATCHES)
    memcg = memory_cgroup()
    memcg.moving_account.counter = 1
    file = file_mapping()
    p = file_page(memcg, file)
    p.dirty = p.writeback = True
    memcg.state[NR_FILE_DIRTY].counter = 1
    canceller = cpu(folio_cancel_dirty, p)
    for _ in range(removers):
        cpu(uncharge_2009, file, p)
    interrupt(end_writeback_2009, file, p, on=canceller)
    at_rest(lambda: dirty_is_counted(memcg, p), "the group counts its dirty pages")


@scheme
def interrupt_wants_the_memcg_lock(irqsave: bool = False, on: Literal["the mover", "another user"] = "the mover"):
    if not irqsave:
        apply(irq_unsafe_move_lock.PATCHES)
    memcg1 = memory_cgroup()
    memcg2 = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg1, file)
    p.writeback = True
    memcg1.state[NR_WRITEBACK].counter = 1
    mm = new_mm(memcg2)
    map_page(mm, 0, p)
    vma = vma_of(mm, file)
    mc = start_move(memcg1, memcg2)
    mover = cpu(mem_cgroup_move_task, vma)
    if on == "another user":
        p.dirty = True
        memcg1.state[NR_FILE_DIRTY].counter = 1
        canceller = cpu(folio_cancel_dirty, p)
    interrupt(folio_end_writeback, p, on=mover if on == "the mover" else canceller)
    at_rest(lambda: dirty_is_counted(memcg1, p) and dirty_is_counted(memcg2, p), "each group counts its dirty pages")
    at_rest(lambda: writeback_is_counted(memcg1, p) and writeback_is_counted(memcg2, p), "each group counts its pages that are being written")
    sometimes(lambda: p.memcg_data == memcg2 and not p.writeback, "the page moves, and the interrupt comes")
