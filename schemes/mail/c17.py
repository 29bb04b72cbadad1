"""c17: the reparenting side would not have to move page state to the parent, it is already there (Johannes Weiner, 7 Nov 2022).

Open on the list. True of the hierarchical counter, which has the child's pages in it all along. Not of the local one: the parent's has never heard of
the page, and the unmapping takes it below zero (which readers show as 0), while the child's stays. What 7.1 does about it, for cgroup v1,
is three things, and each is needed: updates skip dying groups, a grace period after the mark, a transfer.
"""
from lockverse import *
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical, local
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.patches.objcg_reparenting import mod_state_of_dying_too, transfer_nothing, wait_for_nobody
from lockverse.linux.scenes import dying_group


@scheme
def no_state_to_move(counter: Literal["hierarchical", "local"] = "hierarchical"):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED, objcg_reparenting.HIERARCHICAL)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    if counter == "hierarchical":
        at_rest(lambda: hierarchical(parent) == 0, "the page is unmapped: the parent counts none, itself and below")
    else:
        at_rest(lambda: local(parent) == 0, "the page is unmapped: the parent counts none of its own")


@scheme
def local_state_of_7_1(skip_dying: bool = True, grace_period: bool = True, transfer: bool = True):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED, objcg_reparenting.LOCAL)
    if not skip_dying:
        apply(mod_state_of_dying_too)
    if not grace_period:
        apply(wait_for_nobody)
    if not transfer:
        apply(transfer_nothing)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    at_rest(lambda: local(parent) == 0 and local(child) == 0, "the page is unmapped: neither group counts it for itself")
    at_rest(lambda: hierarchical(parent) == 0, "nor does the parent, itself and below")
