"""Which group the contents of swap are charged to: what its record says.

Source: mm/memcontrol.c, mm/swap_cgroup.c, Linux 6.1. Modelled: a page that is read from swap is charged to the group that its record names,
whoever reads it. Approximated: a record is a pointer, where the kernel has the id of a group, and looks that up. What records are charged for:
memsw.py.
"""

from __future__ import annotations

from lockverse.lang import READ_ONCE, rcu_read_lock, rcu_read_unlock

from . import memcontrol


def mem_cgroup_swapin_charge_folio(folio, mm, slot):
    """Charge a page that is read from swap: to the group that the record names, whoever reads it. The record is charged still. 0 or -ENOMEM."""
    rcu_read_lock()
    memcg = READ_ONCE(slot.memcg)
    if not memcg:
        memcg = READ_ONCE(mm.memcg)
    memcontrol.css_get(memcg)
    rcu_read_unlock()
    ret = memcontrol.mem_cgroup_charge(folio, memcg)
    memcontrol.css_put(memcg)
    return ret


def mem_cgroup_uncharge_swap(slot):
    """The end of a swap record. Nothing is charged for it where memory+swap is not accounted."""


def mem_cgroup_swapin_uncharge_swap(slot):
    """A page that has been read from swap is charged to memory+swap by itself: its record is not any more, however long the slot stays."""
    mem_cgroup_uncharge_swap(slot)
