"""The stock of charges that each CPU keeps for one group: who may come to it, how other CPUs' stocks are drained, what of a group that goes offline stays in them. Linux 6.1.

A group's page counter is at all times what is charged in earnest and what is in stocks. `consumed` shows the rule of 6.1 for that: the stock is for the CPU that runs, and for nobody who
interrupts it, tasks or softirqs, which charge too; so interrupts are off. With preemption off only, a softirq takes the page that the task is about to take. No lock at
all: another task does. `drained` has stocks of other CPUs drained, which only those CPUs may do: a work item runs there. `offline` asks whether a group that goes offline is in no stock
afterwards. It is, unless somebody still charges it, whose charge is under way; or somebody drains for another group at that moment, as then its own drain does nothing. No number is wrong by
that: the group is kept until that CPU charges another. `freed_while_looked_at`: the drain looks into another CPU's stock, as an RCU reader, while the group in it is freed. drain_stock() drops
the stock's reference first and forgets the group then, so a grace period that begins in between would not wait for who still finds it. It cannot begin there: what releases a group is a
work item that is queued to the CPU of the last reference (cgroup_destroy_wq is not an unbound workqueue; kernel/cgroup/cgroup.c), which has interrupts off until the group is forgotten.

Left out: memory+swap, objcg, reclaim: what is over the limit is refused after one drain.
"""
from lockverse import *
from lockverse.linux.boot import memory_cgroup
from lockverse.linux.include import workqueue
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.kernel.cgroup.cgroup import css_free_rwork_fn, mem_cgroup_css_kfree
from lockverse.linux.mm import memcontrol_stock
from lockverse.linux.mm.memcontrol import mem_cgroup_is_descendant
from lockverse.linux.mm.memcontrol_stock import (
    charging, drain_all_stock, drain_local_stock, drain_stock, mem_cgroup_css_offline, memcg_stock, try_charge_memcg,
)


@struct
class charges:
    """What is charged to a group in earnest."""

    pages: atomic_long_t


def charge(memcg, charged, may_block):
    if not try_charge_memcg(memcg, 1, may_block):
        atomic_long_inc(charged.pages)


def in_stock(memcg):
    found = 0
    for cpu in for_each_possible_cpu():
        if memcg_stock[cpu].cached == memcg:
            found += memcg_stock[cpu].nr_pages
    return found


def put_in_stock(memcg, cpu, pages):
    """Let a CPU have pages of a group in stock, in the beginning."""
    memcg_stock[cpu].cached = memcg
    memcg_stock[cpu].nr_pages = pages
    memcg.memory.usage.counter += pages
    memcg.css_refcnt.counter += 1


def books(memcg, charged):
    always(lambda: atomic_long_read(memcg.memory.usage) >= atomic_long_read(charged.pages), "no more is charged than the counter knows")
    at_rest(lambda: atomic_long_read(memcg.memory.usage) == atomic_long_read(charged.pages) + in_stock(memcg), "the counter is what is charged and what is in stock")


@patch(memcontrol_stock.lock_stock)
def preemption_off(of):
    preempt_disable()
    return this_cpu_ptr(memcg_stock), False


@patch(memcontrol_stock.unlock_stock)
def preemption_on(of, flags):
    preempt_enable()


@patch(memcontrol_stock.lock_stock)
def local_lock_only(of):
    local_lock(memcg_stock.stock_lock)
    return this_cpu_ptr(memcg_stock), False


@patch(memcontrol_stock.unlock_stock)
def local_unlock_only(of, flags):
    local_unlock(memcg_stock.stock_lock)


@patch(memcontrol_stock.lock_stock)
def no_lock(of):
    return this_cpu_ptr(memcg_stock), False


@patch(memcontrol_stock.unlock_stock)
def no_unlock(of, flags):
    pass


GUARDS = {
    "local_lock_irqsave": [], "local_lock": [local_lock_only, local_unlock_only], "preempt_disable": [preemption_off, preemption_on], "nothing": [no_lock, no_unlock],
}


