"""Rung B: no memcg lock in rmap at all; the mover holds the pte lock of the mapping it found the page in. Holds.

The mail (Johannes Weiner, 7 Nov 2022): with the pte lock codified on the move side, lock_page_memcg() in rmap is fully
redundant, because the mapping the mover looks at can neither come nor go while it holds its pte lock. True for present
mappings and one page table; what else the mover finds (pages behind non-present ptes) is rung C and not here.
"""
from lockverse import *


@struct
class mem_cgroup:
    nr_mapped: s64


@struct
class page:
    mapcount: atomic_t
    memcg: ptr[mem_cgroup]


@struct
class page_table:
    ptl: spinlock_t
    present: bool


def page_remove_rmap(page):
    if atomic_add_negative(-1, page.mapcount):
        memcg = READ_ONCE(page.memcg)
        memcg.nr_mapped -= 1


def zap_pte_range(pt, page):
    spin_lock(pt.ptl)
    if pt.present:
        pt.present = False
        page_remove_rmap(page)
    spin_unlock(pt.ptl)


def mem_cgroup_move_account(page, memcg1, memcg2):
    if atomic_read(page.mapcount) >= 0:
        memcg1.nr_mapped -= 1
        memcg2.nr_mapped += 1
    WRITE_ONCE(page.memcg, memcg2)


def mem_cgroup_move_charge_pte_range(pt, page, memcg1, memcg2):
    spin_lock(pt.ptl)
    if pt.present:
        mem_cgroup_move_account(page, memcg1, memcg2)
    spin_unlock(pt.ptl)


@scheme
def pte_lock_instead():
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=0, memcg=memcg1)
    pt = page_table(present=True)

    cpu(zap_pte_range, pt, p)
    cpu(mem_cgroup_move_charge_pte_range, pt, p, memcg1, memcg2)

    always(lambda: memcg2.nr_mapped >= 0, "memcg2->nr_mapped never underflows")
    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 0, "the page is unmapped: nobody counts it")
