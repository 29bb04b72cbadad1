"""What CPUs keep of ptes, and the flush.

Source: arch/x86/mm/tlb.c and mm/memory.c, Linux 6.1; Documentation/core-api/cachetlb.rst. Modelled: a CPU that has a dirty pte in its TLB writes the page
without a look at the pte; one that has not walks the page table, sets the dirty bit and keeps a copy; a flush reaches one CPU after the
other, each between two instructions. Approximated: only the first pte of a page table is ever cached. Left out: the generations that save flushes, lazy TLBs.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE, cmpxchg, spin_lock, spin_unlock
from lockverse.linux.include.mm_types import pte_state


def flush_tlb_page(mm):
    """Make every CPU forget the first pte of an mm. An IPI to each, which waits for the instruction to end."""
    for cpu in range(mm.pgtable.nr_tlbs):
        tlb = mm.pgtable.tlb[cpu]
        spin_lock(tlb.insn)
        tlb.cached = pte_state.none
        spin_unlock(tlb.insn)


def store(mm, cpu, value):
    """User space stores to the page that the first pte maps. Gives whether it could; if not, the CPU faults."""
    tlb = mm.pgtable.tlb[cpu]
    ptep = mm.pgtable.pte[0]
    spin_lock(tlb.insn)
    if tlb.cached != pte_state.dirty:
        old = cmpxchg(ptep.pte, pte_state.writable, pte_state.dirty)
        if old != pte_state.writable and old != pte_state.dirty:
            spin_unlock(tlb.insn)
            return False
        tlb.cached = pte_state.dirty
    page = ptep.page
    WRITE_ONCE(page.data, value)
    spin_unlock(tlb.insn)
    return True
