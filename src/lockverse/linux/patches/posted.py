"""Patches that were posted or proposed on the list in November 2022 and not merged, in our own words, over the model of 6.1.

Source: the thread "mm: delay rmap removal until after TLB flush", and what came of it. Each says which rung of the ladder it is. Left out:
patches that were merged, which have files of their own here.
"""

from __future__ import annotations

from lockverse.lang import NULL, atomic_add_negative, atomic_inc_and_test, patch
from lockverse.linux.include.mmzone import (
    NR_ANON_MAPPED,
    NR_FILE_DIRTY,
    NR_FILE_MAPPED,
    NR_FILE_PAGES,
    NR_SHMEM,
    NR_WRITEBACK,
)
from lockverse.linux.include.page_flags import PageAnon, folio_test_dirty, folio_test_writeback
from lockverse.linux.mm import memcontrol, rmap
from lockverse.linux.mm.memcontrol import __mod_lruvec_page_state, __mod_memcg_state, lock_page_memcg, unlock_page_memcg


@patch(rmap.page_remove_rmap)
def page_remove_rmap_locks_late(page):
    """Rung A: the lock is taken only where the counter is changed."""
    if atomic_add_negative(-1, page._mapcount):
        lock_page_memcg(page)
        idx = NR_ANON_MAPPED if PageAnon(page) else NR_FILE_MAPPED
        __mod_lruvec_page_state(page, idx, -1)
        unlock_page_memcg(page)


@patch(rmap.page_add_file_rmap)
def page_add_file_rmap_locks_late(page):
    """Rung A on the map side."""
    if atomic_inc_and_test(page._mapcount):
        lock_page_memcg(page)
        __mod_lruvec_page_state(page, NR_FILE_MAPPED, 1)
        unlock_page_memcg(page)


@patch(rmap.page_add_anon_rmap)
def page_add_anon_rmap_locks_late(page):
    """Rung A, where KSM maps."""
    if atomic_inc_and_test(page._mapcount):
        lock_page_memcg(page)
        __mod_lruvec_page_state(page, NR_ANON_MAPPED, 1)
        unlock_page_memcg(page)


@patch(memcontrol.move_account_state)
def move_account_state_unconditional(folio, from_, to):
    """Rung C: a page that the mover finds is mapped, so its mapped counter moves without a look."""
    if PageAnon(folio):
        __mod_memcg_state(from_, NR_ANON_MAPPED, -1)
        __mod_memcg_state(to, NR_ANON_MAPPED, 1)
    else:
        __mod_memcg_state(from_, NR_FILE_PAGES, -1)
        __mod_memcg_state(to, NR_FILE_PAGES, 1)
        if folio.swapbacked:
            __mod_memcg_state(from_, NR_SHMEM, -1)
            __mod_memcg_state(to, NR_SHMEM, 1)
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


@patch(memcontrol.mc_handle_file_pte)
def no_file_pte(vma, addr):
    """Rung K: nothing is found behind an empty pte."""
    return NULL


@patch(memcontrol.mc_handle_swap_pte)
def no_swap_pte(ptep, ptent):
    """Rung K: nothing is found behind a swap pte."""
    return NULL


LOCKS_LATE = [page_remove_rmap_locks_late, page_add_file_rmap_locks_late, page_add_anon_rmap_locks_late]
PRESENT_ONLY = [no_file_pte, no_swap_pte]
