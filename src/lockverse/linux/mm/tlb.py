"""What CPUs keep of ptes, and the flush.

Source: arch/x86/mm/tlb.c and mm/memory.c, Linux 6.1; Documentation/core-api/cachetlb.rst. Modelled: a CPU that has a dirty pte in its TLB writes the page
without a look at the pte; one that has not walks the page table, sets the dirty bit and keeps a copy; a flush reaches one CPU after the
other, each between two instructions. Approximated: only the first pte of a page table is ever cached, and a scene says by how many
CPUs. Left out: the generations that save flushes, lazy TLBs, writes that a CPU does on speculation.
"""

from __future__ import annotations

from lockverse.lang import WRITE_ONCE, cmpxchg, spin_lock, spin_unlock
from lockverse.linux.include.mm_types import pte_state


def flush_tlb_page(mm, addr):
    """Make every CPU forget a pte: an IPI to each, which waits for the instruction to end."""
    if addr == 0:
        for cpu in range(mm.pgtable.nr_tlbs):
            tlb = mm.pgtable.tlb[cpu]
            spin_lock(tlb.insn)
            tlb.cached = pte_state.none
            spin_unlock(tlb.insn)


def store(mm, cpu, value):
    """A CPU stores to what the first pte maps. Gives whether it could; if not, it faults."""
    tlb = mm.pgtable.tlb[cpu]
    spin_lock(tlb.insn)
    if tlb.cached != pte_state.dirty:
        ptep = mm.pgtable.pte[0]
        old = cmpxchg(ptep.pte, pte_state.writable, pte_state.dirty)
        if old != pte_state.writable and old != pte_state.dirty:
            spin_unlock(tlb.insn)
            return False
        tlb.page = ptep.page
        tlb.cached = pte_state.dirty
    page = tlb.page
    WRITE_ONCE(page.data, value)
    spin_unlock(tlb.insn)
    return True
