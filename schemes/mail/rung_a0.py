"""Rung A0: the memcg lock over the mapcount and the counter, no pte lock on the mover. The status quo: holds.

The mail (Johannes Weiner, 7 Nov 2022): lock_page_memcg() covers the mapcount update because move_account must see a
page that is mapped and counted, or unmapped and not counted, and nothing between. Functions as in mm/rmap.c and
mm/memcontrol.c of Linux 6.1. Left out: the fast path (moving_account), the folio lock, who holds which pte lock.
"""
from lockverse import *


@struct
class mem_cgroup:
    nr_mapped: s64
    move_lock: spinlock_t


@struct
class page:
    mapcount: atomic_t
    memcg: ptr[mem_cgroup]


def lock_page_memcg(page):
    while True:
        memcg = READ_ONCE(page.memcg)
        spin_lock(memcg.move_lock)
        if memcg == READ_ONCE(page.memcg):
            return memcg
        spin_unlock(memcg.move_lock)


def page_add_file_rmap(page):
    memcg = lock_page_memcg(page)
    if atomic_inc_and_test(page.mapcount):
        memcg.nr_mapped += 1
    spin_unlock(memcg.move_lock)


def page_remove_rmap(page):
    memcg = lock_page_memcg(page)
    if atomic_add_negative(-1, page.mapcount):
        memcg.nr_mapped -= 1
    spin_unlock(memcg.move_lock)


def mem_cgroup_move_account(page, memcg1, memcg2):
    lock_page_memcg(page)
    if atomic_read(page.mapcount) >= 0:
        memcg1.nr_mapped -= 1
        memcg2.nr_mapped += 1
    WRITE_ONCE(page.memcg, memcg2)
    spin_unlock(memcg1.move_lock)


@scheme
def lock_over_mapcount():
    """The mail's race with the lock in its place: one mapping goes away while the page moves."""
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=0, memcg=memcg1)

    cpu(page_remove_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    always(lambda: memcg2.nr_mapped >= 0, "memcg2->nr_mapped never underflows")
    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 0, "the page is unmapped: nobody counts it")


@scheme
def two_unmappers():
    """Two mappings of one page go away while it moves: the last one out uncounts it, once."""
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=1, memcg=memcg1)

    cpu(page_remove_rmap, p)
    cpu(page_remove_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    always(lambda: memcg1.nr_mapped >= 0 and memcg2.nr_mapped >= 0, "no counter underflows")
    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 0, "the page is unmapped: nobody counts it")


@scheme
def map_and_unmap():
    """One mapping goes and another comes while the page moves: it is mapped in the end, and memcg2 counts it."""
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=0, memcg=memcg1)

    cpu(page_remove_rmap, p)
    cpu(page_add_file_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 1, "memcg2 owns the page and counts it once")
    sometimes(lambda: memcg2.nr_mapped == 1 and p.memcg == memcg1, "the move is seen half done")
