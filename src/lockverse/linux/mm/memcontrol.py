"""Memory control groups: who a page is charged to, and how charges move.

Source: mm/memcontrol.c, Linux 6.1. Modelled: the counters, folio_memcg_lock with both its paths, of which the slow one disables interrupts, charging and
uncharging, the move of charges from mem_cgroup_can_attach to the clearing, with the precharge, the grace period, the walk and all three ways to find a page
behind a pte, and mem_cgroup_move_account step by step; for the simulator's groups and mms also huge pages, and the walk over all vmas and page tables.
Approximated: adding to a counter is one step, so nothing disables interrupts for it; counters are sums over CPUs (include/memcontrol.py); in a scene one vma
stands for its mm. Left out: kmem, events' thresholds, lru_add_drain_all (no page waits in a pagevec here), reclaim and OOM.
mc.waitq: memcontrol_waitq.py. The stock: memcontrol_stock.py; swap records: swap_cgroup.py; the memory+swap counter: memsw.py.
What 6.2 and later changed: linux/patches/.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    WRITE_ONCE,
    atomic_dec,
    atomic_inc,
    atomic_long_add,
    atomic_long_dec,
    atomic_long_inc,
    atomic_read,
    cmpxchg,
    down_read,
    down_read_trylock,
    ptr,
    rcu_read_lock,
    rcu_read_unlock,
    smp_mb,
    spin_lock_irqsave,
    spin_unlock_irqrestore,
    synchronize_rcu,
    up_read,
)  # fmt: skip
from lockverse.lang.task import current_task
from lockverse.linux.include.errno import EBUSY, EINVAL, ENOMEM
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE, mem_cgroup, move_charge_struct
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.mmzone import (
    MEMCG_SWAP,
    NR_ANON_MAPPED,
    NR_ANON_THPS,
    NR_FILE_DIRTY,
    NR_FILE_MAPPED,
    NR_FILE_PAGES,
    NR_SHMEM,
    NR_WRITEBACK,
    PGPGIN,
    PGPGOUT,
)  # fmt: skip
from lockverse.linux.include.page_flags import (
    PageAnon,
    folio_mapped,
    folio_nr_pages,
    folio_test_dirty,
    folio_test_writeback,
    folio_try_get,
    folio_trylock,
    folio_unlock,
    page_folio,
    page_mapped,
)  # fmt: skip
from lockverse.linux.include.pgtable import (
    is_swap_pte,
    pmd_trans_huge_lock,
    pmd_trans_huge_unlock,
    pte_none,
    pte_offset_map_lock,
    pte_present,
    pte_unmap_unlock,
)

from . import memcontrol_stock
from .filemap import find_get_incore_page
from .page_counter import page_counter_try_charge, page_counter_uncharge
from .pagewalk import page_tables
from .swap import folio_isolate_lru, folio_put, folio_putback_lru
from .swap_state import find_get_swap_page

MC_TARGET_NONE = 0
MC_TARGET_PAGE = 1
MC_TARGET_SWAP = 2
MC_TARGET_DEVICE = 3

mc = move_charge_struct()  # one move at a time: cgroup_mutex is held from can_attach to the clearing


def folio_memcg(folio):
    """The group a folio is charged to. What keeps it so is the caller's business."""
    return READ_ONCE(folio.memcg_data)


def mem_cgroup_is_descendant(memcg, root):
    """Whether a group is another one, or below it."""
    one: ptr[mem_cgroup] = memcg
    while one:
        if one == root:
            return True
        one = one.parent
    return False


def css_get(memcg):
    """Take a reference of a group."""
    atomic_long_inc(memcg.css_refcnt)


def css_put(memcg):
    """Drop one."""
    atomic_long_dec(memcg.css_refcnt)


# Counters


def __mod_memcg_state(memcg, idx, val):
    """Add to one counter of a group. One step."""
    atomic_long_add(val, memcg.state[idx])


