"""c18: whether rmap sees the dying child or the parent does not matter: the parent sees the update anyway, directly or recursively.

Open on the list (Johannes Weiner, 7 Nov 2022). True of the hierarchical counter where the child is flushed after the last update that saw it, and only
there (c16): both ways are taken in this scheme (the two `sometimes`), and the parent comes out the same. Seen by the local counters it does matter.
"""
from lockverse import *
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical, local
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.scenes import dying_group


@scheme
def child_or_parent(counter: Literal["hierarchical", "local"] = "hierarchical", last_flush: Literal["after all updates", "before"] = "after all updates"):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, objcg_reparenting.HIERARCHICAL)
    if last_flush == "after all updates":
        apply(FLUSH_WHEN_FREED)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    if counter == "hierarchical":
        at_rest(lambda: hierarchical(parent) == 0, "the parent comes out the same")
        sometimes(lambda: child.vmstats_percpu[0].state == -1, "rmap has seen the child")
        sometimes(lambda: parent.vmstats_percpu[0].state == -1, "rmap has seen the parent")
    else:
        at_rest(lambda: local(parent) == 0, "the parent's own counter comes out the same")
