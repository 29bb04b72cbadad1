"""Work items and timers: taking them back, and waiting for them, while holding a lock that they take.

cancel_work() leaves the function running; cancel_work_sync() waits for it, and so must not be called under a lock it takes, nor
may flush_work() (lockdep reports it: kernel/workqueue.c, Linux 6.1). The same for del_timer() and del_timer_sync().
"""
from lockverse import *


@struct
class device:
    alive: bool
    runs: s32
    lock: spinlock_t
    item: work_struct
    watchdog: timer_list


def poll(d):
    spin_lock(d.lock)
    WARN_ON(not d.alive, "the function runs on a device that is gone")
    d.runs += 1
    spin_unlock(d.lock)


def poll_bh(d):
    spin_lock(d.lock)
    WARN_ON(not d.alive, "the timer runs on a device that is gone")
    spin_unlock(d.lock)


def remove_work(d, sync):
    schedule_work(d.item)
    if sync:
        cancel_work_sync(d.item)
    else:
        cancel_work(d.item)
    spin_lock(d.lock)
    d.alive = False
    spin_unlock(d.lock)


@scheme
def remove_with_work(sync: bool = True):
    d = device(alive=True)
    cpu(remove_work, d, sync)
    work(d.item, poll, d)
    at_rest(lambda: not d.alive and d.runs <= 1)
    sometimes(lambda: d.runs == 1, "the work item runs")


def remove_timer(d, sync, locked):
    mod_timer(d.watchdog)
    if locked:
        spin_lock_bh(d.lock)
    if sync:
        del_timer_sync(d.watchdog)
    else:
        del_timer(d.watchdog)
    if not locked:
        spin_lock_bh(d.lock)
    d.alive = False
    spin_unlock_bh(d.lock)


def idle(d):
    cpu_relax()


@scheme
def remove_with_timer(sync: bool = True, locked: bool = False):
    d = device(alive=True)
    cpu(remove_timer, d, sync, locked)
    task1 = cpu(idle, d)
    timer(d.watchdog, poll_bh, d, on=task1)
    at_rest(lambda: not d.alive)


def flush(d, locked):
    schedule_work(d.item)
    if locked:
        spin_lock(d.lock)
    flush_work(d.item)
    if locked:
        spin_unlock(d.lock)


@scheme
def flush_under_lock(locked: bool = False):
    d = device(alive=True)
    cpu(flush, d, locked)
    work(d.item, poll, d)
    at_rest(lambda: d.runs == 1, "it has run")
