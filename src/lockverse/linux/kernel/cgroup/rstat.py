"""Counters that are kept per CPU and added up only when somebody wants to know: NR_FILE_MAPPED of every group, this way.

Source: kernel/cgroup/rstat.c, mm/memcontrol.c (memcg_rstat_updated, mem_cgroup_css_rstat_flush, mem_cgroup_flush_stats, memcg_page_state), Linux 6.1; `state_local` is 6.12's. Modelled: a CPU's
share; for each CPU the tree of groups that have changed there, under its lock; the flush, which takes groups off the trees, children before parents, and what is new of each share into the
group's sum, and hands it to the parent. Approximated: one counter; a group is its cgroup; __this_cpu_add is one step, as the instruction that x86 has for it. A flush that may sleep gives up the lock
after each CPU, which 6.1 does if somebody wants it or the CPU. Left out: the magnitude that arms a flush, the flush that is put off, per-node copies, BPF, rstat_css_list.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    WARN_ON_ONCE,
    atomic_long_add,
    data_race,
    for_each_possible_cpu,
    might_sleep,
    patch,
    per_cpu_ptr,
    percpu,
    ptr,
    raw_spin_lock_irqsave,
    raw_spin_unlock_irqrestore,
    raw_spinlock_t,
    smp_processor_id,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_trylock_irqsave,
    spin_unlock_irq,
    spin_unlock_irqrestore,
    spinlock_t,
    this_cpu_add,
)  # fmt: skip
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.mm import memcontrol

cgroup_rstat_lock = spinlock_t()
cgroup_rstat_cpu_lock = percpu[raw_spinlock_t]()
stats_flush_lock = spinlock_t()


# kernel/cgroup/rstat.c


def cgroup_rstat_updated(cgrp, cpu):
    """Put a group into the tree of a CPU, and all above it that are not there. Whether it is there already is looked up without a lock."""
    if data_race(per_cpu_ptr(cgrp.rstat_cpu, cpu).updated_next):
        return
    cpu_lock = per_cpu_ptr(cgroup_rstat_cpu_lock, cpu)
    flags = raw_spin_lock_irqsave(cpu_lock)
    one: ptr[mem_cgroup] = cgrp
    while True:
        rstatc = per_cpu_ptr(one.rstat_cpu, cpu)
        if rstatc.updated_next:  # then all above it are there too
            break
        parent: ptr[mem_cgroup] = one.parent
        if not parent:
            rstatc.updated_next = one
            break
        prstatc = per_cpu_ptr(parent.rstat_cpu, cpu)
        first: ptr[mem_cgroup] = prstatc.updated_children
        rstatc.updated_next = first if first else parent
        prstatc.updated_children = one
        one = parent
    raw_spin_unlock_irqrestore(cpu_lock, flags)


def cgroup_rstat_unlink(pos, parent, cpu):
    """Take a group out of the list of its parent's children that have changed. It is the first of them, unless the flush is of this group alone."""
    rstatc = per_cpu_ptr(pos.rstat_cpu, cpu)
    before = per_cpu_ptr(parent.rstat_cpu, cpu)
    child: ptr[mem_cgroup] = before.updated_children
    if child == pos:
        before.updated_children = rstatc.updated_next
        return
    while child != pos:
        WARN_ON_ONCE(child == parent)
        before = per_cpu_ptr(child.rstat_cpu, cpu)
        child = before.updated_next
    before.updated_next = rstatc.updated_next


def cgroup_rstat_cpu_pop_updated(pos: ptr[mem_cgroup], root, cpu) -> ptr[mem_cgroup]:
    """Take the next group out of the tree of a CPU: after `pos`, or the first, if that is NULL. NULL after `root`, or if that is not there."""
    if pos == root:
        return NULL
    one: ptr[mem_cgroup] = root
    if pos:
        one = pos.parent
    elif not per_cpu_ptr(root.rstat_cpu, cpu).updated_next:
        return NULL
    while True:  # down to the first leaf
        rstatc = per_cpu_ptr(one.rstat_cpu, cpu)
        child: ptr[mem_cgroup] = rstatc.updated_children
        if not child or child == one:
            break
        one = child
    parent: ptr[mem_cgroup] = one.parent
    if parent:
        cgroup_rstat_unlink(one, parent, cpu)
    per_cpu_ptr(one.rstat_cpu, cpu).updated_next = NULL
    return one


