"""c3m: the mail's race mirrored, on the map side. The increment is outside the lock: ends at -1 and +2.

A real bug of 2010: "memcg: fix race in file_mapped accounting" (8725d541, Linux 2.6.34). The mover sees a page that is
mapped and not yet counted, moves a count that is not there, and the mapper then counts the page for its new owner.
Left out: the flag in page_cgroup that was the fix then; the fixed form here takes the lock over both, as 6.1 does.
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


def page_add_file_rmap_2010(page):
    if atomic_inc_and_test(page.mapcount):
        memcg = lock_page_memcg(page)
        memcg.nr_mapped += 1
        spin_unlock(memcg.move_lock)


def page_add_file_rmap(page):
    memcg = lock_page_memcg(page)
    if atomic_inc_and_test(page.mapcount):
        memcg.nr_mapped += 1
    spin_unlock(memcg.move_lock)


def mem_cgroup_move_account(page, memcg1, memcg2):
    lock_page_memcg(page)
    if atomic_read(page.mapcount) >= 0:
        memcg1.nr_mapped -= 1
        memcg2.nr_mapped += 1
    WRITE_ONCE(page.memcg, memcg2)
    spin_unlock(memcg1.move_lock)


@scheme
def increment_outside_lock():
    memcg1 = mem_cgroup(nr_mapped=0)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=-1, memcg=memcg1)

    cpu(page_add_file_rmap_2010, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 1, "memcg2 owns the page and counts it once")


@scheme
def increment_under_lock():
    memcg1 = mem_cgroup(nr_mapped=0)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=-1, memcg=memcg1)

    cpu(page_add_file_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 1, "memcg2 owns the page and counts it once")
