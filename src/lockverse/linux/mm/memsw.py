"""cgroup v1's counter of memory and swap together, where a scheme applies it.

Source: mm/memcontrol.c (do_memsw_account), Linux 6.1. Modelled: `memsw`, which try_charge charges before memory, and the references that swap
records hold of their group's id. A page that is swapped out leaves its charge to its record; one that is read again is charged anew, and the
record goes; the mover takes a record at once, and puts right what it is charged for at the end. Left out: groups that are offline, whose records
nearer ones above them get; the stock's share; cgroup v2's counter of swap.
"""

from __future__ import annotations

from lockverse.lang import (
    NULL,
    WRITE_ONCE,
    atomic_read,
    cmpxchg,
    patch,
    rcu_read_lock,
    rcu_read_unlock,
    refcount_add,
    refcount_sub_and_test,
    xchg,
)
from lockverse.linux.include.errno import EINVAL, ENOMEM
from lockverse.linux.include.mmzone import MEMCG_SWAP
from lockverse.linux.include.page_flags import folio_nr_pages

from . import memcontrol, migrate, swap_cgroup, swapfile, vmscan
from .page_counter import page_counter_charge, page_counter_try_charge, page_counter_uncharge


def mem_cgroup_id_get_many(memcg, n):
    """Take references of a group's id."""
    refcount_add(n, memcg.id_ref)


def mem_cgroup_id_put_many(memcg, n):
    """Drop some; with the last the id goes, and a reference of the group."""
    if refcount_sub_and_test(n, memcg.id_ref):
        memcontrol.css_put(memcg)


@patch(memcontrol.try_charge)
def try_charge_memsw(memcg, nr_pages):
    """Charge pages to memory+swap and to memory; 0, or -ENOMEM if there is no room in one of them."""
    if not page_counter_try_charge(memcg.memsw, nr_pages):
        return -ENOMEM
    if page_counter_try_charge(memcg.memory, nr_pages):
        return 0
    page_counter_uncharge(memcg.memsw, nr_pages)
    return -ENOMEM


@patch(memcontrol.cancel_charge)
def cancel_charge_memsw(memcg, nr_pages):
    """Give back what try_charge charged."""
    page_counter_uncharge(memcg.memory, nr_pages)
    page_counter_uncharge(memcg.memsw, nr_pages)


@patch(memcontrol.mem_cgroup_uncharge)
def mem_cgroup_uncharge_memsw(folio):
    """The end of a charge: see mem_cgroup_uncharge."""
    memcg = memcontrol.folio_memcg(folio)
    if not memcg:
        return
    WRITE_ONCE(folio.memcg_data, NULL)
    memcontrol.cancel_charge(memcg, folio_nr_pages(folio))
    memcontrol.mem_cgroup_charge_statistics(memcg, -1)
    memcontrol.css_put(memcg)


@patch(migrate.mem_cgroup_migrate)
def mem_cgroup_migrate_memsw(old, new):
    """Charge a new page to the old one's group: see mem_cgroup_migrate."""
    memcg = memcontrol.folio_memcg(old)
    if not memcg:
        return
    page_counter_charge(memcg.memory, 1)
    page_counter_charge(memcg.memsw, 1)
    memcontrol.css_get(memcg)
    memcontrol.commit_charge(new, memcg)


@patch(vmscan.mem_cgroup_swapout)
def mem_cgroup_swapout_memsw(folio, slot):
    """A page goes to swap: its record gets its charge to memory+swap, and holds the group's id. The references are frozen."""
    memcg = memcontrol.folio_memcg(folio)
    if not memcg:
        return
    mem_cgroup_id_get_many(memcg, 1)
    WRITE_ONCE(slot.memcg, memcg)
    memcontrol.__mod_memcg_state(memcg, MEMCG_SWAP, 1)
    WRITE_ONCE(folio.memcg_data, NULL)
    page_counter_uncharge(memcg.memory, 1)
    memcontrol.mem_cgroup_charge_statistics(memcg, -1)
    memcontrol.css_put(memcg)


@patch(swap_cgroup.mem_cgroup_uncharge_swap)
def mem_cgroup_uncharge_swap_memsw(slot):
    """The end of a swap record, if there is one: it was charged to memory+swap."""
    memcg = xchg(slot.memcg, NULL)
    rcu_read_lock()
    if memcg:
        page_counter_uncharge(memcg.memsw, 1)
        memcontrol.__mod_memcg_state(memcg, MEMCG_SWAP, -1)
        mem_cgroup_id_put_many(memcg, 1)
    rcu_read_unlock()


@patch(swapfile.put_swap_folio)
def put_swap_folio_memsw(slot):
    """The swap cache needs the slot no longer: if no pte does, its record goes."""
    if atomic_read(slot.count) == 0:
        swap_cgroup.mem_cgroup_uncharge_swap(slot)


@patch(memcontrol.mem_cgroup_move_swap_account)
def mem_cgroup_move_swap_account_memsw(slot, from_, to):
    """Move what a swap slot is charged to. The reference of the new id is taken right after (in the kernel by the caller), the rest comes at
    the end of the move."""
    if cmpxchg(slot.memcg, from_, to) != from_:
        return -EINVAL
    memcontrol.__mod_memcg_state(from_, MEMCG_SWAP, -1)
    memcontrol.__mod_memcg_state(to, MEMCG_SWAP, 1)
    mem_cgroup_id_get_many(to, 1)
    return 0


@patch(memcontrol.mem_cgroup_fixup_swap)
def mem_cgroup_fixup_swap_memsw(from_, to):
    """What moved records are charged for: not in `from_` any more; in `to` for memory+swap, as the precharge was, and not for memory."""
    page_counter_uncharge(from_.memsw, memcontrol.mc.moved_swap)
    mem_cgroup_id_put_many(from_, memcontrol.mc.moved_swap)
    page_counter_uncharge(to.memory, memcontrol.mc.moved_swap)


PATCHES = [
    try_charge_memsw, cancel_charge_memsw, mem_cgroup_uncharge_memsw, mem_cgroup_migrate_memsw, mem_cgroup_swapout_memsw,
    mem_cgroup_uncharge_swap_memsw, put_swap_folio_memsw, mem_cgroup_move_swap_account_memsw, mem_cgroup_fixup_swap_memsw,
]  # fmt: skip