@scheme
def consumed(guard: Literal["local_lock_irqsave", "local_lock", "preempt_disable", "nothing"] = "local_lock_irqsave", by: Literal["task", "softirq"] = "softirq"):
    """A task charges a page, and a softirq or another task of its CPU does. One page is in stock."""
    apply(GUARDS[guard])
    memcg = memory_cgroup()
    charged = charges()
    stocks = memcg_stock
    first = cpu(charge, memcg, charged, False)
    put_in_stock(memcg, 0, 1)
    if by == "task":
        task(charge, memcg, charged, False, on=first)
    else:
        softirq(charge, memcg, charged, False, on=first)
    books(memcg, charged)
    sometimes(lambda: atomic_long_read(charged.pages) == 2, "both pages are charged")


@patch(workqueue.schedule_work_on)
def drained_from_here(cpu, work):
    drain_stock(memcg_stock[cpu])
    return True


@scheme
def drained(remote: Literal["work item", "from here"] = "work item"):
    """A group at its limit: the first CPU has the last page in stock and is about to charge it, the second wants one too, and drains."""
    if remote == "from here":
        apply(drained_from_here)
    memcg = memory_cgroup()
    memcg.memory.max = 1
    charged, stocks, lock = charges(), memcg_stock, charging
    first = cpu(charge, memcg, charged, True)
    put_in_stock(memcg, 0, 1)
    cpu(charge, memcg, charged, True)
    work(memcg_stock[0].work, drain_local_stock, memcg_stock[0].work, on=first)
    books(memcg, charged)
    at_rest(lambda: atomic_long_read(memcg.memory.usage) <= 1, "the limit holds")
    sometimes(lambda: atomic_long_read(charged.pages) == 1, "the page is charged")


@scheme
def offline(meanwhile: Literal["nothing", "another group is charged", "the group is charged", "another group is drained"] = "nothing"):
    """A group of which the first CPU has a page in stock goes offline."""
    memcg1, memcg2 = memory_cgroup(), memory_cgroup()
    charged1, charged2 = charges(), charges()
    stocks, lock = memcg_stock, charging
    memcg = memcg1 if meanwhile == "the group is charged" else memcg2
    charged = charged1 if meanwhile == "the group is charged" else charged2
    first = cpu(cpu_relax) if meanwhile in ("nothing", "another group is drained") else cpu(charge, memcg, charged, False)
    put_in_stock(memcg1, 0, 1)
    cpu(mem_cgroup_css_offline, memcg1)
    if meanwhile == "another group is drained":
        cpu(drain_all_stock, memcg2)
    work(memcg_stock[0].work, drain_local_stock, memcg_stock[0].work, on=first)
    books(memcg1, charged1)
    books(memcg2, charged2)
    at_rest(lambda: in_stock(memcg1) == 0 and atomic_long_read(memcg1.css_refcnt) == 1, "no stock holds the group that is offline")


@patch(memcontrol_stock.stock_is_of)
def looked_at_plainly(stock, root_memcg):
    memcg = stock.cached
    return memcg != NULL and stock.nr_pages > 0 and mem_cgroup_is_descendant(memcg, root_memcg)


def free_when_unused(memcg):
    atomic_long_cond_read_acquire(memcg.css_refcnt, lambda VAL: VAL == 0)
    css_free_rwork_fn(memcg)


@scheme
def freed_while_looked_at(released: Literal["on the CPU that drains", "elsewhere"] = "on the CPU that drains", looks: Literal["in data_race()", "plainly, as in 6.1"] = "in data_race()"):
    """The first CPU has a page of a dead group in stock, and charges another group: the dead one goes. The second CPU drains meanwhile, for a third."""
    apply(mem_cgroup_css_kfree)
    if looks == "plainly, as in 6.1":
        apply(looked_at_plainly)
    pool(mem_cgroup, 1)
    dead = memory_cgroup(memory=kmalloc(mem_cgroup))
    dead.css_refcnt.counter = 0
    live, other = memory_cgroup(), memory_cgroup()
    charged, stocks, lock = charges(), memcg_stock, charging
    first = cpu(charge, live, charged, False)
    put_in_stock(dead, 0, 1)
    cpu(drain_all_stock, other)
    if released == "elsewhere":
        cpu(free_when_unused, dead)
    else:
        task(free_when_unused, dead, on=first)
    work(memcg_stock[0].work, drain_local_stock, memcg_stock[0].work, on=first)
    books(live, charged)
