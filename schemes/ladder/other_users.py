"""The users of the memcg lock outside rmap: dirty and writeback accounting, while the page's charge moves. Linux 6.1 to 6.12 keep the lock there.

With the lock a change of the page and of its counter are one for the mover. Clearing PG_dirty for IO has no memcg lock: it holds the folio lock, and
the mover trylocks that. Without the lock, and without moving charges to be rid of instead (rung Z), each of the others is the mail's race with another flag.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, map_page, memory_cgroup, new_mm, start_move, vma_of
from lockverse.linux.include.mm_types import pte_state, vm_area_struct
from lockverse.linux.include.mmzone import NR_FILE_DIRTY, NR_WRITEBACK
from lockverse.linux.include.page_flags import folio_lock, folio_test_clear_dirty, folio_test_set_dirty, folio_unlock
from lockverse.linux.invariants import dirty_is_counted, writeback_is_counted
from lockverse.linux.mm import page_writeback
from lockverse.linux.mm.memcontrol import __mod_lruvec_page_state, mem_cgroup_move_task
from lockverse.linux.mm.page_writeback import (
    filemap_dirty_folio, folio_account_cleaned, folio_account_dirtied, folio_cancel_dirty, folio_clear_dirty_for_io,
    folio_end_writeback, folio_start_writeback,
)


@patch(page_writeback.filemap_dirty_folio)
def filemap_dirty_folio_without_lock(mapping, folio):
    if folio_test_set_dirty(folio):
        return False
    flags = spin_lock_irqsave(mapping.i_pages_lock)
    if READ_ONCE(folio.mapping):
        folio_account_dirtied(folio, mapping)
    spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    return True


@patch(page_writeback.folio_cancel_dirty)
def folio_cancel_dirty_without_lock(folio):
    mapping = READ_ONCE(folio.mapping)
    if folio_test_clear_dirty(folio):
        folio_account_cleaned(folio, mapping)


@patch(page_writeback.folio_start_writeback)
def folio_start_writeback_without_lock(folio):
    mapping = READ_ONCE(folio.mapping)
    flags = spin_lock_irqsave(mapping.i_pages_lock)
    was = xchg(folio.writeback, True)
    spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    if not was:
        __mod_lruvec_page_state(folio, NR_WRITEBACK, 1)


@patch(page_writeback.folio_end_writeback)
def folio_end_writeback_without_lock(folio):
    mapping = READ_ONCE(folio.mapping)
    flags = spin_lock_irqsave(mapping.i_pages_lock)
    was = xchg(folio.writeback, False)
    spin_unlock_irqrestore(mapping.i_pages_lock, flags)
    if was:
        __mod_lruvec_page_state(folio, NR_WRITEBACK, -1)


without_lock = [
    filemap_dirty_folio_without_lock, folio_cancel_dirty_without_lock, folio_start_writeback_without_lock, folio_end_writeback_without_lock,
]


def clear_dirty_locked(p, vmas):
    folio_lock(p)
    folio_clear_dirty_for_io(p, vmas)
    folio_unlock(p)


@scheme
def accounted_while_moved(memcg_lock: bool = True, what: Literal["dirtied", "cancelled", "cleared for IO", "writeback starts", "writeback ends"] = "dirtied"):
    if not memcg_lock:
        apply(without_lock)
    memcg1 = memory_cgroup()
    memcg2 = memory_cgroup()
    file = file_mapping()
    p = file_page(memcg1, file)
    mm = new_mm(memcg2)
    map_page(mm, 0, p, pte_state.dirty if what == "cleared for IO" else pte_state.readonly)
    vma = vma_of(mm, file)
    vmas = array[ptr[vm_area_struct], 1]([vma])
    mc = start_move(memcg1, memcg2)
    if what in ("cancelled", "cleared for IO"):
        p.dirty = True
        memcg1.state[NR_FILE_DIRTY].counter = 1
    if what == "writeback ends":
        p.writeback = True
        memcg1.state[NR_WRITEBACK].counter = 1
    cpu(mem_cgroup_move_task, vma)
    if what == "dirtied":
        cpu(filemap_dirty_folio, file, p)
    if what == "cancelled":
        cpu(folio_cancel_dirty, p)
    if what == "cleared for IO":
        cpu(clear_dirty_locked, p, vmas)
    if what == "writeback starts":
        cpu(folio_start_writeback, p)
    if what == "writeback ends":
        cpu(folio_end_writeback, p)
    at_rest(lambda: dirty_is_counted(memcg1, p) and dirty_is_counted(memcg2, p), "each group counts its dirty pages")
    at_rest(lambda: writeback_is_counted(memcg1, p) and writeback_is_counted(memcg2, p), "each group counts its pages that are being written")
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")
