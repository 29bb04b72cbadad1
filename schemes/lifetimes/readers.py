"""Every place that cannot be preempted is an RCU reader since Linux 4.20 ("RCU flavor consolidation"): one updater, three readers.

`spinlock` and `preemption` need no rcu_read_lock(). `nothing` is no reader. `in_lock` waits for a grace period with a spinlock
held, that is for itself.
"""
from lockverse import *


@struct
class node:
    value: u8


@struct
class owner:
    current: ptr[node]
    lock: spinlock_t


def look(o):
    n = READ_ONCE(o.current)
    if n:
        assert n.value == 1


def read_spinlock(o):
    with o.lock:
        look(o)


def read_preemption(o):
    preempt_disable()
    look(o)
    preempt_enable()


def replace(o):
    old = xchg(o.current, NULL)
    synchronize_rcu()
    kfree(old)


def replace_in_lock(o):
    with o.lock:
        replace(o)


def one_node():
    pool(node, 1)
    o = owner(current=kmalloc(node))
    o.current.value = 1
    return o


@scheme
def spinlock():
    o = one_node()
    cpu(read_spinlock, o)
    cpu(replace, o)


@scheme
def preemption():
    o = one_node()
    cpu(read_preemption, o)
    cpu(replace, o)


@scheme
def nothing():
    o = one_node()
    cpu(look, o)
    cpu(replace, o)


@scheme
def in_lock():
    o = one_node()
    cpu(look, o)
    cpu(replace_in_lock, o)
