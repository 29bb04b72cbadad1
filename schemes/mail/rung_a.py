"""lock_page_memcg() taken only after the mapcount is dropped (Johannes Weiner, 7 Nov 2022)."""
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


def page_remove_rmap(page):
    if atomic_add_negative(-1, page.mapcount):
        memcg = lock_page_memcg(page)
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
def lock_after_mapcount():
    memcg1 = mem_cgroup(nr_mapped=1)
    memcg2 = mem_cgroup(nr_mapped=0)
    p = page(mapcount=0, memcg=memcg1)

    cpu(page_remove_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)

    always(lambda: memcg2.nr_mapped >= 0, "memcg2->nr_mapped never underflows")
    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 0, "the page is unmapped: nobody counts it")
