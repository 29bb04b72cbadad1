"""c9: while the mover holds the pte lock of a present mapping of a page, no new mapped/unmapped transition of it can happen.

Open on the list. Of the transitions it is true, in every scene: where a pte is present the page is mapped. Of the counters that follow a
transition it is not: one that happened before, under another pte lock, may not have come to its counter yet (`refault`). Runs without
the memcg lock in rmap, since that is what the claim is to replace.
"""
from lockverse import *
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import page_mapped
from lockverse.linux.patches import rmap_without_memcg_lock
from lockverse.linux.patches.posted import PRESENT_ONLY
from lockverse.linux.scenes import Memory, Scenario, move_of_charges


@scheme
def no_transition(scenario: Scenario = "refault", memory: Memory = "file"):
    apply(rmap_without_memcg_lock.PATCHES, PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, check_books=False)
    always(lambda: mm1.pgtable.pte[0].pte != pte_state.readonly or page_mapped(p), "where a pte is present its page is mapped")


@scheme
def no_counter_to_come(scenario: Scenario = "refault", memory: Memory = "file"):
    apply(rmap_without_memcg_lock.PATCHES, PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario)
