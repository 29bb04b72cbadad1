"""The ladder of patches, oldest first: may lock_page_memcg() in rmap be moved, or removed, and what has the mover to do for it?

Rungs A to P are each a scheme: what Johannes Weiner drew on 7 Nov 2022, what was posted, what was refused, what was merged. Each runs
in the scenes of lockverse/linux/scenes.py. The base is Linux 6.1; a rung applies its patches (lockverse/linux/patches).
What the record says of each, and what the checker says, is in docs/the-mail.md; how the states grow with the sizes, in docs/fidelity-linux.md.
Left out: huge pages (huge.py), and all that the files of the model leave out.
"""
from lockverse import *
from lockverse.linux.include.mmzone import NR_FILE_MAPPED
from lockverse.linux.kernel.cgroup import rstat
from lockverse.linux.kernel.cgroup.cgroup import FLUSH_WHEN_FREED
from lockverse.linux.kernel.cgroup.rstat import hierarchical, local
from lockverse.linux.patches import delayed_rmap, move_locked_pages, no_charge_moving, objcg_reparenting, rmap_without_memcg_lock
from lockverse.linux.patches.posted import LOCKS_LATE, PRESENT_ONLY, move_account_state_unconditional
from lockverse.linux.scenes import PRESENT_HERE, Memory, Scenario, Size, books, dying_group, move_of_charges, reparenting, unmap_write_store


@scheme
def rung_a(mappers: range(1, 4) = 1):
    """The memcg lock is taken after the mapcount is dropped; the mover holds no pte lock. The mail: memcg2 underflows."""
    apply(LOCKS_LATE)
    memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting(mappers)
    always(lambda: atomic_long_read(memcg2.state[NR_FILE_MAPPED]) >= 0, "memcg2 never counts less than nothing")
    books(memcg1, memcg2, p, NULL)


@scheme
def rung_a0(mappers: range(1, 4) = 1):
    """The memcg lock is held over mapcount and counter; the mover holds no pte lock. The mail: this is why it is held over both."""
    memcg1, memcg2, file, p, mm1, vma1, tlb = reparenting(mappers)
    books(memcg1, memcg2, p, NULL)


@scheme
def rung_b(scenario: Scenario = "unmap_here", memory: Memory = "file", size: Size = "smallest"):
    """No memcg lock in rmap; the mover holds the pte lock of a present mapping of the page. The mail: the lock is fully redundant."""
    apply(rmap_without_memcg_lock.PATCHES, PRESENT_ONLY)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    if scenario in PRESENT_HERE:
        sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_c(scenario: Scenario = "alone", memory: Memory = "file", size: Size = "smallest"):
    """Patch v1, 23 Nov 2022: no memcg lock in rmap, and the transfer is unconditional. NAK: not all pages it finds are mapped."""
    apply(rmap_without_memcg_lock.PATCHES, move_account_state_unconditional)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_d(scenario: Scenario = "not_present", memory: Memory = "file", size: Size = "smallest"):
    """28 Nov 2022: the tests stay, and the folio lock is to keep the page mapped or not. Withdrawn the next day."""
    apply(rmap_without_memcg_lock.PATCHES)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_k(scenario: Scenario = "unmap_here", memory: Memory = "file", size: Size = "smallest"):
    """Only present ptes are looked behind; what is found there is mapped, so the transfer is unconditional. Proposed."""
    apply(rmap_without_memcg_lock.PATCHES, PRESENT_ONLY, move_account_state_unconditional)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    if scenario in PRESENT_HERE:
        sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_e(scenario: Scenario = "not_present", memory: Memory = "file", size: Size = "smallest"):
    """6.3, as merged: the folio is locked first, a page that is mapped elsewhere and not here is skipped; no memcg lock in rmap."""
    apply(rmap_without_memcg_lock.PATCHES, move_locked_pages.PATCHES)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_g(scenario: Scenario = "not_present", memory: Memory = "file", size: Size = "smallest"):
    """6.1: the memcg lock is held over mapcount and counter, and the mover looks behind non-present ptes. The status quo."""
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)
    sometimes(lambda: p.memcg_data == memcg2, "the page moves")


@scheme
def rung_f(rmap: Literal["before the flush", "after the flush"] = "after the flush", stores: range(1, 3) = 1):
    """6.2: a dirty page of a file is uncounted only after the TLBs are flushed, inside the pte lock. About lost stores, not about groups."""
    if rmap == "after the flush":
        apply(delayed_rmap.PATCHES)
    memcg, file, p, mm, vma, vmas, tlb = unmap_write_store(stores)


@scheme
def rung_z(scenario: Scenario = "not_present", memory: Memory = "file", size: Size = "smallest"):
    """6.13: nothing moves, and no lock keeps it from moving."""
    apply(no_charge_moving.PATCHES)
    memcg1, memcg2, p, file, slot, mm1, mm2, mc, replaced = move_of_charges(memory, scenario, size=size)


@scheme
def rung_p(cgroup: Literal["v2", "v1"] = "v2", mappers: range(1, 3) = 1, nested: bool = False):
    """7.1: pages point to an obj_cgroup; a dying group's goes over to the parent. For v1: skip dying groups, a grace period, a transfer."""
    apply(rstat.PATCHES, rmap_without_memcg_lock.PATCHES, FLUSH_WHEN_FREED)
    apply(objcg_reparenting.HIERARCHICAL if cgroup == "v2" else objcg_reparenting.LOCAL)
    parent, child, objcg, file, p, mm, vma, tlb = dying_group(mappers=mappers, nested=nested)
    at_rest(lambda: hierarchical(parent) == 0, "the page is unmapped: the parent counts none, itself and below")
    if cgroup == "v1":
        at_rest(lambda: local(parent) == 0 and local(child) == 0, "nor does either group for itself")
