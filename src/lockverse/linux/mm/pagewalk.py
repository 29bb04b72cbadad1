"""A walk over all page tables of an mm.

Source: mm/pagewalk.c, Linux 6.1. Modelled: vma by vma, page table by page table, where there is one. A vma of a scene lies in one page table and needs no walk, so this is
plain Python, outside the language: what is walked is the simulator's mm. Left out: holes, upper levels, hugetlb.
"""

from __future__ import annotations


def page_tables(mm):
    """The parts of an mm's vmas that lie in one page table each, in order of their addresses."""
    for vma in mm.mmap:
        yield from page_tables_of(vma, vma.vm_start, vma.vm_end)


def page_tables_of(vma, start, end):
    """The parts of a range of a vma that lie in one page table each, where there is one."""
    mm = vma.vm_mm
    for index in range(start // mm.ptes_per_table, (end - 1) // mm.ptes_per_table + 1):
        table = mm.tables.get(index)
        if table is not None:
            first = index * mm.ptes_per_table
            yield vma.part(table, max(start, first), min(end, first + mm.ptes_per_table))
