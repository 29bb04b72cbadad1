"""7.1: pages are charged to an obj_cgroup; when a group goes away one pointer goes over to the parent, and all its pages with it.

Source: mm/memcontrol.c, Linux 7.1. Modelled: the two loads from page to group; the switch under objcg_lock and both lruvec locks; the grace period
between the mark and the switch; for cgroup v1, updates that skip dying groups and the transfer of the local counter. Approximated: one obj_cgroup;
the LRU lists that are spliced under the same locks are not there. Left out: MGLRU, the obj_cgroup's own reference count, per-node copies.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    WRITE_ONCE,
    patch,
    ptr,
    rcu_read_lock,
    rcu_read_unlock,
    spin_lock,
    spin_lock_irq,
    spin_unlock,
    spin_unlock_irq,
    spinlock_t,
    struct,
    synchronize_rcu,
)  # fmt: skip
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.kernel.cgroup.cgroup import css_free_rwork_fn, css_kill, css_release_work_fn
from lockverse.linux.kernel.cgroup.rstat import cgroup_rstat_flush, cgroup_rstat_lock
from lockverse.linux.mm import memcontrol


@struct
class reparent_locks:
    """What is held while the pointer is switched."""

    objcg_lock: spinlock_t
    child_lru_lock: spinlock_t
    parent_lru_lock: spinlock_t


reparent = reparent_locks()


@patch(memcontrol.folio_memcg)
def folio_memcg(folio):
    """The group a folio is charged to, by way of its obj_cgroup."""
    objcg = READ_ONCE(folio.objcg)
    if not objcg:
        return NULL
    return READ_ONCE(objcg.memcg)


@patch(memcontrol.__mod_lruvec_page_state)
def mod_state_of_living(page, idx, val):
    """Add to one counter of a page's group, or of the nearest above it that is not dying (cgroup v1)."""
    rcu_read_lock()
    memcg: ptr[mem_cgroup] = memcontrol.folio_memcg(page)
    while memcg and READ_ONCE(memcg.css_dying):
        memcg = memcg.parent
    if memcg:
        memcontrol.__mod_memcg_state(memcg, idx, val)
    rcu_read_unlock()


def memcg_reparent_objcgs(memcg, objcg):
    """Switch the pointer: from here on the pages are the parent's. The locks keep lruvecs and pages together."""
    parent = memcg.parent
    spin_lock_irq(reparent.objcg_lock)
    spin_lock(reparent.child_lru_lock)
    spin_lock(reparent.parent_lru_lock)
    WRITE_ONCE(objcg.memcg, parent)
    spin_unlock(reparent.parent_lru_lock)
    spin_unlock(reparent.child_lru_lock)
    spin_unlock_irq(reparent.objcg_lock)


def reparent_state_local(memcg):
    """cgroup v1: what the group counts as its own goes over to the parent."""
    parent = memcg.parent
    cgroup_rstat_flush(memcg)
    spin_lock_irq(cgroup_rstat_lock)
    value = memcg.vmstats.state_local
    memcg.vmstats.state_local = 0
    parent.vmstats.state_local += value
    spin_unlock_irq(cgroup_rstat_lock)


def wait_for_updates():
    """The grace period after the mark: whoever does not see it has come to an end."""
    synchronize_rcu()


def transfer_local(memcg):
    """What is done for local counters: nothing, in cgroup v2."""


@patch(transfer_local)
def transfer_local_v1(memcg):
    """cgroup v1: transfer them."""
    reparent_state_local(memcg)


def cgroup_destroy(memcg, objcg):
    """Remove a group that has pages left: mark it, wait, switch the pointer, release and free it. Nothing refers to it any more."""
    css_kill(memcg)
    wait_for_updates()
    memcg_reparent_objcgs(memcg, objcg)
    transfer_local(memcg)
    css_release_work_fn(memcg)
    css_free_rwork_fn(memcg)


HIERARCHICAL = [folio_memcg]
LOCAL = [folio_memcg, mod_state_of_living, transfer_local_v1]


# What is left out in turn, to show what it is for. Not from the kernel.


@patch(memcontrol.__mod_lruvec_page_state)
def mod_state_of_dying_too(page, idx, val):
    """As before 7.1: whichever group the pointer gives."""
    rcu_read_lock()
    memcg = memcontrol.folio_memcg(page)
    if memcg:
        memcontrol.__mod_memcg_state(memcg, idx, val)
    rcu_read_unlock()


@patch(wait_for_updates)
def wait_for_nobody():
    """No grace period between the mark and the transfer."""


@patch(transfer_local)
def transfer_nothing(memcg):
    """No transfer."""
