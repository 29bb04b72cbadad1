"""A machine that runs operations: its processes, groups and files, and the system calls that the operations are.

What a call does to pages and to their books is done by `linux/`; what is here decides which call of it, for which pages. Leaves out the words of the workload
language (workload.py), names that are unknown (names.py), and printing.
"""

# mypy: disable-error-code="attr-defined,union-attr,no-untyped-call"
# (the structs of linux/ are made by the language's decorator, and its functions have no annotations)

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from typing import Any

from lockverse.lang import NULL, down_read, down_write, running, up_read, up_write
from lockverse.linux.include.errno import EACCES, EAGAIN, EBUSY, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP
from lockverse.linux.include.pgtable import pte_present
from lockverse.linux.kernel.cgroup.cgroup import cgroup_migrate_task
from lockverse.linux.mm.memcontrol import mc
from lockverse.linux.mm.mlock import mlock_pte_range
from lockverse.linux.mm.pagewalk import page_tables_of
from lockverse.linux.mm.swap import mark_page_lazyfree

from . import operations as ops
from .address_space import Mm, Vma, present, truncate_range, unmap_mapping_range, zap
from .address_space import evict as evict_file
from .faults import cache_page, touch
from .groups import Group, Groups, online
from .objects import PTES_PER_TABLE, SLOT, Inode, Task


class _Failed(Exception):
    """A call fails: what it names has gone, or is not there yet, which only happens among operations that are interleaved."""

    def __init__(self, result: int) -> None:
        super().__init__(result)
        self.result = result