def __mod_lruvec_page_state(page, idx, val):
    """Add to one counter of whatever group a page is charged to now."""
    rcu_read_lock()
    memcg = folio_memcg(page_folio(page))
    if memcg:
        __mod_memcg_state(memcg, idx, val)
    rcu_read_unlock()


# folio_memcg_lock


def folio_memcg_lock(folio):
    """Keep a folio with its group: no move of charges takes it away before the unlock. Costs an RCU read section, and the move
    lock of its group only while charges of that group move."""
    rcu_read_lock()
    while True:
        memcg = folio_memcg(folio)
        if not memcg:
            return
        if atomic_read(memcg.moving_account) <= 0:
            return
        flags = spin_lock_irqsave(memcg.move_lock)
        if memcg == folio_memcg(folio):
            break
        spin_unlock_irqrestore(memcg.move_lock, flags)
    WRITE_ONCE(memcg.move_lock_task, current_task())
    memcg.move_lock_flags = flags


def lock_page_memcg(page):
    """folio_memcg_lock of the page's folio."""
    folio_memcg_lock(page_folio(page))


def __folio_memcg_unlock(memcg):
    """The end of what folio_memcg_lock began, for that group."""
    if memcg and READ_ONCE(memcg.move_lock_task) == current_task():
        flags = memcg.move_lock_flags
        WRITE_ONCE(memcg.move_lock_task, NULL)
        memcg.move_lock_flags = False
        spin_unlock_irqrestore(memcg.move_lock, flags)
    rcu_read_unlock()


def folio_memcg_unlock(folio):
    """The end of what folio_memcg_lock began."""
    __folio_memcg_unlock(folio_memcg(folio))


def unlock_page_memcg(page):
    """folio_memcg_unlock of the page's folio."""
    folio_memcg_unlock(page_folio(page))


# Charging


def mem_cgroup_wait_acct_move(memcg):
    """Wait for a move of charges that the group has to do with, which may give room back; give whether there was one. Nobody waits unless
    memcontrol_waitq.py is applied."""
    return False


def try_charge(memcg, nr_pages):
    """Charge pages to a group and those above it; 0, or -ENOMEM."""
    if hasattr(memcg, "stock"):
        return memcontrol_stock.try_charge_memcg(memcg, nr_pages)
    while not page_counter_try_charge(memcg.memory, nr_pages):
        if not mem_cgroup_wait_acct_move(memcg):
            return -ENOMEM
    return 0


def cancel_charge(memcg, nr_pages):
    """Give back what try_charge charged."""
    page_counter_uncharge(memcg.memory, nr_pages)


def commit_charge(folio, memcg):
    """From here on the folio is that group's."""
    WRITE_ONCE(folio.memcg_data, memcg)


def mem_cgroup_charge_statistics(memcg, nr_pages):
    """Count pages coming to a group, or going."""
    __mod_memcg_state(memcg, PGPGIN if nr_pages > 0 else PGPGOUT, 1)


def mem_cgroup_charge(folio, memcg):
    """Charge a new folio, that nobody else sees yet."""
    ret = try_charge(memcg, folio_nr_pages(folio))
    if ret:
        return ret
    css_get(memcg)
    commit_charge(folio, memcg)
    mem_cgroup_charge_statistics(memcg, 1)
    return 0


def mem_cgroup_uncharge(folio):
    """The end of a charge: the folio is being freed, and nobody else sees it any more."""
    memcg = folio_memcg(folio)
    if not memcg:
        return
    WRITE_ONCE(folio.memcg_data, NULL)
    page_counter_uncharge(memcg.memory, folio_nr_pages(folio))
    mem_cgroup_charge_statistics(memcg, -1)
    css_put(memcg)


# Moving charges


def mc_handle_present_pte(ptep):
    """The page of a present pte, with a reference, if pages like it move."""
    page = ptep.page
    if not page or not page_mapped(page):
        return NULL
    if PageAnon(page):
        if not mc.flags & MOVE_ANON:
            return NULL
    elif not mc.flags & MOVE_FILE:
        return NULL
    if not folio_try_get(page):
        return NULL
    return page


