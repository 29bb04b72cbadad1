"""struct mem_cgroup: a group of tasks, what it is charged for, and the lock that keeps its pages its own.

Source: include/linux/memcontrol.h, Linux 6.1. Modelled: moving_account, move_lock with its owner and the flags of interrupts that it keeps, the counters, the page
counters of memory and of memory+swap, the css reference count and that of the id, parent. Approximated: `state` holds for each counter the sum over all CPUs, and adding to it is
one step, as adding to one CPU's share is there; `vmstats_percpu`
has the shares of one counter, for kernel/cgroup/rstat.py; what the kernel has in struct cgroup (`rstat_cpu`) is here. Left out: per-node copies
of the counters, the kmem counter, cgroup v2's swap counter, events other than PGPGIN and PGPGOUT, everything about reclaim and OOM.
"""

from __future__ import annotations

from lockverse.lang import array, atomic_long_t, atomic_t, percpu, ptr, refcount_t, s64, spinlock_t, struct, task_struct

from .mmzone import NAMES
from .page_counter import page_counter


@struct
class memcg_vmstats_percpu:
    """One CPU's share of NR_FILE_MAPPED, and what of it the last flush has seen."""

    state: s64
    state_prev: s64


@struct
class memcg_vmstats:
    """NR_FILE_MAPPED as of the last flush: `state` of this group and those below, what those below have handed up, and
    `state_local` of this group alone (6.12)."""

    state: s64
    state_pending: s64
    state_local: s64


@struct
class lruvec:
    """A group's list of pages to reclaim from (mmzone.h): its lock, and how many pages it has. Used where mm/lruvec.py is applied."""

    lru_lock: spinlock_t
    lru_size: s64


@struct
class cgroup_rstat_cpu:
    """A group's place in the tree of groups that have changed on a CPU: the first of its children there, or itself, for which
    NULL stands in the beginning; the next one of its parent's, or its parent; NULL if it is not in the tree."""

    updated_children: ptr[mem_cgroup]
    updated_next: ptr[mem_cgroup]


@struct
class mem_cgroup:
    """A memory control group."""

    moving_account: atomic_t
    move_lock: spinlock_t
    move_lock_task: ptr[task_struct]
    move_lock_flags: bool
    state: array[atomic_long_t, *NAMES]  # what the CPUs' shares add up to
    memory: page_counter
    memsw: page_counter  # memory and swap together, where mm/memsw.py is applied
    id_ref: refcount_t  # what names the group by its id: swap records, where that is applied
    css_refcnt: atomic_long_t
    css_dying: bool
    css_freed: bool
    vmstats_percpu: percpu[memcg_vmstats_percpu]
    vmstats: memcg_vmstats
    lruvec: lruvec
    rstat_cpu: percpu[cgroup_rstat_cpu]
    parent: ptr[mem_cgroup]


@struct
class obj_cgroup:
    """What pages are charged to from 7.1 on: it goes over to the parent when its group goes away, and its pages with it."""

    memcg: ptr[mem_cgroup]


@struct
class move_charge_struct:
    """The one move of charges that can be going on: who moves what from where to where, and how much is paid for in advance."""

    from_: ptr[mem_cgroup]
    to: ptr[mem_cgroup]
    flags: s64
    precharge: s64
    moved_charge: s64
    moved_swap: s64


MOVE_ANON = 1
MOVE_FILE = 2
