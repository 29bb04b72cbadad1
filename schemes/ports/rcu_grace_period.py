"""RCU's own grace period in small (kernel/rcu/tree.c and kernel/rcu/tree_plugin.h of Linux 6.1, without preemptible readers; McKenney).

A read section is code between two quiescent states of its CPU: rcu_read_lock() is nothing at all. The grace-period kthread counts
gp_seq up and sets a bit for each CPU. A CPU learns of it in its tick: from then on it needs a quiescent state, which a context switch or
the idle loop is, and it reports that one in a later tick, which clears its bit. When all bits are clear the grace period is over.

`grace_period` is the algorithm: nobody reads what is freed after it. Broken: `stale_quiescent_state` has the CPU report a quiescent
state of before it learnt of the grace period, which a tick in the middle of a read section then does. `reported_at_once` takes the
tick itself for a quiescent state, wherever it comes.

Left out: reordering; the tree: there is one rcu_node; CPUs that are idle all along and are asked by the kthread; expedited grace
periods, callbacks, stalls. gp_seq is odd while a grace period goes on.
"""
from lockverse import *


@struct
class foo:
    freed: bool


@struct
class rcu_data:
    gp_seq: u8
    cpu_no_qs: bool
    core_needs_qs: bool
    idle: bool


@struct
class rcu_node:
    lock: spinlock_t
    gp_seq: u8
    qsmask: u8
    rda: array[rcu_data, 2]
    head: ptr[foo]


class Tick(Enum):
    as_it_is = auto()
    keeps_stale = auto()
    is_quiescent = auto()


def rcu_qs(rdp):
    if rdp.cpu_no_qs:
        rdp.cpu_no_qs = False


def note_gp_changes(rnp, rdp, me, kind):
    with rnp.lock:
        if rdp.gp_seq != rnp.gp_seq:
            if rnp.gp_seq & 1:
                need_qs = rnp.qsmask & 1 << me != 0
                if kind != Tick.keeps_stale:
                    rdp.cpu_no_qs = need_qs
                rdp.core_needs_qs = need_qs
            rdp.gp_seq = rnp.gp_seq


def rcu_report_qs_rdp(rnp, rdp, me):
    with rnp.lock:
        if rdp.cpu_no_qs or rdp.gp_seq != rnp.gp_seq:
            rdp.cpu_no_qs = True
            return
        rdp.core_needs_qs = False
        WRITE_ONCE(rnp.qsmask, rnp.qsmask & ~(1 << me))


def rcu_sched_clock_irq(rnp, me, kind):
    """The tick, and rcu_core() after it."""
    rdp = rnp.rda[me]
    if rdp.idle or kind == Tick.is_quiescent:
        rcu_qs(rdp)
    note_gp_changes(rnp, rdp, me, kind)
    if rdp.core_needs_qs and not rdp.cpu_no_qs:
        rcu_report_qs_rdp(rnp, rdp, me)


def schedule(rdp):
    local_irq_disable()
    rcu_qs(rdp)
    local_irq_enable()


def reader(rnp, me):
    """A context switch, a read section, and idle from then on."""
    rdp = rnp.rda[me]
    schedule(rdp)
    p = READ_ONCE(rnp.head)
    if p != NULL:
        WARN_ON(READ_ONCE(p.freed), "read after it was freed")
    rdp.idle = True


def rcu_gp_kthread(rnp, cpus):
    spin_lock_irq(rnp.lock)
    rnp.gp_seq += 1
    WRITE_ONCE(rnp.qsmask, (1 << cpus) - 1)
    spin_unlock_irq(rnp.lock)
    while READ_ONCE(rnp.qsmask):
        cpu_relax()
    spin_lock_irq(rnp.lock)
    rnp.gp_seq += 1
    spin_unlock_irq(rnp.lock)


def updater(rnp, cpus):
    p = rnp.head
    smp_store_release(rnp.head, NULL)
    rcu_gp_kthread(rnp, cpus)
    WRITE_ONCE(p.freed, True)


@scheme
def grace_period(cpus: range(1, 3) = 1):
    p = foo()
    rnp = rcu_node(head=p)
    for me in range(cpus):
        t = cpu(reader, rnp, me)
        interrupt(rcu_sched_clock_irq, rnp, me, Tick.as_it_is, on=t, times=None)
    cpu(updater, rnp, cpus)
    at_rest(lambda: rnp.qsmask == 0 and rnp.gp_seq == 2, "the grace period ends")
    sometimes(lambda: p.freed, "it is freed")
    sometimes(lambda: rnp.qsmask == 1 and rnp.head == NULL and rnp.rda[0].gp_seq == 1 and not rnp.rda[0].idle, "the tick comes in a read section")


@scheme
def stale_quiescent_state():
    p = foo()
    rnp = rcu_node(head=p)
    t = cpu(reader, rnp, 0)
    interrupt(rcu_sched_clock_irq, rnp, 0, Tick.keeps_stale, on=t, times=None)
    cpu(updater, rnp, 1)


@scheme
def reported_at_once():
    p = foo()
    rnp = rcu_node(head=p)
    t = cpu(reader, rnp, 0)
    interrupt(rcu_sched_clock_irq, rnp, 0, Tick.is_quiescent, on=t, times=None)
    cpu(updater, rnp, 1)
