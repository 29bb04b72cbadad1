"""c8: with the pte lock codified on the move side, lock_page_memcg() in rmap is fully redundant (Johannes Weiner, 7 Nov 2022).

Posted on 23 Nov 2022, acked, and refused by Hugh Dickins the same day: the mover also picks pages found in the page cache or swap cache
behind non-present ptes. So it is without `present_ptes_only`. With it, the checker finds one hole more: `refault`, in which the unmapper's
counter is still to come when the page is mapped again and moved.
"""
from lockverse import *
from lockverse.linux.patches import rmap_without_memcg_lock
from lockverse.linux.patches.posted import PRESENT_ONLY
from lockverse.linux.scenes import Memory, Scenario, move_of_charges


@scheme
def no_lock_in_rmap(present_ptes_only: bool = False, scenario: Scenario = "not_present", memory: Memory = "file"):
    apply(rmap_without_memcg_lock.PATCHES)
    if present_ptes_only:
        apply(PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario)
