"""mc.waitq: who is over the limit while charges move waits for the move, which may give back what was charged in advance.

Source: mm/memcontrol.c (mem_cgroup_wait_acct_move, mem_cgroup_under_move, mem_cgroup_clear_mc), Linux 6.1. These are what memcontrol.py has as functions that do nothing, for scenes
in which nobody can be over a limit: apply WAITQ. The scene says who moves, as can_attach has it. Approximated: the group that is over its limit is the one that is
charged, though it may be one above it. Left out: mc.lock, so mc.from and mc.to are read without it.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    READ_ONCE,
    TASK_INTERRUPTIBLE,
    WRITE_ONCE,
    data_race,
    finish_wait,
    patch,
    prepare_to_wait,
    ptr,
    schedule,
    struct,
    task_struct,
    wait_queue_head_t,
    wake_up_all,
)  # fmt: skip
from lockverse.lang.task import current_task

from . import memcontrol
from .memcontrol import mc, mem_cgroup_is_descendant


@struct
class move_waiters:
    """What `mc` has besides: whose move it is, and where others wait for it."""

    moving_task: ptr[task_struct]
    waitq: wait_queue_head_t


waiters = move_waiters()


def mem_cgroup_under_move(memcg):
    """Whether charges move from or to a group, or one below it."""
    from_, to = data_race(mc.from_), data_race(mc.to)
    if not from_:
        return False
    return mem_cgroup_is_descendant(from_, memcg) or mem_cgroup_is_descendant(to, memcg)


@patch(memcontrol.mem_cgroup_wait_acct_move)
def mem_cgroup_wait_acct_move(memcg):
    """Sleep until the move ends, or gives back what is charged in advance. Who moves does not wait."""
    mover = READ_ONCE(waiters.moving_task)
    if not mover or mover == current_task() or not mem_cgroup_under_move(memcg):
        return False
    prepare_to_wait(waiters.waitq, TASK_INTERRUPTIBLE)
    if READ_ONCE(waiters.moving_task):  # it may have ended meanwhile
        schedule()
    finish_wait(waiters.waitq)
    return True


@patch(memcontrol.mem_cgroup_clear_moving_task)
def mem_cgroup_clear_moving_task():
    """Whoever looks from here on does not wait. Before the others are woken."""
    WRITE_ONCE(waiters.moving_task, NULL)


@patch(memcontrol.mem_cgroup_wake_waiters)
def mem_cgroup_wake_waiters():
    """There may be room now."""
    wake_up_all(waiters.waitq)


WAITQ = [mem_cgroup_wait_acct_move, mem_cgroup_clear_moving_task, mem_cgroup_wake_waiters]
