"""What a pte is, how it is read and changed, and its lock.

Source: include/linux/pgtable.h, huge_mm.h, mm.h, Linux 6.1. Modelled: reading, clearing and setting a pte are one step each, as the
machine does them; the pte lock. Approximated: holding a pte lock keeps a grace period from ending, here by an RCU read section,
in the kernel because preemption is off (or, on PREEMPT_RT, by just such a section). Left out: upper levels, young and soft-dirty bits.
"""

from __future__ import annotations

from lockverse.lang import NULL, READ_ONCE, WRITE_ONCE, rcu_read_lock, rcu_read_unlock, spin_lock, spin_unlock, xchg

from .mm_types import pte_state


def pte_present(pte):
    """Whether the CPU can use it."""
    return pte == pte_state.readonly or pte == pte_state.writable or pte == pte_state.dirty


def pte_dirty(pte):
    """Whether the CPU has written through it."""
    return pte == pte_state.dirty


def pte_none(pte):
    """Whether nothing is there."""
    return pte == pte_state.none


def is_swap_pte(pte):
    """Whether it names something that is not in memory, or that the CPU cannot reach."""
    return pte == pte_state.swap or pte == pte_state.migration or pte == pte_state.device_private


def ptep_get_and_clear(ptep):
    """Empty a pte; give what it was. One step: the CPU sets the dirty bit without any lock."""
    return xchg(ptep.pte, pte_state.none)


def set_pte(ptep, pte):
    """Set a pte."""
    WRITE_ONCE(ptep.pte, pte)


def pmd_trans_huge_lock(mm):
    """Take the lock of a pmd that maps a huge page, which is given; or NULL, and no lock, if it does not."""
    if not READ_ONCE(mm.pgtable.huge):
        return NULL
    pte_offset_map_lock(mm)
    page = READ_ONCE(mm.pgtable.huge)
    if not page:
        pte_unmap_unlock(mm)
    return page


def pmd_trans_huge_unlock(mm):
    """Give it back."""
    pte_unmap_unlock(mm)


def pte_offset_map_lock(mm):
    """Take the lock of an mm's page table."""
    spin_lock(mm.pgtable.ptl)
    rcu_read_lock()


def pte_unmap_unlock(mm):
    """Give it back."""
    rcu_read_unlock()
    spin_unlock(mm.pgtable.ptl)
