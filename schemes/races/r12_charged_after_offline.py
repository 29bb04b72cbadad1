"""R12: a page is charged to a group after its charges have been moved away.

Before 3.19 a group that went offline moved all its charges to its parent. A page that is swapped in is charged to the group that its swap record names,
offline or not, so one could come after that move, and keep the dead group for ever. So the move was done once more when the group was about to be freed, after
the last reference was gone (4fb1a86fb5e4, "memcg: reparent charges during css_free()", 3.13). Left out: the LRU lists that the move
walked, more than one page, the swap record's own reference.
"""
from lockverse import *


@struct
class mem_cgroup:
    usage: atomic_long_t
    refcnt: atomic_t
    dying: bool


@struct
class page:
    memcg: ptr[mem_cgroup]
    lock: spinlock_t


@struct
class swap_slot:
    memcg: ptr[mem_cgroup]


def mem_cgroup_reparent_charges(memcg, parent, p):
    spin_lock(p.lock)
    if READ_ONCE(p.memcg) == memcg:
        atomic_long_inc(parent.usage)
        WRITE_ONCE(p.memcg, parent)
        atomic_long_dec(memcg.usage)
    spin_unlock(p.lock)


def css_put(memcg, parent, p, again):
    if atomic_dec_and_test(memcg.refcnt) and again:
        mem_cgroup_reparent_charges(memcg, parent, p)  # css_free()


def css_offline(memcg, parent, p, again):
    WRITE_ONCE(memcg.dying, True)
    mem_cgroup_reparent_charges(memcg, parent, p)
    css_put(memcg, parent, p, again)


def swap_in(slot, parent, p, again):
    memcg = READ_ONCE(slot.memcg)
    if atomic_inc_not_zero(memcg.refcnt):
        atomic_long_inc(memcg.usage)
        spin_lock(p.lock)
        WRITE_ONCE(p.memcg, memcg)
        spin_unlock(p.lock)
        css_put(memcg, parent, p, again)


@scheme
def swapped_in_meanwhile(again: bool = False):
    parent, memcg = mem_cgroup(refcnt=1), mem_cgroup(refcnt=1)
    p = page()
    slot = swap_slot(memcg=memcg)
    cpu(css_offline, memcg, parent, p, again)
    cpu(swap_in, slot, parent, p, again)
    at_rest(lambda: atomic_long_read(memcg.usage) == 0, "nothing is charged to the group that has gone")
    sometimes(lambda: atomic_long_read(parent.usage) == 1, "the page ends with the parent")
