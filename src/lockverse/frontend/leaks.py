"""The property that no object of a pool is leaked, which every scheme with a pool has.

At rest, an allocated object must be pointed to, or into: by a pointer in memory outside of it, or by a variable, still to be
read, of a CPU that stays where it is. Free objects are all zero, so that every pointer there is counts. Leaves out garbage in
circles: objects that nothing but each other points to.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockverse.ir import ops
from lockverse.ir import types as ir
from lockverse.ir.program import Pool, Property
from lockverse.ir.reason import Reason

from .builder import Builder
from .compiler import Compiler
from .memory import Memory

_NAME = "leak"
_SCENE = 0  # the origin of what no statement asked for


def leak_property(compiler: Compiler) -> Property:
    """Make it, once all of memory is laid out."""
    build, memory = Builder(), compiler.memory
    pointers = [(address, cell.type) for address, cell in enumerate(memory.cells) if isinstance(cell.type, ir.Ptr)]
    for pool in compiler.pools.values():
        for first, allocated in pool.objects().items():
            _look(build, memory, pool, first, allocated, pointers)
    build.emit(ops.Return((ops.Imm(1),), _SCENE))
    compiler.functions[_NAME] = build.finish(_NAME, (ir.Bool(),), 0, observer=True, primitive=True)
    return Property(Reason.LEAK.value, "no object is leaked", _NAME, _SCENE)


def _look(build: Builder, memory: Memory, pool: Pool, first: int, allocated: int, pointers: list[tuple[int, ir.Ptr]]) -> None:
    """Return False if the object at `first` is leaked; else go on."""
    inside, fine = range(first, first + pool.size), build.block()
    _go_on_if(build, _load(build, allocated, ir.Bool()), fine, unless=True)
    for address, kind in pointers:
        for target in [at for at, part in _parts(memory, pool.type, first) if part == kind.target and address not in inside]:
            same = build.register("same", ir.Bool(), "temp")
            build.emit(ops.Binary(same, "eq", _load(build, address, kind), ops.Imm(target), kind, _SCENE))
            _go_on_if(build, same, fine)
    held = build.register("held", ir.Bool(), "temp")
    build.emit(ops.Held(held, ops.Imm(first), pool.size, _SCENE))
    _go_on_if(build, held, fine)
    build.emit(ops.Return((ops.Imm(0),), _SCENE))
    build.enter(fine)


def _load(build: Builder, address: int, kind: ir.Scalar) -> ops.Reg:
    dst = build.register("there", kind, "temp")
    build.emit(ops.Load(dst, ops.Imm(address), kind, _SCENE))
    return dst


def _go_on_if(build: Builder, condition: ops.Reg, fine: int, *, unless: bool = False) -> None:
    following = build.block()
    build.emit(ops.Branch(condition, following if unless else fine, fine if unless else following, _SCENE))
    build.enter(following)


def _parts(memory: Memory, kind: ir.Type, address: int) -> Iterator[tuple[int, ir.Type]]:
    """The objects that an object is made of, itself first, each with its address."""
    if isinstance(kind, ir.StructRef):
        yield address, kind
        for field in memory.types.structs[kind.name].fields:
            yield from _parts(memory, field.type, address + field.offset)
    elif isinstance(kind, ir.Array):
        yield address, kind
        size = memory.types.size(kind.element)
        for index in range(kind.length):
            yield from _parts(memory, kind.element, address + index * size)
