"""Specialising: copies of code for each choice of what a thread computes from constants alone.

A loop counter over pages, the pointer it gives, a flag that is turned over each time round: none of them depends on
memory, so their values are known from where the thread is, if it is known how it came there. Each block is copied for each
choice of these values, so that in the copies they are constants: loops over them come out unrolled, addresses as single
cells. This is polyvariant partial evaluation (Jones, Gomard and Sestoft, "Partial Evaluation and Automatic Program
Generation", 1993, chapter 4). Right because a copy does what the original does with those values; a position of the new
code stands for a position of the old one and values of its registers, so states correspond one to one.

Leaves out code that grows past GROWTH: it stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.ir import ops
from lockverse.ir.arithmetic import COMPARE, COMPUTE, SHIFT_LIMIT
from lockverse.ir.ops import Op, Reg, Value
from lockverse.ir.program import Code, Linked
from lockverse.ir.types import Int

from .registers import block_ends, reads, writes

GROWTH: Final = 8  # times the ops of the original
SMALL: Final = 6_000  # ops a copy may have in any case

Store = tuple[int, ...]  # the values of the registers that are known, by their number among these
_DYNAMIC: Final = (ops.Load, ops.Choose, ops.Self, ops.Lifetime, ops.Container)


def specialise(linked: Linked, unknown: Mapping[int, frozenset[int]]) -> Linked:
    """Each thread's code for its own arguments, but those in `unknown[thread]`. Threads whose code and known arguments are
    the same share what comes of it."""
    made: dict[tuple[int, Store, frozenset[int]], Code] = {}
    codes = []
    for number, (code, thread) in enumerate(zip(linked.codes, linked.program.threads, strict=True)):
        hidden = unknown.get(number, frozenset())
        known = tuple(0 if i in hidden else value for i, value in enumerate(thread.arguments))
        key = (id(code), known, hidden)
        if key not in made:
            made[key] = _specialised(code, known, hidden)
        codes.append(made[key])
    return replace(linked, codes=tuple(codes))


def unrolled(linked: Linked) -> Linked:
    """Each thread's code for all its arguments."""
    if not _last or _last[0][0] is not linked:
        _last[:] = [(linked, specialise(linked, {}))]
    return _last[0][1]


_last: list[tuple[Linked, Linked]] = []  # what was asked about last: it is asked about again at once


class _Fails(Exception):
    """An op on known values is a fault: it stays for the machine to report."""


class _Block(Struct):
    """A copy of a block: its ops, and where it goes on: to copies of blocks, by (position, values)."""

    ops: list[tuple[Op, tuple[int, ...]]] = field(default_factory=list)
    targets: tuple[tuple[int, Store], ...] = ()


def _specialised(code: Code, arguments: Store, unknown: frozenset[int]) -> Code:
    static = _static(code, unknown)
    if not static:
        return code
    order = {number: place for place, number in enumerate(sorted(static))}
    initial = [0] * len(order)
    for number, value in enumerate(arguments):
        if number in order:
            initial[order[number]] = value
    ends = block_ends(code.ops)
    limit = max(GROWTH * len(code.ops), SMALL)
    blocks: dict[tuple[int, Store], _Block] = {}
    waiting = [_node(code, order, 0, initial)]
    size = 0
    while waiting:
        node = waiting.pop()
        if node in blocks:
            continue
        blocks[node] = _copy(code, order, node, ends[node[0]])
        size += len(blocks[node].ops) + 1
        if size > limit:
            return code
        waiting += reversed(blocks[node].targets)
    return _put_together(code, blocks)


def _static(code: Code, unknown: frozenset[int]) -> set[int]:
    """The registers that depend on nothing but known arguments and constants."""
    dynamic = set(unknown)
    changed = True
    while changed:
        changed = False
        for op in code.ops:
            depends = isinstance(op, _DYNAMIC) or any(number in dynamic for number in reads(op))
            for number in writes(op):
                if depends and number not in dynamic:
                    dynamic.add(number)
                    changed = True
    used = {number for op in code.ops for number in (*reads(op), *writes(op))}
    return used - dynamic


def _copy(code: Code, order: dict[int, int], node: tuple[int, Store], end: int) -> _Block:
    start, store = node
    values = list(store)
    block = _Block()
    for pc in range(start, end):
        op = code.ops[pc]
        if isinstance(op, ops.Branch | ops.Jump):
            _leave(op, pc, code, order, values, block)
            return block
        block.ops.append((op, code.keep[pc]))
        if isinstance(op, ops.Return):
            return block
        for number in writes(op):
            if number in order:
                try:
                    values[order[number]] = _result(op, order, values)
                except _Fails:
                    block.ops.append((ops.Return((), op.at), ()))  # nothing gets here
                    return block
    block.targets = (_node(code, order, end, values),)
    block.ops.append((ops.Jump(end, code.ops[end - 1].at), ()))
    return block


