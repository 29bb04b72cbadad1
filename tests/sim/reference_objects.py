"""What the second simulator (reference.py) is made of: groups, pages, files, address spaces. Counts are made anew from these.

A page knows how often it is mapped and nothing knows a sum, but for the usage of a group, which limits need. Leaves out what operations do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

TABLE, WINDOW, SLOT = 512, 16, 1 << 14  # pages of a page table, of fault-around, of a slot


class NoMemory(Exception):
    """A limit refuses a charge."""


class Fault(Exception):
    """There is nothing that may be touched."""


@dataclass(eq=False)
class Group:
    """A group; `above` is None for the top."""

    name: str
    above: Group | None
    live: bool = True
    limit: int = -1
    flags: int = 0
    usage: int = 0
    events: dict[str, int] = field(default_factory=lambda: {"pgpgin": 0, "pgpgout": 0})

    def up(self) -> Iterator[Group]:
        one: Group | None = self
        while one is not None:
            yield one
            one = one.above

    def charge(self, pages: int) -> None:
        if any(0 <= one.limit < one.usage + pages for one in self.up()):
            raise NoMemory
        for one in self.up():
            one.usage += pages

    def uncharge(self, pages: int) -> None:
        for one in self.up():
            one.usage -= pages


@dataclass(eq=False)
class Page:
    """A page, or a huge one of 512. `maps` counts ptes, or pmds of a huge one, whose parts are mapped by ptes `parts` times each."""

    group: Group
    file: Inode | None = None
    index: int = 0
    maps: int = 0
    parts: dict[int, int] | None = None
    exclusive: set[int] = field(default_factory=set)  # the parts (0 of a small page) that one pte alone has, and may write
    lazy: bool = False

    @property
    def size(self) -> int:
        return 1 if self.parts is None else TABLE

    def mapped(self) -> int:
        """How many of its parts are mapped."""
        if self.parts is None or self.maps:
            return self.size if self.maps else 0
        return len(self.parts)

    def free(self) -> None:
        self.group.events["pgpgout"] += 1
        self.group.uncharge(self.size)


@dataclass(eq=False)
class Inode:
    """A file and its page cache."""

    size: int
    ramfs: bool = False
    linked: bool = True
    cache: dict[int, Page] = field(default_factory=dict)


@dataclass(eq=False)
class Pte:
    """What a page table has: a page, the part of a huge page, or the zero page (None)."""

    page: Page | None
    part: int = 0


@dataclass(eq=False)
class Vma:
    """A mapping of the addresses start to end."""

    start: int
    end: int
    file: Inode | None = None
    offset: int = 0
    shared: bool = False
    huge: bool = False
    locked: bool = False
    protection: str = "rw"
    anon: object | None = None  # once it has had anonymous pages: one and the same for parts of one mapping. Fork copies the page tables of one that has
    inherited: bool = False  # a fork gave it its `anon`

    def index(self, address: int) -> int:
        return self.offset + address - self.start

    def goes_on(self, above: Vma) -> bool:
        """Whether another maps what comes after this, protection aside."""
        same = (self.file, self.shared, self.huge, self.locked, self.index(self.end), self.end)
        return same == (above.file, above.shared, above.huge, above.locked, above.offset, above.start)

    def one_with(self, above: Vma) -> bool:
        """Whether the two are one mapping."""
        if not self.goes_on(above) or self.protection != above.protection:
            return False
        return self.anon is above.anon or (None in (self.anon, above.anon) and not self.inherited and not above.inherited)


@dataclass(eq=False)
class Mm:
    """An address space: its tasks, the owner first; what is mapped; which page tables there are; huge pages by their pmd."""

    tasks: list[Task] = field(default_factory=list)
    vmas: list[Vma] = field(default_factory=list)
    ptes: dict[int, Pte] = field(default_factory=dict)
    tables: set[int] = field(default_factory=set)
    pmds: dict[int, Page] = field(default_factory=dict)
    zeros: set[int] = field(default_factory=set)  # pmds that map the huge zero page
    regions: dict[str, tuple[int, int]] = field(default_factory=dict)
    slots: int = 0

    def group(self) -> Group:
        return self.tasks[0].group

    def vma(self, address: int) -> Vma | None:
        return next((one for one in self.vmas if one.start <= address < one.end), None)

    def split(self, start: int, end: int) -> list[Vma]:
        """The mappings of a range, cut at its ends."""
        for cut in (start, end):
            one = self.vma(cut)
            if one is not None and one.start < cut:
                rest = Vma(cut, one.end, one.file, one.index(cut), one.shared, one.huge, one.locked, one.protection, one.anon, one.inherited)
                one.end = cut
                self.vmas.append(rest)
                if cut % TABLE:
                    self.split_pmd(cut // TABLE)
        return sorted((one for one in self.vmas if start <= one.start and one.end <= end), key=lambda one: one.start)

    def merge(self, start: int, end: int) -> None:
        """Mappings side by side that are alike become one, in a range and at its edges."""
        self.vmas.sort(key=lambda one: one.start)
        kept: list[Vma] = []
        for one in self.vmas:
            if start <= one.start <= end and kept and kept[-1].one_with(one):
                kept[-1].end, kept[-1].anon = one.end, kept[-1].anon or one.anon
            else:
                kept.append(one)
        self.vmas = kept

    def comes(self, vma: Vma) -> None:
        """An anonymous page comes into a mapping: it is of the kind of a neighbour's, if they could be one but for their protection."""
        if vma.anon is None:
            near = [one for one in self.vmas if (one.goes_on(vma) or vma.goes_on(one)) and one.anon is not None and not one.inherited]
            vma.anon = min(near, key=lambda one: one.start).anon if near else object()

    def parts(self, start: int, end: int) -> list[tuple[Vma, int, int]]:
        """The mappings of a range, and of each what lies in it; none is cut."""
        found = [(one, max(start, one.start), min(end, one.end)) for one in self.vmas if one.start < end and start < one.end]
        return sorted(found, key=lambda part: part[1])

    def change(self, start: int, end: int, name: str, value: object) -> bool:
        """Set something of the mappings of a range, up to the first gap; gives whether there is none. What has it already is left as it is."""
        for vma, low, high in self.parts(start, end):
            if low != start:
                break
            start = high
            if getattr(vma, name) != value:
                for one in self.split(low, high):
                    setattr(one, name, value)
                self.merge(low, high)
        return start == end

    def split_pmd(self, pmd: int) -> None:
        """A huge page, if one is there, goes from one pmd to 512 ptes."""
        if pmd in self.zeros:
            self.zeros.remove(pmd)
            self.tables.add(pmd)
            self.ptes |= {pmd * TABLE + part: Pte(None) for part in range(TABLE)}
        page = self.pmds.pop(pmd, None)
        if page is None:
            return
        assert page.parts is not None
        page.maps -= 1
        for part in range(TABLE):
            page.parts[part] = page.parts.get(part, 0) + 1
            self.ptes[pmd * TABLE + part] = Pte(page, part)
        self.tables.add(pmd)

    def set(self, address: int, page: Page | None) -> None:
        """Map a small page, or the zero page."""
        self.ptes[address] = Pte(page)
        self.tables.add(address // TABLE)
        if page is not None:
            page.maps += 1

    def clear(self, address: int) -> None:
        """Unmap one page; anonymous memory that nobody maps is freed."""
        pte = self.ptes.pop(address, None)
        if pte is None or pte.page is None:
            return
        page = pte.page
        if page.parts is None:
            page.maps -= 1
        else:
            page.parts[pte.part] -= 1
            if not page.parts[pte.part]:
                del page.parts[pte.part]
        if page.file is None and not page.maps and not page.parts:
            page.free()

    def clear_range(self, start: int, end: int) -> None:
        for pmd in [one for one in [*self.pmds, *self.zeros] if one * TABLE < end and start < (one + 1) * TABLE]:
            if start <= pmd * TABLE and (pmd + 1) * TABLE <= end:
                self.zeros.discard(pmd)
                page = self.pmds.pop(pmd, None)
                if page is None:
                    continue
                page.maps -= 1
                if not page.maps and not page.parts:
                    page.free()
            else:
                self.split_pmd(pmd)
        for address in range(start, end):
            self.clear(address)


@dataclass(eq=False)
class Task:
    """A process."""

    group: Group
    mm: Mm
