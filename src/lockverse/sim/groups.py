"""Groups as directories of cgroupfs: making and removing them, their limits and flags, and the numbers in their files.

The charges, the counters and the flush are `linux/`'s. A CPU's share of a counter and what flushes know of it are an object for each group and counter,
given to kernel/cgroup/rstat.py one counter after the other. There is one CPU; which groups have changed is not noted, so all are put into its tree before a flush.
Leaves out kmem, memory+swap, events, and writes to files that change nothing here.
"""

# mypy: disable-error-code="assignment,attr-defined,has-type,misc,no-untyped-call"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from typing import Any

from lockverse.lang import NULL
from lockverse.linux.include.errno import EBUSY, EEXIST, EINVAL, ENOENT
from lockverse.linux.include.memcontrol import cgroup_rstat_cpu, mem_cgroup
from lockverse.linux.include.mmzone import (
    NR_ANON_MAPPED,
    NR_ANON_THPS,
    NR_COUNTERS,
    NR_FILE_MAPPED,
    NR_FILE_PAGES,
    NR_INACTIVE_ANON,
    NR_INACTIVE_FILE,
    NR_SHMEM,
    NR_SWAPCACHE,
    NR_UNEVICTABLE,
    PGPGIN,
    PGPGOUT,
)
from lockverse.linux.include.page_counter import PAGE_COUNTER_MAX, page_counter
from lockverse.linux.kernel.cgroup.cgroup import css_kill
from lockverse.linux.kernel.cgroup.rstat import cgroup_rstat_flush, cgroup_rstat_updated, local
from lockverse.linux.mm.memcontrol_stock import drain_local_stock

from .names import TOP
from .objects import Atomic, Spinlock

ROWS = {
    1: {
        "cache": NR_FILE_PAGES, "rss": NR_ANON_MAPPED, "rss_huge": NR_ANON_THPS, "shmem": NR_SHMEM, "mapped_file": NR_FILE_MAPPED, "swap": None,
        "inactive_anon": NR_INACTIVE_ANON, "active_anon": None, "inactive_file": NR_INACTIVE_FILE, "active_file": None, "unevictable": NR_UNEVICTABLE,
        "pgpgin": PGPGIN, "pgpgout": PGPGOUT,
    },
    2: {
        "anon": NR_ANON_MAPPED, "file": NR_FILE_PAGES, "shmem": NR_SHMEM, "file_mapped": NR_FILE_MAPPED, "anon_thp": NR_ANON_THPS,
        "swapcached": NR_SWAPCACHE, "inactive_anon": NR_INACTIVE_ANON, "active_anon": None, "inactive_file": NR_INACTIVE_FILE, "active_file": None,
        "unevictable": NR_UNEVICTABLE,
    },
}  # fmt: skip


class Share:
    """A CPU's share of a counter: the atomic that is added to, and what of it the last flush has seen."""

    __slots__ = ("counter", "state_prev")

    def __init__(self) -> None:
        self.counter = self.state_prev = 0

    @property
    def state(self) -> int:
        """The share, under the name that a flush knows it by."""
        return self.counter


