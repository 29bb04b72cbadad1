"""Which registers a thread keeps while it waits follow from others, so that a state need not hold them.

Every register is scale * root + offset, where the root is the op that made a value: Copy, Field, Container, Element, `not`, and
adding constants pass it on. Where paths meet, registers that have one root on each of them, in one relation, have one root after
(partition refinement; compare Alpern, Wegman and Zadeck, "Detecting equality of variables in programs", POPL 1988). When a
root's op runs again, registers that still have its older value get roots of their own: equal roots mean equal values.

Leaves out relations that are not linear, and those between registers that no common op made.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TypeAlias

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Op, Reg, Value
from lockverse.ir.types import Bool, Int
from lockverse.passes.registers import successors, writes

from .values import Flow, Values

Root: TypeAlias = tuple[str, int, int]  # what kind of place, where, and which register
Entry: TypeAlias = tuple[Root, int, int]  # a root, scale and offset
_NOTHING: Entry = (("nothing", 0, 0), 1, 0)  # of a register that is not kept before a step: nobody reads it


class _Env(dict[int, Entry]):
    """The relations of the registers at one place; of those it does not name nothing is known."""

    def __missing__(self, number: int) -> Entry:
        return _NOTHING


class Derived(Struct, frozen=True):
    """A register is scale * base + offset."""

    register: int
    base: int
    scale: int
    offset: int


def derived(values: Values, flow: Flow) -> dict[int, tuple[Derived, ...]]:
    """For each op a thread can stand before: the kept registers that follow from another kept one, which is none of them."""
    found: dict[int, tuple[Derived, ...]] = {}
    entries = _entries(values, flow)
    for pc, op in enumerate(flow.code.ops):
        if isinstance(op, ops.Step) and pc in entries:
            by_root: dict[Root, list[tuple[int, int, int]]] = {}
            for number in flow.code.keep[pc]:
                root, scale, offset = entries[pc][number]
                by_root.setdefault(root, []).append((number, scale, offset))
            found[pc] = tuple(one for several in by_root.values() for one in _follow(several))
    return found


def _follow(several: list[tuple[int, int, int]]) -> list[Derived]:
    """All from the one with the least scale, where that divides theirs."""
    base, unit, at = min(several, key=lambda one: (abs(one[1]), one[0]))
    found = []
    for number, scale, offset in several:
        if number != base and scale % unit == 0:
            ratio = scale // unit
            found.append(Derived(number, base, ratio, offset - ratio * at))
    return found


def _entries(values: Values, flow: Flow) -> dict[int, _Env]:
    """The relations on entry to each block; every Step begins one."""
    code, bases = flow.code, values.facts(flow).bases
    ends = values.ends(code)
    known = {0: _Env((number, (("start", 0, number), 1, 0)) for number in range(len(code.registers)))}
    waiting = [0]  # a heap: code runs downwards, so taking the first gathers most of what meets before going on
    while waiting:
        start = heappop(waiting)
        env = _Env(known[start])
        present = {root for root, _, _ in env.values()}
        for pc in range(start, ends[start]):
            _transfer(flow, code.ops[pc], pc, env, bases, present)
        for target in successors(code.ops[ends[start] - 1], ends[start] - 1):
            if target not in flow.entry:
                continue
            arriving = env
            if isinstance(code.ops[target], ops.Step):
                arriving = _Env((number, env[number]) for number in code.keep[target] if number in env)
            if _join(known, target, arriving) and target not in waiting:
                heappush(waiting, target)
    return known


def _join(known: dict[int, _Env], target: int, arriving: _Env) -> bool:
    """Meet at `target`; whether what is known there changed.

    The first register of each class names the class's root. So a class that splits gets new names, and a value that met
    here before and comes round again in another register is not taken for the newer one.
    """
    if target not in known:
        known[target] = _Env(arriving)
        return True
    before = known[target]
    if before == arriving:
        return False
    first: dict[tuple[object, ...], int] = {}
    met = _Env()
    for number in sorted(before.keys() | arriving.keys()):
        old, new = before[number], arriving[number]
        if old == new and not _met_here(old, target):
            met[number] = old
            continue
        key = (old[0], new[0], old[1:] == new[1:] or (old[1:], new[1:]))
        lead = first.setdefault(key, number)
        _, scale, offset = before[lead]
        linear = old[1:] == new[1:] and scale != 0 and old[1] % scale == 0
        if lead == number or not linear:
            met[number] = ("meet", target, number), 1, 0
        else:
            ratio = old[1] // scale
            met[number] = ("meet", target, lead), ratio, old[2] - ratio * offset
    known[target] = met
    return met != before


def _met_here(entry: Entry, target: int) -> bool:
    return entry[0][0] == "meet" and entry[0][1] == target


def _transfer(flow: Flow, op: Op, pc: int, env: _Env, bases: dict[int, int], present: set[Root]) -> None:
    """The effect of an op; `present` are the roots that may be in `env`."""
    for number in writes(op):
        made = env[number] = _made(flow, op, pc, env, number, bases)
        mine = ("op", pc, number)
        if mine in present:
            for other, (root, _, _) in env.items():
                if root == mine and other != number:
                    env[other] = (("old", pc, other), 1, 0)
        present.add(made[0])


def _made(flow: Flow, op: Op, pc: int, env: _Env, number: int, bases: dict[int, int]) -> Entry:
    linear = _linear(flow, op, bases.get(pc))
    if linear is None or not isinstance(linear[0], Reg):
        return ("op", pc, number), 1, 0
    root, inner, at = env[linear[0].number]
    return root, linear[1] * inner, linear[1] * at + linear[2]


def _linear(flow: Flow, op: Op, base: int | None) -> tuple[Value, int, int] | None:
    """What an op makes, as scale * operand + offset, if it is that. `base` is that of an Element, if it is one object."""
    match op:
        case ops.Copy():
            return op.src, 1, 0
        case ops.Narrow() if not op.type.wraps:
            return op.src, 1, 0
        case ops.Field():
            return op.base, 1, op.offset
        case ops.Container():
            return op.part, 1, -op.offset
        case ops.Element() if base is not None:
            return op.index, op.stride, base
        case ops.Unary(op="not") if isinstance(op.a, Reg) and isinstance(flow.code.registers[op.a.number].type, Bool):
            return op.a, -1, 1
        case ops.Binary(op="add" | "sub") if isinstance(op.b, Imm) and isinstance(op.type, Int) and not op.type.wraps:
            return op.a, 1, op.b.value if op.op == "add" else -op.b.value
        case _:
            return None
