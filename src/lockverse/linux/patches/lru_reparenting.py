"""Before 3.19: a group that goes away gives its pages to its parent, one by one, off its LRU. No pte lock anywhere.

Source: mm/memcontrol.c (mem_cgroup_reparent_charges), Linux 3.18; gone with b2052564e66d ("mm: memcontrol: continue cache lifetime
from cgroup destruction", 3.19). Modelled: the start of the move with its grace period, the page taken off the LRU, the move itself, the charge that leaves the
child. Approximated: the page is given, rather than found at a list's tail; the move is 6.1's, which takes the folio lock. Left out: the loop until
only kmem charges remain, drains, THPs, the second call at css_free.
"""

from __future__ import annotations

from lockverse.lang import atomic_dec, atomic_inc, atomic_long_sub, synchronize_rcu
from lockverse.linux.include.page_flags import folio_try_get
from lockverse.linux.mm.memcontrol import mem_cgroup_move_account
from lockverse.linux.mm.swap import folio_isolate_lru, folio_put, folio_putback_lru


def mem_cgroup_start_move(memcg):
    """Let everybody know that pages of a group move."""
    atomic_inc(memcg.moving_account)
    synchronize_rcu()


def mem_cgroup_end_move(memcg):
    """They do no longer."""
    atomic_dec(memcg.moving_account)


def mem_cgroup_move_parent(page, child):
    """Give one page of a group to its parent; give whether that was done."""
    if not folio_try_get(page):
        return False
    moved = False
    if folio_isolate_lru(page):
        parent = child.parent
        moved = not mem_cgroup_move_account(page, child, parent)
        if moved:
            atomic_long_sub(1, child.memory.usage)  # the parent was charged for it all along
        folio_putback_lru(page)
    folio_put(page)
    return moved


def mem_cgroup_reparent_charges(memcg, page):
    """The group goes away: give its page to its parent."""
    mem_cgroup_start_move(memcg)
    mem_cgroup_move_parent(page, memcg)
    mem_cgroup_end_move(memcg)
