"""The per-cpu reference count (lib/percpu-refcount.c and include/linux/percpu-refcount.h of Linux 6.1; Overstreet and Heo, 2013).

While it lives, get and put change a counter of the CPU they run on, inside an RCU read section; nobody knows the sum. percpu_ref_kill()
sets a flag that sends everybody to one atomic counter, and has a callback of RCU, which runs when those who have not seen the flag are
done, add the per-cpu counters to it. Until then a bias keeps the atomic counter from coming to 0. The last put calls release.

`kill` is the algorithm, with users that tryget_live, look at the object and put. The object is released once, and not while somebody
holds a reference. Broken: `no_grace_period` adds the counters up at once, and misses a get of somebody who has not seen the flag;
`no_bias`, where somebody holds a reference from the start, lets the atomic counter come to 0 while it is still in the per-cpu counters.

Left out: confirm_kill, the way back to per-cpu mode, the lock that keeps two switches apart. The per-cpu counters are added up by marked
reads, where the kernel has plain ones: without the grace period it is the sum that is wrong, and not only a race. The bias is smaller
than the kernel's, which is half of all there is.
"""
from lockverse import *

PERCPU_COUNT_BIAS = 1 << 3


@struct
class percpu_ref:
    atomic_mode: bool
    dead: bool
    percpu_count: percpu[s64]
    count: atomic_long_t
    released: bool
    rcu: rcu_head


def ref_is_percpu(ref):
    return not READ_ONCE(ref.atomic_mode)


def percpu_ref_get(ref):
    rcu_read_lock()
    if ref_is_percpu(ref):
        this_cpu_inc(ref.percpu_count)
    else:
        atomic_long_inc(ref.count)
    rcu_read_unlock()


def percpu_ref_tryget_live(ref):
    ret = False
    rcu_read_lock()
    if ref_is_percpu(ref):
        this_cpu_inc(ref.percpu_count)
        ret = True
    elif not READ_ONCE(ref.dead):
        ret = atomic_long_inc_not_zero(ref.count)
    rcu_read_unlock()
    return ret


def percpu_ref_put(ref):
    rcu_read_lock()
    if ref_is_percpu(ref):
        this_cpu_dec(ref.percpu_count)
    elif atomic_long_dec_and_test(ref.count):
        WARN_ON(READ_ONCE(ref.released), "released twice")
        WRITE_ONCE(ref.released, True)
    rcu_read_unlock()


def add_up(ref, bias):
    count = 0
    for cpu in for_each_possible_cpu():
        count += READ_ONCE(ref.percpu_count[cpu])
    atomic_long_add(count - bias, ref.count)


def percpu_ref_switch_to_atomic_rcu(head):
    ref = container_of(head, percpu_ref, "rcu")
    add_up(ref, PERCPU_COUNT_BIAS)
    percpu_ref_put(ref)


def percpu_ref_switch_to_atomic_no_bias(head):
    ref = container_of(head, percpu_ref, "rcu")
    add_up(ref, 0)
    percpu_ref_put(ref)


def percpu_ref_kill(ref, switch):
    WRITE_ONCE(ref.dead, True)
    WRITE_ONCE(ref.atomic_mode, True)
    percpu_ref_get(ref)
    call_rcu(ref.rcu, switch)
    percpu_ref_put(ref)


def percpu_ref_kill_at_once(ref):
    WRITE_ONCE(ref.dead, True)
    WRITE_ONCE(ref.atomic_mode, True)
    add_up(ref, PERCPU_COUNT_BIAS)
    percpu_ref_put(ref)


def use(ref):
    WARN_ON(READ_ONCE(ref.released), "released while somebody holds a reference")


def user(ref):
    if percpu_ref_tryget_live(ref):
        use(ref)
        percpu_ref_put(ref)


def holder(ref):
    """Got its reference on CPU0, before all this."""
    use(ref)
    percpu_ref_put(ref)


@scheme
def kill(users: range(1, 3) = 1):
    ref = percpu_ref(count=PERCPU_COUNT_BIAS + 1)
    cpu(percpu_ref_kill, ref, percpu_ref_switch_to_atomic_rcu)
    for _ in range(users):
        cpu(user, ref)
    at_rest(lambda: ref.released and atomic_long_read(ref.count) == 0, "released, and nobody is left")
    sometimes(lambda: per_cpu(ref.percpu_count, 1) == 1 and ref.dead, "killed while a reference is counted on CPU1")
    sometimes(lambda: per_cpu(ref.percpu_count, 1) == 1 and atomic_long_read(ref.count) == 1, "and given back to the atomic counter")


@scheme
def no_grace_period():
    ref = percpu_ref(count=PERCPU_COUNT_BIAS + 1)
    cpu(percpu_ref_kill_at_once, ref)
    cpu(user, ref)
    at_rest(lambda: ref.released and atomic_long_read(ref.count) == 0, "released, and nobody is left")


@scheme
def no_bias():
    ref = percpu_ref(count=1)
    ref.percpu_count[0] = 1
    cpu(percpu_ref_kill, ref, percpu_ref_switch_to_atomic_no_bias)
    cpu(holder, ref)
    at_rest(lambda: ref.released and atomic_long_read(ref.count) == 0, "released, and nobody is left")
