"""Two CPUs flush the counters at once, while a third one counts: what cgroup_rstat_lock and the lock of each CPU's tree are for. Linux 6.1.

The first flush is that of who reads cpu.stat, or of a group that is released: it may sleep, and gives the lock up between CPUs. The second is that of who reads memory.stat, or of the periodic work,
neither of which waits; or another of the first kind; or one of a subtree, which leaves what it found to the flush of the groups above. With both locks nothing is lost or counted twice, for
a group alone and for what is below it. Without cgroup_rstat_lock two flushers add to the sum of one group from the trees of two CPUs, and take what came from below twice. Without the lock of a CPU's tree a
group comes into the tree while the group above goes out of it, and is not found by any flush.

Who reads memory.stat in 6.1 does not wait for a flush that is under way ("memcg: unify memcg stat flushing", 5.16: one flusher is enough), and so may miss what it has itself counted
just before: `reader`. Left out: negative counts, the magnitude that arms a flush.
"""
from lockverse import *
from lockverse.linux.boot import change_on_cpu, memory_cgroup
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.rstat import (
    cgroup_rstat_cpu_lock, cgroup_rstat_cpu_pop_updated, cgroup_rstat_flush, cgroup_rstat_flush_cpu, cgroup_rstat_flush_irqsafe, cgroup_rstat_lock, local,
    mem_cgroup_css_rstat_flush, mem_cgroup_flush_stats, memcg_page_state, memcg_page_state_local, stats_flush_lock, unflushed,
)
from lockverse.linux.mm import memcontrol


@patch(rstat.cgroup_rstat_flush)
def flush_without_rstat_lock(cgrp):
    for cpu in for_each_possible_cpu():
        cgroup_rstat_flush_cpu(cgrp, cpu)


@patch(rstat.cgroup_rstat_flush_irqsafe)
def flush_irqsafe_without_rstat_lock(cgrp):
    for cpu in for_each_possible_cpu():
        cgroup_rstat_flush_cpu(cgrp, cpu)


@patch(rstat.cgroup_rstat_flush_cpu)
def flush_cpu_without_its_lock(cgrp, cpu):
    pos: ptr[mem_cgroup] = NULL
    while True:
        pos = cgroup_rstat_cpu_pop_updated(pos, cgrp, cpu)
        if not pos:
            break
        mem_cgroup_css_rstat_flush(pos, cpu)


@patch(rstat.mem_cgroup_flush_stats)
def flush_stats_and_wait(root):
    cgroup_rstat_flush(root)


def count_page(memcg):
    memcontrol.__mod_memcg_state(memcg, NR_FILE_MAPPED, 1)


def shares(memcg):
    found = 0
    for share in memcg.vmstats_percpu:
        found += share.state
    return found


def new_below(memcg):
    return memcg.vmstats.state_pending + unflushed(memcg)


def in_list(memcg, above, cpu):
    one: ptr[mem_cgroup] = above.rstat_cpu[cpu].updated_children
    for _ in range(4):
        if one == memcg:
            return True
        if not one or one == above:
            return False
        one = one.rstat_cpu[cpu].updated_next
    return False


def in_tree(memcg, cpu):
    one: ptr[mem_cgroup] = memcg
    while one.parent:
        if not in_list(one, one.parent, cpu):
            return False
        one = one.parent
    return one.rstat_cpu[cpu].updated_next != NULL


def is_found(memcg):
    """What no flush has seen yet the next one does: the group is in the tree of each CPU that has something new, and of one if it has from below."""
    somewhere = False
    for cpu in for_each_possible_cpu():
        found = in_tree(memcg, cpu)
        if not found and memcg.vmstats_percpu[cpu].state != memcg.vmstats_percpu[cpu].state_prev:
            return False
        somewhere = somewhere or found
    return somewhere or memcg.vmstats.state_pending == 0


@scheme
def two_flushers(rstat_lock: bool = True, cpu_lock: bool = True, second: Literal["does not wait", "may sleep", "subtree"] = "does not wait", nested: bool = False):
    apply(rstat.PATCHES)
    if not rstat_lock:
        apply(flush_without_rstat_lock, flush_irqsafe_without_rstat_lock)
    if not cpu_lock:
        apply(flush_cpu_without_its_lock)
    top = memory_cgroup()
    memcg = memory_cgroup(top)
    leaf = memory_cgroup(memcg) if nested else memcg
    change_on_cpu(memcg, 0)
    change_on_cpu(leaf, 1)
    cpu(count_page, leaf)
    cpu(cgroup_rstat_flush, top)
    if second == "does not wait":
        cpu(cgroup_rstat_flush_irqsafe, top)
    else:
        cpu(cgroup_rstat_flush, top if second == "may sleep" else memcg)
    books_of_flushes(top, memcg, leaf)


def books_of_flushes(top, memcg, leaf):
    always(lambda: top.vmstats.state <= 3 and memcg.vmstats.state <= 3, "no group shows more than was counted in it and below")
    at_rest(lambda: is_found(leaf) and is_found(memcg) and is_found(top), "the next flush finds what is new")
    at_rest(lambda: local(memcg) == shares(memcg) and local(leaf) == shares(leaf), "each group counts its own")
    if leaf is memcg:
        at_rest(lambda: memcg.vmstats.state + new_below(memcg) == 3, "and the group what was counted in it")
        at_rest(lambda: top.vmstats.state + new_below(top) + new_below(memcg) == 3, "and the top what was counted below")
    else:
        at_rest(lambda: memcg.vmstats.state + new_below(memcg) + new_below(leaf) == 3, "and the group what was counted in it and below")
        at_rest(lambda: top.vmstats.state + new_below(top) + new_below(memcg) + new_below(leaf) == 3, "and the top what was counted below")
    sometimes(lambda: top.vmstats.state == 3, "all is flushed")


def count_and_read(memcg, top):
    count_page(memcg)
    mem_cgroup_flush_stats(top)
    assert memcg_page_state_local(memcg) >= 1, "the group has the page"
    assert memcg_page_state(top) >= 1, "and so has the one above"


@scheme
def reader(waits: bool = False):
    """A CPU counts a page and reads memory.stat, while the periodic flush is under way."""
    apply(rstat.PATCHES)
    if waits:
        apply(flush_stats_and_wait)
    top = memory_cgroup()
    memcg = memory_cgroup(top)
    cpu(count_and_read, memcg, top)
    cpu(mem_cgroup_flush_stats, top)
