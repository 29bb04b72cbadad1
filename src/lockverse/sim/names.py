"""The names a workload has made so far, and what is wrong with an operation that names something else.

A book beside the system: each operation is shown to it before it runs (`refuse`) and after (`note`). So the system is only asked about
workers, regions, files and groups that are there, and pages inside regions; what the kernel itself refuses, it answers with an errno.
Leaves out what any of them is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lockverse.diagnostics.model import Diagnostic, Label, Place
from lockverse.diagnostics.suggest import nearest

from .operations import (
    Exit,
    File,
    Fork,
    Kill,
    Limit,
    Map,
    Mkcg,
    Move,
    Mprotect,
    Mremap,
    OnRange,
    Operation,
    Rmcg,
    Spawn,
    Touch,
    Unlink,
    Unmap,
    Vmfork,
)

TOP = "."


class Names:
    """What there is: groups, files, workers, and the regions of each worker with their numbers of pages."""

    def __init__(self) -> None:
        self.groups: dict[str, Place] = {TOP: Place("", 0, 0, 0, 0)}
        self.files: dict[str, Place] = {}
        self.workers: dict[str, dict[str, int]] = {}  # tasks of one address space share the inner one
        self.where: dict[str, str] = {}  # the group of each worker
        self.limits: dict[str, int] = {}  # in pages, of the groups that have one
        self._made: dict[tuple[str, str], Place] = {}
        self._gone: dict[tuple[str, str], Place] = {}

    def refuse(self, operation: Operation) -> Diagnostic | None:
        """What is wrong with an operation as things stand, None if it can be run."""
        new = _makes(operation)
        for field, what, known in self._named(operation):
            name = getattr(operation, field)
            if new == field:
                if name in known:
                    return self._taken(operation, field, what, name)
            elif name not in known:
                return self._unknown(operation, field, what, name, known)
        if isinstance(operation, Mkcg):
            above = operation.group.rpartition("/")[0]
            if above and above not in self.groups:
                return self._unknown(operation, "group", "group", above, self.groups)
        if isinstance(operation, Rmcg) and operation.group == TOP:
            help_ = "remove the groups inside it, by their names"
            return Diagnostic("K406", "the top group stays", Label(operation.place("group")), help=help_)
        return self._outside(operation)

    def note(self, operation: Operation, result: int) -> None:
        """What an operation has changed about the names; nothing if it failed."""
        if result != 0:
            return
        match operation:
            case Mkcg(group=group):
                self.groups[group] = self._make("group", group, operation.place("group"))
            case Rmcg(group=group):
                del self.groups[group]
                self._gone["group", group] = operation.place("group")
                self.limits.pop(group, None)
            case Limit(group=group, pages=pages):
                self.limits[group] = pages
                if pages < 0:
                    del self.limits[group]
            case File(file=file):
                self.files[file] = self._make("file", file, operation.place("file"))
            case Unlink(file=file):
                del self.files[file]
                self._gone["file", file] = operation.place("file")
            case Spawn(worker=worker, group=group):
                self._start(worker, {}, group, operation.place("worker"))
            case Fork(worker=worker, new=new):
                self._start(new, dict(self.workers[worker]), self.where[worker], operation.place("new"))
            case Vmfork(worker=worker, new=new):
                self._start(new, self.workers[worker], self.where[worker], operation.place("new"))
            case Move(worker=worker, group=group):
                self.where[worker] = group
            case Exit(worker=worker) | Kill(worker=worker):
                del self.workers[worker], self.where[worker]
                self._gone["worker", worker] = operation.place("worker")
            case Map(worker=worker, region=region, pages=pages):
                self.workers[worker][region] = pages
                self._make("region", region, operation.place("region"))
            case Mremap(worker=worker, region=region, pages=pages):
                self.workers[worker][region] = pages
            case Unmap(worker=worker, region=region, pages=None):
                del self.workers[worker][region]
                self._gone["region", region] = operation.place("region")

    def _make(self, what: str, name: str, place: Place) -> Place:
        self._made[what, name] = place
        self._gone.pop((what, name), None)
        return place

    def _start(self, worker: str, regions: dict[str, int], group: str, place: Place) -> None:
        self.workers[worker], self.where[worker] = regions, group
        self._make("worker", worker, place)

    def _named(self, operation: Operation) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        """The names in an operation: the field, what it is a name of, and those that are known."""
        books: dict[str, Mapping[str, object]] = {"worker": self.workers, "group": self.groups, "file": self.files}
        for field, what in (("worker", "worker"), ("new", "worker"), ("group", "group"), ("file", "file"), ("region", "region")):
            name = getattr(operation, field, "")
            if name and not (isinstance(operation, Mkcg) and field == "group"):
                yield field, what, books[what] if what in books else self.workers[getattr(operation, "worker", "")]

    def _unknown(self, operation: Operation, field: str, what: str, name: str, known: Iterable[str]) -> Diagnostic:
        gone = self._gone.get((what, name))
        close = nearest(name, known)
        names = ", ".join(one for one in known if one != TOP)
        help_ = f"did you mean `{close}`?" if close and gone is None else f"the {what}s are {names}" if names else f"make one first: `{_MAKERS[what]}`"
        whose = f" of `{getattr(operation, 'worker', '')}`" if what == "region" else ""
        label = Label(operation.place(field), _GONE[what] if gone else f"no {what}{whose} has this name")
        return Diagnostic("K406", f"there is no {what} `{name}`", label, (Label(gone, "here"),) if gone and gone.line else (), help_)

    def _taken(self, operation: Operation, field: str, what: str, name: str) -> Diagnostic:
        made = self._made.get((what, name))
        secondary = (Label(made, "made here"),) if made and made.line else ()
        return Diagnostic("K407", f"there is a {what} `{name}` already", Label(operation.place(field)), secondary, "choose another name")

    def _outside(self, operation: Operation) -> Diagnostic | None:
        """Pages of a region that it does not have."""
        if not isinstance(operation, OnRange | Touch | Mprotect | Mremap):
            return None
        size = self.workers[operation.worker][operation.region]
        if operation.pages is None or operation.offset + operation.pages <= size:
            return None
        first, last = operation.place("offset"), operation.place("pages")
        where = Place(first.file, first.line, first.column, last.line, last.end_column)
        last_page = operation.offset + operation.pages - 1
        label = Label(where, f"pages {operation.offset} to {last_page}")
        return Diagnostic("K408", f"`{operation.region}` has {size} pages", label, help=f"its pages are 0 to {size - 1}")


_MAKERS = {"worker": "spawn W CG", "group": "mkcg CG", "file": "file F PAGES", "region": "map W R anon N"}
_GONE = {"worker": "it has exited", "group": "it was removed", "file": "its name was removed", "region": "it was unmapped"}


def _makes(operation: Operation) -> str | None:
    """The field that names what an operation makes, if it must be new. A group may be there: mkdir says so itself."""
    match operation:
        case Spawn():
            return "worker"
        case Fork() | Vmfork():
            return "new"
        case Map():
            return "region"
        case File():
            return "file"
        case _:
            return None
