"""c19: we likely do not care to balance the books on a dying cgroup (Johannes Weiner, 7 Nov 2022).

A policy, so the question is what the books end at. The child's own counter ends at 0 if the unmapping saw the child and at 1 if it saw the parent; the
parent's own at 0 or -1 (shown as 0). The parent's hierarchical counter is right in both. 7.1 does balance them for cgroup v1.
"""
from lockverse import *
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical, local
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.scenes import dying_group


@scheme
def books_of_the_dying_balance(version: Literal["the mail's", "7.1, cgroup v1"] = "the mail's"):
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED)
    apply(objcg_reparenting.HIERARCHICAL if version == "the mail's" else objcg_reparenting.LOCAL)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    at_rest(lambda: local(child) == 0, "the child counts nothing of its own in the end")


@scheme
def what_they_end_at():
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED, objcg_reparenting.HIERARCHICAL)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group()
    at_rest(lambda: (local(child) == 0 and local(parent) == 0) or (local(child) == 1 and local(parent) == -1), "0 and 0, or 1 and -1")
    at_rest(lambda: hierarchical(parent) == 0, "and 0 for the parent, itself and below")
    sometimes(lambda: child.css_freed and local(child) == 1, "it does end at 1 and -1")
