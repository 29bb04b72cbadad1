"""End of writeback against truncation, in small: "mm: memcontrol: fix NULL pointer crash in test_clear_page_writeback()"
(739f79fc9db1, 4.13).

The end of writeback clears the flag and then counts in the page's group. Truncation finds the flag clear and uncharges the
page: its pointer is NULL and the group's memory goes. `reads_again` counts where the pointer leads by then, `takes_once`, the
fix, in the group it has locked. What keeps that group's memory is the section of its lock: it is an RCU reader. In
`freed_at_once` nobody waits for it.
"""
from lockverse import *


@struct
class mem_cgroup:
    nr_writeback: s8
    move_lock: spinlock_t
    rcu: rcu_head


@struct
class page:
    memcg: ptr[mem_cgroup]
    writeback: bool


def end_writeback_reads_again(page):
    memcg = READ_ONCE(page.memcg)
    spin_lock(memcg.move_lock)
    WRITE_ONCE(page.writeback, False)
    page.memcg.nr_writeback -= 1
    spin_unlock(page.memcg.move_lock)


def end_writeback_takes_once(page):
    memcg = READ_ONCE(page.memcg)
    spin_lock(memcg.move_lock)
    WRITE_ONCE(page.writeback, False)
    memcg.nr_writeback -= 1
    spin_unlock(memcg.move_lock)


def truncate(page):
    while READ_ONCE(page.writeback):
        cpu_relax()
    memcg = page.memcg
    WRITE_ONCE(page.memcg, NULL)
    return memcg


def truncate_rcu(page):
    kfree_rcu(truncate(page), "rcu")


def truncate_at_once(page):
    kfree(truncate(page))


def under_writeback():
    pool(mem_cgroup, 1)
    memcg = kmalloc(mem_cgroup)
    memcg.nr_writeback = 1
    return page(memcg=memcg, writeback=True)


@scheme
def reads_again():
    p = under_writeback()
    cpu(end_writeback_reads_again, p)
    cpu(truncate_rcu, p)


@scheme
def takes_once():
    p = under_writeback()
    cpu(end_writeback_takes_once, p)
    cpu(truncate_rcu, p)


@scheme
def freed_at_once():
    p = under_writeback()
    cpu(end_writeback_takes_once, p)
    cpu(truncate_at_once, p)