def cgroup_rstat_flush_cpu(cgrp, cpu):
    """The part of a flush that is about one CPU."""
    cpu_lock = per_cpu_ptr(cgroup_rstat_cpu_lock, cpu)
    flags = raw_spin_lock_irqsave(cpu_lock)
    pos: ptr[mem_cgroup] = NULL
    while True:
        pos = cgroup_rstat_cpu_pop_updated(pos, cgrp, cpu)
        if not pos:
            break
        mem_cgroup_css_rstat_flush(pos, cpu)
    raw_spin_unlock_irqrestore(cpu_lock, flags)


def cgroup_rstat_flush(cgrp):
    """Flush a group and those below it. May sleep: between two CPUs others get the lock."""
    might_sleep()
    for cpu in for_each_possible_cpu():
        spin_lock_irq(cgroup_rstat_lock)
        cgroup_rstat_flush_cpu(cgrp, cpu)
        spin_unlock_irq(cgroup_rstat_lock)


def cgroup_rstat_flush_irqsafe(cgrp):
    """The same where nobody may sleep."""
    flags = spin_lock_irqsave(cgroup_rstat_lock)
    for cpu in for_each_possible_cpu():
        cgroup_rstat_flush_cpu(cgrp, cpu)
    spin_unlock_irqrestore(cgroup_rstat_lock, flags)


# mm/memcontrol.c


@patch(memcontrol.__mod_memcg_state)
def __mod_memcg_state(memcg, idx, val):
    """Add to one counter of a group: to this CPU's share, which the next flush will find."""
    if idx == NR_FILE_MAPPED:
        this_cpu_add(memcg.vmstats_percpu.state, val)
        cgroup_rstat_updated(memcg, smp_processor_id())
    else:
        atomic_long_add(val, memcg.state[idx])


def mem_cgroup_css_rstat_flush(memcg, cpu):
    """Take what is new of one CPU's share, and what came from below, into a group's sum, and hand it up. Under the rstat lock."""
    statc = per_cpu_ptr(memcg.vmstats_percpu, cpu)
    delta = memcg.vmstats.state_pending
    if delta:
        memcg.vmstats.state_pending = 0
    v = READ_ONCE(statc.state)
    own = v - statc.state_prev
    if own:
        statc.state_prev = v
        memcg.vmstats.state_local += own
    delta += own
    if delta:
        memcg.vmstats.state += delta
        parent: ptr[mem_cgroup] = memcg.parent
        if parent:
            parent.vmstats.state_pending += delta


def mem_cgroup_flush_stats(root):
    """What a reader of memory.stat does first: flush everything, unless somebody else is at it, whom nobody waits for."""
    ok, flags = spin_trylock_irqsave(stats_flush_lock)
    if not ok:
        return
    cgroup_rstat_flush_irqsafe(root)
    spin_unlock_irqrestore(stats_flush_lock, flags)


def memcg_page_state(memcg):
    """What memory.stat shows of a group and those below it. A flush may be under way."""
    x = data_race(memcg.vmstats.state)
    return 0 if x < 0 else x


def memcg_page_state_local(memcg):
    """What memory.stat of cgroup v1 shows of a group alone: the shares, without a flush."""
    x = 0
    for cpu in for_each_possible_cpu():
        statc = per_cpu_ptr(memcg.vmstats_percpu, cpu)
        x += READ_ONCE(statc.state)
    return 0 if x < 0 else x


# For properties, which read one state as a whole. Not from the kernel.


def unflushed(memcg):
    """What of a group's shares no flush has seen."""
    found = 0
    for share in memcg.vmstats_percpu:
        found += share.state - share.state_prev
    return found


def hierarchical(memcg):
    """What a full flush of a group would show whose children have nothing new."""
    return memcg.vmstats.state + memcg.vmstats.state_pending + unflushed(memcg)


def local(memcg):
    """A group's own counter after a full flush, not clamped at zero."""
    return memcg.vmstats.state_local + unflushed(memcg)


PATCHES = [__mod_memcg_state]
