"""The memcg lock without interrupts disabled: what R15's commits are there to forbid.

e767e0561d7f ("memcg: fix deadlock between lock_page_cgroup and mapping tree_lock", 2009), dbd4ea78f002 ("memcg: add lock to synchronize page accounting and
migration", 2011: a lock of its own, taken with interrupts disabled, since writeback ends in an interrupt). Modelled: 6.1's folio_memcg_lock with a plain
spin_lock. Leaves out the page_cgroup of that time, whose bit spinlock this stands for.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    WRITE_ONCE,
    atomic_read,
    patch,
    rcu_read_lock,
    rcu_read_unlock,
    spin_lock,
    spin_unlock,
)
from lockverse.lang.task import current_task
from lockverse.linux.mm import memcontrol
from lockverse.linux.mm.memcontrol import folio_memcg


@patch(memcontrol.folio_memcg_lock)
def folio_memcg_lock(folio):
    """Keep a folio with its group, but not interrupts away."""
    rcu_read_lock()
    while True:
        memcg = folio_memcg(folio)
        if not memcg:
            return
        if atomic_read(memcg.moving_account) <= 0:
            return
        spin_lock(memcg.move_lock)
        if memcg == folio_memcg(folio):
            break
        spin_unlock(memcg.move_lock)
    WRITE_ONCE(memcg.move_lock_task, current_task())


@patch(memcontrol.__folio_memcg_unlock)
def __folio_memcg_unlock(memcg):
    """The end of it."""
    if memcg and READ_ONCE(memcg.move_lock_task) == current_task():
        WRITE_ONCE(memcg.move_lock_task, NULL)
        spin_unlock(memcg.move_lock)
    rcu_read_unlock()


PATCHES = [folio_memcg_lock, __folio_memcg_unlock]
