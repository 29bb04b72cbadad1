"""Lifetimes: before every access to what may be an object of a pool, a check that the object is allocated.

The check is of ordinary ops: Lifetime finds the cell that says so, a Load reads it, a Check fails as `use-after-free`. So
machines, value sets, footprints and reductions see what an access depends on. What cannot point into a pool by its type is
left alone, and so is an object that was looked at already in the block: a Field of a pointer is of the same object as the pointer, and
inside a step nobody but the step itself frees anything. Right because every access that is left without a check has one
before it, in the same step, of the same object.

Leaves out properties: they may look at objects that are free. Leaves out programs without pools altogether.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.ir.contexts import GUARD
from lockverse.ir.ops import Check, Container, Copy, Element, Field, Imm, Lifetime, Load, Op, Reg, Step, Store, Value
from lockverse.ir.program import Program, Register
from lockverse.ir.reason import Reason
from lockverse.ir.types import S64, Array, Bool, Ptr, StructRef, Type

from .inline import Inlined
from .registers import writes


def check_lifetimes(function: Inlined, program: Program) -> Inlined:
    """The function, a thread's, with its accesses checked."""
    if not program.pools:
        return function
    work = _Checker(program, function.registers)
    blocks = tuple(tuple(work.block(block)) for block in function.blocks)
    more = (Register(GUARD, S64, "temp"), Register(GUARD, Bool(), "temp"))
    return replace(function, blocks=blocks, registers=(*function.registers, *more))


class _Checker(Struct):
    """Inside a block: `origin` is the pointer that an address was made of, `looked` the cells that say of an object whether it
    is allocated, in registers. `checked` are pointers, and of known objects those cells: their object is allocated."""

    program: Program
    registers: tuple[Register, ...]
    pooled: frozenset[Type] = field(default_factory=frozenset)
    lifetimes: Mapping[int, int] = field(default_factory=dict)
    switches: frozenset[int] = field(default_factory=frozenset)
    origin: dict[int, Value] = field(default_factory=dict)
    looked: dict[int, Value] = field(default_factory=dict)
    checked: set[Value] = field(default_factory=set)

    def __post_init__(self) -> None:
        pools = self.program.pools
        self.pooled = frozenset(part for pool in pools for part in _parts(self.program, pool.type))
        self.lifetimes = self.program.lifetimes()
        self.switches = frozenset(self.lifetimes.values())

    def block(self, block: tuple[Op, ...]) -> Iterator[Op]:
        """The ops of a block and the checks between them."""
        self.origin.clear()
        self.looked.clear()
        self.checked.clear()
        for op in block:
            if isinstance(op, Load | Store):
                yield from self._check(op)
            yield op
            self._after(op)

    def _check(self, op: Load | Store) -> Iterator[Op]:
        address = self.origin.get(op.address.number, op.address) if isinstance(op.address, Reg) else op.address
        if not self._may_be_pooled(address):
            return
        known = Imm(self.lifetimes[address.value]) if isinstance(address, Imm) else address
        if known in self.checked:
            return
        self.checked.add(known)
        switch, allocated = Reg(len(self.registers)), Reg(len(self.registers) + 1)
        yield Lifetime(switch, address, op.at)
        yield Load(allocated, switch, Bool(), op.at)
        yield Check(allocated, Reason.USE_AFTER_FREE, "use after free", op.at)

    def _may_be_pooled(self, address: Value) -> bool:
        if isinstance(address, Imm):
            return address.value in self.lifetimes
        kind = self.registers[address.number].type
        return kind.target in self.pooled if isinstance(kind, Ptr) else True  # the address of a scalar is a plain number

    def _after(self, op: Op) -> None:
        if isinstance(op, Step) or (isinstance(op, Store) and isinstance(op.address, Imm) and op.address.value in self.switches):
            self.checked.clear()
        for number in writes(op):
            source = _source(op)
            if isinstance(source, Reg):
                source = self.origin.get(source.number, source)
            self._forget(number)
            if source is not None and source != Reg(number):
                self.origin[number] = source
            if isinstance(op, Load) and isinstance(op.address, Imm) and op.address.value in self.switches:
                self.looked[number] = op.address
        if isinstance(op, Check) and isinstance(op.condition, Reg) and op.condition.number in self.looked:
            self.checked.add(self.looked[op.condition.number])

    def _forget(self, number: int) -> None:
        """The register has another value from here on."""
        self.checked.discard(Reg(number))
        self.origin.pop(number, None)
        self.looked.pop(number, None)
        for other in [other for other, value in self.origin.items() if value == Reg(number)]:
            del self.origin[other]


def _source(op: Op) -> Value | None:
    """The pointer to the same object, or into it, that an op makes another of."""
    if isinstance(op, Field | Element):
        return op.base
    return op.part if isinstance(op, Container) else op.src if isinstance(op, Copy) else None


def _parts(program: Program, kind: Type) -> Iterator[Type]:
    """The structs and arrays an object of that type is made of, itself first."""
    if isinstance(kind, StructRef):
        yield kind
        for part in program.structs[kind.name].fields:
            yield from _parts(program, part.type)
    elif isinstance(kind, Array):
        yield kind
        yield from _parts(program, kind.element)
