"""The reference machine: it runs linked code op by op, as ir/ops.py says. It is the specification.

A state is (memory, threads): the cells' values, and for each thread its position and its registers; a thread that has
finished is at FINISHED. Only what `Code.keep` names is kept between steps. Local work that repeats itself inside a step
is found exactly (Brent, "An improved Monte Carlo factorization algorithm", BIT 20, 1980, section 2, finds the cycle).

Leaves out speed, and any order of accesses but the program's own: memory is sequentially consistent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.ir import ops
from lockverse.ir.arithmetic import COMPARE, COMPUTE, SHIFT_LIMIT
from lockverse.ir.contexts import CLOSED_BY, CONTEXTS, ENTRIES, GUARD
from lockverse.ir.coverage import Contended, Fires, Item
from lockverse.ir.exits import EXIT_RULES
from lockverse.ir.objects import addresses_of_types
from lockverse.ir.ops import Op, Reg, Value
from lockverse.ir.program import Code, Linked
from lockverse.ir.reason import Reason
from lockverse.ir.traps import NO_TRAPS, Traps
from lockverse.ir.types import Array, Int, StructRef
from lockverse.passes.coverage import refusals, ways
from lockverse.passes.meetings import Single, singles

from .names import Names, range_of
from .protocol import Blocked, Faulted, Moved, Outcome, Pruned, Started, TooLong

FINISHED: Final = -1
OPS_IN_A_STEP: Final = 1_000_000  # about a second here; no kernel path does a thousandth of it between two accesses
WATCH_FROM: Final = 1_000  # ops before a step is suspected of going round: looking costs a copy of the registers

Memory: TypeAlias = tuple[int, ...]
ThreadState: TypeAlias = tuple[int, tuple[int, ...]]
MachineState: TypeAlias = tuple[Memory, tuple[ThreadState, ...]]


class _Stop(Exception):
    """The step ends here with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Run(Struct):
    """A step while it runs: what an op works on. `watch` is told of every op before it runs."""

    code: Code
    thread: int
    pc: int
    registers: list[int]
    memory: list[int]
    choice: int = 0
    choices: int = 1
    seen: int = field(default=0)
    has_cpu: bool = True  # false once it is what waits
    before: MachineState | None = None  # the whole state, for who looks at other threads

    def value(self, value: Value) -> int:
        """What an operand is now."""
        return operand(value, self.registers)


def operand(value: Value, registers: Sequence[int]) -> int:
    """What an operand is, with these registers."""
    return registers[value.number] if isinstance(value, Reg) else value.value


Watch: TypeAlias = Callable[[Op, Run], None]


