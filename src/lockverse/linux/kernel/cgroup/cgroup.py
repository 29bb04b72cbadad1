"""How a group goes away: it is marked dying, taken offline, released when its last reference is dropped, and freed.

Source: kernel/cgroup/cgroup.c, Linux 6.1; since 6.16 the last flush is in the work that frees (css_rstat_exit). Modelled: the grace period before the
free, the final flush before it. Approximated: the works run one after the other in the CPU that removes the group; `css_freed` marks what kfree() would give
back. Left out: percpu_ref's switch to atomic mode, the cgroup's own life next to the css's, other controllers.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE, patch, synchronize_rcu

from .rstat import cgroup_rstat_flush


def css_kill(memcg):
    """From here on the group is dying."""
    WRITE_ONCE(memcg.css_dying, True)


def css_release_work_fn(memcg, groups):
    """The last reference is gone: one flush more, after which no flush looks at the group."""
    cgroup_rstat_flush(groups)


def css_free_rwork_fn(memcg, groups):
    """Free the group: a grace period after the release."""
    synchronize_rcu()
    WRITE_ONCE(memcg.css_freed, True)


@patch(css_release_work_fn)
def css_release_work_fn_6_16(memcg, groups):
    """6.16: no flush here."""


@patch(css_free_rwork_fn)
def css_free_rwork_fn_6_16(memcg, groups):
    """6.16: the final flush is here, after the grace period."""
    synchronize_rcu()
    cgroup_rstat_flush(groups)
    WRITE_ONCE(memcg.css_freed, True)


FLUSH_WHEN_FREED = [css_release_work_fn_6_16, css_free_rwork_fn_6_16]
