"""Counters with a part for each CPU, and what it takes to bring the parts together (mm/vmstat.c, lib/percpu-refcount.c of Linux 6.1).

`remote` adds every CPU's part to the total and sets it to 0 from outside: what that CPU counts in between is lost. In `own`
each CPU folds its own part, in one operation. `moving` adds the parts up while a reference is taken on one CPU and another
given back on a second: there is one all the time, and the sum comes out 0. `still` adds them up after a grace period that
everybody who changes the parts was a reader of, which is how percpu_ref does it.
"""
from lockverse import *


@struct
class zone:
    events: percpu[s8]
    total: atomic_t
    refs: percpu[s8]
    taken: bool
    dying: bool


def count_event(z):
    this_cpu_inc(z.events)


def fold_remote(z):
    for cpu in for_each_online_cpu():
        events = z.events[cpu]
        z.events[cpu] = 0
        atomic_add(events, z.total)


def count_and_fold(z):
    this_cpu_inc(z.events)
    atomic_add(this_cpu_xchg(z.events, 0), z.total)


def events_of(z):
    sum = atomic_read(z.total)
    for cpu in for_each_possible_cpu():
        sum += per_cpu(z.events, cpu)
    return sum


def take(z):
    rcu_read_lock()
    if not READ_ONCE(z.dying):
        this_cpu_inc(z.refs)
        WRITE_ONCE(z.taken, True)
    rcu_read_unlock()


def give_back(z):
    rcu_read_lock()
    if READ_ONCE(z.taken) and not READ_ONCE(z.dying):
        this_cpu_dec(z.refs)
    rcu_read_unlock()


def sum_up(z):
    sum = 0
    for cpu in for_each_possible_cpu():
        sum += z.refs[cpu]
    assert sum > 0, "there is a reference all the time"


def kill_and_sum_up(z):
    WRITE_ONCE(z.dying, True)
    synchronize_rcu()
    sum_up(z)


@scheme
def remote():
    z = zone()
    cpu(count_event, z)
    cpu(fold_remote, z)
    at_rest(lambda: events_of(z) == 1, "the event is counted")


@scheme
def own():
    z = zone()
    cpu(count_and_fold, z)
    cpu(count_and_fold, z)
    at_rest(lambda: events_of(z) == 2 and atomic_read(z.total) == 2, "both events are counted")


@scheme
def moving():
    z = zone(refs=[0, 0, 1])
    cpu(sum_up, z)
    cpu(take, z)
    cpu(give_back, z)


@scheme
def still():
    z = zone(refs=[0, 0, 1])
    cpu(kill_and_sum_up, z)
    cpu(take, z)
    cpu(give_back, z)
