"""What a reader calls cells, objects and values: "memcg2.nr_mapped", "p", "NULL", "True".

Leaves out expressions of the program: those are in its statements.
"""

from __future__ import annotations

from lockverse.ir.program import Program
from lockverse.ir.types import Array, Bool, Enum, Int, Ptr, Scalar, StructRef, Type

INSIDES = ("lock", "rcu_head", "request", "seqcount", "srcu", "wait_queue")  # kinds of structs whose fields are the vocabulary's own


class Names:
    """The names of one program's memory."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._objects: dict[tuple[int, Type], str] = {}
        self._first: dict[int, str] = {}
        for one in program.objects:
            self._enter(one.name, one.type, one.address)
        self.locks = {address: program.cells[address].name.rpartition(".")[0] for address in program.locks}
        self._lifetimes = program.lifetimes()
        self.switches = frozenset((*self._lifetimes.values(), program.permanent) if program.pools else ())
        self._hidden = self._hidden_cells() | self.switches

    def _enter(self, name: str, kind: Type, address: int) -> None:
        self._objects.setdefault((address, kind), name)
        self._first.setdefault(address, name)
        if isinstance(kind, StructRef):
            for field in self._program.structs[kind.name].fields:
                self._enter(f"{name}.{field.name}", field.type, address + field.offset)
        elif isinstance(kind, Array):
            for index in range(kind.length):
                self._enter(f"{name}[{index}]", kind.element, address + index * self._size(kind.element))

    def _size(self, kind: Type) -> int:
        if isinstance(kind, StructRef):
            return self._program.structs[kind.name].size
        return kind.length * self._size(kind.element) if isinstance(kind, Array) else 1

    def _hidden_cells(self) -> frozenset[int]:
        """The cells of locks, wait queues, seqcounts, tasks, what handlers are asked for with, what RCU keeps: the vocabulary's own."""
        found: set[int] = set()
        for one in self._program.objects:
            if isinstance(one.type, StructRef) and self._program.structs[one.type.name].kind == "task":
                found.update(range(one.address, one.address + self._size(one.type)))
        for (address, kind), _ in self._objects.items():
            if isinstance(kind, StructRef) and self._program.structs[kind.name].kind in INSIDES:
                found.update(range(address, address + self._size(kind)))
        return frozenset(found)

    def cell(self, address: int) -> str:
        """The name of a cell."""
        return self._program.cells[address].name

    def pooled(self, address: int) -> str:
        """The name of the pool's object that a cell belongs to."""
        return self.pooled_by(self._lifetimes[address])

    def pooled_by(self, switch: int) -> str:
        """The name of the pool's object of which a cell says whether it is allocated."""
        return self._first[next(cell for cell, allocated in self._lifetimes.items() if allocated == switch)]

    def is_hidden(self, address: int) -> bool:
        """Whether a cell is inside a lock or a task, or says whether something is allocated: readers know those by what the
        primitives do."""
        return address in self._hidden

    def object(self, address: int, kind: StructRef | Array | None = None) -> str:
        """The name of the object at an address: of that type, where several begin there."""
        if address == 0:
            return "NULL"
        if kind is not None and (address, kind) in self._objects:
            return self._objects[(address, kind)]
        return self.locks.get(address) or self._first.get(address) or self.cell(address)

    def value(self, value: int, kind: Scalar) -> str:
        """A value as a reader writes it."""
        if isinstance(kind, Bool):
            return str(bool(value))
        if isinstance(kind, Enum):
            return kind.members[value] if kind.functions else f"{kind.name}.{kind.members[value]}"
        return self.object(value, kind.target) if isinstance(kind, Ptr) else str(value)

    def thread_of(self, task: int) -> int | None:
        """The thread whose task_struct is at that address."""
        return next((n for n, thread in enumerate(self._program.threads) if thread.task == task), None)


def range_of(kind: Int) -> str:
    """The range of an integer type, for a message."""
    return f"{kind.low}..{kind.high}"


def bytes_of(kind: Scalar) -> int:
    """The size of a scalar in the kernel, where pointers have 64 bits and an enum is an int."""
    if isinstance(kind, Int):
        return kind.bits // 8
    if isinstance(kind, Enum):
        return 8 if kind.functions else 4
    return 1 if isinstance(kind, Bool) else 8