class Interpreter:
    """A linked program as a Machine (see protocol.py)."""

    def __init__(self, linked: Linked, ops_in_a_step: int = OPS_IN_A_STEP, traps: Traps = NO_TRAPS) -> None:
        self.linked, self.names, self.traps = linked, Names(linked.program), traps
        self._singles = [singles(code) for code in linked.codes] if traps.races else []
        self._takings = sorted(traps.takings)
        self._went: set[tuple[int, int, bool]] = set()  # by thread and position, the ways that branches went
        self._fired: set[int] = set()
        self._waited: set[int] = set()
        self._limit = ops_in_a_step
        offsets = [(linked.program.task_offset(rule.field), rule) for rule in EXIT_RULES]
        self._exit_rules = [(offset, rule) for offset, rule in offsets if offset is not None]
        self._readers = linked.program.readers()
        self._lifetimes, self._permanent = linked.program.lifetimes(), linked.program.permanent

    @cached_property
    def _objects(self) -> Mapping[StructRef | Array, frozenset[int]]:
        return addresses_of_types(self.linked.program)

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self.linked.codes)

    # The protocol

    def start(self, watch: Watch | None = None) -> Started:
        """Every thread, in order, runs what comes before its first step."""
        memory = [cell.initial for cell in self.linked.program.cells]
        threads: list[ThreadState] = []
        for number, code in enumerate(self.linked.codes):
            registers = [0] * len(code.registers)
            arguments = self.linked.program.threads[number].arguments
            registers[: len(arguments)] = arguments
            run = Run(code, number, 0, registers, memory)
            if not isinstance(code.ops[0], ops.Step):
                outcome = self._go(run, watch)
                if outcome is not None:
                    assert isinstance(outcome, Pruned | Faulted | TooLong)
                    return Started(outcome, number)
            threads.append(_kept(run))
        return Started(Moved((tuple(memory), tuple(threads))))

    def step(self, state: MachineState, thread: int, choice: int, watch: Watch | None = None) -> Outcome:
        """The next step of `thread`; see Machine.step."""
        memory, threads = state
        pc, registers = threads[thread]
        run = Run(self.linked.codes[thread], thread, pc, list(registers), list(memory), choice, before=state)
        outcome = self._go(run, watch)
        if isinstance(outcome, Blocked) and run.has_cpu:
            self._note_waiting(run, pc, registers)
        elif getattr(run.code.ops[pc], "kind", "") in ENTRIES:
            self._fired.add(thread)
        if outcome is None:
            after = (*threads[:thread], _kept(run), *threads[thread + 1 :])
            return Moved((tuple(run.memory), after), run.choices)
        return outcome if isinstance(outcome, Blocked | TooLong) else replace(outcome, choices=run.choices)

    def finished(self, state: MachineState, thread: int) -> bool:
        """Whether `thread` has come to its end."""
        return state[1][thread][0] == FINISHED

    def at_rest(self, state: MachineState, thread: int) -> bool:
        """Whether `thread` may stay where it is for ever; see Machine.at_rest."""
        pc = state[1][thread][0]
        if pc == FINISHED:
            return True
        step, pending = self.linked.codes[thread].ops[pc], self.linked.program.threads[thread].pending
        return isinstance(step, ops.Step) and step.rest and not (pending and state[0][pending])

    def evaluate(self, state: MachineState, condition: int, watch: Watch | None = None) -> bool | Faulted:
        """Whether the property of that index holds."""
        code = self.linked.conditions[condition]
        run = Run(code, -1, 0, [0] * len(code.registers), list(state[0]), before=state)
        outcome = self._go(run, watch)
        if outcome is None:
            return bool(run.seen)
        assert isinstance(outcome, Faulted)
        return outcome

    # What was exercised

    def exercised(self) -> set[Item]:
        """All that this machine has done so far."""
        found: set[Item] = set(self._ways())
        threads = self.linked.program.threads
        found.update(Fires(thread) for thread in self._fired if threads[thread].context != "task")
        return found | {Contended(lock) for lock in self._waited}

    def _ways(self) -> Iterator[Item]:
        refused = {id(code): refusals(self.linked, code) for code in self.linked.codes}
        for thread, pc, taken in self._went:
            code = self.linked.codes[thread]
            op = code.ops[pc]
            assert isinstance(op, ops.Branch)
            yield from (way for side, way in ways(self.linked, op) if side == taken)
            if (pc, taken) in refused[id(code)]:
                yield refused[id(code)][pc, taken]

    def _note_waiting(self, run: Run, pc: int, registers: tuple[int, ...]) -> None:
        step = run.code.ops[pc]
        if isinstance(step, ops.Step) and step.takes and step.target is not None:
            self._waited.add(operand(step.target, registers))

    # Findings

    def _race(self, state: MachineState, thread: int) -> Faulted | None:
        """The data race of a thread's plain access with one that a thread on another CPU stands before."""
        mine = self._singles[thread].get(state[1][thread][0])
        other = None if mine is None or not mine.plain else self.meets(state, thread)
        if other is None or mine is None:
            return None
        cell = self._accessed(state, thread)
        assert cell is not None
        ways = [f"{self.linked.program.threads[n].title}() {_way(self._singles[n][state[1][n][0]])}" for n in (thread, other)]
        message = f"data race on {self.names.cell(cell)}: {ways[0]} it while {ways[1]} it"
        return Faulted(Reason.DATA_RACE, message, f"DATA RACE {self.names.cell(cell)}", self.linked.codes[thread].ops[state[1][thread][0]].at)

    def meets(self, state: MachineState, thread: int) -> int | None:
        """The first thread on another CPU that stands before an access which conflicts with the one `thread` stands before."""
        mine = self._singles[thread].get(state[1][thread][0])
        cell = self._accessed(state, thread)
        for other, (pc, _) in enumerate(state[1]):
            theirs = self._singles[other].get(pc)
            if mine is None or theirs is None or not (mine.writes or theirs.writes):
                continue
            apart = self.linked.program.threads[other].cpu != self.linked.program.threads[thread].cpu
            if apart and self._accessed(state, other) == cell:
                return other
        return None

    def _accessed(self, state: MachineState, thread: int) -> int | None:
        """The cell that the step a thread stands before accesses, if it is one access."""
        one, target = self._singles[thread].get(state[1][thread][0]), self.target(state, thread)
        return target + one.offset if one is not None and target else None

    def target(self, state: MachineState, thread: int) -> int | None:
        """The address of the object that the step a thread stands before is about, if it is about one."""
        pc, registers = state[1][thread]
        step = None if pc == FINISHED else self.linked.codes[thread].ops[pc]
        return operand(step.target, registers) if isinstance(step, ops.Step) and step.target is not None else None

    def holds(self, memory: Sequence[int], thread: int, lock: int) -> bool:
        """Whether a thread holds the lock at that address, exclusively or shared."""
        readers = self._readers.get(lock)
        shared = readers is not None and memory[readers] >> thread & 1
        return memory[lock] == self.linked.program.threads[thread].task or bool(shared)

    def _look_at_taking(self, run: Run, op: ops.Step) -> None:
        """A lock is about to be taken: is that a finding?"""
        assert op.target is not None
        lock, me = run.value(op.target), self.linked.program.threads[run.thread]
        for one in self._takings:
            if one.wanted != lock or (one.held and not self.holds(run.memory, run.thread, one.held)) or (one.inside and one.inside != me.context):
                continue
            if (one.open_to and not self._is_open(run, one.open_to)) or (one.alone and op.takes != "exclusive"):
                continue
            name = self.names.locks[lock]
            if one.held:
                message = f"{name} is taken while {self.names.locks[one.held]} is held"
                raise _stop(op, Reason.LOCK_ORDER, message, f"LOCK ORDER {self.names.locks[one.held]} -> {name}")
            message = f"{name} is taken where a {one.open_to} could come"
            raise _stop(op, Reason.IRQ_LOCK_INVERSION, message, f"TAKEN WITH {one.open_to.upper()}S ENABLED {name}")

    def _is_open(self, run: Run, context: str) -> bool:
        me = self.linked.program.threads[run.thread]
        offsets = [self.linked.program.task_offset(field) for field in CLOSED_BY[context]]
        return CONTEXTS.index(me.context) < CONTEXTS.index(context) and not any(run.memory[me.task + o] for o in offsets if o is not None)

    # Running

    def _go(self, run: Run, watch: Watch | None) -> Outcome | None:
        """Run to the next step or the end; None if it got there, else what stopped it."""
        try:
            self._loop(run, watch)
        except _Stop as stop:
            return stop.outcome
        return None

    def _loop(self, run: Run, watch: Watch | None) -> None:
        code = run.code.ops
        count, power, mark = 0, WATCH_FROM, None
        while True:
            op = code[run.pc]
            if watch is not None:
                watch(op, run)
            run.pc += 1
            _EXECUTE[type(op)](self, run, op)
            if run.pc == FINISHED or isinstance(code[run.pc], ops.Step):
                return
            count += 1
            if count >= WATCH_FROM:
                here = (run.pc, tuple(run.registers), tuple(run.memory))
                if here == mark:
                    raise _stop(op, Reason.ENDLESS_SPINNING, "spins for ever without a look at memory", "SPINS FOR EVER")
                if count == power:
                    mark, power = here, 2 * power
                if count >= self._limit:
                    raise _Stop(TooLong(count))

    # What the ops do. Each reads `run` and changes it; a fault raises _Stop.

    def _copy(self, run: Run, op: ops.Copy) -> None:
        run.registers[op.dst.number] = run.value(op.src)

    def _unary(self, run: Run, op: ops.Unary) -> None:
        a = run.value(op.a)
        if op.op == "not":
            run.registers[op.dst.number] = int(not a)
            return
        assert isinstance(op.type, Int)
        result = -a if op.op == "neg" else ~a if op.type.signed else op.type.high - a
        run.registers[op.dst.number] = self._in_range(run, op, result, f"{_UNARY[op.op]}{a}")

    def _binary(self, run: Run, op: ops.Binary) -> None:
        a, b = run.value(op.a), run.value(op.b)
        if op.op in COMPARE:
            run.registers[op.dst.number] = int(COMPARE[op.op](a, b))
            return
        what = f"{a} {_SYMBOLS[op.op]} {b}"
        if op.op in ("floordiv", "mod") and b == 0:
            raise _stop(op, Reason.DIVISION_BY_ZERO, f"division by zero: {what}", f"DIVISION BY ZERO {what}")
        if op.op in ("shl", "shr") and not 0 <= b < SHIFT_LIMIT:
            raise _stop(op, Reason.OVERFLOW, f"a shift by {b}: {what}", f"OVERFLOW {what}")
        run.registers[op.dst.number] = self._in_range(run, op, COMPUTE[op.op](a, b), what)

    def _narrow(self, run: Run, op: ops.Narrow) -> None:
        value = run.value(op.src)
        if not op.type.wraps and not op.type.holds(value):
            raise self._overflow(run, op, op.type, value, op.what.strip("`"))
        run.registers[op.dst.number] = op.type.reduce(value) if op.type.wraps else value

    def _in_range(self, run: Run, op: ops.Unary | ops.Binary, value: int, what: str) -> int:
        if not isinstance(op.type, Int):
            return value  # bits of bools
        if op.type.wraps:
            return op.type.reduce(value)
        if not op.type.holds(value):
            raise self._overflow(run, op, op.type, value, what)
        return value

    def _overflow(self, run: Run, op: ops.Unary | ops.Binary | ops.Narrow, kind: Int, value: int, what: str) -> _Stop:
        """Where the result goes straight to memory a reader knows it by its cell's name, else by how it came about."""
        word = "UNDERFLOW" if value < kind.low else "OVERFLOW"
        following = next((one for one in run.code.ops[run.pc : run.pc + 2] if isinstance(one, ops.Store) and one.src == op.dst), None)
        name = what if following is None else self.names.cell(run.value(following.address))
        message = f"{word.lower()}: {value} does not fit {name} ({kind}, {range_of(kind)})"
        return _stop(op, Reason.OVERFLOW, message, f"{word} {name} = {value}")

    def _field(self, run: Run, op: ops.Field) -> None:
        base = run.value(op.base)
        if base == 0:
            holder = op.name.rpartition(".")[0]
            raise _stop(op, Reason.NULL_DEREFERENCE, f"NULL dereference: {holder or op.name} is NULL", f"NULL DEREFERENCE {op.name}")
        run.registers[op.dst.number] = base + op.offset

    def _container(self, run: Run, op: ops.Container) -> None:
        part = run.value(op.part)
        if part == 0:
            raise _stop(op, Reason.NULL_DEREFERENCE, f"NULL dereference: container_of() of NULL, as {op.name} of a {op.type}", "NULL DEREFERENCE")
        if part - op.offset not in self._objects.get(op.type, frozenset()) - {0}:
            message = f"container_of(): {self.names.object(part)} is not {op.name} of a {op.type}"
            raise _stop(op, Reason.OUT_OF_BOUNDS, message, f"OUT OF BOUNDS {self.names.object(part)}")
        run.registers[op.dst.number] = part - op.offset

    def _element(self, run: Run, op: ops.Element) -> None:
        base, index = run.value(op.base), run.value(op.index)
        if base == 0:
            raise _stop(op, Reason.NULL_DEREFERENCE, "NULL dereference: the array is NULL", "NULL DEREFERENCE")
        if not 0 <= index < op.length:
            name = self.names.object(base)
            message = f"index {index} is outside {name}[0..{op.length - 1}]"
            raise _stop(op, Reason.OUT_OF_BOUNDS, message, f"OUT OF BOUNDS {name}[{index}]")
        run.registers[op.dst.number] = base + index * op.stride

    def _self(self, run: Run, op: ops.Self) -> None:
        run.registers[op.dst.number] = self.linked.program.threads[run.thread].task

    def _lifetime(self, run: Run, op: ops.Lifetime) -> None:
        run.registers[op.dst.number] = self._lifetimes.get(run.value(op.address), self._permanent)

    def _held(self, run: Run, op: ops.Held) -> None:
        base = run.value(op.base)
        assert run.before is not None
        held = (value for thread, standing in enumerate(run.before[1]) for value in self._references(thread, standing))
        run.registers[op.dst.number] = int(any(base <= value < base + op.size for value in held))

    def _references(self, thread: int, standing: ThreadState) -> Iterator[int]:
        pc, registers = standing
        step = None if pc == FINISHED else self.linked.codes[thread].ops[pc]
        if isinstance(step, ops.Step) and self.linked.program.threads[thread].cpu >= 0:
            yield from (registers[register.number] for register in step.holds)

    def _step(self, run: Run, op: ops.Step) -> None:
        """The step has begun."""
        if self.traps.races and run.before is not None and (race := self._race(run.before, run.thread)) is not None:
            raise _Stop(race)
        if op.takes and self.traps.takings:
            self._look_at_taking(run, op)

    def _load(self, run: Run, op: ops.Load) -> None:
        run.registers[op.dst.number] = run.memory[run.value(op.address)]

    def _store(self, run: Run, op: ops.Store) -> None:
        run.memory[run.value(op.address)] = run.value(op.src)

    def _await(self, run: Run, op: ops.Await) -> None:
        if not run.value(op.condition):
            run.has_cpu = not is_guard(run.code, op)
            raise _Stop(Blocked())

    def _assume(self, run: Run, op: ops.Assume) -> None:
        if not run.value(op.condition):
            raise _Stop(Pruned())

    def _check(self, run: Run, op: ops.Check) -> None:
        if not run.value(op.condition):
            if op.reason is Reason.USE_AFTER_FREE:
                raise self._used_after_free(run, op)
            raise _stop(op, op.reason, op.message, _REMARKS.get(op.reason, str(op.reason).upper().replace("-", " ")))

    def _used_after_free(self, run: Run, op: ops.Check) -> _Stop:
        """The access that comes next says which cell it is."""
        access = next(one for one in run.code.ops[run.pc :] if isinstance(one, ops.Load | ops.Store))
        address = run.value(access.address)
        holder = self.names.pooled(address)
        cell = self.names.cell(address)
        name = cell.rpartition(".")[0] if self.names.is_hidden(address) else cell
        done = "read" if isinstance(access, ops.Load) else "written"
        return _stop(op, op.reason, f"use after free: {name} is {done}, and {holder} is free", f"USE AFTER FREE {name}")

    def _choose(self, run: Run, op: ops.Choose) -> None:
        run.choices = op.high - op.low + 1
        run.registers[op.dst.number] = op.low + run.choice

    def _jump(self, run: Run, op: ops.Jump) -> None:
        run.pc = op.target

    def _branch(self, run: Run, op: ops.Branch) -> None:
        taken = bool(run.value(op.condition))
        if run.thread >= 0:
            self._went.add((run.thread, run.pc - 1, taken))
        run.pc = op.yes if taken else op.no

    def _return(self, run: Run, op: ops.Return) -> None:
        if run.thread < 0:
            run.seen = run.value(op.values[0])
        else:
            self._at_exit(run, op)
        run.pc = FINISHED

    def _at_exit(self, run: Run, op: ops.Return) -> None:
        task = self.linked.program.threads[run.thread].task
        for lock, name in self.names.locks.items():
            readers = self._readers.get(lock)
            shared = readers is not None and run.memory[readers] >> run.thread & 1
            if run.memory[lock] == task or shared:
                raise _stop(op, Reason.LOCK_HELD_AT_EXIT, f"{name} is still held at the end", f"STILL HELD {name}")
        for offset, rule in self._exit_rules:
            if run.memory[task + offset]:
                raise _stop(op, rule.reason, rule.message, rule.remark)


