"""c15: if somebody brings back reparenting they can bring the lock back along with it (Johannes Weiner, 7 Nov 2022).

Not what happened: Linux 7.1 reparents without it. The checker agrees that it is not needed: with no memcg lock anywhere in rmap, 7.1's pointer
switch leaves the books right, those of the subtree (cgroup v2) and, with what 7.1 does for cgroup v1, each group's own.
"""
from lockverse import *
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical, local
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.scenes import dying_group


@scheme
def reparenting_without_the_lock(cgroup: Literal["v2", "v1"] = "v2"):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED)
    apply(objcg_reparenting.HIERARCHICAL if cgroup == "v2" else objcg_reparenting.LOCAL)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    at_rest(lambda: hierarchical(parent) == 0, "the page is unmapped: the parent counts none, itself and below")
    if cgroup == "v1":
        at_rest(lambda: local(parent) == 0 and local(child) == 0, "nor does either group for itself")
