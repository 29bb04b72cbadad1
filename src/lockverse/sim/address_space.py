"""Address spaces: vmas, page tables, and what mmap, munmap, mremap, fork and exit do to them.

Addresses are in pages. A page table is the 512 entries of 2 MiB, and its lock; while a pmd maps a huge page there, `huge` is it. `linux/` works on one page table at a
time: a vma is cut into parts, whose `vm_mm` is the page table, as an mm of `linux/` has just one. Which tables there are matters: a move of charges
looks for pages that are not present only where there is a table. Leaves out faults (faults.py), upper levels, merging of vmas.
"""

# mypy: disable-error-code="assignment,attr-defined,misc,no-untyped-call,operator,override"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import Any

from lockverse.lang import NULL, down_read, down_write, up_read, up_write
from lockverse.linux.include.mm_types import mm_struct, vm_area_struct
from lockverse.linux.include.pgtable import pte_none
from lockverse.linux.mm.huge_memory import copy_huge_pmd, split_huge_pmd, zap_huge_pmd
from lockverse.linux.mm.memory import copy_pte_range, zap_pte_range
from lockverse.linux.mm.mremap import move_ptes
from lockverse.linux.mm.pagewalk import page_tables_of
from lockverse.linux.mm.truncate import truncate_inode_page

from .objects import PTES_PER_TABLE, Gather, Inode, Ptes, Semaphore, Spinlock, Task


