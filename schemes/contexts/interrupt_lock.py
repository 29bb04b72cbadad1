"""A lock that an interrupt handler takes: whoever else takes it must have interrupts disabled.

`same_lock` is the plain case. `two_locks` is that of "memcg: fix deadlock between lock_page_cgroup and mapping tree_lock"
(e767e0561d7f, 2.6.30): no handler takes the outer lock, yet holding it with interrupts enabled is enough, since the handler wants the
inner one and its holder on another CPU wants the outer. Both are broken unless interrupts are disabled.
`enabled_too_early` is that of "memcg: mem_cgroup_migrate() may be called with irq disabled" (d93c4130a7d0, 4.7): spin_unlock_irq() enables
interrupts that the caller had disabled for a lock it still holds.
"""
from lockverse import *


@struct
class mapping:
    nr: s32
    tree_lock: spinlock_t
    page_cgroup_lock: spinlock_t


def update(m, irqsafe):
    if irqsafe:
        flags = spin_lock_irqsave(m.tree_lock)
        m.nr += 1
        spin_unlock_irqrestore(m.tree_lock, flags)
    else:
        spin_lock(m.tree_lock)
        m.nr += 1
        spin_unlock(m.tree_lock)


def end_writeback(m):
    spin_lock(m.tree_lock)
    m.nr += 1
    spin_unlock(m.tree_lock)


@scheme
def same_lock(irqsafe: bool = True):
    m = mapping()
    task0 = cpu(update, m, irqsafe)
    interrupt(end_writeback, m, on=task0)
    at_rest(lambda: 1 <= m.nr <= 2, "every update counts")
    sometimes(lambda: m.nr == 2, "the handler fires")


def charge(m, irqsafe):
    if irqsafe:
        flags = spin_lock_irqsave(m.page_cgroup_lock)
        spin_unlock_irqrestore(m.page_cgroup_lock, flags)
    else:
        spin_lock(m.page_cgroup_lock)
        spin_unlock(m.page_cgroup_lock)


def dirty(m):
    flags = spin_lock_irqsave(m.tree_lock)
    spin_lock(m.page_cgroup_lock)
    m.nr += 1
    spin_unlock(m.page_cgroup_lock)
    spin_unlock_irqrestore(m.tree_lock, flags)


@scheme
def two_locks(irqsafe: bool = True):
    m = mapping()
    task0 = cpu(charge, m, irqsafe)
    interrupt(end_writeback, m, on=task0)
    cpu(dirty, m)
    at_rest(lambda: 1 <= m.nr <= 2, "every update counts")


def migrate(m, saves):
    spin_lock_irq(m.tree_lock)
    if saves:
        flags = spin_lock_irqsave(m.page_cgroup_lock)
        spin_unlock_irqrestore(m.page_cgroup_lock, flags)
    else:
        spin_lock_irq(m.page_cgroup_lock)
        spin_unlock_irq(m.page_cgroup_lock)
    m.nr += 1
    spin_unlock_irq(m.tree_lock)


@scheme
def enabled_too_early(saves: bool = True):
    m = mapping()
    task0 = cpu(migrate, m, saves)
    interrupt(end_writeback, m, on=task0)
    at_rest(lambda: 1 <= m.nr <= 2, "every update counts")
