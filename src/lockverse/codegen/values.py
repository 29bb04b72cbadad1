"""Value sets: what each register can hold at each op, and what each cell can ever hold.

An abstract interpretation (Cousot and Cousot, POPL 1977) over sets of integers: registers by position in the code,
cells by all stores anywhere. Each thread is analysed with its own arguments, so that most addresses come out as one
cell and most pointers as a few. A set that grows past LIMIT becomes ANY unless its type bounds it. Comparisons that a
branch, a check or an Await decides narrow the sets of their operands.

The sets are supersets of what can happen: a layout and code made from them are right without any check at run time.
Leaves out ranges of integers that are counted up and down: those are ANY here, and guessed and guarded by layout.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, TypeAlias

from msgspec import Struct, field

from lockverse.ir import ops
from lockverse.ir.arithmetic import COMPARE, COMPUTE, SHIFT_LIMIT
from lockverse.ir.objects import addresses_of_types
from lockverse.ir.ops import Op, Reg, Value
from lockverse.ir.program import Code, Linked
from lockverse.ir.types import Bool, Enum, Int, Ptr, Scalar
from lockverse.passes.registers import block_ends, writes

LIMIT: Final = 48  # values; a larger set costs more to look up than the bits it saves
PAIRS: Final = 4096  # pairs of operands looked at for one op
GROWTHS: Final = 6  # a cell whose integers grew this often is counted up or down: waiting for LIMIT takes rounds

Set: TypeAlias = frozenset[int] | None  # None is ANY: nothing is known
ANY: Final = None
ZERO: Final[frozenset[int]] = frozenset((0,))
BOOL: Final[frozenset[int]] = frozenset((0, 1))


class Env(dict[int, Set]):
    """The sets of the registers at one place. Those it does not name are zero: of long code that is nearly all of them."""

    def __missing__(self, number: int) -> Set:
        return ZERO


class Unsupported(Exception):
    """Code this back end does not lower; the interpreter runs it. Says what it is."""


class Flow(Struct):
    """The sets of one code: `entry[pc]` are those on entry to the block that begins at `pc`; other ops have none.
    A block no execution reaches has no entry."""

    code: Code
    thread: int  # -1 for a property
    entry: dict[int, Env]


class Access(Struct, frozen=True):
    """A load or a store: the op's index, the cells it can name, and what it can store (of a load, nothing is known)."""

    pc: int
    op: ops.Load | ops.Store
    cells: frozenset[int]
    stored: Set = ANY


class Facts(Struct):
    """What is known at the ops of a code that can be reached: its accesses, and the bases of Elements that are one object."""

    accesses: dict[int, Access] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)


