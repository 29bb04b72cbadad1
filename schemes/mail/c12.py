"""c12: the patch may drop the folio_mapped() tests in mem_cgroup_move_account().

False: breaks with one CPU, on a page in the page cache (or swap cache) that nobody maps, behind an empty pte. The lock in rmap, which is still
there in this scheme, does not help.
"""
from lockverse import *
from lockverse.linux.patches.posted import PRESENT_ONLY, move_account_state_unconditional
from lockverse.linux.scenes import Memory, Scenario, move_of_charges


@scheme
def no_test_for_mapped(present_ptes_only: bool = False, scenario: Scenario = "alone", memory: Memory = "file"):
    apply(move_account_state_unconditional)
    if present_ptes_only:
        apply(PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario)
