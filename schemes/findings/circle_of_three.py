"""Three mutexes, each taken under another by somebody, and never all at once: no execution deadlocks until the timing changes.

The shape of 43fa87f7deed ("perf/core: Fix lock inversion between perf,trace,cpuhp"): whoever brings a CPU up takes the mutex of the
events under that of the hotplug, tracing takes that of perf under that of the events, and perf waits for the hotplug. Leaves out
what the mutexes protect; that the three follow each other is this scheme's own.
"""

from lockverse import *


@struct
class kernel:
    hotplug: mutex
    events: mutex
    perf: mutex
    booted: bool
    tracing: bool


def bring_up(k):
    mutex_lock(k.hotplug)
    mutex_lock(k.events)
    mutex_unlock(k.events)
    mutex_unlock(k.hotplug)
    smp_store_release(k.booted, True)


def trace(k):
    if smp_load_acquire(k.booted):
        mutex_lock(k.events)
        mutex_lock(k.perf)
        mutex_unlock(k.perf)
        mutex_unlock(k.events)
        smp_store_release(k.tracing, True)


def open_event(k):
    if smp_load_acquire(k.tracing):
        mutex_lock(k.perf)
        mutex_lock(k.hotplug)
        mutex_unlock(k.hotplug)
        mutex_unlock(k.perf)


def open_event_in_order(k):
    if smp_load_acquire(k.tracing):
        mutex_lock(k.hotplug)
        mutex_lock(k.perf)
        mutex_unlock(k.perf)
        mutex_unlock(k.hotplug)


@scheme
def circle():
    k = kernel()
    cpu(bring_up, k)
    cpu(trace, k)
    cpu(open_event, k)


@scheme
def in_order():
    k = kernel()
    cpu(bring_up, k)
    cpu(trace, k)
    cpu(open_event_in_order, k)
