"""R15: an interrupt on top of the page_cgroup lock wants tree_lock, whose holder wants the page_cgroup lock.

e767e0561d7f ("memcg: fix deadlock between lock_page_cgroup and mapping tree_lock", 2009), dbd4ea78f002 ("memcg: add lock to synchronize page accounting and migration",
2011: a lock of its own that is taken with interrupts disabled). The interrupt comes where the environment chooses, on CPU0. Left out: what the locks protect.
"""
from lockverse import *


@struct
class locks:
    page_cgroup: spinlock_t
    tree_lock: spinlock_t
    pending: bool


def end_of_io(l):
    l.pending = False
    spin_lock(l.tree_lock)
    spin_unlock(l.tree_lock)


def interrupt_may_come(l):
    if l.pending and choose(bool):
        end_of_io(l)


def account(l):
    spin_lock(l.page_cgroup)
    interrupt_may_come(l)
    spin_unlock(l.page_cgroup)


@patch(account)
def account_irqsave(l):
    interrupt_may_come(l)
    spin_lock(l.page_cgroup)
    spin_unlock(l.page_cgroup)


def set_page_dirty(l):
    with l.tree_lock:
        spin_lock(l.page_cgroup)
        spin_unlock(l.page_cgroup)


@scheme
def interrupted_under_lock(fixed: bool = False, dirtiers: range(1, 4) = 1):
    if fixed:
        apply(account_irqsave)
    l = locks(pending=True)
    cpu(account, l)
    for _ in range(dirtiers):
        cpu(set_page_dirty, l)
