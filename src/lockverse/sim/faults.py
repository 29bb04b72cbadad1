"""What happens when a process reads or writes a page: nothing, or a fault, which goes to the function of `linux/` that is for it.

Which one is what mm/memory.c (handle_pte_fault, do_fault) and mm/huge_memory.c decide; the page that a fault may need is made here.
Leaves out signals: a fault that cannot be served gives an error.
"""

# mypy: disable-error-code="attr-defined,index,no-untyped-call"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from typing import Any

from lockverse.lang import NULL, down_read, up_read
from lockverse.linux.include.errno import EAGAIN, EFAULT, ENOMEM
from lockverse.linux.include.mm_types import pte_state
from lockverse.linux.include.page_flags import folio_lock, folio_unlock
from lockverse.linux.mm.filemap import filemap_add_folio
from lockverse.linux.mm.huge_memory import (
    do_huge_pmd_anonymous_page,
    do_huge_pmd_wp_page,
    do_huge_pmd_zero_page,
)
from lockverse.linux.mm.memory import (
    do_anonymous_page,
    do_anonymous_zero_page,
    do_cow_fault,
    do_fault,
    do_fault_around,
    do_wp_page,
)
from lockverse.linux.mm.swap import folio_put

from .address_space import Mm, PageTable, Part, Vma, truncate_range
from .objects import PTES_PER_TABLE, HugePage, Inode, Page, Pte

NONE, READONLY, WRITABLE, DIRTY = pte_state.none, pte_state.readonly, pte_state.writable, pte_state.dirty


def touch(mm: Mm, start: int, end: int, *, write: bool) -> int:
    """Read or write a byte of each page of a range, as far as that goes: 0 or -EFAULT or -ENOMEM."""
    addr, error = start, 0
    while addr < end and not error:
        down_read(mm.mmap_lock)
        addr, error = _touch_one(mm, addr, end, write)
        up_read(mm.mmap_lock)
    return error


def _touch_one(mm: Mm, addr: int, end: int, write: bool) -> tuple[int, int]:
    """As far as one vma and one page table go, under mmap_lock: what comes next, and an error."""
    vma = mm.find(addr)
    if vma is None or not (vma.writable if write else vma.readable):
        return addr, -EFAULT
    stop = min(end, vma.vm_end, addr - addr % PTES_PER_TABLE + PTES_PER_TABLE)
    return stop, _touch_table(vma, addr, stop, write)


def _touch_table(vma: Vma, start: int, end: int, write: bool) -> int:
    """The same within one page table, which a fault makes if there is none."""
    mm, part, addr = vma.vm_mm, None, start
    while addr < end:
        table = mm.tables.get(addr // PTES_PER_TABLE)
        if table is not None and table.huge and (table.writable or not write):
            return 0
        pte = table.pte.get(addr) if table is not None else None
        if pte is not None and (pte.pte is DIRTY or (pte.pte is not NONE and not write)):
            addr += 1
            continue
        if pte is not None and pte.pte is WRITABLE:
            pte.pte = DIRTY
            addr += 1
            continue
        if vma.vm_file and vma.vm_pgoff + addr - vma.vm_start >= vma.vm_file.size:
            if write and not vma.shared:
                vma.prepare_anon_vma()  # do_cow_fault() does before it looks at the file
            return -EFAULT
        made = table is None
        if table is None or table.huge or part is None or part.vm_mm is not table:
            table = _huge_fault(vma, addr, write)
            if table.huge:
                return 0
            part = _part(vma, table)
        error = _pte_fault(vma, part, table.pte[addr], addr, write)
        if error and error != -EAGAIN:
            if made and vma.vm_file and write:
                del mm.tables[addr // PTES_PER_TABLE]  # finish_fault() would have made it, and has not been reached
            return error
    return 0


def _part(vma: Vma, table: PageTable) -> Part:
    return vma.part(table, max(vma.vm_start, table.start), min(vma.vm_end, table.start + table.size))


def _huge_fault(vma: Vma, addr: int, write: bool) -> PageTable:
    """The page table of an address, after what a pmd may do about it: map a huge page, or have the one that is there split."""
    mm = vma.vm_mm
    known = addr // PTES_PER_TABLE in mm.tables
    table: PageTable = mm.table(addr)
    if known:
        if table.huge:
            do_huge_pmd_wp_page(_part(vma, table))
        return table
    if vma.hugepage and not vma.vm_file and vma.vm_start <= table.start and table.start + table.size <= vma.vm_end:
        vma.prepare_anon_vma()
        if not write:
            do_huge_pmd_zero_page(table)
        else:
            do_huge_pmd_anonymous_page(_part(vma, table), HugePage())  # small pages will do if there is no room
    return table


def _pte_fault(vma: Vma, part: Part, pte: Pte, addr: int, write: bool) -> int:
    if pte.pte is not NONE:
        if not write:  # the huge zero page has come
            return 0
        if not vma.shared:
            vma.prepare_anon_vma()
        return int(do_wp_page(part, addr, Page(anon=True)))
    if vma.vm_file:
        return _file_fault(vma, part, pte, addr, write)
    if not write:
        do_anonymous_zero_page(part, addr)
        return 0
    vma.prepare_anon_vma()
    return int(do_anonymous_page(part, addr, Page(anon=True)))


def _file_fault(vma: Vma, part: Part, pte: Pte, addr: int, write: bool) -> int:
    index, file, memcg = vma.vm_pgoff + addr - vma.vm_start, vma.vm_file, vma.vm_mm.memcg
    if not write:
        do_fault_around(part, addr)
        if pte.pte is not NONE:
            return 0
    if write and not vma.shared:
        vma.prepare_anon_vma()
        return int(do_cow_fault(part, addr, Page(anon=True), _fault))
    return _fault(file, index, memcg) or int(do_fault(part, addr, write))


def _fault(file: Inode, index: int, memcg: Any) -> int:
    """Have a page that is faulted on in the cache: 0, -ENOMEM, -EFAULT if the file has become too short meanwhile."""
    error = cache_page(file, index, memcg)
    if not error and index >= file.size:
        truncate_range(file, file.size, index + 1)
        return -EFAULT
    return error


def cache_page(file: Inode, index: int, memcg: Any) -> int:
    """Have a page of a file in its cache: 0, or -ENOMEM if the group has no room for it."""
    if file.i_pages[index] is not NULL:
        return 0
    page = Page(swapbacked=not file.unevictable)
    page.index = index
    folio_lock(page)
    error = filemap_add_folio(file, page, index, memcg)
    folio_unlock(page)
    folio_put(page)
    return -ENOMEM if error == -ENOMEM else 0  # somebody else has had one made, or we have
