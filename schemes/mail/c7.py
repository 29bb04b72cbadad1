"""c7: the lock could be moved to just before the stat updates (Hugh Dickins; Linus had asked).

Open on the list. It holds where the mover holds the pte lock of the mapping that goes away, or where the page stays mapped; it is broken
where the last mapping goes away under another pte lock: behind a non-present pte by two CPUs (the mail's race), and also behind a present one
if a fault maps the page again before the unmapper has come to its counter (three CPUs). KSM, which maps without the folio lock, breaks it too.
"""
from lockverse import *
from lockverse.linux.patches.posted import LOCKS_LATE, PRESENT_ONLY
from lockverse.linux.scenes import Memory, Scenario, move_of_charges


@scheme
def lock_just_before_the_update(present_ptes_only: bool = False, scenario: Scenario = "not_present", memory: Memory = "file"):
    apply(LOCKS_LATE)
    if present_ptes_only:
        apply(PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario)
