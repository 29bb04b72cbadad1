"""The types of scenes with a huge page: what mm_types.py has, and what is needed besides.

Source: include/linux/mm_types.h, huge_mm.h, Linux 6.1. Modelled: a folio of two small pages, which one pmd maps, or two ptes; the mapcount of its pmds (compound_mapcount), and PG_double_map: while both map it, each of its pages
counts all pmds as one mapping. Approximated: a page table has its huge page in `huge` while the pmd maps that in place of the table; its lock is that of both the pmd and the ptes.
Functions of `linux/` take these as they take those of mm_types.py. Left out: huge pages of files, locked mappings.
"""

from __future__ import annotations

from lockverse.lang import array, atomic_t, mutex, ptr, spinlock_t, struct, u8

from .memcontrol import mem_cgroup
from .mm_types import address_space, pte_state, swap_slot, tlb_entry

HPAGE_PMD_NR = 2


@struct
class compound_page:
    """A page of a huge page. The first is the folio, and has what is the folio's: references, the lock, the group, the mapcount of pmds."""

    _mapcount: atomic_t
    _refcount: atomic_t
    memcg_data: ptr[mem_cgroup]
    lock: mutex
    lru: bool
    dirty: bool
    writeback: bool
    swapbacked: bool
    anon: bool
    ksm: bool
    mapping: ptr[address_space]
    head: ptr[compound_page]
    nr_pages: u8
    compound_mapcount: atomic_t
    double_map: bool
    pages: array[ptr[compound_page], HPAGE_PMD_NR]


@struct
class huge_pte_t:
    """A pte that may map a part of a huge page."""

    pte: pte_state
    page: ptr[compound_page]
    slot: ptr[swap_slot]


@struct
class pmd_table:
    """A pmd: a page table, or in its place a huge page."""

    ptl: spinlock_t
    huge: ptr[compound_page]
    writable: bool
    start: u8
    pte: array[huge_pte_t, HPAGE_PMD_NR]
    nr_tlbs: u8
    tlb: array[tlb_entry, 1]


@struct
class huge_mm_struct:
    """An address space with one pmd."""

    memcg: ptr[mem_cgroup]
    pgtable: pmd_table


@struct
class huge_vma:
    """A mapping of anonymous memory that is as large as a huge page."""

    vm_mm: ptr[huge_mm_struct]
    vm_start: u8
    vm_end: u8
    vm_file: ptr[address_space]
    vm_pgoff: u8


@struct
class huge_gather:
    """What the unmapping of one gathers."""

    mm: ptr[huge_mm_struct]
    start: u8
    end: u8
    nr: u8
    pages: array[ptr[compound_page], HPAGE_PMD_NR]