class Values:
    """The value sets of a linked program. `cells[address]` is what that cell can hold; `flows` are its threads'.
    `together[thread]` are the threads whose arguments it may have: itself, and those it may change places with."""

    def __init__(self, linked: Linked, together: Sequence[frozenset[int]] | None = None) -> None:
        self.linked = linked
        self._together = together or [frozenset((thread,)) for thread in range(len(linked.codes))]
        self._universe = addresses_of_types(linked.program)
        self._lifetimes = linked.program.lifetimes()
        self.cells: list[Set] = [frozenset((cell.initial,)) for cell in linked.program.cells]
        self.flows = [Flow(code, thread, {}) for thread, code in enumerate(linked.codes)]
        self.conditions = [Flow(code, -1, {}) for code in linked.conditions]
        self._facts: dict[int, Facts] = {}
        self._blocks: dict[int, dict[int, int]] = {}
        self._growths = [0] * len(self.cells)
        self._waiting: list[list[int]] = [[] for _ in self.flows]  # the blocks of each thread that are to be looked at, as a heap
        self._readers: list[set[tuple[int, int]]] = [set() for _ in self.cells]  # thread and block
        self._at = (-1, 0)
        for flow in self.flows:
            self._begin(flow)
        while any(self._waiting):
            for flow in self.flows:
                self._run(flow, self._waiting[flow.thread])
        for flow in self.conditions:
            self._begin(flow)
            self._run(flow, [0])

    # One code

    def ends(self, code: Code) -> dict[int, int]:
        """For the first op of each block, where it ends."""
        if id(code) not in self._blocks:
            self._blocks[id(code)] = block_ends(code.ops)
        return self._blocks[id(code)]

    def _begin(self, flow: Flow) -> None:
        flow.entry[0] = self._initial(flow)
        if flow.thread >= 0:
            self._waiting[flow.thread].append(0)

    def _run(self, flow: Flow, waiting: list[int]) -> None:
        """Run blocks until none waits. Code runs downwards, so taking the first of them gathers most of what meets before going on."""
        following = self.ends(flow.code)
        while waiting:
            start = heappop(waiting)
            self._at = flow.thread, start
            env = Env(flow.entry[start])
            for target, arriving in self.block(flow, start, following[start], env):
                if self._join(flow, target, arriving) and target not in waiting:
                    heappush(waiting, target)

    def _initial(self, flow: Flow) -> Env:
        env = Env()
        if flow.thread >= 0:
            threads = self.linked.program.threads
            for number in range(len(threads[flow.thread].arguments)):
                env[number] = frozenset(threads[one].arguments[number] for one in self._together[flow.thread])
        return env

    def block(self, flow: Flow, start: int, end: int, env: Env, visit: Callable[[int, Op, Env], None] | None = None) -> list[tuple[int, Env]]:
        """Run the block on `env`, which changes; gives where it can go with what. `visit` is told of every op before it."""
        compared: dict[int, ops.Binary] = {}
        for pc in range(start, end):
            op = flow.code.ops[pc]
            if visit is not None:
                visit(pc, op, env)
            if isinstance(op, ops.Branch):
                return self._branch(op, env, compared)
            if not self._transfer(flow, pc, op, env, compared):
                return []
            if isinstance(op, ops.Jump):
                return [(op.target, env)]
            if isinstance(op, ops.Return):
                return []
        return [(end, env)]

    def _join(self, flow: Flow, target: int, arriving: Env) -> bool:
        if isinstance(flow.code.ops[target], ops.Step):
            arriving = _kept(flow.code, target, arriving)
        known = flow.entry.get(target)
        if known is None:
            flow.entry[target] = Env(arriving)
            return True
        changed = False
        for number in known.keys() | arriving.keys():
            old, new = known[number], arriving[number]
            if new is not old and old is not ANY and (new is ANY or not new <= old):
                known[number] = self._widen(None if new is ANY else old | new, flow.code.registers[number].type)
                changed = True
        return changed

    def _widen(self, found: Set, kind: Scalar) -> Set:
        if found is not ANY and len(found) <= LIMIT:
            return found
        return self.of_type(kind) if not isinstance(kind, Int) or found is ANY else ANY

    def of_type(self, kind: Scalar) -> Set:
        """All values of a type; ANY for an integer."""
        if isinstance(kind, Bool):
            return BOOL
        if isinstance(kind, Enum):
            return frozenset(range(len(kind.members)))
        return self._universe.get(kind.target, ZERO) if isinstance(kind, Ptr) else ANY

    def facts(self, flow: Flow) -> Facts:
        """What is known at each op, once all sets are."""
        key = id(flow)
        if key not in self._facts:
            found = self._facts[key] = Facts()

            def visit(pc: int, op: Op, env: Env) -> None:
                if isinstance(op, ops.Load | ops.Store):
                    stored = value_of(op.src, env) if isinstance(op, ops.Store) else ANY
                    found.accesses[pc] = Access(pc, op, self.addresses(op.address, env), stored)
                elif isinstance(op, ops.Element):
                    known = value_of(op.base, env)
                    if known is not ANY and len(known) == 1:
                        found.bases[pc] = next(iter(known))

            ends = self.ends(flow.code)
            for start in sorted(flow.entry):
                self.block(flow, start, ends[start], Env(flow.entry[start]), visit)
        return self._facts[key]

    # Narrowing by what is decided

    def _branch(self, op: ops.Branch, env: Env, compared: Mapping[int, ops.Binary]) -> list[tuple[int, Env]]:
        condition = value_of(op.condition, env)
        found = []
        for target, truth in ((op.yes, True), (op.no, False)):
            if condition is not ANY and not any(bool(one) == truth for one in condition):
                continue
            mine = Env(env)
            if self._decide(op.condition, truth, mine, compared):
                found.append((target, mine))
        return found

    def _decide(self, condition: Value, truth: bool, env: Env, compared: Mapping[int, ops.Binary]) -> bool:
        """Narrow `env` by the condition having come out as `truth`; False if that cannot be."""
        known = value_of(condition, env)
        if known is not ANY:
            left = frozenset(one for one in known if bool(one) == truth)
            if not left:
                return False
            if isinstance(condition, Reg):
                env[condition.number] = left
        comparison = compared.get(condition.number) if isinstance(condition, Reg) else None
        if comparison is None:
            return True
        a, b = value_of(comparison.a, env), value_of(comparison.b, env)
        if a is ANY or b is ANY or len(a) * len(b) > PAIRS:
            return self._decide_one_sided(comparison, truth, env, a, b)
        compare = COMPARE[comparison.op]
        _set(comparison.a, frozenset(x for x in a if any(compare(x, y) == truth for y in b)), env)
        _set(comparison.b, frozenset(y for y in b if any(compare(x, y) == truth for x in a)), env)
        return bool(value_of(comparison.a, env)) and bool(value_of(comparison.b, env))

    def _decide_one_sided(self, comparison: ops.Binary, truth: bool, env: Env, a: Set, b: Set) -> bool:
        """`x == 3` says what x is even if nothing was known of it."""
        if (comparison.op == "eq") == truth and comparison.op in ("eq", "ne"):
            if a is ANY and b is not ANY:
                _set(comparison.a, b, env)
            elif b is ANY and a is not ANY:
                _set(comparison.b, a, env)
        return True

    # What an op does

    def _transfer(self, flow: Flow, pc: int, op: Op, env: Env, compared: dict[int, ops.Binary]) -> bool:
        """The effect of an op on `env`; False if no execution gets past it."""
        if isinstance(op, ops.Await | ops.Assume | ops.Check):
            return self._decide(op.condition, True, env, compared)
        if isinstance(op, ops.Step):
            kept = _kept(flow.code, pc, env)
            env.clear()
            env.update(kept)
            compared.clear()
            return True
        if isinstance(op, ops.Store):
            return self._store(op, env)
        for number in writes(op):
            stale = [key for key, one in compared.items() if key == number or Reg(number) in (one.a, one.b)]
            for key in stale:
                del compared[key]
            found = self._result(flow, op, env)
            if found is not ANY and not found:
                return False
            env[number] = found
        if isinstance(op, ops.Binary) and op.op in COMPARE and op.dst not in (op.a, op.b):
            compared[op.dst.number] = op
        return True

    def _store(self, op: ops.Store, env: Env) -> bool:
        src = value_of(op.src, env)
        for address in self.addresses(op.address, env):
            old = self.cells[address]
            if old is not ANY and (src is ANY or not src <= old):
                self._growths[address] += 1
                counted = self._growths[address] > GROWTHS and isinstance(op.type, Int)
                self.cells[address] = self._widen(None if src is ANY or counted else old | src, op.type)
                for thread, start in self._readers[address]:
                    if start not in self._waiting[thread]:
                        heappush(self._waiting[thread], start)
        return True

    def addresses(self, address: Value, env: Env) -> frozenset[int]:
        """The cells an address can name. Raises Unsupported if nothing is known of it."""
        found = value_of(address, env)
        if found is ANY:
            raise Unsupported("an address of which nothing is known")
        return found

    def lifetime(self, address: int) -> int:
        """The cell that says whether what the cell at `address` belongs to is allocated."""
        return self._lifetimes.get(address, self.linked.program.permanent)

    def embedded(self, op: ops.Container, env: Env) -> frozenset[int]:
        """The parts a Container can be asked about that are embedded in an object of its type."""
        objects = self._universe.get(op.type, ZERO)
        return frozenset(part for part in self.addresses(op.part, env) if part and part - op.offset in objects - ZERO)

    def _result(self, flow: Flow, op: Op, env: Env) -> Set:
        match op:
            case ops.Copy():
                return value_of(op.src, env)
            case ops.Unary():
                return self._unary(op, env)
            case ops.Binary():
                return self._binary(op, env)
            case ops.Narrow():
                return self._fit(value_of(op.src, env), op.type)
            case ops.Field():
                return frozenset(base + op.offset for base in self.addresses(op.base, env) if base)
            case ops.Container():
                return frozenset(part - op.offset for part in self.embedded(op, env))
            case ops.Element():
                return self._element(op, env)
            case ops.Self():
                return frozenset((self.linked.program.threads[flow.thread].task,))
            case ops.Lifetime():
                return frozenset(self.lifetime(address) for address in self.addresses(op.address, env))
            case ops.Load():
                return self._load(op, env)
            case ops.Held():
                return BOOL
            case ops.Choose():
                return frozenset(range(op.low, op.high + 1)) if op.high - op.low < LIMIT else ANY
            case _:
                raise Unsupported(type(op).__name__)

    def _load(self, op: ops.Load, env: Env) -> Set:
        found: set[int] = set()
        for address in self.addresses(op.address, env):
            cell = self.cells[address]
            if self._at[0] >= 0:
                self._readers[address].add(self._at)
            if cell is ANY:
                return self.of_type(op.type)
            found |= cell
        return self._widen(frozenset(found), op.type)

    def _element(self, op: ops.Element, env: Env) -> Set:
        index = value_of(op.index, env)
        inside = range(op.length) if index is ANY else [one for one in index if 0 <= one < op.length]
        return frozenset(base + one * op.stride for base in self.addresses(op.base, env) if base for one in inside)

    def _unary(self, op: ops.Unary, env: Env) -> Set:
        a = value_of(op.a, env)
        if op.op == "not":
            return BOOL if a is ANY else frozenset(int(not one) for one in a)
        if a is ANY or not isinstance(op.type, Int):
            return self.of_type(op.type)
        kind = op.type
        return self._fit((-one if op.op == "neg" else ~one if kind.signed else kind.high - one for one in a), kind)

    def _binary(self, op: ops.Binary, env: Env) -> Set:
        a, b = value_of(op.a, env), value_of(op.b, env)
        if op.op in COMPARE:
            if a is ANY or b is ANY or len(a) * len(b) > PAIRS:
                return BOOL
            return frozenset(int(COMPARE[op.op](x, y)) for x in a for y in b)
        if a is ANY or b is ANY or len(a) * len(b) > PAIRS:
            return self.of_type(op.type)
        if op.op in ("floordiv", "mod"):
            b = b - ZERO
        elif op.op in ("shl", "shr"):
            b = frozenset(one for one in b if 0 <= one < SHIFT_LIMIT)
        return self._fit((COMPUTE[op.op](x, y) for x in a for y in b), op.type)

    def _fit(self, values: Iterable[int] | None, kind: Scalar) -> Set:
        """The values as an integer of that type: those out of its range are faults, or wrap."""
        if values is None:
            return ANY
        if not isinstance(kind, Int):
            return frozenset(values)
        fitting = frozenset(kind.reduce(one) if kind.wraps else one for one in values if kind.wraps or kind.holds(one))
        return self._widen(fitting, kind)


def value_of(value: Value, env: Env) -> Set:
    """What an operand can be."""
    return env[value.number] if isinstance(value, Reg) else frozenset((value.value,))


def _set(value: Value, found: frozenset[int], env: Env) -> None:
    if isinstance(value, Reg):
        env[value.number] = found


def _kept(code: Code, pc: int, env: Env) -> Env:
    """What a step begins with: between two steps only what is kept stays; the rest is zero."""
    return Env((number, env[number]) for number in code.keep[pc] if number in env)
