"""A notifier chain whose callbacks sleep: SRCU instead of RCU (Documentation/RCU/checklist.rst, "SRCU").

`waits` unregisters as it should. `other_domain` waits for the readers of another srcu_struct. `under_rcu` calls what sleeps in
an RCU section. `own_section` waits for the domain it reads itself.
"""
from lockverse import *


@struct
class notifier:
    calls: u8


@struct
class chain:
    head: ptr[notifier]
    srcu: srcu_struct
    other: srcu_struct


def notifier_call(nb):
    might_sleep()
    nb.calls += 1


def notify(chain):
    idx = srcu_read_lock(chain.srcu)
    nb = READ_ONCE(chain.head)
    if nb:
        notifier_call(nb)
    srcu_read_unlock(chain.srcu, idx)


def notify_rcu(chain):
    rcu_read_lock()
    nb = rcu_dereference(chain.head)
    if nb:
        notifier_call(nb)
    rcu_read_unlock()


def unregister(chain):
    nb = xchg(chain.head, NULL)
    synchronize_srcu(chain.srcu)
    kfree(nb)


def unregister_other(chain):
    nb = xchg(chain.head, NULL)
    synchronize_srcu(chain.other)
    kfree(nb)


def unregister_reading(chain):
    idx = srcu_read_lock(chain.srcu)
    if READ_ONCE(chain.head):
        unregister(chain)
    srcu_read_unlock(chain.srcu, idx)


def registered():
    pool(notifier, 1)
    return chain(head=kmalloc(notifier))


@scheme
def waits():
    c = registered()
    cpu(notify, c)
    cpu(unregister, c)


@scheme
def other_domain():
    c = registered()
    cpu(notify, c)
    cpu(unregister_other, c)


@scheme
def under_rcu():
    c = registered()
    cpu(notify_rcu, c)
    cpu(unregister, c)


@scheme
def own_section():
    c = registered()
    cpu(notify, c)
    cpu(unregister_reading, c)
