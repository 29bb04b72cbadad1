"""Counters that are kept per CPU and added up only when somebody wants to know: NR_FILE_MAPPED of every group, this way.

Source: kernel/cgroup/rstat.c, mm/memcontrol.c (mem_cgroup_css_rstat_flush), Linux 6.1; `state_local` is 6.12's. Modelled: a CPU's share, with the note that it has changed; the
flush, children before parents, that takes what is new of each share into the group's sum and hands it to the parent. Approximated: one counter; the tree of
groups that changed is a flag for each group and CPU, and a flush is given the groups of the subtree in order; a share is changed with preemption
off, which is one step here. Left out: the magnitude that arms a flush, per-node copies, BPF.
"""

from __future__ import annotations

from lockverse.lang import (
    READ_ONCE,
    WRITE_ONCE,
    array,
    atomic_long_add,
    patch,
    ptr,
    smp_processor_id,
    spin_lock,
    spin_unlock,
    spinlock_t,
    struct,
)  # fmt: skip
from lockverse.linux.include.memcontrol import NR_CPUS, mem_cgroup
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.mm import memcontrol


@struct
class rstat_locks:
    """The lock of a flush, and for each CPU that of its list of groups that changed."""

    lock: spinlock_t
    cpu_lock: array[spinlock_t, NR_CPUS]


locks = rstat_locks()


@patch(memcontrol.__mod_memcg_state)
def __mod_memcg_state(memcg, idx, val):
    """Add to one counter of a group: to this CPU's share, which the next flush will find."""
    if idx == NR_FILE_MAPPED:
        cpu = smp_processor_id()
        share = memcg.vmstats.percpu[cpu]
        WRITE_ONCE(share.state, READ_ONCE(share.state) + val)  # only this CPU writes it
        cgroup_rstat_updated(memcg, cpu)
    else:
        atomic_long_add(val, memcg.state[idx])


def cgroup_rstat_updated(memcg, cpu):
    """Have the next flush look at a group on this CPU, and at all above it. Whether it will already is looked up without a lock."""
    if READ_ONCE(memcg.vmstats.percpu[cpu].updated):
        return
    spin_lock(locks.cpu_lock[cpu])
    one: ptr[mem_cgroup] = memcg
    while one and not one.vmstats.percpu[cpu].updated:
        WRITE_ONCE(one.vmstats.percpu[cpu].updated, True)
        one = one.parent
    spin_unlock(locks.cpu_lock[cpu])


def mem_cgroup_css_rstat_flush(memcg, cpu):
    """Take what is new of one CPU's share, and what came from below, into a group's sum, and hand it up. Under the rstat lock."""
    share = memcg.vmstats.percpu[cpu]
    delta = memcg.vmstats.state_pending
    memcg.vmstats.state_pending = 0
    now = READ_ONCE(share.state)
    own = now - share.state_prev
    if own:
        share.state_prev = now
        memcg.vmstats.state_local += own
    delta += own
    if delta:
        memcg.vmstats.state += delta
        if memcg.parent:
            memcg.parent.vmstats.state_pending += delta


def cgroup_rstat_flush(groups):
    """Flush a subtree, given as its groups, children before parents."""
    spin_lock(locks.lock)
    for cpu in range(NR_CPUS):
        spin_lock(locks.cpu_lock[cpu])
        for memcg in groups:
            if memcg.vmstats.percpu[cpu].updated:
                WRITE_ONCE(memcg.vmstats.percpu[cpu].updated, False)
                mem_cgroup_css_rstat_flush(memcg, cpu)
        spin_unlock(locks.cpu_lock[cpu])
    spin_unlock(locks.lock)


def hierarchical(memcg):
    """What a full flush of a group without children would show. For properties: reads one state as a whole."""
    found = memcg.vmstats.state + memcg.vmstats.state_pending
    for share in memcg.vmstats.percpu:
        found += share.state - share.state_prev
    return found


def local(memcg):
    """A group's own counter after a full flush, not clamped at zero, as memory.stat of cgroup v1 reads it. For properties."""
    found = memcg.vmstats.state_local
    for share in memcg.vmstats.percpu:
        found += share.state - share.state_prev
    return found


PATCHES = [__mod_memcg_state]
