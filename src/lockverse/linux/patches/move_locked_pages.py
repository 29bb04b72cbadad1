"""6.3: the mover locks a page before it looks whether it is mapped, and leaves alone one that is mapped elsewhere and not here.

Source: mm/memcontrol.c, 4e0cf05f6059 ("mm: memcontrol: skip moving non-present pages that are mapped elsewhere", 6.3). Modelled: the trylock after
the lookup, the test, the move with the page locked by the caller. Left out: THPs. The pass that counts for the precharge does not
lock and does not skip, so it counts too many.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, VM_BUG_ON, WRITE_ONCE, mutex_is_locked, patch, ptr, smp_mb
from lockverse.linux.include.errno import EINVAL
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE
from lockverse.linux.include.mm_types import page as struct_page
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import PageAnon, folio_try_get, folio_trylock, folio_unlock, page_mapped
from lockverse.linux.include.pgtable import is_swap_pte, pte_none, pte_offset_map_lock, pte_present, pte_unmap_unlock
from lockverse.linux.mm import memcontrol
from lockverse.linux.mm.memcontrol import (
    MC_TARGET_NONE,
    MC_TARGET_PAGE,
    MC_TARGET_SWAP,
    __folio_memcg_unlock,
    css_get,
    css_put,
    folio_memcg,
    folio_memcg_lock,
    mc,
    mc_handle_file_pte,
    mc_handle_swap_pte,
    mem_cgroup_charge_statistics,
    mem_cgroup_do_precharge,
    mem_cgroup_move_swap_account,
    move_account_state,
)  # fmt: skip
from lockverse.linux.mm.swap import folio_isolate_lru, folio_put, folio_putback_lru


@patch(memcontrol.mc_handle_present_pte)
def mc_handle_present_pte(ptep):
    """The page of a present pte, with a reference, if pages like it move. That it is mapped goes without saying."""
    page = ptep.page
    if not page:
        return NULL
    if PageAnon(page):
        if not mc.flags & MOVE_ANON:
            return NULL
    elif not mc.flags & MOVE_FILE:
        return NULL
    if not folio_try_get(page):
        return NULL
    return page


@patch(memcontrol.get_mctgt_type)
def get_mctgt_type(vma, addr, ptep, target):
    """What there is to move behind a pte: its kind, and if `target`, the page with a reference, locked. Under the pte lock."""
    ptent = READ_ONCE(ptep.pte)
    page: ptr[struct_page] = NULL
    if pte_present(ptent):
        page = memcontrol.mc_handle_present_pte(ptep)
    elif pte_none(ptent):
        page = mc_handle_file_pte(vma, addr)
    elif is_swap_pte(ptent):
        page = mc_handle_swap_pte(ptep, ptent)
    if target and page:
        if not folio_trylock(page):
            folio_put(page)
            return MC_TARGET_NONE, NULL
        # With the pte present the page stays mapped. If it is not, the folio lock keeps new mappings away, but one that is there can go.
        if not pte_present(ptent) and page_mapped(page):
            folio_unlock(page)
            folio_put(page)
            return MC_TARGET_NONE, NULL
    if page:
        mine = folio_memcg(page) == mc.from_
        if mine and target:
            return MC_TARGET_PAGE, page
        if target:
            folio_unlock(page)
        folio_put(page)
        return MC_TARGET_PAGE if mine else MC_TARGET_NONE, NULL
    if ptent == pte_state.swap and READ_ONCE(ptep.slot.memcg) == mc.from_:
        return MC_TARGET_SWAP, NULL
    return MC_TARGET_NONE, NULL


@patch(memcontrol.mem_cgroup_move_account)
def mem_cgroup_move_account(folio, from_, to):
    """Move one locked folio from a group to another: 0, or -EINVAL if it is not in `from_` any more."""
    VM_BUG_ON(not mutex_is_locked(folio.lock))
    if folio_memcg(folio) != from_:
        return -EINVAL
    folio_memcg_lock(folio)
    move_account_state(folio, from_, to)
    smp_mb()
    css_get(to)
    css_put(from_)
    WRITE_ONCE(folio.memcg_data, to)
    __folio_memcg_unlock(from_)
    mem_cgroup_charge_statistics(to, 1)
    mem_cgroup_charge_statistics(from_, -1)
    return 0


@patch(memcontrol.mem_cgroup_move_charge_pte_range)
def mem_cgroup_move_charge_pte_range(vma):
    """Move what is behind each pte of a vma. Holds the pte lock, but where the precharge is used up: then each page is charged for by itself."""
    mm = vma.vm_mm
    pte_offset_map_lock(mm)
    for addr in range(vma.vm_start, vma.vm_end):
        if not mc.precharge:
            pte_unmap_unlock(mm)
            error = mem_cgroup_do_precharge(1)
            pte_offset_map_lock(mm)
            if error:
                break
        ptep = mm.pgtable.pte[addr]
        target, page = memcontrol.get_mctgt_type(vma, addr, ptep, True)
        if target == MC_TARGET_PAGE:
            if folio_isolate_lru(page):
                if not memcontrol.mem_cgroup_move_account(page, mc.from_, mc.to):
                    mc.precharge -= 1
                    mc.moved_charge += 1
                folio_putback_lru(page)
            folio_unlock(page)
            folio_put(page)
        elif target == MC_TARGET_SWAP and not mem_cgroup_move_swap_account(ptep.slot, mc.from_, mc.to):
            mc.precharge -= 1
            mc.moved_swap += 1
    pte_unmap_unlock(mm)


PATCHES = [mc_handle_present_pte, get_mctgt_type, mem_cgroup_move_account, mem_cgroup_move_charge_pte_range]
