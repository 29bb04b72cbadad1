"""R6b: the page's flag and the group's copy of it are changed one after the other: dirty pages are counted for ever, or twice.

The scheme of 2010 to 2012, by 89c06bd52fb9 ("memcg: use new logic for page stat accounting", 2012) replaced by one lock over "change the page, change the counter". A sets
PG_dirty; B clears it and finds the group's flag not set, so does not count down; A sets that flag and counts up: +1, and the page is clean. And: A sets
PG_dirty, the mover counts the page for its new group because it is dirty, A counts it there too. Left out: the fast path of the lock.
"""
from lockverse import *


@struct
class mem_cgroup:
    nr_dirty: s64
    move_lock: spinlock_t


@struct
class page:
    dirty: bool
    memcg: ptr[mem_cgroup]
    memcg_dirty: bool
    pc_lock: spinlock_t


def set_page_dirty(page):
    if not xchg(page.dirty, True):
        with page.pc_lock:
            if not page.memcg_dirty:
                page.memcg_dirty = True
                page.memcg.nr_dirty += 1


def clear_page_dirty(page):
    if xchg(page.dirty, False):
        with page.pc_lock:
            if page.memcg_dirty:
                page.memcg_dirty = False
                page.memcg.nr_dirty -= 1


def move_account(page, from_, to):
    with page.pc_lock:
        if READ_ONCE(page.dirty):
            if page.memcg_dirty:
                from_.nr_dirty -= 1
            to.nr_dirty += 1
        page.memcg = to


def lock_page_memcg(page):
    while True:
        memcg = READ_ONCE(page.memcg)
        spin_lock(memcg.move_lock)
        if memcg == READ_ONCE(page.memcg):
            return memcg
        spin_unlock(memcg.move_lock)


@patch(set_page_dirty)
def set_page_dirty_under_lock(page):
    memcg = lock_page_memcg(page)
    if not xchg(page.dirty, True):
        memcg.nr_dirty += 1
    spin_unlock(memcg.move_lock)


@patch(clear_page_dirty)
def clear_page_dirty_under_lock(page):
    memcg = lock_page_memcg(page)
    if xchg(page.dirty, False):
        memcg.nr_dirty -= 1
    spin_unlock(memcg.move_lock)


@patch(move_account)
def move_account_under_lock(page, from_, to):
    lock_page_memcg(page)
    if READ_ONCE(page.dirty):
        from_.nr_dirty -= 1
        to.nr_dirty += 1
    WRITE_ONCE(page.memcg, to)
    spin_unlock(from_.move_lock)


one_lock = [set_page_dirty_under_lock, clear_page_dirty_under_lock, move_account_under_lock]


@scheme
def dirtied_and_cleaned(fixed: bool = False):
    if fixed:
        apply(one_lock)
    memcg = mem_cgroup()
    p = page(memcg=memcg)
    cpu(set_page_dirty, p)
    cpu(clear_page_dirty, p)
    at_rest(lambda: memcg.nr_dirty == (1 if p.dirty else 0), "the group counts its dirty pages")


@scheme
def dirtied_while_moved(fixed: bool = False):
    if fixed:
        apply(one_lock)
    memcg1 = mem_cgroup()
    memcg2 = mem_cgroup()
    p = page(memcg=memcg1)
    cpu(set_page_dirty, p)
    cpu(move_account, p, memcg1, memcg2)
    at_rest(lambda: memcg1.nr_dirty == 0 and memcg2.nr_dirty == 1, "memcg2 owns the page and counts it once")
