"""c3: with the lock taken only after the mapcount is dropped, memcg2->nr_mapped underflows: the mail's diagram.

True when the mover does not hold the pte lock of that very mapping. If it does, the unmapper's decrement and its counter are one for it. If it
holds the lock of another page table, where the page is not present, it is the mail's race again.
"""
from lockverse import *
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.patches.posted import LOCKS_LATE
from lockverse.linux.scenes import books, move_of_charges, reparenting


@scheme
def lock_after_decrement(movers_pte_lock: Literal["none", "of this mapping", "of another page table"]):
    apply(LOCKS_LATE)
    if movers_pte_lock == "none":
        memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting()
        books(memcg1, memcg2, p, NULL)
    else:
        scenario = "unmap_here" if movers_pte_lock == "of this mapping" else "not_present"
        memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges("file", scenario)
    always(lambda: atomic_long_read(memcg2.state[NR_FILE_MAPPED]) >= 0, "memcg2->nr_mapped never underflows")
