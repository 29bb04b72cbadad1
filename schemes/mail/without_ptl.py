"""Rung B without its condition: no memcg lock in rmap, and no pte lock on the mover either.

Shows that the pte lock is what carries rung B: without it the unmapper and the mover each see half of what the other
does. Nobody proposed this; kernels before 3.19 did move charges without the pte lock, on the reparenting path.
"""
from lockverse import *
from rung_b import mem_cgroup, mem_cgroup_move_account, page, page_table, zap_pte_range


def move_without_pte_lock(pt, page, memcg1, memcg2):
    if READ_ONCE(pt.present):
        mem_cgroup_move_account(page, memcg1, memcg2)


@scheme
def without_pte_lock():
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=0, memcg=memcg1)
    pt = page_table(present=True)

    cpu(zap_pte_range, pt, p)
    cpu(move_without_pte_lock, pt, p, memcg1, memcg2)

    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 0, "the page is unmapped: nobody counts it")
