"""Pages that a CPU has in stock (consume_stock() in mm/memcontrol.c, Linux 6.1): whoever runs there takes one, tasks and an interrupt.

`stock` takes the local lock with interrupts disabled, as the kernel does. Broken: `unprotected` looks and takes with no lock, and
another task of the CPU comes between; `interrupts_on` disables preemption only, and the interrupt finds the lock held.
"""
from lockverse import *


@struct
class memcg_stock_pcp:
    stock_lock: local_lock_t
    nr_pages: s64


@struct
class machine:
    memcg_stock: percpu[memcg_stock_pcp]
    charged: atomic_t


def consume(m):
    stock = this_cpu_ptr(m.memcg_stock)
    if stock.nr_pages > 0:
        stock.nr_pages -= 1
        atomic_inc(m.charged)


def consume_stock(m):
    flags = local_lock_irqsave(m.memcg_stock.stock_lock)
    consume(m)
    local_unlock_irqrestore(m.memcg_stock.stock_lock, flags)


def consume_with_interrupts_on(m):
    with scoped_guard(local_lock, m.memcg_stock.stock_lock):
        consume(m)


@scheme
def stock():
    m = stocked(1)
    charger = cpu(consume_stock, m)
    task(consume_stock, m, on=charger)
    interrupt(consume_stock, m, on=charger)
    cpu(consume_stock, m)


@scheme
def unprotected():
    m = stocked(1)
    charger = cpu(consume, m)
    task(consume, m, on=charger)


@scheme
def interrupts_on():
    m = stocked(2)
    charger = cpu(consume_with_interrupts_on, m)
    interrupt(consume_with_interrupts_on, m, on=charger)


def stocked(pages):
    """No more is charged than what the first CPU has in stock."""
    m = machine()
    m.memcg_stock[0].nr_pages = pages
    always(lambda: atomic_read(m.charged) <= pages, "each page is charged once")
    return m
