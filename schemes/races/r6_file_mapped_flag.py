"""R6: the mail's race on the map side, 2010, and the flag that was its fix, and the flag's own race.

Before 8725d541 ("memcg: fix race in file_mapped accounting", 2.6.34) the mover asked the mapcount whether the page was counted; a mapper had raised it and not
counted yet: -1 for the old group, +2 for the new one. The fix is a flag, FILE_MAPPED, set and cleared with the counter under lock_page_cgroup(). An
unmapper that comes late clears it while the page is mapped again, so that later moves leave the counter behind: 0c270f8f9988 ("memcg: fix race in
file_mapped accouting flag management") clears it only if the page is unmapped. Left out: everything but page_cgroup, mapcount and counter.
"""
from lockverse import *


@struct
class mem_cgroup:
    nr_mapped: s64


@struct
class page_cgroup:
    lock: spinlock_t
    mem_cgroup: ptr[mem_cgroup]
    file_mapped: bool


@struct
class page:
    mapcount: atomic_t
    pc: page_cgroup


def page_mapped(page):
    return atomic_read(page.mapcount) >= 0


def update_file_mapped_2_6_33(page, val):
    with page.pc.lock:
        page.pc.mem_cgroup.nr_mapped += val


@patch(update_file_mapped_2_6_33)
def update_file_mapped_8725d541(page, val):
    with page.pc.lock:
        page.pc.mem_cgroup.nr_mapped += val
        page.pc.file_mapped = val > 0


@patch(update_file_mapped_2_6_33)
def update_file_mapped_0c270f8f9988(page, val):
    with page.pc.lock:
        page.pc.mem_cgroup.nr_mapped += val
        if val > 0:
            page.pc.file_mapped = True
        elif not page_mapped(page):
            page.pc.file_mapped = False


def counted_2_6_33(page):
    return page_mapped(page)


@patch(counted_2_6_33)
def counted_by_flag(page):
    return page.pc.file_mapped


def page_add_file_rmap(page):
    if atomic_inc_and_test(page.mapcount):
        update_file_mapped_2_6_33(page, 1)


def page_remove_rmap(page):
    if atomic_add_negative(-1, page.mapcount):
        update_file_mapped_2_6_33(page, -1)


def mem_cgroup_move_account(page, from_, to):
    with page.pc.lock:
        if counted_2_6_33(page):
            from_.nr_mapped -= 1
            to.nr_mapped += 1
        page.pc.mem_cgroup = to


flag = [update_file_mapped_8725d541, counted_by_flag]
flag_managed = [update_file_mapped_0c270f8f9988, counted_by_flag]


@scheme
def mapped_while_moved(fix: Literal["none", "8725d541"] = "none", mappers: range(1, 4) = 1):
    """The mapper has raised the mapcount and not counted yet."""
    if fix == "8725d541":
        apply(flag)
    memcg1 = mem_cgroup()
    memcg2 = mem_cgroup()
    p = page(mapcount=-1, pc=page_cgroup(mem_cgroup=memcg1))
    for _ in range(mappers):
        cpu(page_add_file_rmap, p)
    cpu(mem_cgroup_move_account, p, memcg1, memcg2)
    at_rest(lambda: memcg1.nr_mapped == 0 and memcg2.nr_mapped == 1, "memcg2 owns the page and counts it once")


@scheme
def mapped_again(fix: Literal["8725d541", "0c270f8f9988"] = "8725d541", mappers: range(1, 4) = 1):
    """An unmapper and a mapper; what the flag says in the end is what later moves go by."""
    apply(flag if fix == "8725d541" else flag_managed)
    memcg = mem_cgroup(nr_mapped=1)
    p = page(mapcount=0, pc=page_cgroup(mem_cgroup=memcg, file_mapped=True))
    cpu(page_remove_rmap, p)
    for _ in range(mappers):
        cpu(page_add_file_rmap, p)
    at_rest(lambda: memcg.nr_mapped == 1, "the page is mapped and counted once")
    at_rest(lambda: p.pc.file_mapped, "and the flag says so")
