"""Two tasks go to other groups at once, and the charges of both with them: what keeps the two moves apart, and what would be left if nothing did.

Process 1 and process 2 map the same pages of a file, and each is written into cgroup.procs of a group. In Linux 6.1 cgroup_mutex is held from
can_attach through post_attach, so there is one move at a time, and the one `mc` is its own. With the mutex over each of the two by itself the
second move notes itself over the first; without any the first move ends the second under its feet. `movers_meet` has movers with an `mc` of
their own each, and no mutex: nobody proposed that, and it is here to show what is left to keep two of them off one page, which is the isolation
off the LRU or the folio lock, and that the page's group is looked at once more under it. Left out: the rest of what cgroup_mutex guards,
mc.lock, the waiters for a move.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, gather, map_page, memory_cgroup, new_mm, vma_of
from lockverse.linux.include.errno import EBUSY
from lockverse.linux.include.memcontrol import MOVE_ANON, MOVE_FILE
from lockverse.linux.include.page_flags import folio_get, folio_trylock, folio_unlock
from lockverse.linux.invariants import file_mapped_is_counted, file_pages_are_counted, references_are_exact, usage_is_exact
from lockverse.linux.kernel.cgroup.cgroup import cgroup, cgroup_attach_task
from lockverse.linux.mm.filemap import find_get_incore_page
from lockverse.linux.mm.memcontrol import (
    __folio_memcg_unlock, css_get, css_put, folio_memcg, folio_memcg_lock, mem_cgroup_can_attach, mem_cgroup_move_account, mem_cgroup_move_task,
    move_account_state, try_charge,
)
from lockverse.linux.mm.memory import zap_pte_range
from lockverse.linux.mm.page_counter import page_counter_uncharge
from lockverse.linux.mm.swap import folio_isolate_lru, folio_put, folio_putback_lru
from lockverse.linux.patches import delayed_rmap, move_locked_pages, rmap_without_memcg_lock

ALL = MOVE_ANON | MOVE_FILE
Mutex = Literal["from can_attach through post_attach", "over each by itself", "not held"]
Where = Literal["to one group", "to two groups", "one after the other", "past each other"]


@patch(cgroup_attach_task)
def attach_in_two_parts(vma, from_, to, flags):
    mutex_lock(cgroup.cgroup_mutex)
    error = mem_cgroup_can_attach(vma, from_, to, flags)
    mutex_unlock(cgroup.cgroup_mutex)
    if not error:
        WRITE_ONCE(vma.vm_mm.memcg, to)
        mutex_lock(cgroup.cgroup_mutex)
        mem_cgroup_move_task(vma)
        mutex_unlock(cgroup.cgroup_mutex)
    return error


@patch(cgroup_attach_task)
def attach_without_mutex(vma, from_, to, flags):
    error = mem_cgroup_can_attach(vma, from_, to, flags)
    if not error:
        WRITE_ONCE(vma.vm_mm.memcg, to)
        mem_cgroup_move_task(vma)
    return error


def the_groups(where, nested):
    top = memory_cgroup()
    memcg1, memcg2, memcg3 = (memory_cgroup(top if nested else None) for _ in range(3))
    source = {"one after the other": memcg2, "past each other": memcg2}.get(where, memcg1)
    target = {"to one group": memcg2, "past each other": memcg1}.get(where, memcg3)
    return top, memcg1, memcg2, memcg3, source, target


def processes(number, pages, groups):
    file = file_mapping()
    p = file_page(groups[0], file)
    q = file_page(groups[1], file, 1) if pages == 2 else NULL
    mms = [new_mm(groups[1] if which == 1 else groups[0]) for which in range(number)]
    for mm in mms:
        map_page(mm, 0, p)
        if q is not NULL:
            map_page(mm, 1, q)
    return file, p, q, mms, [vma_of(mm, file, 0, pages) for mm in mms]


@scheme
def two_movers(mutex: Mutex = "from can_attach through post_attach", where: Where = "to two groups", version: Literal["6.1", "6.3"] = "6.1",
               pages: Literal[1, 2] = 1, others: range(0, 3) = 0, nested: bool = False):
    """Both moves are whole: the count, the precharge, the walk, the clearing. With two pages the second is charged to process 2's group."""
    if version == "6.3":
        apply(delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    apply({"over each by itself": [attach_in_two_parts], "not held": [attach_without_mutex]}.get(mutex, []))
    top, memcg1, memcg2, memcg3, source, target = the_groups(where, nested)
    file, p, q, mms, vmas = processes(2 + others, pages, (memcg1, source))
    tlbs = [gather(vma) for vma in vmas[2:]]
    cpu(cgroup_attach_task, vmas[0], memcg1, memcg2, ALL)
    cpu(cgroup_attach_task, vmas[1], source, target, ALL)
    for tlb, vma in zip(tlbs, vmas[2:]):
        cpu(zap_pte_range, tlb, vma)
    books((memcg1, memcg2, memcg3), p, q)
    if nested:
        at_rest(lambda: atomic_long_read(top.memory.usage) == pages, "the group above is charged for all pages, and for no more")
    sometimes(lambda: p.memcg_data == memcg2, "a page moves")


def books(groups, p, q):
    for memcg in groups:
        counted(memcg, p, q)


def counted(memcg, p, q):
    at_rest(lambda: file_mapped_is_counted(memcg, p, q), "each group counts its mapped pages")
    at_rest(lambda: file_pages_are_counted(memcg, p, q), "each group counts its pages in the cache")
    at_rest(lambda: usage_is_exact(memcg, p, q), "each group is charged for its pages, and for no more")
    at_rest(lambda: references_are_exact(memcg, p, q), "each page holds a reference of its group")
    at_rest(lambda: atomic_read(memcg.moving_account) == 0, "no group is left in the state of moving")


def mover(file, index, from_, to):
    """What one does with a page who has an `mc` of its own."""
    atomic_inc(from_.moving_account)
    synchronize_rcu()
    page = find_get_incore_page(file, index)
    if page:
        if folio_memcg(page) == from_:
            if folio_isolate_lru(page):
                if not try_charge(to, 1):
                    moved = not mem_cgroup_move_account(page, from_, to)
                    page_counter_uncharge(from_.memory if moved else to.memory, 1)
                folio_putback_lru(page)
        folio_put(page)
    atomic_dec(from_.moving_account)


@patch(folio_isolate_lru)
def no_isolation(folio):
    folio_get(folio)
    return True


@patch(folio_trylock)
def no_folio_lock(folio):
    return True


@patch(folio_unlock)
def nothing_to_unlock(folio):
    pass


@patch(mem_cgroup_move_account)
def move_account_looks_once(folio, from_, to):
    if not folio_trylock(folio):
        return -EBUSY
    folio_memcg_lock(folio)
    move_account_state(folio, from_, to)
    css_get(to)
    css_put(from_)
    WRITE_ONCE(folio.memcg_data, to)
    __folio_memcg_unlock(from_)
    folio_unlock(folio)
    return 0


@scheme
def movers_meet(isolated: bool = True, locked: bool = True, looks_again: bool = True, where: Where = "to two groups", others: range(0, 3) = 0):
    """One page, which both movers find."""
    apply([] if isolated else [no_isolation], [] if locked else [no_folio_lock, nothing_to_unlock], [] if looks_again else [move_account_looks_once])
    top, memcg1, memcg2, memcg3, source, target = the_groups(where, nested=False)
    file, p, q, mms, vmas = processes(1 + others, 1, (memcg1, memcg1))
    tlbs = [gather(vma) for vma in vmas[1:]]
    cpu(mover, file, 0, memcg1, memcg2)
    cpu(mover, file, 0, source, target)
    for tlb, vma in zip(tlbs, vmas[1:]):
        cpu(zap_pte_range, tlb, vma)
    books((memcg1, memcg2, memcg3), p, q)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")
