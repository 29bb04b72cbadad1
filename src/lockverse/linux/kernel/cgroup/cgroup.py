"""How a task goes to another group, and how a group goes away: marked dying, offline, released with its last reference, freed.

Source: kernel/cgroup/cgroup.c, Linux 6.1; since 6.16 the last flush is in the work that frees (css_rstat_exit). Modelled: the grace period before the
free, the final flush before it. Approximated: the works run one after the other in the CPU that removes the group; what a group's
memory held is kept after the free, unless mem_cgroup_css_kfree is applied. Left out: percpu_ref's switch to atomic mode, the cgroup's own life next to the css's, other controllers.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE, kfree, mutex, mutex_lock, mutex_unlock, patch, struct, synchronize_rcu
from lockverse.linux.mm.memcontrol import mem_cgroup_can_attach, mem_cgroup_move_task

from .rstat import cgroup_rstat_flush


@struct
class cgroup_lock:
    """One task goes to another group at a time."""

    cgroup_mutex: mutex


cgroup = cgroup_lock()


def cgroup_attach_task(vma, from_, to, flags):
    """A task goes to another group: its charges go along, if there is room. 0 or -ENOMEM. The vma is the task's only one."""
    mutex_lock(cgroup.cgroup_mutex)
    error = mem_cgroup_can_attach(vma, from_, to, flags)
    if not error:
        mm = vma.vm_mm
        WRITE_ONCE(mm.memcg, to)
        mem_cgroup_move_task(vma)
    mutex_unlock(cgroup.cgroup_mutex)
    return error


def cgroup_migrate_task(task, to):
    """A task of the simulator goes to another group. Its charges go along if that group wants them and the task is the owner of its mm.
    0 or -ENOMEM."""
    mutex_lock(cgroup.cgroup_mutex)
    mm, error = task.mm, 0
    if to.move_charge_at_immigrate and mm.owner is task:
        error = mem_cgroup_can_attach(mm, task.memcg, to, to.move_charge_at_immigrate)
    if not error:
        task.memcg = to
        mem_cgroup_move_task(mm)
    mutex_unlock(cgroup.cgroup_mutex)
    return error


def css_kill(memcg):
    """From here on the group is dying."""
    WRITE_ONCE(memcg.css_dying, True)


def css_release_work_fn(memcg):
    """The last reference is gone: one flush more, after which no flush looks at the group."""
    cgroup_rstat_flush(memcg)


def mem_cgroup_css_free(memcg):
    """The end of a group. Its memory stays, so that its books can be read."""
    WRITE_ONCE(memcg.css_freed, True)


@patch(mem_cgroup_css_free)
def mem_cgroup_css_kfree(memcg):
    """Its memory goes too, as in the kernel (mm/memcontrol.c)."""
    kfree(memcg)


def css_free_rwork_fn(memcg):
    """Free the group: a grace period after the release."""
    synchronize_rcu()
    mem_cgroup_css_free(memcg)


@patch(css_release_work_fn)
def css_release_work_fn_6_16(memcg):
    """6.16: no flush here."""


@patch(css_free_rwork_fn)
def css_free_rwork_fn_6_16(memcg):
    """6.16: the final flush is here, after the grace period."""
    synchronize_rcu()
    cgroup_rstat_flush(memcg)
    mem_cgroup_css_free(memcg)


FLUSH_WHEN_FREED = [css_release_work_fn_6_16, css_free_rwork_fn_6_16]
