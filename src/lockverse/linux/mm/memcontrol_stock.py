"""The stock: what a CPU has charged in advance to one group, so that most charges touch nothing that other CPUs do.

Source: mm/memcontrol.c (struct memcg_stock_pcp to drain_all_stock, try_charge_memcg, mem_cgroup_css_offline), Linux 6.1. Modelled: the stock of each CPU under its local lock, which disables interrupts, since
softirqs charge too; the flush of other CPUs by work items that run there, each asked for once (FLUSHING_CACHED_CHARGE); one drain at a time. Approximated: 6.1 looks at another CPU's stock
with plain loads, which are data races by the kernel's memory model (6.4 marks those of `cached`); here they are in data_race(). Left out: the objcg part of the stock,
memory+swap, reclaim, more than one retry, CPU hotplug. A group of the simulator names its stock, as there is one CPU, whose tasks are preempted anywhere: it is under a spinlock there.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    clear_bit,
    data_race,
    for_each_online_cpu,
    local_lock_irqsave,
    local_lock_t,
    local_unlock_irqrestore,
    mutex,
    mutex_trylock,
    mutex_unlock,
    per_cpu_ptr,
    percpu,
    ptr,
    rcu_read_lock,
    rcu_read_unlock,
    s64,
    smp_processor_id,
    spin_lock,
    spin_unlock,
    struct,
    test_and_set_bit,
    this_cpu_ptr,
    u8,
    work_struct,
)  # fmt: skip
from lockverse.linux.include.errno import ENOMEM
from lockverse.linux.include.memcontrol import mem_cgroup
from lockverse.linux.include.workqueue import schedule_work_on

from . import memcontrol
from .page_counter import page_counter_try_charge, page_counter_uncharge

MEMCG_CHARGE_BATCH = 64  # pages that are charged at once, and kept in stock
FLUSHING_CACHED_CHARGE = 0  # a bit of `flags`: the work item is asked for


@struct
class memcg_stock_pcp:
    """A CPU's stock: pages charged to `cached`, which it holds a reference of."""

    stock_lock: local_lock_t
    cached: ptr[mem_cgroup]
    nr_pages: s64
    work: work_struct
    flags: u8


@struct
class charge_lock:
    """One drain of all CPUs at a time."""

    percpu_charge_mutex: mutex


memcg_stock = percpu[memcg_stock_pcp]()
charging = charge_lock()


def lock_stock(of):
    """Have this CPU's stock for oneself: no task and no interrupt of the CPU comes to it meanwhile. Gives it, and what unlock_stock() wants."""
    if hasattr(of, "stock"):
        spin_lock(of.stock.stock_lock)
        return of.stock, False
    else:
        flags = local_lock_irqsave(memcg_stock.stock_lock)
        return this_cpu_ptr(memcg_stock), flags


def unlock_stock(of, flags):
    """The end of what lock_stock() began."""
    if hasattr(of, "stock"):
        spin_unlock(of.stock.stock_lock)
    else:
        local_unlock_irqrestore(memcg_stock.stock_lock, flags)


def consume_stock(memcg, nr_pages):
    """Take a charge out of this CPU's stock; give whether it had enough of that group."""
    if nr_pages > MEMCG_CHARGE_BATCH:
        return False
    stock, flags = lock_stock(memcg)
    enough = stock.cached == memcg and stock.nr_pages >= nr_pages
    if enough:
        stock.nr_pages -= nr_pages
    unlock_stock(memcg, flags)
    return enough


def drain_stock(stock):
    """Give back what is in stock. With the stock locked."""
    old = stock.cached
    if not old:
        return
    if stock.nr_pages:
        page_counter_uncharge(old.memory, stock.nr_pages)
        stock.nr_pages = 0
    memcontrol.css_put(old)
    stock.cached = NULL


def drain_local_stock(of):
    """Give back what this CPU has in stock. What a work item runs; of the simulator, with a group."""
    stock, flags = lock_stock(of)
    drain_stock(stock)
    if hasattr(stock, "flags"):
        clear_bit(FLUSHING_CACHED_CHARGE, stock.flags)
    unlock_stock(of, flags)


def refill_stock(memcg, nr_pages):
    """Put charges into this CPU's stock, which holds those of one group, and not too many."""
    stock, flags = lock_stock(memcg)
    if stock.cached != memcg:
        drain_stock(stock)
        memcontrol.css_get(memcg)
        stock.cached = memcg
    stock.nr_pages += nr_pages
    if stock.nr_pages > MEMCG_CHARGE_BATCH:
        drain_stock(stock)
    unlock_stock(memcg, flags)


def stock_is_of(stock, root_memcg):
    """Whether a stock, of any CPU, has charges of a group or of one below. It may be another's in the next moment, and its group be freed: the caller is an RCU reader."""
    memcg = data_race(stock.cached)
    return memcg != NULL and data_race(stock.nr_pages) > 0 and memcontrol.mem_cgroup_is_descendant(memcg, root_memcg)


def drain_all_stock(root_memcg):
    """Have all CPUs give back what they have in stock of a group and those below: this one at once, others when the work item runs that they are sent. If a
    drain is going on already, of whatever group, nothing is done."""
    if hasattr(root_memcg, "stock"):
        drain_local_stock(root_memcg)
    else:
        if not mutex_trylock(charging.percpu_charge_mutex):
            return
        curcpu = smp_processor_id()
        for cpu in for_each_online_cpu():
            stock = per_cpu_ptr(memcg_stock, cpu)
            rcu_read_lock()
            flush = stock_is_of(stock, root_memcg)
            rcu_read_unlock()
            if flush and not test_and_set_bit(FLUSHING_CACHED_CHARGE, stock.flags):
                if cpu == curcpu:
                    drain_local_stock(stock.work)
                else:
                    schedule_work_on(cpu, stock.work)
        mutex_unlock(charging.percpu_charge_mutex)


def try_charge_memcg(memcg, nr_pages, may_block=True):
    """Charge pages by way of the stock; 0, or -ENOMEM when there is no room. Nothing is reclaimed; who may block has the stocks given back, and tries once more."""
    batch = MEMCG_CHARGE_BATCH if nr_pages < MEMCG_CHARGE_BATCH else nr_pages
    drained = False
    while True:
        if consume_stock(memcg, nr_pages):
            return 0
        if page_counter_try_charge(memcg.memory, batch):
            if batch > nr_pages:
                refill_stock(memcg, batch - nr_pages)
            return 0
        if batch > nr_pages:
            batch = nr_pages
            continue
        if not may_block or drained:
            return -ENOMEM
        drain_all_stock(memcg)
        drained = True


def mem_cgroup_css_offline(memcg):
    """A group goes offline: what the stocks have of it goes back."""
    drain_all_stock(memcg)
