"""A lock that interrupts only read, as tasklist_lock (kernel/fork.c and send_sigio() in fs/fcntl.c, Linux 6.1).

Who reads leaves interrupts enabled: one that reads too goes on at once. Who writes disables them, or the reader in the interrupt waits
for the task that it interrupts.
"""
from lockverse import *


@struct
class tasks:
    tasklist_lock: rwlock_t
    pids: s32
    groups: s32


def fork(t, irqs_off):
    if irqs_off:
        with scoped_guard(write_lock_irq, t.tasklist_lock):
            t.pids += 1
            t.groups += 1
    else:
        with scoped_guard(write_lock, t.tasklist_lock):
            t.pids += 1
            t.groups += 1


def look(t):
    read_lock(t.tasklist_lock)
    assert t.pids == t.groups, "a reader sees all of a fork or nothing"
    read_unlock(t.tasklist_lock)


def send_sigio(t):
    flags = read_lock_irqsave(t.tasklist_lock)
    assert t.pids == t.groups
    read_unlock_irqrestore(t.tasklist_lock, flags)


@scheme
def tasklist(irqs_off: bool = True):
    t = tasks()
    forks = cpu(fork, t, irqs_off)
    looks = cpu(look, t)
    interrupt(send_sigio, t, on=forks)
    interrupt(send_sigio, t, on=looks)
    at_rest(lambda: t.pids == 1)