class System:
    """A machine with one CPU, as it is after boot; cgroup_version is 1 or 2."""

    def __init__(self, cgroup_version: int) -> None:
        self.cgroups = Groups(cgroup_version)
        self.workers: dict[str, Task] = {}
        self.files: dict[str, Inode] = {}
        self._pids = 1
        self._init = Task("init", 1, self.cgroups.top)
        mc.from_ = mc.to = NULL

    def execute(self, operation: ops.Operation) -> int:
        """Do it: 0, or -errno."""
        with running(self.task(getattr(operation, "worker", ""))):
            return self.call(operation)

    def call(self, operation: ops.Operation) -> int:
        """The same, as the task that runs already."""
        try:
            return _CALLS[type(operation)](self, operation)
        except _Failed as failed:
            return failed.result

    def task(self, worker: str) -> Task:
        """The process of that name; the first of all for what no worker does."""
        return self.workers.get(worker, self._init)

    def owners(self, operation: ops.Owners) -> list[str]:
        """Which group each page is charged to and how often it is mapped, as runs."""
        mm, start, end = self._range(operation)
        return [f"{what}x{len(list(run))}" for what, run in groupby(self._owner(mm, addr) for addr in range(start, end))]

    def _owner(self, mm: Mm, addr: int) -> str:
        vma = mm.find(addr)
        page = None if vma is None else next(present(vma, addr, addr + 1))
        if page is None:
            return "none"
        if page is True:
            return "uncharged/map0"
        owner = page.owner()
        return f"{online(owner) if owner else 'uncharged'}/map{page.mapcount()}"

    def statistics(self) -> dict[str, dict[str, int]]:
        """The numbers of every group that is there."""
        with running(self._init):
            return self.cgroups.statistics()

    def groups(self) -> dict[str, Group]:
        """The groups that are there, by their paths."""
        return dict(self.cgroups.live)

    def pages(self) -> Iterator[Any]:
        """Every page that some page table or some file's cache has, once."""
        files = [*self.files.values(), *(vma.vm_file for mm in self.mms() for vma in mm.mmap if vma.vm_file)]
        found = {id(page): page for file in files for page in file.i_pages.values()}
        for table in (table for mm in self.mms() for table in mm.tables.values()):
            some = [table.huge] if table.huge else [pte.page for pte in table.pte.values() if pte_present(pte.pte) and pte.page]
            found.update((id(page.head), page.head) for page in some)
        yield from found.values()

    def mms(self) -> list[Mm]:
        """All address spaces."""
        return list({id(task.mm): task.mm for task in self.workers.values()}.values())

    def _range(self, operation: Any) -> tuple[Mm, int, int]:
        """The address space of a worker, and the pages of a region that are meant."""
        mm = self.workers[operation.worker].mm
        if operation.region not in mm.regions:
            raise _Failed(-EFAULT)
        start, pages = mm.regions[operation.region]
        offset = operation.offset
        return mm, start + offset, start + (pages if operation.pages is None else offset + operation.pages)

    # Groups

    def _mkcg(self, one: ops.Mkcg) -> int:
        return self.cgroups.make(one.group)

    def _rmcg(self, one: ops.Rmcg) -> int:
        return self.cgroups.remove(one.group)

    def _flags(self, one: ops.Flags) -> int:
        return self.cgroups.set_flags(one.group, one.number)

    def _limit(self, one: ops.Limit) -> int:
        return self.cgroups.set_limit(one.group, one.pages)

    def _nothing(self, one: ops.Operation) -> int:
        """Nothing that is modelled changes."""
        return 0

    # Processes

    def _start(self, name: str, group: Group, parent: Task) -> Task:
        self._pids += 1
        task = self.workers[name] = Task(name, self._pids, group)
        task.parent = parent
        parent.children.append(task)
        group.tasks.append(task)
        return task

    def _spawn(self, one: ops.Spawn) -> int:
        group = self.cgroups.live[one.group]
        if not self.cgroups.takes_tasks(group):
            return -EBUSY
        task = self._start(one.worker, group, self._init)
        task.mm = Mm(task)
        return 0

    def _fork(self, one: ops.Fork) -> int:
        parent = self.workers[one.worker]
        child = self._start(one.new, parent.memcg, parent)
        with _writing(parent.mm):
            child.mm = parent.mm.fork(child)
        return 0

    def _vmfork(self, one: ops.Vmfork) -> int:
        parent = self.workers[one.worker]
        child = self._start(one.new, parent.memcg, parent)
        child.mm = parent.mm
        child.mm.users += 1
        return 0

    def _exit(self, one: ops.Exit | ops.Kill) -> int:
        task = self.workers[one.worker]
        mm = task.mm
        mm.users -= 1
        if mm.users == 0:
            mm.exit()
        elif mm.owner is task:
            mm.owner = self._next_owner(task)
        del self.workers[one.worker]
        task.memcg.tasks.remove(task)
        if task.parent is not None:
            task.parent.children.remove(task)
        for child in task.children:
            child.parent = self._init
            self._init.children.append(child)
        return 0

    def _next_owner(self, task: Task) -> Task:
        """Another task of the same address space: first among its children, then among its siblings, then among all (mm_update_next_owner)."""
        siblings = task.parent.children if task.parent is not None else []
        return next(one for one in [*task.children, *siblings, *self.workers.values()] if one.mm is task.mm and one is not task)

    def _move(self, one: ops.Move) -> int:
        task, group = self.workers[one.worker], self.cgroups.live[one.group]
        if group is task.memcg:
            return 0
        if not self.cgroups.takes_tasks(group):
            return -EBUSY
        before = task.memcg
        error = int(cgroup_migrate_task(task, group))
        if not error:
            before.tasks.remove(task)
            group.tasks.append(task)
        return error

    # Files

    @contextmanager
    def _open(self, name: str) -> Iterator[Inode]:
        """A file, which stays while it is open."""
        file = self.files.get(name)
        if file is None:
            raise _Failed(-ENOENT)
        file.users += 1
        try:
            yield file
        finally:
            file.users -= 1
            evict_file(file)

    def _file(self, one: ops.File) -> int:
        self.files[one.file] = Inode(one.pages, ramfs=one.ramfs)
        return 0

    def _unlink(self, one: ops.Unlink) -> int:
        with self._open(one.file) as file:
            self.files.pop(one.file, None)
            file.linked = False
        return 0

    def _truncate(self, one: ops.Truncate) -> int:
        with self._open(one.file) as file:
            before, file.size = file.size, one.pages
            if one.pages < before:
                unmap_mapping_range(file, one.pages, before, even_cows=True)
                truncate_range(file, one.pages, before)
        return 0

    def _punch(self, one: ops.Punch) -> int:
        with self._open(one.file) as file:
            return self._hole(file, one.offset, one.offset + one.pages)

    def _hole(self, file: Inode, start: int, end: int) -> int:
        if file.unevictable:  # ramfs
            return -EOPNOTSUPP
        unmap_mapping_range(file, start, end, even_cows=False)
        truncate_range(file, start, end)
        return 0

    def _fread(self, one: ops.Fread) -> int:
        with self._open(one.file) as file:
            if not file.unevictable:  # tmpfs reads a hole without filling it
                return 0
            return self._fill(file, one.offset, min(one.offset + one.pages, file.size), self.workers[one.worker].mm)

    def _fwrite(self, one: ops.Fwrite) -> int:
        with self._open(one.file) as file:
            return self._fill(file, one.offset, one.offset + one.pages, self.workers[one.worker].mm)

    def _fill(self, file: Inode, start: int, end: int, mm: Mm) -> int:
        for index in range(start, end):
            error = cache_page(file, index, mm.memcg)
            if error:
                return error
            file.size = max(file.size, index + 1)
        return 0

    # Memory

    def _map(self, one: ops.Map) -> int:
        mm = self.workers[one.worker].mm
        start = self._free_slot(mm, one.pages) if one.slot is None else one.slot * SLOT + one.page
        opened = self._open(one.file) if one.kind == "file" else nullcontext(Inode(one.pages, linked=False) if one.kind == "shanon" else None)
        with opened as file, _writing(mm):
            if one.slot is not None:
                mm.munmap(start, start + one.pages)
            mm.add(Vma(mm, start, start + one.pages, file, one.offset, shared=one.kind == "shanon" or one.sharing == "shared"))
            mm.merge(start, start + one.pages)
        mm.regions[one.region] = start, one.pages
        return 0

    def _free_slot(self, mm: Mm, pages: int) -> int:
        """The next slot that has not been given out, from where on there is room."""
        slots = -(-pages // SLOT)
        slot = mm.next_slot
        while mm.within(slot * SLOT, (slot + slots) * SLOT):
            slot += 1
        mm.next_slot = slot + slots
        return slot * SLOT

    def _touch(self, one: ops.Touch) -> int:
        mm, start, end = self._range(one)
        return touch(mm, start, end, write=one.access == "w")

    def _unmap(self, one: ops.Unmap) -> int:
        mm, start, end = self._range(one)
        with _writing(mm):
            mm.munmap(start, end)
        return 0

    def _mremap(self, one: ops.Mremap) -> int:
        mm, start, end = self._range(one)
        to = one.slot * SLOT
        if start < to + one.pages and to < end:
            return -EINVAL
        with _writing(mm):
            if mm.find(start) is None:
                return -EFAULT
            mm.munmap(to, to + one.pages)
            if len(mm.within(start, end)) != 1 or mm.gap(start, end) != end:
                return -EFAULT
            mm.mremap(start, one.pages, to)
        mm.regions[one.region] = to, one.pages
        return 0

    def _mprotect(self, one: ops.Mprotect) -> int:
        mm, start, end = self._range(one)
        readable, writable = one.protection != "none", one.protection == "rw"
        with _writing(mm):
            stop = mm.gap(start, end)
            for vma in self._changed(mm, start, stop, lambda vma: (vma.readable, vma.writable) != (readable, writable)):
                vma.readable, vma.writable = readable, writable
            mm.merge(start, stop)
        return 0 if stop == end else -ENOMEM

    def _changed(self, mm: Mm, start: int, end: int, changes: Callable[[Vma], bool]) -> Iterator[Vma]:
        """The vmas of a range for which something changes, cut to the range."""
        for vma in mm.within(start, end):
            if changes(vma):
                yield from mm.cut(max(start, vma.vm_start), min(end, vma.vm_end))

    def _vmas(self, one: ops.OnRange, change: Callable[[Vma], int]) -> int:
        """Do something to the vmas of a range, cut to it: what madvise() and mlock() do, 0 or the first error, -ENOMEM for a gap."""
        mm, start, end = self._range(one)
        down_read(mm.mmap_lock)
        error = next((error for vma in mm.within(start, end) if (error := change(vma))), 0)
        gap = mm.gap(start, end)
        up_read(mm.mmap_lock)
        return error or (0 if gap == end else -ENOMEM)

    def _on_parts(self, one: ops.OnRange, refused: Callable[[Vma], int], change: Callable[[Vma, int, int], int]) -> int:
        _, start, end = self._range(one)
        return self._vmas(one, lambda vma: refused(vma) or change(vma, max(start, vma.vm_start), min(end, vma.vm_end)))

    def _dontneed(self, one: ops.Dontneed) -> int:
        return self._on_parts(one, lambda vma: -EINVAL if vma.locked else 0, _zap)

    def _madvfree(self, one: ops.Madvfree) -> int:
        return self._on_parts(one, lambda vma: -EINVAL if vma.locked or vma.vm_file else 0, _lazyfree)

    def _remove(self, one: ops.Remove) -> int:
        def refused(vma: Vma) -> int:
            if vma.locked or not vma.vm_file:
                return -EINVAL
            return 0 if vma.shared and vma.writable else -EACCES

        def hole(vma: Vma, start: int, end: int) -> int:
            return self._hole(vma.vm_file, vma.vm_pgoff + start - vma.vm_start, vma.vm_pgoff + end - vma.vm_start)

        return self._on_parts(one, refused, hole)

    def _hugepage(self, one: ops.Hugepage) -> int:
        mm, start, end = self._range(one)
        with _writing(mm):
            for vma in self._changed(mm, start, end, lambda vma: not vma.hugepage):
                vma.hugepage = True
            mm.merge(start, end)
        return 0 if mm.gap(start, end) == end else -ENOMEM

    def _lock(self, one: ops.Mlock | ops.Munlock) -> int:
        mm, start, end = self._range(one)
        lock = isinstance(one, ops.Mlock)
        with _writing(mm):
            stop = mm.gap(start, end)
            for vma in self._changed(mm, start, stop, lambda vma: vma.locked != lock):
                vma.locked = lock
                for part in page_tables_of(vma, vma.vm_start, vma.vm_end):
                    mlock_pte_range(part, lock)
            mm.merge(start, stop)
        if stop != end:
            return -ENOMEM
        for vma in mm.within(start, end) if lock else ():
            error = touch(mm, max(start, vma.vm_start), min(end, vma.vm_end), write=vma.writable and not vma.shared)
            if error:
                return -EAGAIN if error == -ENOMEM else -ENOMEM
        return 0


@contextmanager
def _writing(mm: Mm) -> Iterator[None]:
    down_write(mm.mmap_lock)
    try:
        yield
    finally:
        up_write(mm.mmap_lock)


def _zap(vma: Vma, start: int, end: int) -> int:
    zap(vma, start, end)
    return 0


def _lazyfree(vma: Vma, start: int, end: int) -> int:
    """MADV_FREE. Of a huge page only the whole: the kernel splits it otherwise, which is not modelled."""
    for part in page_tables_of(vma, start, end):
        table = part.vm_mm
        if table.huge and part.vm_end - part.vm_start == PTES_PER_TABLE:
            if table.huge.mapcount() == 1:
                mark_page_lazyfree(table.huge)
        elif not table.huge:
            for page in present(vma, part.vm_start, part.vm_end):
                if page and page is not True and page.head.nr_pages == 1:
                    mark_page_lazyfree(page)
    return 0


_CALLS: dict[type[ops.Operation], Callable[[System, Any], int]] = {
    ops.Mkcg: System._mkcg, ops.Rmcg: System._rmcg, ops.Flags: System._flags, ops.Limit: System._limit, ops.Write: System._nothing,
    ops.Sysw: System._nothing, ops.Sleepms: System._nothing, ops.File: System._file, ops.Unlink: System._unlink, ops.Truncate: System._truncate,
    ops.Punch: System._punch, ops.Spawn: System._spawn, ops.Fork: System._fork, ops.Vmfork: System._vmfork, ops.Exit: System._exit,
    ops.Kill: System._exit, ops.Move: System._move, ops.Map: System._map, ops.Touch: System._touch, ops.Unmap: System._unmap,
    ops.Mremap: System._mremap, ops.Dontneed: System._dontneed, ops.Madvfree: System._madvfree, ops.Remove: System._remove,
    ops.Hugepage: System._hugepage, ops.Pageout: System._nothing, ops.Mlock: System._lock, ops.Munlock: System._lock,
    ops.Mprotect: System._mprotect, ops.Fread: System._fread, ops.Fwrite: System._fwrite, ops.Owners: System._nothing, ops.Check: System._nothing,
}  # fmt: skip
