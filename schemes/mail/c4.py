"""c4: the lock is there to keep the page's memcg stable during the stat update (Hugh Dickins, 6 Nov 2022).

Incomplete. Taken late, the lock does keep the memcg stable while the counter is changed, and the books are wrong all the same: the move may have
been done between the mapcount and the lock.
"""
from lockverse import *
from lockverse.linux.include.mmzone import NR_ANON_MAPPED, NR_FILE_MAPPED
from lockverse.linux.include.page_flags import PageAnon
from lockverse.linux.mm import rmap
from lockverse.linux.mm.memcontrol import __mod_lruvec_page_state, folio_memcg, lock_page_memcg, unlock_page_memcg
from lockverse.linux.patches.posted import LOCKS_LATE
from lockverse.linux.scenes import books, reparenting


@patch(rmap.page_remove_rmap)
def page_remove_rmap_looks_twice(page):
    if atomic_add_negative(-1, page._mapcount):
        lock_page_memcg(page)
        before = folio_memcg(page)
        idx = NR_ANON_MAPPED if PageAnon(page) else NR_FILE_MAPPED
        __mod_lruvec_page_state(page, idx, -1)
        WARN_ON(folio_memcg(page) != before, "the page's memcg has changed during the stat update")
        unlock_page_memcg(page)


@scheme
def memcg_is_stable_during_the_update():
    apply(page_remove_rmap_looks_twice)
    memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting()


@scheme
def that_is_enough():
    apply(LOCKS_LATE)
    memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting()
    books(memcg1, memcg2, p, NULL)
