"""What a module's callbacks use goes away with it (Documentation/RCU/rcubarrier.rst).

`waited_for` leaves after rcu_barrier(). `grace_period` waits for readers alone: the callback may not have run yet. `sleeping`
has a callback that takes its time, which it may not.
"""
from lockverse import *


@struct
class session:
    rcu: rcu_head


@struct
class statistics:
    freed: u8


@struct
class module:
    stats: ptr[statistics]


mod = module()


def session_free(head):
    mod.stats.freed += 1
    kfree(container_of(head, session, "rcu"))


def session_free_slowly(head):
    might_sleep()
    kfree(container_of(head, session, "rcu"))


def leave():
    kfree(xchg(mod.stats, NULL))


def exit_waited_for(s):
    call_rcu(s.rcu, session_free)
    rcu_barrier()
    leave()


def exit_grace_period(s):
    call_rcu(s.rcu, session_free)
    synchronize_rcu()
    leave()


def exit_sleeping(s):
    call_rcu(s.rcu, session_free_slowly)
    rcu_barrier()
    leave()


def reader():
    rcu_read_lock()
    smp_mb()
    rcu_read_unlock()


def loaded():
    pool(session, 1)
    pool(statistics, 1)
    mod.stats = kmalloc(statistics)
    return kmalloc(session)


@scheme
def waited_for():
    s = loaded()
    cpu(exit_waited_for, s)
    cpu(reader)


@scheme
def grace_period():
    s = loaded()
    cpu(exit_grace_period, s)
    cpu(reader)


@scheme
def sleeping():
    s = loaded()
    cpu(exit_sleeping, s)
    cpu(reader)
