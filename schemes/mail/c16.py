"""c16: reparenting for cgroup2 only would do without the lock, because of the hierarchical stats (Johannes Weiner, 7 Nov 2022).

Open on the list. What the checker says: the parent's hierarchical counter comes out right, whichever of the two groups rmap saw, provided that the
last flush of the dying group comes after a grace period that began after the pointer was switched. In Linux 6.1 to 6.15 the last flush came before it
(kernel/cgroup/cgroup.py): an update that had read the child and not yet added is lost for good. 6.16 moved the flush behind the grace period, and 7.1
reparents so. Local counters are c17.
"""
from lockverse import *
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.scenes import dying_group


@scheme
def hierarchical_stats(final_flush: Literal["before the grace period", "after the grace period"] = "after the grace period"):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, objcg_reparenting.HIERARCHICAL)
    if final_flush == "after the grace period":
        apply(FLUSH_WHEN_FREED)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    at_rest(lambda: hierarchical(parent) == 0, "the page is unmapped: the parent counts none, itself and below")