def mc_handle_swap_pte(ptep, ptent):
    """The page behind a pte whose page was swapped out, with a reference, if it is still in the swap cache; or device memory."""
    if not mc.flags & MOVE_ANON:
        return NULL
    if ptent == pte_state.device_private:
        page = ptep.page
        if not folio_try_get(page):
            return NULL
        return page
    if ptent == pte_state.migration:
        return NULL
    return find_get_swap_page(ptep.slot)


def mc_handle_file_pte(vma, addr):
    """The page that a file has where a pte is empty, with a reference: found by its offset, whoever maps it, or nobody."""
    if not vma.vm_file:
        return NULL
    if not mc.flags & MOVE_FILE:
        return NULL
    return find_get_incore_page(vma.vm_file, vma.vm_pgoff + addr - vma.vm_start)


def get_mctgt_type(vma, addr, ptep, target):
    """What there is to move behind a pte: its kind, and if `target`, the page with a reference. Under the pte lock."""
    ptent = READ_ONCE(ptep.pte)
    page = NULL
    if pte_present(ptent):
        page = mc_handle_present_pte(ptep)
    elif pte_none(ptent):
        page = mc_handle_file_pte(vma, addr)
    elif is_swap_pte(ptent):
        page = mc_handle_swap_pte(ptep, ptent)
    if page:
        # Not settled before mem_cgroup_move_account() looks again with the folio locked.
        mine = folio_memcg(page) == mc.from_
        if mine and target:
            return MC_TARGET_PAGE, page
        folio_put(page)
        return MC_TARGET_PAGE if mine else MC_TARGET_NONE, NULL
    if ptent == pte_state.swap and READ_ONCE(ptep.slot.memcg) == mc.from_:
        return MC_TARGET_SWAP, NULL
    return MC_TARGET_NONE, NULL


def move_account_state(folio, from_, to):
    """Take a folio out of the counters of one group and put it into those of another, as its state is now."""
    if PageAnon(folio):
        if folio_mapped(folio):
            __mod_memcg_state(from_, NR_ANON_MAPPED, -folio_nr_pages(folio))
            __mod_memcg_state(to, NR_ANON_MAPPED, folio_nr_pages(folio))
            if hasattr(folio, "compound_mapcount"):
                if folio.nr_pages > 1:
                    __mod_memcg_state(from_, NR_ANON_THPS, -folio.nr_pages)
                    __mod_memcg_state(to, NR_ANON_THPS, folio.nr_pages)
    else:
        __mod_memcg_state(from_, NR_FILE_PAGES, -1)
        __mod_memcg_state(to, NR_FILE_PAGES, 1)
        if folio.swapbacked:
            __mod_memcg_state(from_, NR_SHMEM, -1)
            __mod_memcg_state(to, NR_SHMEM, 1)
        if folio_mapped(folio):
            __mod_memcg_state(from_, NR_FILE_MAPPED, -1)
            __mod_memcg_state(to, NR_FILE_MAPPED, 1)
        if folio_test_dirty(folio):
            mapping = folio.mapping
            if mapping and mapping.can_writeback:
                __mod_memcg_state(from_, NR_FILE_DIRTY, -1)
                __mod_memcg_state(to, NR_FILE_DIRTY, 1)
    if folio_test_writeback(folio):
        __mod_memcg_state(from_, NR_WRITEBACK, -1)
        __mod_memcg_state(to, NR_WRITEBACK, 1)


