"""R14: a mover that waits for mmap_lock, whose holder waits for the move to end.

Who is over the limit while charges move waits for the move, since it may free what is charged in advance (mem_cgroup_wait_acct_move(), mm/memcontrol.c,
Linux 6.1); it may hold the mmap_lock of the mm that moves. So the mover only tries the lock; if that fails it gives back what is charged in advance, wakes
who waits, and tries again (dfe076b0971a, "memcg: fix deadlock between cpuset and memcg", 2.6.37). Broken: it waits. Also broken: it tries again
and wakes nobody, or wakes them and keeps the charge. Left out: the walk, reclaim, the OOM killer; the group has room for one more page.
"""
from lockverse import *


@struct
class mm_struct:
    mmap_lock: rw_semaphore


@struct
class mem_cgroup:
    usage: atomic_long_t
    limit: s8


@struct
class move_charge_struct:
    moving_task: bool
    precharge: s8
    waitq: wait_queue_head_t


mc = move_charge_struct()


def page_counter_try_charge(memcg):
    if atomic_long_inc_return(memcg.usage) > memcg.limit:
        atomic_long_dec(memcg.usage)
        return False
    return True


def mem_cgroup_wait_acct_move():
    prepare_to_wait(mc.waitq, TASK_INTERRUPTIBLE)
    if READ_ONCE(mc.moving_task):
        schedule()
    finish_wait(mc.waitq)


def fault_under_mmap_lock(mm, memcg):
    down_write(mm.mmap_lock)
    while not page_counter_try_charge(memcg):
        mem_cgroup_wait_acct_move()
    up_write(mm.mmap_lock)


def cancel_precharge(to):
    if mc.precharge:
        atomic_long_dec(to.usage)
        mc.precharge = 0


def mem_cgroup_clear_mc(to):
    WRITE_ONCE(mc.moving_task, False)
    cancel_precharge(to)
    wake_up_all(mc.waitq)


def on_failure(to):
    cancel_precharge(to)
    wake_up_all(mc.waitq)


def wakes_only(to):
    wake_up_all(mc.waitq)


def cancels_only(to):
    cancel_precharge(to)


def mem_cgroup_move_charge(mm, to, tries, failed):
    if tries:
        while not down_read_trylock(mm.mmap_lock):
            failed(to)
    else:
        down_read(mm.mmap_lock)
    up_read(mm.mmap_lock)
    mem_cgroup_clear_mc(to)


@scheme
def charged_while_charges_move(mover: Literal["waits", "tries, wakes only", "tries, gives back only", "2.6.37"] = "waits"):
    mm = mm_struct()
    to = mem_cgroup(usage=1, limit=1)
    mc.moving_task, mc.precharge = True, 1
    move = mc
    failed = {"tries, wakes only": wakes_only, "tries, gives back only": cancels_only}.get(mover, on_failure)
    cpu(mem_cgroup_move_charge, mm, to, mover != "waits", failed)
    cpu(fault_under_mmap_lock, mm, to)
    at_rest(lambda: atomic_long_read(to.usage) == 1, "the page is charged, and nothing else")
    sometimes(lambda: mc.moving_task and atomic_long_read(to.usage) == 2, "somebody is over the limit while the move is on")
