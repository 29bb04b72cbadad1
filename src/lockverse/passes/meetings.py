"""Accesses that can meet: which steps of a code are one access to one cell, and which of these are plain.

Two accesses race if two threads on two CPUs stand before them in one state, they touch one cell, one of them at least writes it, and
one of them at least is plain (the definition of tools/memory-model/Documentation/explanation.txt, "Plain accesses and data races", Linux
6.1; what keeps them apart keeps them from being enabled together). Steps of primitives on objects of their own are no such accesses.

What a seqcount guards is read and written as it comes, and read again: KCSAN takes it for marked between the begin and the end of
a writer, and between a reader's begin and retry (include/linux/seqlock.h, Linux 6.1), and so does this.

An access inside data_race() races with nobody, as KCSAN checks it not at all (include/linux/compiler.h, Linux 6.1).

A primitive on a field of the user's own, as a lock in one of its bits, is a marked access to that. Leaves out primitives that touch several
of the user's cells in one step: they are atomic, and never plain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.contexts import GUARD
from lockverse.ir.ops import Value
from lockverse.ir.program import Code
from lockverse.ir.types import Ptr, StructRef

from .registers import successors, writes

SEQ_BEGINS: Final = (
    "read_seqcount_begin", "raw_read_seqcount", "raw_seqcount_begin", "read_seqbegin", "write_seqcount_begin", "raw_write_seqcount_begin",
    "write_seqlock",
)  # fmt: skip
SEQ_ENDS: Final = ("read_seqcount_retry", "read_seqretry", "write_seqcount_end", "raw_write_seqcount_end", "write_sequnlock")
OWN: Final = ("task_struct", "call_single_data_t", "work_struct", "timer_list")  # structs that are the vocabulary's, never raced for

_Parts: TypeAlias = Mapping[int, tuple[Value, int]]


class Single(Struct, frozen=True):
    """A step that accesses the cell `offset` cells after `target` and nothing else that is shared."""

    target: Value
    writes: bool
    plain: bool
    offset: int = 0


def singles(code: Code) -> Mapping[int, Single]:
    """The steps of a code that are one access, by position."""
    found, guarded, own, parts = {}, _guarded(code), _own_addresses(code), _parts(code)
    for pc, op in enumerate(code.ops):
        if isinstance(op, ops.Step) and op.target is not None:
            one = _single(code, pc, op, own, parts, guarded=pc in guarded)
            if one is not None:
                found[pc] = one
    return found


def _guarded(code: Code) -> set[int]:
    """The ops that a thread comes to only inside a section of a seqcount: a forward flow to its greatest fixed point."""
    inside: dict[int, bool] = {0: False}
    waiting = [0]
    while waiting:
        pc = waiting.pop()
        op, after = code.ops[pc], inside[pc]
        if isinstance(op, ops.Step):
            after = op.kind in SEQ_BEGINS or (after and op.kind not in SEQ_ENDS)
        for target in successors(op, pc):
            if target not in inside or (inside[target] and not after):
                inside[target] = after
                waiting.append(target)
    return {pc for pc, one in inside.items() if one}


def _single(code: Code, pc: int, step: ops.Step, own: set[int], parts: _Parts, *, guarded: bool) -> Single | None:
    accesses = _accesses(code, pc, own)
    if step.order == "excused" or not accesses or step.target is None:
        return None
    stores = any(isinstance(one, ops.Store) for one in accesses)
    if all(one.address == step.target for one in accesses):
        return Single(step.target, stores, step.order == "plain" and not guarded)
    offsets = {parts.get(one.address.number) if isinstance(one.address, ops.Reg) else None for one in accesses}
    part = offsets.pop() if len(offsets) == 1 else None
    if part is None or part[0] != step.target:
        return None
    return Single(step.target, stores, plain=False, offset=part[1])


def _parts(code: Code) -> _Parts:
    """The registers that hold the address of a part of what another points to: that, and how far into it."""
    made = Counter(number for op in code.ops for number in writes(op))
    return {op.dst.number: (op.base, op.offset) for op in code.ops if isinstance(op, ops.Field) and made[op.dst.number] == 1}


def _accesses(code: Code, pc: int, own: set[int]) -> list[ops.Load | ops.Store]:
    """The loads and stores of a step, those aside that are about who has the CPU, or that a handler has ended, which rides along with
    its last access."""
    found, seen, waiting = [], {pc}, [pc]
    while waiting:
        here = waiting.pop()
        op = code.ops[here]
        if isinstance(op, ops.Load | ops.Store) and not _is_ours(code, op, own):
            found.append(op)
        for target in successors(op, here):
            if target not in seen and not isinstance(code.ops[target], ops.Step):
                seen.add(target)
                waiting.append(target)
    return found


def _is_ours(code: Code, op: ops.Load | ops.Store, own: set[int]) -> bool:
    guard = isinstance(op, ops.Load) and code.registers[op.dst.number].name == GUARD
    return guard or (isinstance(op.address, ops.Reg) and op.address.number in own)


def _own_addresses(code: Code) -> set[int]:
    """The registers that hold addresses inside the vocabulary's own structs."""
    return {op.dst.number for op in code.ops if isinstance(op, ops.Field) and isinstance(op.base, ops.Reg) and _is_own(code, op.base)}


def _is_own(code: Code, base: ops.Reg) -> bool:
    kind = code.registers[base.number].type
    return isinstance(kind, Ptr) and isinstance(kind.target, StructRef) and kind.target.name in OWN
