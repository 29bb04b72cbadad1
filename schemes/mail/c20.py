"""c20: it is then just a matter of lifetime, which should be guaranteed as long as the pte lock prevents an RCU quiescent state.

Open on the list (Johannes Weiner, 7 Nov 2022). True: rmap reads the group of a page without any lock of the group's, and uses it; a dying group is
freed only a grace period after the pointer to it is gone, and the pte lock keeps such a grace period from ending. The kernel's counter update has an RCU
read section of its own besides, which is enough too. With neither, the group is used after it was freed.
"""
from lockverse import *
from lockverse.linux.include import pgtable
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED, mem_cgroup_css_kfree
from lockverse.linux.mm import memcontrol
from lockverse.linux.mm.memcontrol import folio_memcg
from lockverse.linux.patches import objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.scenes import dying_group


@patch(memcontrol.__mod_lruvec_page_state)
def mod_state_without_rcu(page, idx, val):
    memcg = folio_memcg(page)
    if memcg:
        memcontrol.__mod_memcg_state(memcg, idx, val)


@struct
class sleeping_ptl:
    """A pte lock that keeps nobody from being preempted, as PREEMPT_RT's would be without the RCU section it has there."""

    ptl: mutex


rt = sleeping_ptl()


@patch(pgtable.pte_offset_map_lock)
def pte_lock_only(mm):
    mutex_lock(rt.ptl)


@patch(pgtable.pte_unmap_unlock)
def pte_unlock_only(mm):
    mutex_unlock(rt.ptl)


@scheme
def group_outlives_its_use(pte_lock_blocks_grace_periods: bool = True, update_is_rcu_reader: bool = False):
    apply(rmap_without_memcg_lock.PATCHES, objcg_reparenting.HIERARCHICAL, FLUSH_WHEN_FREED, mem_cgroup_css_kfree)
    if not pte_lock_blocks_grace_periods:
        apply(pte_lock_only, pte_unlock_only)
    if not update_is_rcu_reader:
        apply(mod_state_without_rcu)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group(freed=True)
