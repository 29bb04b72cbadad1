"""6.13: charges do not move any more, and nothing needs the lock that kept a page with its group.

Source: mm/memcontrol.c; a8cd9d4ce35e and 568bcf414849 (dirty and writeback accounting without the lock), a29c0e4b2e86 (the lock itself), 6.13.
Modelled: a task that goes to another group leaves its charges behind; folio_memcg_lock is nothing. Left out: what else goes with it.
"""

from __future__ import annotations

from lockverse.lang import patch
from lockverse.linux.mm import memcontrol


@patch(memcontrol.mem_cgroup_can_attach)
def mem_cgroup_can_attach(mm, from_, to, flags):
    """A task goes from one group to another: its pages stay."""
    return 0


@patch(memcontrol.mem_cgroup_move_task)
def mem_cgroup_move_task(mm):
    """Nothing moves."""


@patch(memcontrol.folio_memcg_lock)
def folio_memcg_lock(folio):
    """Nothing takes a folio from its group, so nothing has to keep it there."""


@patch(memcontrol.folio_memcg_unlock)
def folio_memcg_unlock(folio):
    """See folio_memcg_lock."""


PATCHES = [mem_cgroup_can_attach, mem_cgroup_move_task, folio_memcg_lock, folio_memcg_unlock]
