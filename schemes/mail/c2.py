"""c2: the lock covers the mapcount because the mover must see a page mapped and counted, or unmapped and not counted.

True. The mover of before 3.19, which holds no pte lock, looks at the mapcount and the counter together. With the lock over both it never sees the
one without the other; with the lock taken late it does. One page, so the counter is 1 or 0.
"""
from lockverse import *
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.include.page_flags import folio_mapped
from lockverse.linux.mm import memcontrol
from lockverse.linux.patches.posted import LOCKS_LATE
from lockverse.linux.scenes import reparenting


@patch(memcontrol.move_account_state)
def look_at_both(folio, from_, to):
    counted = atomic_long_read(from_.state[NR_FILE_MAPPED])
    mapped = folio_mapped(folio)
    WARN_ON(mapped != (counted == 1), "the page is mapped and not counted, or counted and not mapped")


@scheme
def mover_sees_both_or_neither(lock_over_both: bool = True):
    apply(look_at_both)
    if not lock_over_both:
        apply(LOCKS_LATE)
    memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting()
