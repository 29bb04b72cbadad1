"""Random workloads: the next line, from a seed and what there is.

A line is made for the names there are when it is to run, so that nearly all lines do something; what the kernel then answers decides what
there is for the next. Weights are chosen so that moves, forks, truncations and limits meet pages that are charged. Leaves out running (random_runs.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from .names import TOP, Names

MOST_GROUPS, MOST_WORKERS, MOST_REGIONS, MOST_FILES = 6, 5, 5, 3
_SIZES: Final = (1, 2, 5, 16, 17, 40, 90)  # pages; around fault-around's window of 16
_LARGE: Final = (512, 520, 1024)  # around a page table


class Generator:
    """Makes the lines of one workload. `huge` after there may be huge pages."""

    def __init__(self, seed: int, version: int) -> None:
        self._random = random.Random(f"{version}/{seed}")  # a str: the same on every Python
        self._version = version
        self._made = 0
        self._pages: dict[str, int] = {}  # of each file, as it was made or truncated
        # so that what comes then meets something: groups that take charges along, a file, workers with memory
        self._first = [self._mkcg, self._flags, self._mkcg, self._flags, self._file, self._spawn, self._map, self._touch, self._map, self._touch]
        self.huge = False
        self._may_be_huge = self._random.random() < 0.2
        self._weights: list[tuple[Callable[[Names], str | None], int]] = [
            (self._mkcg, 3), (self._rmcg, 2), (self._flags, 4 if version == 1 else 1), (self._limit, 1), (self._other, 1), (self._file, 3),
            (self._unlink, 1), (self._truncate, 3), (self._punch, 3), (self._spawn, 4), (self._fork, 9), (self._exit, 3), (self._move, 16),
            (self._map, 14), (self._touch, 34), (self._unmap, 5), (self._advice, 10), (self._protect, 2), (self._mremap, 2), (self._io, 6),
            (self._hugepage, 4 if self._may_be_huge else 0),
        ]  # fmt: skip

    def next(self, names: Names) -> str:
        """A line that fits what there is."""
        if len(names.groups) == 1:
            return self._mkcg(names) or ""
        while self._first:
            first = self._first.pop(0)(names)
            if first is not None:
                return first
        while True:
            makers, weights = zip(*self._weights, strict=True)
            line: str | None = self._random.choices(makers, weights)[0](names)
            if line is not None:
                return line

    def closing(self, names: Names) -> list[str]:
        """What ends everything: all workers exit, all files go."""
        return [f"exit {worker}" for worker in names.workers] + [f"unlink {file}" for file in names.files]

    def _new(self, letter: str) -> str:
        self._made += 1
        return f"{letter}{self._made}"

    def _group(self, names: Names, *, top: bool = False) -> str:
        return self._random.choice([one for one in names.groups if top or one != TOP])

    def _worker(self, names: Names) -> str | None:
        return self._random.choice(list(names.workers)) if names.workers else None

    def _file_name(self, names: Names) -> str | None:
        return self._random.choice(list(names.files)) if names.files else None

    def _region(self, names: Names) -> tuple[str, str, int] | None:
        """A worker, one of its regions, and its pages."""
        found = [(worker, region, pages) for worker, regions in names.workers.items() for region, pages in regions.items()]
        return self._random.choice(found) if found else None

    def _part(self, pages: int) -> str:
        """OFF N inside so many pages; often the whole, often a few at one end."""
        start = self._random.choice((0, 0, self._random.randrange(pages)))
        return f"{start} {self._random.choice((pages - start, self._random.randint(1, pages - start)))}"

    def _on_region(self, names: Names, name: str, after: str = "") -> str | None:
        found = self._region(names)
        return None if found is None else f"{name} {found[0]} {found[1]} {self._part(found[2])}{after}"

    def _size(self) -> int:
        return self._random.choice(_LARGE) if self._random.random() < 0.1 else self._random.choice(_SIZES)

    def _mkcg(self, names: Names) -> str | None:
        if len(names.groups) > MOST_GROUPS:
            return None
        above = self._group(names, top=True)
        if self._version == 2 and above in names.where.values():
            return None  # a group with tasks does not let those inside have a memory controller
        name = self._new("g")
        return f"mkcg {name}" if above == TOP or above.count("/") > 2 else f"mkcg {above}/{name}"

    def _rmcg(self, names: Names) -> str | None:
        return f"rmcg {self._group(names)}"

    def _flags(self, names: Names) -> str | None:
        return f"flags {self._group(names)} {self._random.choice((0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 7))}"

    def _limit(self, names: Names) -> str | None:
        return f"limit {self._group(names)} {self._random.choice((-1, -1, 0, 20, 100, 1000))}"

    def _other(self, names: Names) -> str | None:
        return self._random.choice((f"write {self._group(names)} memory.force_empty 1", "sleepms 20", "sysw /proc/sys/vm/drop_caches 2"))

    def _file(self, names: Names) -> str | None:
        if len(names.files) >= MOST_FILES:
            return None
        name = self._new("f")
        self._pages[name] = self._size()
        return f"file {name} {self._pages[name]}{self._random.choice(('', '', '', ' ramfs'))}"

    def _unlink(self, names: Names) -> str | None:
        file = self._file_name(names)
        return file and f"unlink {file}"

    def _truncate(self, names: Names) -> str | None:
        file = self._file_name(names)
        if file is None:
            return None
        self._pages[file] = self._random.choice((self._pages[file] // 2, self._size(), self._size()))
        return f"truncate {file} {self._pages[file]}"

    def _punch(self, names: Names) -> str | None:
        file = self._file_name(names)
        return file and f"punch {file} {self._part(self._size())}"

    def _spawn(self, names: Names) -> str | None:
        group = self._group(names)
        inner = any(one.startswith(f"{group}/") for one in names.groups)
        if len(names.workers) >= MOST_WORKERS or (self._version == 2 and inner):
            return None
        return f"spawn {self._new('w')} {group}"

    def _fork(self, names: Names) -> str | None:
        worker = self._worker(names)
        if worker is None or len(names.workers) >= MOST_WORKERS:
            return None
        return f"{self._random.choice(('fork', 'fork', 'fork', 'vmfork'))} {worker} {self._new('c')}"

    def _exit(self, names: Names) -> str | None:
        worker = self._worker(names)
        return worker and f"{self._random.choice(('exit', 'exit', 'kill'))} {worker}"

    def _move(self, names: Names) -> str | None:
        worker = self._worker(names)
        if worker is None:
            return None
        others = [one for one in names.groups if one != names.where[worker] and (one != TOP or self._random.random() < 0.3)]
        return f"move {worker} {self._random.choice(others or [TOP])}"

    def _map(self, names: Names) -> str | None:
        worker, file = self._worker(names), self._file_name(names)
        if worker is None or len(names.workers[worker]) >= MOST_REGIONS:
            return None
        region, pages = self._new("r"), self._size()
        kind = self._random.choice(("anon", "anon", "shanon", "file", "file", "file"))
        if kind != "file" or file is None:
            return f"map {worker} {region} {'anon' if kind == 'file' else kind} {pages}"
        offset = self._random.choice((0, 0, 3, 20))
        if self._random.random() < 0.8:  # else it may reach beyond the end of the file
            offset = min(offset, max(self._pages[file] - 1, 0))
            pages = min(pages, max(self._pages[file] - offset, 1))
        return f"map {worker} {region} file {file} {offset} {pages} {self._random.choice(('shared', 'shared', 'private'))}"

    def _touch(self, names: Names) -> str | None:
        return self._on_region(names, "touch", self._random.choice((" r", " w", " w")))

    def _unmap(self, names: Names) -> str | None:
        found = self._region(names)
        if found is not None and self._random.random() < 0.3:
            return f"unmap {found[0]} {found[1]}"
        return self._on_region(names, "unmap")

    def _advice(self, names: Names) -> str | None:
        return self._on_region(names, self._random.choice(("dontneed", "dontneed", "dontneed", "madvfree", "remove", "pageout", "mlock", "munlock", "owners")))

    def _protect(self, names: Names) -> str | None:
        return self._on_region(names, "mprotect", self._random.choice((" none", " r", " rw", " rw", " rw")))

    def _mremap(self, names: Names) -> str | None:
        self._made += 1
        return self._on_region(names, "mremap", f" {2000 + self._made}")  # a slot that nothing else has

    def _io(self, names: Names) -> str | None:
        worker, file = self._worker(names), self._file_name(names)
        if worker is None or file is None:
            return None
        return f"{self._random.choice(('fread', 'fwrite', 'fwrite'))} {worker} {file} {self._part(self._size())}"

    def _hugepage(self, names: Names) -> str | None:
        found = self._region(names)
        if found is None:
            return None
        self.huge = True
        return f"hugepage {found[0]} {found[1]}"
