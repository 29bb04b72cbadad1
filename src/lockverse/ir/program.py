"""Functions, threads, memory and properties: a whole scheme in the intermediate representation.

`Program` is what the frontend makes: functions that call each other. `Linked` is what the passes make of it and what
the machines run: one flat `Code` a thread and a property, without calls.

Leaves out: how a state is represented (each machine has its own way) and how a search goes.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .ops import Op
from .source import Origin, Statement
from .types import Scalar, Struct, StructRef, Type


class Register(msgspec.Struct, frozen=True):
    """A register: `kind` is "param", "local" (a variable of the user's) or "temp" (the compiler's own)."""

    name: str
    type: Scalar
    kind: str


class Block(msgspec.Struct, frozen=True):
    """A list of ops that ends with its only terminator; a block's number is its place in the function."""

    ops: tuple[Op, ...]


class Function(msgspec.Struct, frozen=True):
    """A function for one choice of argument types. Block 0 is the entry; registers 0.. are the parameters.

    An `observer` has no steps and writes no memory: it is (or is called from) a property. A `primitive` belongs to the
    vocabulary: its ops make one step, shown as the user's call.
    """

    name: str
    parameters: int
    registers: tuple[Register, ...]
    results: tuple[Scalar, ...]
    blocks: tuple[Block, ...]
    observer: bool = False
    primitive: bool = False


class Object(msgspec.Struct, frozen=True):
    """An object of the scene: its name as the reader knows it, its type, and its first cell."""

    name: str
    type: Type
    address: int


class Pool(msgspec.Struct, frozen=True):
    """Room for `count` objects of one struct, side by side from `first` on, `size` cells each. `allocated` is the first of as
    many cells which say, object by object, whether it is allocated. A free object is all zero, constants of its struct aside."""

    name: str
    type: StructRef
    first: int
    size: int
    count: int
    allocated: int

    def objects(self) -> Mapping[int, int]:
        """By the address of each object, the cell that says whether it is allocated."""
        return {self.first + number * self.size: self.allocated + number for number in range(self.count)}


class Cell(msgspec.Struct, frozen=True):
    """A cell of memory: "memcg1.nr_mapped", its type, its value when the scene starts."""

    name: str
    type: Scalar
    initial: int


class Thread(msgspec.Struct, frozen=True):
    """What runs on a CPU: the function (its key in `functions`), its name for a reader, its arguments, its task_struct's
    address, and its context, one of contexts.CONTEXTS. A thread that is no task begins with a step of a kind in contexts.ENTRIES.
    `cpu` is negative for a thread of the vocabulary's own, such as one that runs RCU's callbacks, each on a CPU of its own. `pending`, if
    it is not 0, is a cell that says what is still to be done: the thread is at rest only while that is 0."""

    cpu: int
    function: str
    title: str
    arguments: tuple[int, ...]
    task: int
    context: str = "task"
    pending: int = 0


class Property(msgspec.Struct, frozen=True):
    """What must hold. `kind` is Reason.ALWAYS, AT_REST, LEAK or SOMETIMES as a string; `function` takes nothing and gives a
    bool. `origin` points at it in the scheme."""

    kind: str
    message: str
    function: str
    origin: int


class Program(msgspec.Struct, frozen=True):
    """A scheme with its scene. Cell 0 is NULL's and is never read.

    `tasks` is the address of the array of task_structs, one a thread, in thread order.
    `locks` are the addresses of all locks: structs of kind "lock", wherever they are embedded.
    `permanent`, where there are pools, is a cell that is always 1: it stands for the lifetime of all that is in none.
    """

    name: str
    file: str
    structs: Mapping[str, Struct]
    functions: Mapping[str, Function]
    objects: tuple[Object, ...]
    cells: tuple[Cell, ...]
    threads: tuple[Thread, ...]
    properties: tuple[Property, ...]
    statements: tuple[Statement, ...]
    origins: tuple[Origin, ...]
    tasks: int
    locks: tuple[int, ...]
    pools: tuple[Pool, ...] = ()
    permanent: int = 0

    def lifetimes(self) -> Mapping[int, int]:
        """For each cell of a pool's object, the cell that says whether that is allocated."""
        return {
            address + offset: allocated
            for pool in self.pools for address, allocated in pool.objects().items() for offset in range(pool.size)
        }  # fmt: skip

    def readers(self) -> Mapping[int, int]:
        """By lock, the cell with a bit for each task that holds it shared: the one behind the owner's, where a lock has one."""
        found = {}
        for lock in self.locks:
            name = self.cells[lock].name.rpartition(".")[0]
            if lock + 1 < len(self.cells) and self.cells[lock + 1].name == f"{name}.readers":
                found[lock] = lock + 1
        return found

    def task_offset(self, name: str) -> int | None:
        """Where in a task_struct the field of that name is; None if tasks have none."""
        found = (struct.field(name) for struct in self.structs.values() if struct.kind == "task")
        return next((field.offset for field in found if field is not None), None)


class Code(msgspec.Struct, frozen=True):
    """A function without calls, flat: the targets of Jump and Branch are indices into `ops`.

    `keep[pc]` are the registers that are part of a thread's state when it stands before `ops[pc]`; all others are
    zero there. It is empty where no thread can stand (a thread stands before a Step, or has finished).
    """

    name: str
    parameters: int
    registers: tuple[Register, ...]
    ops: tuple[Op, ...]
    keep: tuple[tuple[int, ...], ...]


class Linked(msgspec.Struct, frozen=True):
    """What a machine runs. `codes[i]` is the code of `program.threads[i]` and `conditions[i]` that of
    `program.properties[i]`; threads with one function share one Code object. `origins` extends
    `program.origins` by those that inlining made."""

    program: Program
    codes: tuple[Code, ...]
    conditions: tuple[Code, ...]
    origins: tuple[Origin, ...]