def mem_cgroup_move_account(folio, from_, to):
    """Move one folio from a group to another: 0, -EBUSY if the folio is locked, -EINVAL if it is not in `from_` any more.

    The folio is off the LRU. folio_memcg_lock takes the slow path here, as moving_account of `from_` is above 0.
    """
    if not folio_trylock(folio):
        return -EBUSY
    if folio_memcg(folio) != from_:
        folio_unlock(folio)
        return -EINVAL
    folio_memcg_lock(folio)
    move_account_state(folio, from_, to)
    # All that was done to the page in `from_` is done before others lock `to` for it, which they do from the store on.
    smp_mb()
    css_get(to)
    css_put(from_)
    WRITE_ONCE(folio.memcg_data, to)
    __folio_memcg_unlock(from_)
    mem_cgroup_charge_statistics(to, 1)
    mem_cgroup_charge_statistics(from_, -1)
    folio_unlock(folio)
    return 0


def mem_cgroup_move_swap_account(slot, from_, to):
    """Move what a swap slot is charged to; 0, or -EINVAL if it is not charged to `from_`."""
    if cmpxchg(slot.memcg, from_, to) != from_:
        return -EINVAL
    __mod_memcg_state(from_, MEMCG_SWAP, -1)
    __mod_memcg_state(to, MEMCG_SWAP, 1)
    css_get(to)
    return 0


def get_mctgt_type_thp(page):
    """What there is to move behind a pmd that maps a huge page. Under the pmd lock. It is not asked whether the page is a file's."""
    if mc.flags & MOVE_ANON and folio_memcg(page) == mc.from_:
        return MC_TARGET_PAGE
    return MC_TARGET_NONE


def mem_cgroup_move_charge_huge_pmd(page):
    """Move the huge page that a pmd maps, if the precharge has room for it. Under the pmd lock."""
    if mc.precharge >= page.nr_pages and get_mctgt_type_thp(page) == MC_TARGET_PAGE and folio_isolate_lru(page):
        if not mem_cgroup_move_account(page, mc.from_, mc.to):
            mc.precharge -= page.nr_pages
            mc.moved_charge += page.nr_pages
        folio_putback_lru(page)


def mem_cgroup_move_charge_pte_range(vma):
    """Move what is behind each pte of a vma. Holds the pte lock, but where the precharge is used up: then each page is charged for by itself."""
    mm = vma.vm_mm
    if hasattr(mm.pgtable, "huge"):
        huge = pmd_trans_huge_lock(mm)
        if huge:
            mem_cgroup_move_charge_huge_pmd(huge)
            pmd_trans_huge_unlock(mm)
            return
    pte_offset_map_lock(mm)
    for addr in range(vma.vm_start, vma.vm_end):
        if not mc.precharge:
            pte_unmap_unlock(mm)
            error = mem_cgroup_do_precharge(1)
            pte_offset_map_lock(mm)
            if error:
                break
        ptep = mm.pgtable.pte[addr]
        target, page = get_mctgt_type(vma, addr, ptep, True)
        if target == MC_TARGET_PAGE:
            if hasattr(page, "nr_pages"):
                if page_folio(page).nr_pages > 1:  # a part of a huge page does not move by itself
                    folio_put(page)
                    continue
            if folio_isolate_lru(page):
                if not mem_cgroup_move_account(page, mc.from_, mc.to):
                    mc.precharge -= 1
                    mc.moved_charge += 1
                folio_putback_lru(page)
            folio_put(page)
        elif target == MC_TARGET_SWAP and not mem_cgroup_move_swap_account(ptep.slot, mc.from_, mc.to):
            mc.precharge -= 1
            mc.moved_swap += 1
    pte_unmap_unlock(mm)


def mem_cgroup_count_precharge_pte_range(vma):
    """How many ptes of a vma have something behind them that would move."""
    mm = vma.vm_mm
    count = 0
    if hasattr(mm.pgtable, "huge"):
        huge = pmd_trans_huge_lock(mm)
        if huge:
            count = huge.nr_pages if get_mctgt_type_thp(huge) == MC_TARGET_PAGE else 0
            pmd_trans_huge_unlock(mm)
            return count
    pte_offset_map_lock(mm)
    for addr in range(vma.vm_start, vma.vm_end):
        target, _ = get_mctgt_type(vma, addr, mm.pgtable.pte[addr], False)
        if target != MC_TARGET_NONE:
            count += 1
    pte_unmap_unlock(mm)
    return count


