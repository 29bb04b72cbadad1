"""A second simulator, which shares nothing with the first but the operations: it keeps who maps what, and counts everything anew at each `check`.

No counters to keep right, no page tables to walk, none of `linux/`: a page knows how often it is mapped, an address space has a dict of what is at each page. So what a bug in the
books of linux/ would do wrong cannot go wrong here in the same way. It is held to the recordings of the real kernel, and the simulator to it in random
workloads. Rules are those of the recordings' README and of the kernel's documentation (cgroup-v1/memory.rst, madvise(2), fallocate(2)). Leaves out huge pages of files,
and reclaim; that removes lazily freed pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EACCES, EAGAIN, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP

from lockverse.sim.operations import (
    Dontneed,
    Exit,
    File,
    Flags,
    Fork,
    Fread,
    Fwrite,
    Hugepage,
    Kill,
    Limit,
    Madvfree,
    Map,
    Mkcg,
    Mlock,
    Move,
    Mprotect,
    Mremap,
    Munlock,
    Operation,
    Owners,
    Pageout,
    Punch,
    Remove,
    Rmcg,
    Spawn,
    Touch,
    Truncate,
    Unlink,
    Unmap,
    Vmfork,
)

from .compact import KEYS, OWN
from .reference_objects import SLOT, TABLE, WINDOW, Fault, Group, Inode, Mm, NoMemory, Page, Pte, Task, Vma


class Reference:
    """The whole of it; see the module."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._groups: list[Group] = [Group(".", None)]
        self._tasks: dict[str, Task] = {}
        self._files: dict[str, Inode] = {}

    # What is asked

    def execute(self, operation: Operation) -> int:
        try:
            return getattr(self, "_" + operation.name)(operation) or 0
        except NoMemory:
            return -ENOMEM
        except Fault:
            return -EFAULT

    def owners(self, operation: Owners) -> list[str]:
        mm, start, end = self._range(operation)
        runs: list[list[str | int]] = []
        for address in range(start, end):
            text = self._owner(mm, address)
            if runs and runs[-1][0] == text:
                runs[-1][1] = int(runs[-1][1]) + 1
            else:
                runs.append([text, 1])
        return [f"{text}{'' if text == 'nonex' else 'x'}{count}" for text, count in runs]

    def _owner(self, mm: Mm, address: int) -> str:
        pmd, part = divmod(address, TABLE)
        page, maps = None, 0
        if pmd in mm.pmds:
            page = mm.pmds[pmd]
        elif pmd in mm.zeros:
            return "uncharged/map0"
        elif address in mm.ptes:
            page, part = mm.ptes[address].page, mm.ptes[address].part
        else:
            return "nonex"
        if page is not None:
            maps = page.maps + (page.parts.get(part, 0) if page.parts is not None else 0)
        tail = page is None or (page.parts is not None and part)
        name = "uncharged" if tail or page is None else next(one for one in page.group.up() if one.live).name
        return f"{name}/map{maps}"

    def statistics(self) -> dict[str, dict[str, int]]:
        own = {one: dict.fromkeys(OWN[self._version], 0) | (one.events if self._version == 1 else {}) for one in self._groups}
        names = ("cache", "mapped_file", "rss", "rss_huge") if self._version == 1 else ("file", "file_mapped", "anon", "anon_thp")
        locked = self._locked()
        for page in self._pages():
            row = own[page.group]
            if page.file is not None:
                row[names[0]] += 1
                row["shmem"] += not page.file.ramfs
                row[names[1]] += page.maps > 0
            else:
                row[names[2]] += page.mapped()
                row[names[3]] += TABLE if page.parts is not None and page.maps else 0
            unevictable = (page.file is not None and page.file.ramfs) or page in locked
            row["unevictable" if unevictable else "inactive_file" if page.lazy else "inactive_anon"] += page.size
        found = {}
        for group in self._groups:
            if group.live:
                total = {key: sum(own[one][key] for one in self._groups if group in one.up()) for key in OWN[self._version]}
                row = own[group] | {f"total_{key}": value for key, value in total.items()} if self._version == 1 else total
                found[group.name] = {key: ({"usage": group.usage} | row)[key] for key in KEYS[self._version]}
        return found

    def _mms(self) -> list[Mm]:
        return list(dict.fromkeys(task.mm for task in self._tasks.values()))

    def _pages(self) -> set[Page]:
        pages = {page for file in self._inodes() for page in file.cache.values()}
        for mm in self._mms():
            pages |= {pte.page for pte in mm.ptes.values() if pte.page is not None} | set(mm.pmds.values())
        return pages

    def _inodes(self) -> set[Inode]:
        return set(self._files.values()) | {vma.file for mm in self._mms() for vma in mm.vmas if vma.file is not None}

    def _locked(self) -> set[Page]:
        found: set[Page] = set()
        for mm in self._mms():
            for vma in mm.vmas:
                if vma.locked:
                    ptes = (mm.ptes.get(address) for address in range(vma.start, vma.end))
                    found |= {pte.page for pte in ptes if pte is not None and pte.page is not None and pte.page.parts is None}
                    found |= {page for pmd, page in mm.pmds.items() if vma.start <= pmd * TABLE < vma.end}
        return found

    # Groups

    def _find(self, name: str) -> Group:
        return next(one for one in self._groups if one.live and one.name == name)

    def _inner(self, group: Group) -> bool:
        return any(one.live and one.above is group for one in self._groups)

    def _mkcg(self, operation: Mkcg) -> int:
        if any(one.live and one.name == operation.group for one in self._groups):
            return -EEXIST
        above = self._find(operation.group.rpartition("/")[0] or ".")
        if self._version == 2 and any(task.group is above for task in self._tasks.values()):
            return -EBUSY  # it cannot hand its controllers down
        self._groups.append(Group(operation.group, above))
        return 0

    def _rmcg(self, operation: Rmcg) -> int:
        group = self._find(operation.group)
        if self._inner(group) or any(task.group is group for task in self._tasks.values()):
            return -EBUSY
        group.live = False
        return 0

    def _flags(self, operation: Flags) -> int:
        if self._version == 2:
            return -ENOENT
        if operation.number > 3:
            return -EINVAL
        self._find(operation.group).flags = operation.number
        return 0

    def _limit(self, operation: Limit) -> int:
        group = self._find(operation.group)
        if 0 <= operation.pages < group.usage and self._version == 1:
            return -EBUSY  # nothing can be reclaimed
        group.limit = operation.pages
        return 0

    def _write(self, _: Operation) -> None:
        pass

    _sysw = _sleepms = _write

    # Files

    def _file(self, operation: File) -> None:
        self._files[operation.file] = Inode(operation.pages, operation.ramfs)

    def _unlink(self, operation: Unlink) -> None:
        file = self._files.pop(operation.file)
        file.linked = False
        self._forget(file)

    def _forget(self, file: Inode) -> None:
        """A file that has no name and no mapping goes."""
        if file not in self._inodes():
            for page in file.cache.values():
                page.free()
            file.cache.clear()

    def _truncate(self, operation: Truncate) -> None:
        file = self._files[operation.file]
        if operation.pages < file.size:
            self._take_out(file, operation.pages, file.size, copies=True)
        file.size = operation.pages

    def _take_out(self, file: Inode, start: int, end: int, *, copies: bool) -> None:
        """Unmap pages of a file everywhere and free them; with `copies`, what private mappings have in their place too."""
        for mm in self._mms():
            for vma in mm.vmas:
                if vma.file is file:
                    for address in range(vma.start, vma.end):
                        pte = mm.ptes.get(address)
                        if pte is not None and start <= vma.index(address) < (end if not copies else 1 << 30) and (copies or (pte.page and pte.page.file)):
                            mm.clear(address)
        for index in [one for one in file.cache if start <= one < (end if not copies else 1 << 30)]:
            file.cache.pop(index).free()

    def _punch(self, operation: Punch) -> int:
        file = self._files[operation.file]
        if file.ramfs:
            return -EOPNOTSUPP
        self._take_out(file, operation.offset, operation.offset + operation.pages, copies=False)
        return 0

    def _cached(self, file: Inode, index: int, group: Group) -> Page:
        if index not in file.cache:
            group.charge(1)
            group.events["pgpgin"] += 1
            file.cache[index] = Page(group, file, index)
        return file.cache[index]

    def _fread(self, operation: Fread) -> None:
        file = self._files[operation.file]
        if file.ramfs:  # a hole of tmpfs is read without a page
            for index in range(operation.offset, min(operation.offset + operation.pages, file.size)):
                self._cached(file, index, self._tasks[operation.worker].mm.group())

    def _fwrite(self, operation: Fwrite) -> None:
        file = self._files[operation.file]
        for index in range(operation.offset, operation.offset + operation.pages):
            self._cached(file, index, self._tasks[operation.worker].mm.group())
            file.size = max(file.size, index + 1)

    # Processes

    def _spawn(self, operation: Spawn) -> int:
        group = self._find(operation.group)
        if self._version == 2 and self._inner(group):
            return -EBUSY
        self._tasks[operation.worker] = task = Task(group, Mm())
        task.mm.tasks.append(task)
        return 0

    def _fork(self, operation: Fork) -> None:
        old = self._tasks[operation.worker]
        mm = Mm(regions=dict(old.mm.regions), slots=old.mm.slots)
        self._tasks[operation.new] = task = Task(old.group, mm)
        mm.tasks.append(task)
        for one in old.mm.vmas:
            mm.vmas.append(Vma(one.start, one.end, one.file, one.offset, one.shared, one.huge, False, one.protection, one.anon and object(), one.anon is not None))
        mm.zeros |= old.mm.zeros
        copied = {address // TABLE for one in old.mm.vmas if one.anon is not None for address in range(one.start, one.end)}
        mm.tables |= old.mm.tables & copied
        for pmd, page in old.mm.pmds.items():
            mm.pmds[pmd] = page
            page.maps += 1
            page.exclusive.clear()
        for address, pte in old.mm.ptes.items():
            vma = old.mm.vma(address)
            assert vma is not None
            if vma.anon is None:
                continue  # faults bring its pages back
            mm.ptes[address] = Pte(pte.page, pte.part)
            if pte.page is not None and pte.page.parts is not None:
                pte.page.parts[pte.part] += 1
                pte.page.exclusive.discard(pte.part)
            elif pte.page is not None:
                pte.page.maps += 1
                pte.page.exclusive.clear()

    def _vmfork(self, operation: Vmfork) -> None:
        old = self._tasks[operation.worker]
        self._tasks[operation.new] = task = Task(old.group, old.mm)
        old.mm.tasks.append(task)

    def _exit(self, operation: Exit | Kill) -> None:
        task = self._tasks.pop(operation.worker)
        mm = task.mm
        mm.tasks.remove(task)
        if not mm.tasks:
            files = {vma.file for vma in mm.vmas if vma.file is not None}
            for vma in mm.vmas:
                mm.clear_range(vma.start, vma.end)
            mm.vmas.clear()
            for file in files:
                self._forget(file)

    _kill = _exit

    def _move(self, operation: Move) -> int:
        task, to = self._tasks[operation.worker], self._find(operation.group)
        if self._version == 2:
            if self._inner(to):
                return -EBUSY
        elif to is not task.group and to.flags and task.mm.tasks[0] is task:
            self._move_charges(task.mm, task.group, to)
        task.group = to
        return 0

    def _move_charges(self, mm: Mm, old: Group, to: Group) -> None:
        found = [(page, whole) for page, whole in self._movable(mm, to.flags) if page.group is old]
        to.charge(sum(page.size if whole else 1 for page, whole in found))
        to.uncharge(sum(page.size if whole else 1 for page, whole in found))
        for page, whole in found:
            if page.group is old and (whole or page.parts is None):
                page.free()
                to.charge(page.size)
                to.events["pgpgin"] += 1
                page.group = to

    def _movable(self, mm: Mm, flags: int) -> Iterator[tuple[Page, bool]]:
        for vma in sorted(mm.vmas, key=lambda one: one.start):
            for address in range(vma.start, vma.end):
                pmd = address // TABLE
                if pmd in mm.pmds:
                    if address % TABLE == 0 and flags & 1:
                        yield mm.pmds[pmd], True
                elif address in mm.ptes:
                    page = mm.ptes[address].page
                    if page is not None and flags & (1 if page.file is None else 2):
                        yield page, page.parts is None
                elif vma.file is not None and flags & 2 and pmd in mm.tables and vma.index(address) in vma.file.cache:
                    yield vma.file.cache[vma.index(address)], True

    # Memory

    def _range(self, operation: Operation) -> tuple[Mm, int, int]:
        mm = self._tasks[operation.worker].mm  # type: ignore[attr-defined]
        start, size = mm.regions[operation.region]  # type: ignore[attr-defined]
        offset, pages = operation.offset, operation.pages  # type: ignore[attr-defined]
        return mm, start + offset, start + (offset + pages if pages is not None else size)

    def _map(self, operation: Map) -> None:
        mm = self._tasks[operation.worker].mm
        if operation.slot is None:
            mm.slots += 1 + operation.pages // SLOT
            start = (1 + mm.slots - operation.pages // SLOT) * SLOT
        else:
            start = (1 << 30) + operation.slot * SLOT + operation.page
        file = self._files[operation.file] if operation.file else Inode(operation.pages, linked=False) if operation.kind == "shanon" else None
        shared = operation.kind == "shanon" or operation.sharing == "shared"
        self._drop(mm, start, start + operation.pages)
        mm.vmas.append(Vma(start, start + operation.pages, file, operation.offset if file is not None else start, shared))
        mm.merge(start, start + operation.pages)
        mm.regions[operation.region] = start, operation.pages

    def _drop(self, mm: Mm, start: int, end: int) -> None:
        gone = mm.split(start, end)
        mm.clear_range(start, end)
        mm.vmas = [one for one in mm.vmas if one not in gone]
        used = {pmd for one in mm.vmas for pmd in range(one.start // TABLE, (one.end - 1) // TABLE + 1)}
        mm.tables -= set(range(start // TABLE, (end - 1) // TABLE + 1)) - used
        for file in {one.file for one in gone if one.file is not None}:
            self._forget(file)

    def _unmap(self, operation: Unmap) -> None:
        self._drop(*self._range(operation))
        if operation.pages is None:
            del self._tasks[operation.worker].mm.regions[operation.region]

    def _mremap(self, operation: Mremap) -> int:
        mm, start, end = self._range(operation)
        new = (1 << 30) + operation.slot * SLOT
        if mm.vma(start) is None:
            return -EFAULT
        self._drop(mm, new, new + end - start)
        if [part[1:] for part in mm.parts(start, end)] != [(start, end)]:
            return -EFAULT
        vma = mm.split(start, end)[0]
        for pmd in [one for one in [*mm.pmds, *mm.zeros] if start <= one * TABLE < end and (start % TABLE or (one + 1) * TABLE > end)]:
            mm.split_pmd(pmd)
        whole = {one for one in mm.zeros if start <= one * TABLE < end}
        mm.zeros = (mm.zeros - whole) | {one + (new - start) // TABLE for one in whole}
        delta = new - start
        for pmd in [one for one in mm.pmds if start <= one * TABLE < end]:
            mm.pmds[pmd + delta // TABLE] = mm.pmds.pop(pmd)
        for address in range(start, end):
            if address // TABLE in mm.tables:
                mm.tables.add((address + delta) // TABLE)
            if address in mm.ptes:
                mm.ptes[address + delta] = mm.ptes.pop(address)
        offset = new if vma.file is None and vma.anon is None else vma.offset
        mm.vmas.append(Vma(new, new + end - start, vma.file, offset, vma.shared, vma.huge, vma.locked, vma.protection, vma.anon, vma.inherited))
        self._drop(mm, start, end)
        mm.regions[operation.region] = new, end - start
        return 0

    def _mprotect(self, operation: Mprotect) -> int:
        mm, start, end = self._range(operation)
        return 0 if mm.change(start, end, "protection", operation.protection) else -ENOMEM

    def _touch(self, operation: Touch) -> None:
        mm, start, end = self._range(operation)
        for address in range(start, end):
            self._access(mm, address, write=operation.access == "w")

    def _access(self, mm: Mm, address: int, *, write: bool) -> None:
        vma = mm.vma(address)
        if vma is None or vma.protection not in (("rw",) if write else ("r", "rw")):
            raise Fault
        pmd = address // TABLE
        if vma.file is None and pmd not in mm.tables and pmd not in mm.pmds and pmd not in mm.zeros and self._huge_fault(mm, vma, address, write=write):
            return
        page = self._there(mm, address)
        if page is False:
            self._fault(mm, vma, address, write=write)
        elif write and not (vma.shared or self._reused(mm, address, page)):
            mm.comes(vma)
            self._copy(mm, address)

    def _there(self, mm: Mm, address: int) -> Page | None | bool:
        """The page mapped at an address, None for the zero page, False for nothing."""
        if address // TABLE in mm.pmds:
            return mm.pmds[address // TABLE]
        if address // TABLE in mm.zeros:
            return None
        return mm.ptes[address].page if address in mm.ptes else False

    def _huge_fault(self, mm: Mm, vma: Vma, address: int, *, write: bool) -> bool:
        pmd = address // TABLE
        if not vma.huge or pmd * TABLE < vma.start or (pmd + 1) * TABLE > vma.end:
            return False
        mm.comes(vma)
        if not write:
            mm.zeros.add(pmd)
            return True
        try:
            mm.group().charge(TABLE)
        except NoMemory:
            return False
        mm.group().events["pgpgin"] += 1
        mm.pmds[pmd] = Page(mm.group(), maps=1, parts={}, exclusive=set(range(TABLE)))
        return True

    def _fresh(self, mm: Mm) -> Page:
        group = mm.group()
        group.charge(1)
        group.events["pgpgin"] += 1
        return Page(group, exclusive={0})

    def _fault(self, mm: Mm, vma: Vma, address: int, *, write: bool) -> None:
        if write and not vma.shared:
            mm.comes(vma)
        if vma.file is None:
            mm.set(address, self._fresh(mm) if write else None)
            return
        index = vma.index(address)
        if index >= vma.file.size:
            raise Fault
        if write and not vma.shared:
            page = self._fresh(mm)
            try:
                self._cached(vma.file, index, mm.group())
            except NoMemory:
                page.free()
                raise
            mm.set(address, page)
            return
        if not write:
            start = max(address - address % WINDOW, vma.start)
            for near in range(start, min(start + WINDOW, vma.end, (address // TABLE + 1) * TABLE)):
                cached = vma.file.cache.get(vma.index(near))
                if near not in mm.ptes and cached is not None and vma.index(near) < vma.file.size:
                    mm.set(near, cached)
        if address not in mm.ptes:
            mm.set(address, self._cached(vma.file, index, mm.group()))

    def _reused(self, mm: Mm, address: int, page: Page | None | bool) -> bool:
        """Whether a private page can be written where it is."""
        if not isinstance(page, Page) or page.file is not None:
            return False
        part = mm.ptes[address].part if address in mm.ptes else address % TABLE
        if part in page.exclusive:
            return True
        alone = page.maps + (sum(page.parts.values()) if page.parts else 0) == 1
        if alone:
            page.exclusive |= set(range(page.size)) if page.maps else {part}
        return alone

    def _copy(self, mm: Mm, address: int) -> None:
        mm.split_pmd(address // TABLE)
        page = self._fresh(mm)
        mm.clear(address)
        mm.set(address, page)

    # Advice

    def _dontneed(self, operation: Dontneed) -> int:
        mm, start, end = self._range(operation)
        for vma, low, high in mm.parts(start, end):
            if vma.locked:
                return -EINVAL
            mm.clear_range(low, high)
        return self._covered(mm, start, end)

    def _covered(self, mm: Mm, start: int, end: int) -> int:
        """What madvise() returns: it does not stop at a gap, and tells of it at the end."""
        return 0 if sum(high - low for _, low, high in mm.parts(start, end)) == end - start else -ENOMEM

    def _madvfree(self, operation: Madvfree) -> int:
        mm, start, end = self._range(operation)
        for vma, low, high in mm.parts(start, end):
            if vma.file is not None or vma.locked:
                return -EINVAL
            for address in range(low, high):
                page = self._there(mm, address)
                if isinstance(page, Page) and page not in self._locked():
                    pmd = address // TABLE
                    whole = page.maps == 1 and not page.parts and low <= pmd * TABLE and (pmd + 1) * TABLE <= high
                    page.lazy |= page.parts is None or whole
        return self._covered(mm, start, end)

    def _remove(self, operation: Remove) -> int:
        mm, start, end = self._range(operation)
        for vma, low, high in mm.parts(start, end):
            if vma.locked or vma.file is None:
                return -EINVAL
            if not vma.shared or vma.protection != "rw":
                return -EACCES
            if vma.file.ramfs:
                return -EOPNOTSUPP
            self._take_out(vma.file, vma.index(low), vma.index(high), copies=False)
        return self._covered(mm, start, end)

    def _hugepage(self, operation: Hugepage) -> int:
        mm, start, end = self._range(operation)
        for _, low, high in mm.parts(start, end):
            mm.change(low, high, "huge", True)
        return self._covered(mm, start, end)

    def _pageout(self, _: Pageout) -> None:
        pass

    def _mlock(self, operation: Mlock) -> int:
        mm, start, end = self._range(operation)
        if not mm.change(start, end, "locked", True):
            return -ENOMEM
        for vma in mm.vmas:
            for address in range(max(start, vma.start), min(end, vma.end)):
                try:
                    self._access(mm, address, write=vma.protection == "rw" and not vma.shared)
                except Fault:
                    return -ENOMEM
                except NoMemory:
                    return -EAGAIN
        return 0

    def _munlock(self, operation: Munlock) -> int:
        mm, start, end = self._range(operation)
        return 0 if mm.change(start, end, "locked", False) else -ENOMEM
