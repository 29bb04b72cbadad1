"""Which objects there are, by type: what a pointer can point to.

Leaves out where in an object a cell lies, which its struct says.
"""

from __future__ import annotations

from .program import Program
from .types import Array, StructRef, Type


def addresses_of_types(program: Program) -> dict[StructRef | Array, frozenset[int]]:
    """For each type something can point to: the addresses of all objects of that type, and NULL."""
    found: dict[StructRef | Array, set[int]] = {}

    def enter(kind: Type, address: int) -> int:
        """Note what is at `address`; gives its size in cells."""
        if isinstance(kind, StructRef):
            found.setdefault(kind, {0}).add(address)
            struct = program.structs[kind.name]
            for field in struct.fields:
                enter(field.type, address + field.offset)
            return struct.size
        if isinstance(kind, Array):
            found.setdefault(kind, {0}).add(address)
            size = 0
            for _ in range(kind.length):
                size += enter(kind.element, address + size)
            return size
        return 1

    for one in program.objects:
        enter(one.type, one.address)
    return {kind: frozenset(addresses) for kind, addresses in found.items()}
