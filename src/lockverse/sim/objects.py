"""The kernel's objects as the simulator has them: the structs of `linux/`, without the checks on each assignment, and with what a scene leaves out.

A scene's structs hold what its schemes need and are checked at each store, which takes microseconds. These are subclasses of them, so
that they may stand wherever a struct of `linux/` may; what they have more (`nr_pages`, `stock`, `special`) the functions of `linux/`
ask for with hasattr. Leaves out address spaces (address_space.py) and groups (groups.py).
"""

# mypy: disable-error-code="assignment,attr-defined,misc,override"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lockverse.lang import NULL, atomic_t, mutex, rw_semaphore, spinlock_t, task_struct
from lockverse.linux.include.mm_types import address_space, page, pte_state, pte_t
from lockverse.linux.mm.mmu_gather import mmu_gather

PTES_PER_TABLE = 512
SLOT = 16384  # pages in 64 MiB


class Atomic(atomic_t):
    """An atomic of any width. It does not wrap: no count comes near."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self, counter: int = 0) -> None:
        self.counter = counter


class Spinlock(spinlock_t):
    """A spinlock."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self) -> None:
        self.owner = NULL


class Mutex(mutex):
    """A mutex, and the folio lock."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self) -> None:
        self.owner = NULL


class Semaphore(rw_semaphore):
    """mmap_lock, and what guards the mappings of a file."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self) -> None:
        self.owner = NULL
        self.readers = 0


class Task(task_struct):
    """A process of one thread: its group, its address space, the process that made it, and those that it made."""

    __slots__ = ("children", "memcg", "mm", "name", "parent")
    __setattr__ = object.__setattr__

    def __init__(self, name: str, pid: int, memcg: Any) -> None:
        for field in type(self).__lockverse_struct__.fields:
            setattr(self, field, 0)
        self.irqs_disabled = self.in_handler = False
        self.pid = pid
        self.name, self.memcg = name, memcg
        self.mm: Any = None
        self.parent: Task | None = None
        self.children: list[Task] = []


class Page(page):
    """A page that nobody has yet but who made it, as allocated: one reference, no mapping. `exclusive` says of an anonymous page that no fork has shared it."""

    __slots__ = ("exclusive", "head", "lru_list", "mlock_count", "nr_pages")
    __setattr__ = object.__setattr__

    def __init__(self, *, anon: bool = False, swapbacked: bool = False) -> None:
        self._mapcount = Atomic(-1)
        self._refcount = Atomic(1)
        self.memcg_data = self.objcg = self.mapping = self.on_list = NULL
        self.lock = Mutex()
        self.lru = self.dirty = self.writeback = self.swapcache = self.ksm = False
        self.anon, self.swapbacked = anon, anon or swapbacked
        self.index = self.data = 0
        self.head, self.nr_pages, self.exclusive = self, 1, True
        self.lru_list = self.mlock_count = 0

    def mapcount(self) -> int:
        """How often it is mapped, as /proc/kpagecount says."""
        return int(self._mapcount.counter) + 1

    def owner(self) -> Any:
        """The group that /proc/kpagecgroup knows."""
        return self.memcg_data


class HugePage(Page):
    """The first of 512 pages that are one folio; the others are made when a pmd of it is split. `double_map` says that ptes and pmds map it, and
    that each of its pages counts the pmds as one."""

    __slots__ = ("_pages", "compound_mapcount", "double_map")

    def __init__(self) -> None:
        super().__init__(anon=True)
        self.nr_pages = PTES_PER_TABLE
        self.compound_mapcount = Atomic(-1)
        self.double_map = False
        self._pages: list[Page] = []

    @property
    def pages(self) -> list[Page]:
        """All 512."""
        if not self._pages:
            self._pages = [self, *(TailPage(self) for _ in range(1, PTES_PER_TABLE))]
        return self._pages

    def mapcount(self) -> int:
        """By ptes and by pmds."""
        return int(self._mapcount.counter) + 1 + int(self.compound_mapcount.counter) + 1 - self.double_map


class TailPage(Page):
    """One of the other 511: what it has of its own is its mapcount. References, the lock and the group are the head's."""

    __slots__ = ()

    def __init__(self, head: HugePage) -> None:
        self.head = head
        self._mapcount = Atomic(-1)
        self._refcount, self.lock = head._refcount, head.lock
        self.anon = self.swapbacked = True
        self.ksm = self.lru = self.dirty = False
        self.mapping = NULL
        self.exclusive = head.exclusive

    @property
    def memcg_data(self) -> Any:
        """The head's group."""
        return self.head.memcg_data

    def mapcount(self) -> int:
        """Its own ptes, and the head's pmds."""
        return int(self._mapcount.counter) + self.head.mapcount() - int(self.head._mapcount.counter)

    def owner(self) -> Any:
        """Nobody: only the head is known to be charged."""
        return NULL


class Pte(pte_t):
    """A page-table entry; `special` if it maps the zero page."""

    __slots__ = ("special",)
    __setattr__ = object.__setattr__

    def __init__(self) -> None:
        self.pte = pte_state.none
        self.page = self.slot = NULL
        self.special = False


class Ptes(dict[int, Pte]):
    """The entries of a page table by their addresses, in pages; one is made when it is first looked at."""

    def __missing__(self, addr: int) -> Pte:
        made = self[addr] = Pte()
        return made


class Cache(dict[int, Any]):
    """The pages of a file by their offsets; NULL where there is none."""

    def __missing__(self, index: int) -> Any:
        return NULL

    def __setitem__(self, index: int, page: Any) -> None:
        if page is NULL:
            self.pop(index, None)
        else:
            super().__setitem__(index, page)


class Inode(address_space):
    """A file of tmpfs, or of ramfs, whose pages are never evicted: its size in pages, whether it has a name, and the mappings of it."""

    __slots__ = ("i_mmap", "linked", "mappings", "size", "unevictable", "users")
    __setattr__ = object.__setattr__

    def __init__(self, size: int, *, ramfs: bool = False, linked: bool = True) -> None:
        self.i_pages_lock = Spinlock()
        self.i_pages = Cache()
        self.can_writeback = False
        self.disk = NULL
        self.size, self.unevictable, self.linked = size, ramfs, linked
        self.mappings: list[Any] = []
        self.i_mmap = Semaphore()  # guards them
        self.users = 0  # that have it open

    def cached(self, start: int, end: int) -> Iterator[int]:
        """The offsets of pages that are there, from start to before end."""
        if len(self.i_pages) < end - start:
            yield from sorted(index for index in self.i_pages if start <= index < end)
        else:
            yield from (index for index in range(start, end) if index in self.i_pages)


class Gather(mmu_gather):
    """What the unmapping of a part of a vma gathers. `even_cows`: private copies of a file's pages go too."""

    __slots__ = ("even_cows",)
    __setattr__ = object.__setattr__

    def __init__(self, part: Any, *, even_cows: bool = True) -> None:
        self.mm, self.start, self.end, self.nr = part.vm_mm, part.vm_start, part.vm_end, 0
        self.pages = [NULL] * PTES_PER_TABLE
        self.delayed = [False] * PTES_PER_TABLE
        self.even_cows = even_cows