def is_guard(code: Code, op: ops.Await) -> bool:
    """Whether it is its CPU that a thread waits for there."""
    return isinstance(op.condition, Reg) and code.registers[op.condition.number].name == GUARD


def _way(one: Single) -> str:
    return "writes" if one.writes else "reads"


def _kept(run: Run) -> ThreadState:
    if run.pc == FINISHED:
        return FINISHED, ()
    registers = [0] * len(run.registers)
    for number in run.code.keep[run.pc]:
        registers[number] = run.registers[number]
    return run.pc, tuple(registers)


def _stop(op: Op, reason: Reason, message: str, remark: str) -> _Stop:
    return _Stop(Faulted(reason, message, remark, op.at))


_UNARY: Final = {"neg": "-", "invert": "~"}
_SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
}  # fmt: skip
_REMARKS: Final = {Reason.ASSERTION: "ASSERTION FAILS"}
_EXECUTE: Final[dict[type, Callable[..., None]]] = {
    ops.Copy: Interpreter._copy, ops.Unary: Interpreter._unary, ops.Binary: Interpreter._binary,
    ops.Narrow: Interpreter._narrow, ops.Field: Interpreter._field, ops.Container: Interpreter._container, ops.Element: Interpreter._element,
    ops.Self: Interpreter._self, ops.Lifetime: Interpreter._lifetime, ops.Held: Interpreter._held, ops.Step: Interpreter._step, ops.Load: Interpreter._load, ops.Store: Interpreter._store,
    ops.Await: Interpreter._await, ops.Assume: Interpreter._assume, ops.Check: Interpreter._check,
    ops.Choose: Interpreter._choose, ops.Jump: Interpreter._jump, ops.Branch: Interpreter._branch,
    ops.Return: Interpreter._return,
}  # fmt: skip
