"""c21: rmap removal must come after the TLB flush; doing it under the pte lock lets the memcg lock go (Linus Torvalds, Nov 2022).

The first half is merged as 5df397dec7c4 (6.2), and true: with the removal before the flush a store through a TLB is lost (R1), with it after
the flush and inside the pte lock none is. The second half is merged as c7c3dec1c9db (6.3): what the checker says of it is what it says of rung E.
The pte lock is that of the mapping that goes, and the mover may hold another.
"""
from lockverse import *
from lockverse.linux.patches import delayed_rmap, move_locked_pages, rmap_without_memcg_lock
from lockverse.linux.scenes import Memory, Scenario, move_of_charges, unmap_write_store


@scheme
def rmap_removal_and_flush(removal: Literal["before the flush", "after the flush"] = "after the flush"):
    if removal == "after the flush":
        apply(delayed_rmap.PATCHES)
    memcg, file, p, mm, vma, vmas, tlb = unmap_write_store()


@scheme
def memcg_lock_goes(scenario: Scenario = "not_present", memory: Memory = "file"):
    apply(delayed_rmap.PATCHES, rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario)