def _leave(op: ops.Branch | ops.Jump, pc: int, code: Code, order: dict[int, int], values: list[int], block: _Block) -> None:
    if isinstance(op, ops.Branch):
        known = _value(op.condition, order, values)
        if known is None:
            block.ops.append((op, ()))
            block.targets = (_node(code, order, op.yes, values), _node(code, order, op.no, values))
            return
        decided = op.yes_decides if known else op.no_decides
        target = _node(code, order, op.yes if known else op.no, values)
        if decided is not None:  # it goes one way only, but that it does is something to know
            block.ops.append((ops.Branch(ops.Imm(1), 0, 0, op.at, yes_decides=decided), ()))
            block.targets = (target, target)
            return
        op = ops.Jump(0, op.at)
    else:
        target = _node(code, order, op.target, values)
    block.ops.append((op, ()))
    block.targets = (target,)


def _node(code: Code, order: dict[int, int], pc: int, values: list[int]) -> tuple[int, Store]:
    """The copy to go on with. Before a step, what is not kept is zero."""
    if not isinstance(code.ops[pc], ops.Step):
        return pc, tuple(values)
    kept = set(code.keep[pc])
    return pc, tuple(value if number in kept else 0 for number, value in zip(order, values, strict=True))


def _value(value: Value, order: dict[int, int], values: list[int]) -> int | None:
    if isinstance(value, Reg):
        return values[order[value.number]] if value.number in order else None
    return value.value


def _result(op: Op, order: dict[int, int], values: list[int]) -> int:
    """What an op on known values gives. Raises _Fails where it is a fault."""

    def of(value: Value) -> int:
        known = _value(value, order, values)
        assert known is not None
        return known

    match op:
        case ops.Copy():
            return of(op.src)
        case ops.Unary(op="not"):
            return int(not of(op.a))
        case ops.Unary(type=Int() as kind):
            a = of(op.a)
            return _fit(-a if op.op == "neg" else ~a if kind.signed else kind.high - a, kind)
        case ops.Binary():
            return _binary(op, of(op.a), of(op.b))
        case ops.Narrow():
            return _fit(of(op.src), op.type)
        case ops.Field():
            return _object(of(op.base)) + op.offset
        case ops.Element():
            if not 0 <= of(op.index) < op.length:
                raise _Fails
            return _object(of(op.base)) + of(op.index) * op.stride
        case _:
            raise AssertionError(f"{type(op).__name__} has no known result")


def _binary(op: ops.Binary, a: int, b: int) -> int:
    if op.op in COMPARE:
        return int(COMPARE[op.op](a, b))
    if (op.op in ("floordiv", "mod") and b == 0) or (op.op in ("shl", "shr") and not 0 <= b < SHIFT_LIMIT):
        raise _Fails
    result = COMPUTE[op.op](a, b)
    return _fit(result, op.type) if isinstance(op.type, Int) else result


def _fit(value: int, kind: Int) -> int:
    if kind.wraps:
        return kind.reduce(value)
    if not kind.holds(value):
        raise _Fails
    return value


def _object(address: int) -> int:
    if address == 0:
        raise _Fails
    return address


def _put_together(code: Code, blocks: dict[tuple[int, Store], _Block]) -> Code:
    """The copies in a row. A jump to what comes next is left out."""
    nodes = list(blocks)
    where: dict[tuple[int, Store], int] = {}
    at = 0
    for place, node in enumerate(nodes):
        where[node] = at
        at += len(blocks[node].ops) - _falls_through(blocks, nodes, place)
    row: list[Op] = []
    keep: list[tuple[int, ...]] = []
    for place, node in enumerate(nodes):
        block = blocks[node]
        for op, kept in block.ops[: len(block.ops) - _falls_through(blocks, nodes, place)]:
            row.append(_aimed(op, [where[target] for target in block.targets]))
            keep.append(kept)
    return replace(code, ops=tuple(row), keep=tuple(keep))


def _falls_through(blocks: dict[tuple[int, Store], _Block], nodes: list[tuple[int, Store]], place: int) -> bool:
    block = blocks[nodes[place]]
    jumps = isinstance(block.ops[-1][0], ops.Jump)
    return jumps and len(block.ops) > 1 and place + 1 < len(nodes) and block.targets[0] == nodes[place + 1]


def _aimed(op: Op, targets: list[int]) -> Op:
    if isinstance(op, ops.Jump):
        return replace(op, target=targets[0])
    return replace(op, yes=targets[0], no=targets[1]) if isinstance(op, ops.Branch) else op
