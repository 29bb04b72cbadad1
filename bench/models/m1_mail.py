"""The mail's scheme at the grain of the peers' m1: page_remove_rmap and page_add_rmap against mem_cgroup_move_account.

Tasks map or unmap page i % pages, the first `unmappers` of them start with it mapped; movers go through all the pages
and move each to the other of two memcgs. One shared access is one step: a read-modify-write of the mapcount or of a
counter is a @step of this file's own. Schemes: tasks take the memcg lock before the mapcount, or after it, or after it
and for ever, where the pte lock of both sides makes that right. Leaves out the kernel's bias: 0 is an unmapped page here.
"""
# ruff: noqa: F403, F405
from lockverse import *
from lockverse.lang.step import step


@struct
class page:
    mapcount: u8
    memcg: bool
    memcg_lock: spinlock_t
    ptl: spinlock_t


@struct
class memory:
    nr_mapped: array[s8, 2]


@step("full")
def map_or_unmap(page, mapped):
    """Unmap a mapped page, map an unmapped one: whether the mapcount came to or from 0."""
    if mapped:
        page.mapcount = page.mapcount - 1
        return page.mapcount == 0
    page.mapcount = page.mapcount + 1
    return page.mapcount == 1


@step("relaxed")
def add(memory, memcg, n):
    """One counter's update, in one step."""
    memory.nr_mapped[memcg] = memory.nr_mapped[memcg] + n


def account(page, memory, mapped):
    memcg = READ_ONCE(page.memcg)
    add(memory, memcg, -1 if mapped else 1)


def lock_before(page, memory, mapped):
    spin_lock(page.memcg_lock)
    if map_or_unmap(page, mapped):
        account(page, memory, mapped)
    spin_unlock(page.memcg_lock)


def lock_after(page, memory, mapped):
    if map_or_unmap(page, mapped):
        spin_lock(page.memcg_lock)
        account(page, memory, mapped)
        spin_unlock(page.memcg_lock)


def rmap_under_ptl(page, memory, mapped):
    spin_lock(page.ptl)
    lock_after(page, memory, mapped)
    spin_unlock(page.ptl)


def rmap_for_ever(page, memory, mapped):
    while True:
        rest()
        rmap_under_ptl(page, memory, mapped)
        mapped = not mapped


def move(page, memory):
    spin_lock(page.memcg_lock)
    move_locked(page, memory)
    spin_unlock(page.memcg_lock)


def move_locked(page, memory):
    memcg = READ_ONCE(page.memcg)
    if READ_ONCE(page.mapcount) > 0:
        add(memory, memcg, -1)
        add(memory, not memcg, 1)
    WRITE_ONCE(page.memcg, not memcg)


def move_under_ptl(page, memory):
    spin_lock(page.ptl)
    move(page, memory)
    spin_unlock(page.ptl)


def move_all(pages, memory, count):
    p = 0
    while p < count:
        move(pages[p], memory)
        p += 1


def move_all_for_ever(pages, memory, count):
    p = 0
    while True:
        rest()
        move_under_ptl(pages[0], memory)
        p = 1
        while p < count:
            move_under_ptl(pages[p], memory)
            p += 1
        p = 0


def _scene(tasks, movers, pages, unmappers, rmap, mover):
    many = array[page, pages]()
    memory_ = memory()
    for i in range(unmappers):
        many[i % pages].mapcount += 1
    memory_.nr_mapped[0] = sum(many[i].mapcount > 0 for i in range(pages))
    for i in range(tasks):
        cpu(rmap, many[i % pages], memory_, i < unmappers)
    for _ in range(movers):
        cpu(mover, many, memory_, pages)
    return many, memory_


def _properties(pages, memory, count):
    always(lambda: memory.nr_mapped[0] >= 0 and memory.nr_mapped[1] >= 0, "nr_mapped never underflows")
    at_rest(lambda: right(pages, memory, count), "nr_mapped counts the mapped pages of each memcg")


def right(pages, memory, count):
    first = 0
    second = 0
    for p in range(count):
        if pages[p].mapcount > 0:
            if pages[p].memcg:
                second += 1
            else:
                first += 1
    return memory.nr_mapped[0] == first and memory.nr_mapped[1] == second


@scheme
def before(unmappers: range(7) = 2, mappers: range(7) = 1, pages: range(1, 5) = 2, movers: range(1, 5) = 2):
    many, memory_ = _scene(unmappers + mappers, movers, pages, unmappers, lock_before, move_all)
    _properties(many, memory_, pages)


@scheme
def after(unmappers: range(7) = 1, mappers: range(7) = 0, pages: range(1, 5) = 1, movers: range(1, 5) = 1):
    many, memory_ = _scene(unmappers + mappers, movers, pages, unmappers, lock_after, move_all)
    _properties(many, memory_, pages)


@scheme
def for_ever(unmappers: range(7) = 1, mappers: range(7) = 1, pages: range(1, 5) = 2, movers: range(1, 5) = 1):
    many, memory_ = _scene(unmappers + mappers, movers, pages, unmappers, rmap_for_ever, move_all_for_ever)
    _properties(many, memory_, pages)
