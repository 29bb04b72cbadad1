"""Can a thread come back to a position with everything as it was? If none can, no execution is endless.

A loop that counts a register up, and never otherwise changes it, makes progress each time round: `for i in range(n)` is
one. Every other loop with a step in it may come back, as a retry loop does. Leaves out loops that memory makes finite.
"""

from __future__ import annotations

from lockverse.ir import ops
from lockverse.ir.ops import Imm, Reg
from lockverse.ir.program import Code

from .registers import successors, writes


def repeating(code: Code) -> frozenset[tuple[int, int]]:
    """Jumps (from, to), one of which at least every execution takes that comes back to where it was: none if every loop of
    the code, with a step in it, counts up a register of its own."""
    met = frozenset(target for at, op in enumerate(code.ops) if isinstance(op, ops.Jump | ops.Branch) for target in successors(op, at))
    return frozenset(jump for loop in components(code, set(range(len(code.ops)))) for jump in _back(code, met, loop))


def _back(code: Code, met: frozenset[int], loop: set[int]) -> list[tuple[int, int]]:
    """Such jumps of a loop: those to its first op, and then those of the loops that are left inside without that op. A loop
    that counts has none of its own: going round it changes a register for good."""
    if not any(isinstance(code.ops[pc], ops.Step) for pc in loop):
        return []
    counting = {pc for pc in loop if _counts(code, met, loop, pc)}
    first = min(loop)
    found = [] if counting else [(pc, first) for pc in sorted(loop) if first in successors(code.ops[pc], pc)]
    inner = components(code, loop - (counting or {first}))
    return found + [jump for one in inner for jump in _back(code, met, one)]


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