class PageTable(mm_struct):
    """A page table, and what `linux/` takes for the mm that it belongs to."""

    __slots__ = ("gone", "huge", "mm", "nr_tlbs", "pte", "ptl", "size", "start", "writable")
    __setattr__ = object.__setattr__

    def __init__(self, mm: Mm, index: int) -> None:
        self.mm, self.pgtable, self.ptl = mm, self, Spinlock()
        self.start, self.size = index * PTES_PER_TABLE, PTES_PER_TABLE
        self.pte = Ptes()
        self.huge: Any = NULL
        self.writable = self.gone = False
        self.nr_tlbs = 0

    def clear(self) -> None:
        """The pmd that mapped a huge page is empty: there is no page table, though somebody may have looked it up. Under its lock."""
        self.huge, self.gone = NULL, True
        self.mm.tables.pop(self.start // PTES_PER_TABLE, None)

    @property
    def memcg(self) -> Any:
        """The group that faults are charged to."""
        return self.mm.memcg


class Part(vm_area_struct):
    """The part of a vma that lies in one page table."""

    __slots__ = ("locked", "shared")
    __setattr__ = object.__setattr__

    def __init__(self, vma: Vma, table: Any, start: int, end: int) -> None:
        self.vm_mm, self.vm_start, self.vm_end = table, start, end
        self.vm_file, self.vm_pgoff = vma.vm_file, vma.vm_pgoff + start - vma.vm_start
        self.locked, self.shared = vma.locked, vma.shared


class Vma(vm_area_struct):
    """A mapping. `anon_vma` is what finds the anonymous pages it has had, if it has had any: then a fork copies its page tables. Parts of what was
    one vma share it. `inherited`: it came about by a fork."""

    __slots__ = ("anon_vma", "hugepage", "inherited", "locked", "readable", "shared", "writable")
    __setattr__ = object.__setattr__

    def __init__(self, mm: Mm, start: int, end: int, file: Inode | None, pgoff: int, *, shared: bool) -> None:
        self.vm_mm, self.vm_start, self.vm_end = mm, start, end
        self.vm_file, self.vm_pgoff, self.shared = NULL if file is None else file, start if file is None else pgoff, shared
        self.readable = self.writable = True
        self.locked = self.hugepage = self.inherited = False
        self.anon_vma: object | None = None

    def part(self, table: PageTable, start: int, end: int) -> Part:
        """The part from start to before end, which lies in that table."""
        return Part(self, table, start, end)

    def copy(self, mm: Mm, start: int, end: int, at: int) -> Vma:
        """The same mapping of the pages from start to before end, in an mm, at an address."""
        made = Vma(mm, at, at + end - start, self.vm_file or None, self.vm_pgoff + start - self.vm_start, shared=self.shared)
        if self.anon_vma is not None:
            made.vm_pgoff = self.vm_pgoff + start - self.vm_start
        made.readable, made.writable = self.readable, self.writable
        made.locked, made.hugepage, made.anon_vma, made.inherited = self.locked, self.hugepage, self.anon_vma, self.inherited
        return made

    def _flags(self, *, access: bool) -> tuple[bool, ...]:
        return self.shared, self.locked, self.hugepage, *((self.readable, self.writable) if access else ())

    def goes_on_in(self, above: Vma, *, access: bool = True) -> bool:
        """Whether another vma maps what comes after this, in the same way; `access`: with the same protection."""
        same_file = self.vm_file is above.vm_file and self.vm_pgoff + self.vm_end - self.vm_start == above.vm_pgoff
        return self.vm_end == above.vm_start and same_file and self._flags(access=access) == above._flags(access=access)

    def prepare_anon_vma(self) -> None:
        """An anonymous page comes: a neighbour's anon_vma serves if the two could be one vma but for their protection (anon_vma_prepare)."""
        if self.anon_vma is None:
            near = [one for one in self.vm_mm.neighbours(self) if one.anon_vma is not None and not one.inherited]
            self.anon_vma = near[0].anon_vma if near else object()


class Mm:
    """An address space: its vmas in order, its page tables by their number, who owns it and how many tasks use it."""

    ptes_per_table = PTES_PER_TABLE

    def __init__(self, owner: Task) -> None:
        self.owner, self.users = owner, 1
        self.mmap: list[Vma] = []
        self.tables: dict[int, PageTable] = {}
        self.mmap_lock = Semaphore()
        self.regions: dict[str, tuple[int, int]] = {}  # by name: the first page and how many
        self.next_slot = 1  # where the next region goes whose place is not given

    @property
    def memcg(self) -> Any:
        """The group that its faults are charged to: that of mm->owner."""
        return self.owner.memcg

    def table(self, addr: int) -> PageTable:
        """The page table of an address, made if there is none."""
        index = addr // PTES_PER_TABLE
        found = self.tables.get(index)
        if found is None:
            found = self.tables[index] = PageTable(self, index)
        return found

    def find(self, addr: int) -> Vma | None:
        """The vma of an address."""
        number = bisect_right(self.mmap, addr, key=lambda vma: vma.vm_start) - 1
        return self.mmap[number] if number >= 0 and addr < self.mmap[number].vm_end else None

    def add(self, vma: Vma) -> None:
        """Put a vma in."""
        insort(self.mmap, vma, key=lambda one: one.vm_start)
        if vma.vm_file:
            down_write(vma.vm_file.i_mmap)
            vma.vm_file.mappings.append(vma)
            up_write(vma.vm_file.i_mmap)

    def _drop(self, vma: Vma) -> None:
        self._forget(vma)
        if vma.vm_file:
            evict(vma.vm_file)

    def _forget(self, vma: Vma) -> None:
        self.mmap.remove(vma)
        if vma.vm_file:
            down_write(vma.vm_file.i_mmap)
            vma.vm_file.mappings.remove(vma)
            up_write(vma.vm_file.i_mmap)

    def cut(self, start: int, end: int) -> list[Vma]:
        """The vmas of a range, split so that none goes beyond it."""
        for edge in (start, end):
            vma = self.find(edge)
            if vma is not None and vma.vm_start < edge:
                above = vma.copy(self, edge, vma.vm_end, edge)
                vma.vm_end = edge
                self.add(above)
                self._split_huge_at(edge)
        return self.within(start, end)

    def neighbours(self, vma: Vma) -> list[Vma]:
        """The vmas right before and after one that could be one with it but for their protection."""
        below, above = self.find(vma.vm_start - 1), self.find(vma.vm_end)
        found = [above] if above is not None and vma.goes_on_in(above, access=False) else []
        return [below, *found] if below is not None and below.goes_on_in(vma, access=False) else found

    def merge(self, start: int, end: int) -> None:
        """Make one of vmas that have become alike, in a range and at its edges (vma_merge)."""
        near = self.within(start - 1, end + 1)
        for below, above in zip(near, near[1:], strict=False):
            if below.goes_on_in(above) and _one_anon_vma(below, above):
                above.vm_start, above.vm_pgoff = below.vm_start, below.vm_pgoff
                above.anon_vma, above.inherited = above.anon_vma or below.anon_vma, above.inherited or below.inherited
                self._forget(below)

    def _split_huge_at(self, edge: int) -> None:
        """No huge page reaches over the edge of a vma."""
        table = self.tables.get(edge // PTES_PER_TABLE)
        vma = self.find(edge)
        if table is not None and table.huge and edge % PTES_PER_TABLE and vma is not None:
            split_huge_pmd(vma.part(table, edge, edge + 1))

    def within(self, start: int, end: int) -> list[Vma]:
        """The vmas that have a part in a range."""
        return [vma for vma in self.mmap if vma.vm_start < end and start < vma.vm_end]

    def gap(self, start: int, end: int) -> int:
        """Where the first gap in a range begins; its end if there is none."""
        for vma in self.within(start, end):
            if vma.vm_start > start:
                break
            start = vma.vm_end
        return min(start, end)

    def munmap(self, start: int, end: int) -> None:
        """Unmap a range, and free the page tables that no vma has a part in any more."""
        gone = self.cut(start, end)
        for vma in gone:
            zap(vma, vma.vm_start, vma.vm_end)
        for vma in gone:
            self._drop(vma)
        first, last = start // PTES_PER_TABLE, (end - 1) // PTES_PER_TABLE
        edges = range(first, last + 1) if last - first < 2 else (first, last)
        kept = {index for index in edges if self.within(index * PTES_PER_TABLE, (index + 1) * PTES_PER_TABLE)}
        for index in range(first, last + 1):
            if index not in kept:
                self.tables.pop(index, None)

    def mremap(self, start: int, pages: int, to: int) -> None:
        """Move the pages of a range to another address, where nothing is, and their ptes."""
        for vma in self.cut(start, start + pages):
            made = vma.copy(self, vma.vm_start, vma.vm_end, to + vma.vm_start - start)
            self.add(made)
            for part in list(page_tables_of(vma, vma.vm_start, vma.vm_end)):
                if part.vm_mm.huge:
                    split_huge_pmd(part)
                self._move_page_tables(part, made, to - start)
        self.munmap(start, start + pages)

    def _move_page_tables(self, part: Part, made: Vma, shift: int) -> None:
        for addr in range(part.vm_start, part.vm_end):
            if addr in part.vm_mm.pte and not pte_none(part.vm_mm.pte[addr].pte):
                both = part.vm_mm, self.table(addr + shift)
                move_ptes(Part(made, TwoTables(*both), addr, addr + 1), addr, addr + shift)
            else:
                self.table(addr + shift)

    def fork(self, owner: Task) -> Mm:
        """The address space of a child. Page tables are copied where there have been anonymous pages; faults make the others."""
        made = Mm(owner)
        made.regions, made.next_slot = dict(self.regions), self.next_slot
        for vma in self.mmap:
            child = vma.copy(made, vma.vm_start, vma.vm_end, vma.vm_start)
            child.locked, child.inherited = False, vma.anon_vma is not None
            child.anon_vma = object() if child.inherited else None
            made.add(child)
            for part in page_tables_of(vma, vma.vm_start, vma.vm_end) if child.inherited else ():
                table = made.table(part.vm_start)
                if part.vm_mm.huge:
                    copy_huge_pmd(table, part.vm_mm)
                else:
                    copy_pte_range(child.part(table, part.vm_start, part.vm_end), part)
        return made

    def exit(self) -> None:
        """The last task has gone: unmap all."""
        for vma in self.mmap:
            zap(vma, vma.vm_start, vma.vm_end)
        for vma in list(self.mmap):
            self._drop(vma)
        self.tables.clear()


class TwoTables(mm_struct):
    """Two page tables of an mm as one, for a pte that goes from one to the other."""

    __slots__ = ("nr_tlbs", "pte", "ptl")
    __setattr__ = object.__setattr__

    def __init__(self, old: PageTable, new: PageTable) -> None:
        self.pgtable, self.ptl, self.nr_tlbs = self, old.ptl, 0
        self.pte = _Either(old, new)


class _Either:
    __slots__ = ("new", "old")

    def __init__(self, old: PageTable, new: PageTable) -> None:
        self.old, self.new = old, new

    def __getitem__(self, addr: int) -> Any:
        return (self.old if self.old.start <= addr < self.old.start + self.old.size else self.new).pte[addr]


def _one_anon_vma(below: Vma, above: Vma) -> bool:
    if below.anon_vma is None or above.anon_vma is None:
        return not below.inherited and not above.inherited
    return below.anon_vma is above.anon_vma


def zap(vma: Vma, start: int, end: int, *, even_cows: bool = True) -> None:
    """Empty the ptes of a range of a vma."""
    for part in list(page_tables_of(vma, start, end)):
        table = part.vm_mm
        if table.huge and part.vm_end - part.vm_start == PTES_PER_TABLE:
            zap_huge_pmd(Gather(part), part)
            continue
        if table.huge:
            split_huge_pmd(part)
        if table.pte:
            zap_pte_range(Gather(part, even_cows=even_cows), part)


def unmap_mapping_range(file: Inode, start: int, end: int, *, even_cows: bool) -> None:
    """Empty the ptes of pages of a file, in all that map it."""
    down_read(file.i_mmap)
    for vma in file.mappings:
        low = max(vma.vm_start, vma.vm_start + start - vma.vm_pgoff)
        high = min(vma.vm_end, vma.vm_start + end - vma.vm_pgoff)
        if low < high:
            zap(vma, low, high, even_cows=even_cows)
    up_read(file.i_mmap)


def truncate_range(file: Inode, start: int, end: int) -> None:
    """Take pages of a file out of its cache."""
    for index in list(file.cached(start, end)):
        truncate_inode_page(file, index, _unmap_page)


def _unmap_page(file: Inode, index: int) -> None:
    unmap_mapping_range(file, index, index + 1, even_cows=False)


def evict(file: Inode) -> None:
    """A file without a name, without mappings and that nobody has open goes."""
    if not file.linked and not file.mappings and not file.users:
        truncate_range(file, 0, _END)


def present(vma: Vma, start: int, end: int) -> Iterator[Any]:
    """What each page of a range is mapped to: a page, True for the zero page, None."""
    for addr in range(start, end):
        table = vma.vm_mm.tables.get(addr // PTES_PER_TABLE)
        if table is None:
            yield None
        elif table.huge:
            yield table.huge.pages[addr - table.start]
        elif addr in table.pte and not pte_none(table.pte[addr].pte):
            pte = table.pte[addr]
            yield True if pte.special else pte.page
        else:
            yield None


_END = 1 << 40
