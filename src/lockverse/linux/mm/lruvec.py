"""The lists that reclaim takes pages from: one for each group, with its lock and its size.

Source: mm/swap.c, mm/vmscan.c, mm/memcontrol.c (folio_lruvec_lock, mem_cgroup_update_lru_size), Linux 6.1; for 7.1 folio_lruvec_lock as it looks
again, and the splice at the end of a group. Modelled: a page is taken off its group's list, and put on it, under that list's lock; who has
cleared PG_lru has the page for itself, so its group stays. Approximated: a list is the set of pages that say they are on it; one list for each
group; the pages of a list that is spliced are given. Left out: active and inactive halves, nodes, pagevecs.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE, patch, rcu_read_lock, rcu_read_unlock, spin_lock, spin_unlock
from lockverse.linux.include.page_flags import folio_get, folio_test_clear_lru, folio_try_get, page_folio

from . import memcontrol, swap


def folio_lruvec_lock(folio):
    """Take the lock of the list of a folio's group, and give the group. Nothing but the isolation keeps it the folio's."""
    memcg = memcontrol.folio_memcg(folio)
    spin_lock(memcg.lruvec.lru_lock)
    return memcg


@patch(folio_lruvec_lock)
def folio_lruvec_lock_7_1(folio):
    """7.1: the group may go away before its lock is there, and the folio's list with it, isolated or not: look again."""
    rcu_read_lock()
    while True:
        memcg = memcontrol.folio_memcg(folio)
        spin_lock(memcg.lruvec.lru_lock)
        if memcg == memcontrol.folio_memcg(folio):
            break
        spin_unlock(memcg.lruvec.lru_lock)
    rcu_read_unlock()
    return memcg


def lruvec_unlock(memcg):
    """Give it back."""
    spin_unlock(memcg.lruvec.lru_lock)


def lruvec_add_folio(memcg, folio):
    """Put a folio on a list. Under the list's lock."""
    memcg.lruvec.lru_size += 1
    WRITE_ONCE(folio.on_list, memcg)


def lruvec_del_folio(memcg, folio):
    """Take a folio off a list. Under the list's lock."""
    memcg.lruvec.lru_size -= 1
    WRITE_ONCE(folio.on_list, NULL)


@patch(swap.folio_isolate_lru)
def folio_isolate_lru(folio):
    """Take a folio off the LRU: see mm/swap.py."""
    if not folio_test_clear_lru(folio):
        return False
    folio_get(folio)
    memcg = folio_lruvec_lock(folio)
    lruvec_del_folio(memcg, folio)
    lruvec_unlock(memcg)
    return True


@patch(swap.folio_add_lru)
def folio_add_lru(folio):
    """Put a folio on the LRU: on its group's list as it is now."""
    memcg = folio_lruvec_lock(folio)
    lruvec_add_folio(memcg, folio)
    WRITE_ONCE(folio.lru, True)
    lruvec_unlock(memcg)


@patch(swap.__folio_put)
def __folio_put(page):
    """Free a folio: see mm/swap.py. Nobody has a reference, so nobody isolates it."""
    folio = page_folio(page)
    if folio.lru:
        memcg = folio_lruvec_lock(folio)
        lruvec_del_folio(memcg, folio)
        WRITE_ONCE(folio.lru, False)
        lruvec_unlock(memcg)
    memcontrol.mem_cgroup_uncharge(folio)


def isolate_lru_folios(memcg, folio):
    """Reclaim looks through a group's list, which may have the folio, and takes it; give whether it did."""
    taken = False
    spin_lock(memcg.lruvec.lru_lock)
    if READ_ONCE(folio.on_list) == memcg:
        if folio_try_get(folio):
            taken = folio_test_clear_lru(folio)
            if taken:
                lruvec_del_folio(memcg, folio)
            else:
                swap.folio_put(folio)  # whoever isolates it has a reference
    spin_unlock(memcg.lruvec.lru_lock)
    return taken


def move_folios_to_lru(folio):
    """Reclaim puts back what it has taken and not freed."""
    swap.folio_add_lru(folio)
    swap.folio_put(folio)


def lru_reparent_memcg(memcg, parent, pages):
    """7.1: a group goes away, and its list goes over to its parent's. Under the locks of both."""
    for folio in pages:
        if READ_ONCE(folio.on_list) == memcg:
            WRITE_ONCE(folio.on_list, parent)
    parent.lruvec.lru_size += memcg.lruvec.lru_size
    memcg.lruvec.lru_size = 0


PATCHES = [folio_isolate_lru, folio_add_lru, __folio_put]
