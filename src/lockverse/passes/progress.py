"""Can a thread come back to a position with everything as it was? If none can, no execution is endless.

A loop that counts a register up, and never otherwise changes it, makes progress each time round: `for i in range(n)` is
one. Every other loop with a step in it may come back, as a retry loop does. Such a loop has turns: places of which everyone
who goes round passes one. So executions that pass none never come back to a state, and whoever looks for those that go on for
ever has to look only at states from which every move passes one. Leaves out loops that memory makes finite.
"""

from __future__ import annotations

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.program import Code

from .registers import successors, writes


class Turns(Struct, frozen=True):
    """The turns of a code: steps at rest, by where they are, and jumps (from, to)."""

    rests: frozenset[int] = frozenset()
    jumps: frozenset[tuple[int, int]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.rests or self.jumps)


def turns(code: Code) -> Turns:
    """Places of which every execution that comes back to where it was passes one at least: none if every loop of the code, with a
    step in it, counts up a register of its own."""
    met = frozenset(target for at, op in enumerate(code.ops) if isinstance(op, ops.Jump | ops.Branch) for target in successors(op, at))
    found = [one for loop in components(code, set(range(len(code.ops)))) for one in _turns(code, met, loop)]
    return Turns(frozenset().union(*(one.rests for one in found)), frozenset().union(*(one.jumps for one in found)))


def _turns(code: Code, met: frozenset[int], loop: set[int]) -> list[Turns]:
    """Those of a loop: its steps at rest, so that every other move leads to where it can end, or if it has none the jumps to its first op;
    and then those of the loops that are left inside without these ops. A loop that counts has none of its own: going round it
    changes a register for good."""
    if not any(isinstance(code.ops[pc], ops.Step) for pc in loop):
        return []
    first = min(loop)
    cut = {pc for pc in loop if _counts(code, met, loop, pc)}
    found = Turns()
    if not cut:
        cut = {pc for pc in loop if isinstance(op := code.ops[pc], ops.Step) and op.rest}
        found = Turns(rests=frozenset(cut))
    if not cut:
        cut = {first}
        found = Turns(jumps=frozenset((pc, first) for pc in loop if first in successors(code.ops[pc], pc)))
    return [found, *(one for inner in components(code, loop - cut) for one in _turns(code, met, inner))]


def _counts(code: Code, met: frozenset[int], loop: set[int], pc: int) -> bool:
    """Whether the op counts a register up that the loop changes in no other way."""
    counted = _counted(code, met, pc)
    if counted is None:
        return False
    return all(counted.number not in writes(code.ops[other]) or _counted(code, met, other) == counted for other in loop)


def _counted(code: Code, met: frozenset[int], pc: int) -> Reg | None:
    """The register an op counts up: `r = r + 1`, at once or by way of others in the run of ops before it. `met` are the
    targets of jumps."""
    written = writes(code.ops[pc])
    if not written or _source(code.ops[pc])[0] is None:
        return None
    register, total = written[0], 0
    for at in range(pc, -1, -1):
        op = code.ops[at]
        if isinstance(op, ops.Jump | ops.Branch | ops.Return) or (at < pc and at + 1 in met):
            return None  # beyond it, it may be another time round
        if register in writes(op):
            source, more = _source(op)
            if source is None:
                return None
            register, total = source, total + more
            if register == written[0]:
                return Reg(register) if total > 0 else None
        elif written[0] in writes(op):
            return None
    return None


def _source(op: ops.Op) -> tuple[int | None, int]:
    """The register whose value an op passes on, and what it adds."""
    if isinstance(op, ops.Copy | ops.Narrow) and isinstance(op.src, Reg) and not (isinstance(op, ops.Narrow) and op.type.wraps):
        return op.src.number, 0
    if isinstance(op, ops.Binary) and op.op == "add" and isinstance(op.a, Reg) and isinstance(op.b, Imm):
        return (op.a.number, op.b.value) if op.b.value >= 0 and not getattr(op.type, "wraps", False) else (None, 0)
    return None, 0


def components(code: Code, among: set[int]) -> list[set[int]]:
    """The loops among these ops: strongly connected components with a cycle in them (Tarjan, SIAM J. Comput. 1, 1972)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    found: list[set[int]] = []
    for root in sorted(among):
        work = [(root, iter(successors(code.ops[root], root)))] if root not in number else []
        if work:
            number[root] = low[root] = len(number)
            stack.append(root)
        while work:
            pc, rest = work[-1]
            target = next((one for one in rest if one in among), None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[pc])
                if low[pc] == number[pc]:
                    one = set(stack[stack.index(pc) :])
                    del stack[stack.index(pc) :]
                    if len(one) > 1 or pc in successors(code.ops[pc], pc):
                        found.append(one)
            elif target not in number:
                number[target] = low[target] = len(number)
                stack.append(target)
                work.append((target, iter(successors(code.ops[target], target))))
            elif target in stack:
                low[pc] = min(low[pc], number[target])
    return found