class Place(cgroup_rstat_cpu):
    """A counter's place in the tree of those that a flush looks at."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self) -> None:
        self.updated_children = self.updated_next = NULL


class Counter:
    """One counter of a group as a flush sees it: the group in place of its `vmstats`, and the same counter of the group above."""

    __slots__ = ("parent", "rstat_cpu", "state", "state_local", "state_pending", "vmstats_percpu")

    def __init__(self, share: Share, parent: Any) -> None:
        self.vmstats_percpu, self.rstat_cpu = [share], [Place()]
        self.state = self.state_pending = self.state_local = 0
        self.parent = parent

    @property
    def vmstats(self) -> Counter:
        """Itself."""
        return self


class Stock:
    """What a CPU has charged in advance, and to whom."""

    __slots__ = ("cached", "nr_pages", "stock_lock")

    def __init__(self) -> None:
        self.cached: Any = NULL
        self.nr_pages = 0
        self.stock_lock = Spinlock()


class PageCounter(page_counter):
    """A page counter."""

    __slots__ = ()
    __setattr__ = object.__setattr__

    def __init__(self, parent: Any) -> None:
        self.usage, self.max, self.parent = Atomic(), PAGE_COUNTER_MAX, parent


class Group(mem_cgroup):
    """A group."""

    __slots__ = ("children", "counters", "move_charge_at_immigrate", "path", "stock", "tasks")
    __setattr__ = object.__setattr__

    def __init__(self, path: str, parent: Group | None, stock: Stock) -> None:
        self.moving_account, self.move_lock, self.move_lock_task, self.move_lock_flags = Atomic(), Spinlock(), NULL, False
        self.state = [Share() for _ in range(NR_COUNTERS)]
        self.memory = PageCounter(NULL if parent is None else parent.memory)
        self.css_refcnt = Atomic(1)
        self.css_dying = self.css_freed = False
        self.vmstats = self.vmstats_percpu = self.rstat_cpu = self.lruvec = self.memsw = self.id_ref = NULL  # a counter has these here, or nobody
        self.parent = NULL if parent is None else parent
        above = [NULL] * NR_COUNTERS if parent is None else parent.counters
        self.counters = [Counter(share, up) for share, up in zip(self.state, above, strict=True)]
        self.path, self.stock, self.move_charge_at_immigrate = path, stock, 0
        self.children: list[Group] = []
        self.tasks: list[Any] = []


class Groups:
    """All groups of a system: `live` by their paths, in the order they were made; and those that are gone but still charged."""

    def __init__(self, version: int) -> None:
        self.version, self.stock = version, Stock()
        self.top = Group(TOP, None, self.stock)
        self.live = {TOP: self.top}
        self._all = [self.top]  # parents before children

    def make(self, path: str) -> int:
        """mkdir. In v2 the group above hands its controllers down, and so must have no task in it."""
        if path in self.live:
            return -EEXIST
        parent = self.live.get(path.rpartition("/")[0] or TOP)
        if parent is None:
            return -ENOENT
        if self.version == 2 and parent.tasks:
            return -EBUSY
        made = self.live[path] = Group(path, parent, self.stock)
        parent.children.append(made)
        self._all.append(made)
        return 0

    def remove(self, path: str) -> int:
        """rmdir. Charges stay."""
        group = self.live[path]
        if group.tasks or group.children or group is self.top:
            return -EBUSY
        css_kill(group)
        del self.live[path]
        group.parent.children.remove(group)
        group.css_refcnt.counter -= 1
        return 0

    def takes_tasks(self, group: Group) -> bool:
        """Whether a task may be put in it: in v2 no task is in a group that has handed controllers down."""
        return self.version == 1 or not group.children

    def set_flags(self, path: str, flags: int) -> int:
        """Write memory.move_charge_at_immigrate."""
        if self.version == 2:
            return -ENOENT
        if flags & ~3:
            return -EINVAL
        self.live[path].move_charge_at_immigrate = flags
        return 0

    def set_limit(self, path: str, pages: int) -> int:
        """Write the limit. Nothing can be reclaimed here, so v1 refuses one that the group is beyond; v2 takes it."""
        group = self.live[path]
        limit = PAGE_COUNTER_MAX if pages < 0 else pages
        drain_local_stock(self.top)
        if self.version == 1 and group.memory.usage.counter > limit:
            return -EBUSY
        group.memory.max = limit
        return 0

    def statistics(self) -> dict[str, dict[str, int]]:
        """What the files of every group say, in pages, once all is settled."""
        self._settle()
        return {path: self._row(group) for path, group in self.live.items()}

    def _settle(self) -> None:
        drain_local_stock(self.top)
        for number in range(NR_COUNTERS):
            for group in self._all:
                cgroup_rstat_updated(group.counters[number], 0)
            cgroup_rstat_flush(self.top.counters[number])
        self._all = [group for group in self._all if group.css_refcnt.counter > 0 or any(one.parent is group for one in self._all)]

    def _row(self, group: Group) -> dict[str, int]:
        row = {"usage": int(group.memory.usage.counter)}
        rows = ROWS[self.version]
        if self.version == 1:
            row |= {key: 0 if item is None else local(group.counters[item]) for key, item in rows.items()}
        prefix = "total_" if self.version == 1 else ""
        return row | {prefix + key: 0 if item is None else group.counters[item].state for key, item in rows.items()}


def online(group: Any) -> str:
    """The path of a group, or of the nearest one above it that has not been removed."""
    while group.css_dying:
        group = group.parent
    return str(group.path)
