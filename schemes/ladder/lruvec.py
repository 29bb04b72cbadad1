"""The lists of the LRU: each page on the list of the group that it is charged to, and each list as long as it says, while charges move and groups
go away.

folio_lruvec_lock() reads the group of a page and takes the lock of that group's list; it does not look again (Linux 6.1). What makes that right
is that whoever gets there has cleared PG_lru, and the mover moves only pages of which it has cleared PG_lru itself: without that isolation the
page stays on the list of the group that it has left, and goes off it under the lock of another. In 7.1 a group's list goes over to the parent's,
with all pages on it and off it, without isolating them: there it has to look again, and the splice needs both locks. Left out: what
lockverse/linux/mm/lruvec.py leaves out; the whole of a group's end, which is rung P.
"""
from lockverse import *
from lockverse.linux.boot import file_mapping, file_page, map_page, memory_cgroup, new_mm, put_on_list, start_move, vma_of
from lockverse.linux.include.memcontrol import mem_cgroup, obj_cgroup
from lockverse.linux.include.mm_types import page
from lockverse.linux.include.page_flags import folio_get
from lockverse.linux.invariants import is_on_its_list, lists_are_right, usage_is_exact
from lockverse.linux.mm import lruvec, memcontrol
from lockverse.linux.mm.lruvec import isolate_lru_folios, lru_reparent_memcg, move_folios_to_lru
from lockverse.linux.mm.memcontrol import mem_cgroup_move_task
from lockverse.linux.mm.swap import folio_isolate_lru, folio_put, folio_putback_lru
from lockverse.linux.patches import objcg_reparenting
from lockverse.linux.patches.objcg_reparenting import reparent


@patch(folio_isolate_lru)
def no_isolation(folio):
    folio_get(folio)
    return True


@patch(folio_putback_lru)
def nothing_to_put_back(folio):
    folio_put(folio)


@patch(lruvec.folio_lruvec_lock)
def no_lru_lock(folio):
    return memcontrol.folio_memcg(folio)


@patch(lruvec.lruvec_unlock)
def no_lru_unlock(memcg):
    pass


def shrink_list(memcg, folio):
    """Reclaim takes a page off a list, and does not free it."""
    if isolate_lru_folios(memcg, folio):
        move_folios_to_lru(folio)


@scheme
def moved_between_lists(isolated: bool = True, locked: bool = True, reclaims: range(0, 3) = 1, pages: Literal[1, 2] = 1):
    """`reclaims`: CPUs that go through the list that the first page is on in the beginning."""
    apply(lruvec.PATCHES, [] if isolated else [no_isolation, nothing_to_put_back], [] if locked else [no_lru_lock, no_lru_unlock])
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    file = file_mapping()
    p = file_page(memcg1, file)
    q = file_page(memcg1, file, 1) if pages == 2 else NULL
    mm = new_mm(memcg2)
    for addr, one in enumerate([p, q][:pages]):
        put_on_list(one, memcg1)
        map_page(mm, addr, one)
    vma = vma_of(mm, file, 0, pages)
    mc = start_move(memcg1, memcg2, pages)
    cpu(mem_cgroup_move_task, vma)
    for _ in range(reclaims):
        cpu(shrink_list, memcg1, p)
    for memcg in (memcg1, memcg2):
        counted(memcg, p, q)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


def counted(memcg, p, q):
    at_rest(lambda: lists_are_right(memcg, p, q), "each list is as long as it says")
    at_rest(lambda: p.memcg_data != memcg or is_on_its_list(memcg, p), "each page is on the list of its group")
    at_rest(lambda: usage_is_exact(memcg, p, q), "each group is charged for its pages")


def reparent_lists(memcg, objcg, pages):
    """The part of a group's end that is about its list: memcg_reparent_objcgs()."""
    parent = memcg.parent
    spin_lock_irq(reparent.objcg_lock)
    lock_lists(memcg, parent)
    lru_reparent_memcg(memcg, parent, pages)
    WRITE_ONCE(objcg.memcg, parent)
    unlock_lists(memcg, parent)
    spin_unlock_irq(reparent.objcg_lock)


def lock_lists(memcg, parent):
    spin_lock(memcg.lruvec.lru_lock)
    spin_lock(parent.lruvec.lru_lock)


def unlock_lists(memcg, parent):
    spin_unlock(parent.lruvec.lru_lock)
    spin_unlock(memcg.lruvec.lru_lock)


@patch(lock_lists)
def lock_childs(memcg, parent):
    spin_lock(memcg.lruvec.lru_lock)


@patch(unlock_lists)
def unlock_childs(memcg, parent):
    spin_unlock(memcg.lruvec.lru_lock)


@patch(lock_lists)
def lock_parents(memcg, parent):
    spin_lock(parent.lruvec.lru_lock)


@patch(unlock_lists)
def unlock_parents(memcg, parent):
    spin_unlock(parent.lruvec.lru_lock)


LOCKS = {"the child's": [lock_childs, unlock_childs], "the parent's": [lock_parents, unlock_parents]}


def isolate_and_put_back(folio):
    if folio_isolate_lru(folio):
        folio_putback_lru(folio)


@scheme
def lists_reparented(looks_again: bool = True, locks: Literal["both", "the child's", "the parent's"] = "both", pages: Literal[1, 2] = 1):
    """One page is the child's, or two; one is the parent's. Each is taken off its list and put back."""
    apply(objcg_reparenting.HIERARCHICAL, lruvec.PATCHES, [lruvec.folio_lruvec_lock_7_1] if looks_again else [], LOCKS.get(locks, []))
    parent = memory_cgroup()
    child = memory_cgroup(parent)
    objcg, objcg_of_parent = obj_cgroup(memcg=child), obj_cgroup(memcg=parent)
    file = file_mapping()
    p, q = file_page(child, file), file_page(parent, file, 1)
    r = page(_mapcount=-1, _refcount=1, lru=True, objcg=objcg) if pages == 2 else NULL
    p.objcg, q.objcg = objcg, objcg_of_parent
    for one in [p, r][:pages]:
        put_on_list(one, child)
    put_on_list(q, parent)
    on_list = array[ptr[page], pages]([p, r][:pages])
    cpu(reparent_lists, child, objcg, on_list)
    for one in [p, q, r][:1 + pages]:
        cpu(isolate_and_put_back, one)
    at_rest(lambda: child.lruvec.lru_size == 0, "nothing is left on the child's list")
    at_rest(lambda: parent.lruvec.lru_size == 1 + pages, "the parent's list is as long as it says")
    at_rest(lambda: p.on_list == parent and q.on_list == parent, "each page is on it")