def mem_cgroup_count_precharge(mm):
    """How many charges may come with an mm, or with the vma that stands for it."""
    if hasattr(mm, "mmap"):
        count = 0
        down_read(mm.mmap_lock)
        if hasattr(mm, "tables"):
            for part in page_tables(mm):
                count += mem_cgroup_count_precharge_pte_range(part)
        else:
            for part in mm.mmap:
                if part:
                    count += mem_cgroup_count_precharge_pte_range(part)
        up_read(mm.mmap_lock)
        return count
    else:
        return mem_cgroup_count_precharge_pte_range(mm)


def mem_cgroup_do_precharge(count):
    """Charge the new group for what may come; 0 or -ENOMEM. More may come than was counted, if pages have been mapped since."""
    error = try_charge(mc.to, count)
    if not error:
        mc.precharge += count
    return error


def mem_cgroup_can_attach(mm, from_, to, flags):
    """A task goes from one group to another: note the move, and charge the new group for all that may come. 0, or -ENOMEM."""
    mc.from_ = from_
    mc.to = to
    mc.flags = flags
    count = mem_cgroup_count_precharge(mm)
    if count and try_charge(to, count):
        mc.from_ = NULL
        mc.to = NULL
        return -ENOMEM
    mc.precharge = count
    return 0


def mem_cgroup_lock_mm(mm):
    """Take mmap_lock, which is only tried: who holds it for writing may wait for a charge, which waits for this
    move. So on each failure what is charged in advance is given back, and it is tried again."""
    while not down_read_trylock(mm.mmap_lock):
        __mem_cgroup_clear_mc()


def mem_cgroup_walk_and_move(mm):
    """Move the charges of a whole mm."""
    mem_cgroup_lock_mm(mm)
    if hasattr(mm, "tables"):
        for part in page_tables(mm):
            mem_cgroup_move_charge_pte_range(part)
    else:
        for part in mm.mmap:
            if part:
                mem_cgroup_move_charge_pte_range(part)
    up_read(mm.mmap_lock)


def mem_cgroup_move_charge(mm):
    """Move the charges of an mm, or of the vma that stands for it: first everybody learns that folio_memcg_lock takes the move lock now."""
    atomic_inc(mc.from_.moving_account)
    synchronize_rcu()
    if hasattr(mm, "mmap"):
        mem_cgroup_walk_and_move(mm)
    else:
        mem_cgroup_move_charge_pte_range(mm)
    atomic_dec(mc.from_.moving_account)


def mem_cgroup_clear_moving_task():
    """No move is going on for who comes to wait now: see mem_cgroup_wait_acct_move."""


def mem_cgroup_wake_waiters():
    """Wake who waits for the move: see mem_cgroup_wait_acct_move."""


def mem_cgroup_fixup_swap(from_, to):
    """What is in swap is not in memory."""
    page_counter_uncharge(to.memory, mc.moved_swap)


def __mem_cgroup_clear_mc():
    """Give back what was charged for nothing or for swap, and what moved pages were charged where they came from."""
    to, from_ = mc.to, mc.from_
    if mc.precharge:
        cancel_charge(to, mc.precharge)
        mc.precharge = 0
    if mc.moved_charge:
        cancel_charge(from_, mc.moved_charge)
        mc.moved_charge = 0
    if mc.moved_swap:
        mem_cgroup_fixup_swap(from_, to)
        mc.moved_swap = 0
    mem_cgroup_wake_waiters()


def mem_cgroup_clear_mc():
    """The end of the move."""
    mem_cgroup_clear_moving_task()
    __mem_cgroup_clear_mc()
    mc.from_ = NULL
    mc.to = NULL


def mem_cgroup_move_task(mm):
    """The move of charges after the task itself has moved."""
    if mc.to:
        mem_cgroup_move_charge(mm)
        mem_cgroup_clear_mc()
