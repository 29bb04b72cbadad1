"""c1: the pte lock historically was not always taken on the move side (Johannes Weiner, 7 Nov 2022).

True: before Linux 3.19 the charges of a group that went away were moved to its parent page by page off the LRU, and nobody who did that
held a pte lock; charge moving does. Decided on the move lock of memcg1, which only the mover takes without being under the pte lock.
"""
from lockverse import *
from lockverse.linux.scenes import move_of_charges, reparenting


@scheme
def mover_holds_pte_lock(mover: Literal["charge moving", "LRU reparenting"]):
    if mover == "charge moving":
        memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges("file", "unmap_here")
    else:
        memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting()
    always(lambda: not spin_is_locked(memcg1.move_lock) or spin_is_locked(mm1.pgtable.ptl), "whoever holds the move lock holds the pte lock")
