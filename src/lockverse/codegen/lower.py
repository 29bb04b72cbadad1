"""From linked code to LLVM IR: one function for each thread, and one for each property.

A thread's function makes all moves of the thread from a packed state: it reads the registers kept at the position,
runs the ops to the next step, and writes the packed state after it. What only a search can act on (a fault, a failed
assumption, a guess that has no room) is counted or flagged; the interpreter, run again on that state, says the rest.

Leaves out how the functions are put together: model.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.contexts import ENTRIES, GUARD
from lockverse.ir.coverage import Contended, Fires, Item
from lockverse.ir.exits import EXIT_RULES
from lockverse.ir.ops import Imm, Op, Reg, Value
from lockverse.ir.types import U64, Int
from lockverse.passes.coverage import refusals, waits, ways
from lockverse.passes.progress import Turns

from .access import Access
from .arithmetic import Arithmetic
from .layout import FINISHED, Layout, Place
from .plan import FREE, Need, Plan
from .references import referred
from .text import Tables, Writer, literal
from .traps import TrapWriter
from .values import ANY, Env, Flow, Values, value_of

# What a thread's function adds up in the words of %acc.
MOVED, MOVES, WAITING, FLAGS, RESTING, FORWARD = range(6)
ACCUMULATORS: Final = 6
# What `expand` gives: successors in the bits below COUNT_BITS, moves in as many above them, flags from bit FLAGS_AT on.
COUNT_BITS: Final = 24
FLAGS_AT: Final = 48
NOTE_WORDS: Final = 2  # of what `expand` notes when a guess fails: which, and the value. Behind them is a byte for each of Context.notes
BLOCKED, PRUNED = 1 << 16, 1 << 32  # in WAITING, whose low bits count the finished
FAULT, DEADLOCK, END, COMPLETED, LAYOUT, TOO_LONG, TURNING = (1 << bit for bit in range(7))
SOMEBODY: Final = -1  # the owner of a lock, where only that it is another thread matters
TAKEN_TWICE: Final = -2  # in place of a guard's index: a lock was taken that was held
BROKEN_RULE: Final = -1  # in place of a guard's index: the cell noted was accessed without the lock that protects it


class Context(Struct, frozen=True):
    """What all functions of a model share. `rounds` bounds the rounds of a loop inside one step; `turns[id(code)]` are a
    code's turns, none if nobody asks."""

    layout: Layout
    values: Values
    tables: Tables
    rounds: int
    plan: Plan
    turns: Mapping[int, Turns]
    traps: TrapWriter
    notes: Mapping[Item, int]


class Function:
    """One function while it is written."""

    def __init__(self, context: Context, flow: Flow) -> None:
        self.context, self.flow, self.code = context, flow, flow.code
        self.layout = context.layout
        self.out = Writer()
        self.words = [f"%word{i}" for i in range(self.layout.words)]
        self.access = Access(self.out, self.layout, context.tables, self.words)
        self.arithmetic = Arithmetic(self.out, lambda condition: self.out.unless(condition, "fault"))
        self._ends = context.values.ends(self.code)
        self._began: ops.Step | None = None
        self._refusals = refusals(self.layout.linked, self.code) if context.notes else {}
        self.at = 0  # the op that is written
        self.touched: dict[int, list[int]] = {}  # by op, and below 0 by the position arrived at: see Access.touched
        self._turns = context.turns.get(id(self.code), Turns())

    # The parts every function has

    def variables(self) -> None:
        """Variables for the registers and the working copy of the state."""
        for number in range(len(self.code.registers)):
            self.out.add(f"%r{number} = alloca i64")
        for word in [*self.words, "%noted0", "%noted1", "%rounds", "%choice", "%choices", "%resting", "%forward"]:
            self.out.add(f"{word} = alloca i64")

    def copy_state(self) -> None:
        """A working copy of the state the function is given."""
        for i, word in enumerate(self.words):
            self.out.store(self.out.load(self.out.let(f"getelementptr i64, ptr %state, i64 {i}")), word)

    def body(self) -> None:
        """The blocks an execution can reach."""
        for start in sorted(self.flow.entry):
            self.out.label(f"op{start}")
            env = Env(self.flow.entry[start])
            self._done = False
            self.context.values.block(self.flow, start, self._ends[start], env, self._op)
            if not self._done:
                self._on(self._ends[start])

    def _on(self, pc: int) -> None:
        """Go on at `pc`: if that begins a step, this one has come to its end."""
        if pc not in self.flow.entry:
            self.out.add("unreachable")
        elif isinstance(self.code.ops[pc], ops.Step):
            self.out.jump(f"arrive{pc}")
        else:
            self.out.jump(f"op{pc}")

    def _touching(self, key: int) -> None:
        """What is written next belongs to that op, or to that arrival."""
        self.access.touched = self.touched.setdefault(key, [0] * self.layout.words)

    # Operands

    def operand(self, value: Value, env: Env) -> str:
        """An operand: a literal where what it holds is known."""
        known = value_of(value, env)
        if known is not ANY and len(known) == 1:
            return literal(next(iter(known)))
        assert isinstance(value, Reg)
        return self.out.load(f"%r{value.number}")

    def _unsigned(self, value: Value) -> bool:
        if isinstance(value, Imm):
            return value.value >> 63 > 0
        kind = self.code.registers[value.number].type
        return isinstance(kind, Int) and kind.bits == 64 and not kind.signed

    def _set(self, dst: Reg, value: str) -> None:
        self.out.store(value, f"%r{dst.number}")

    def _truth(self, value: Value, env: Env) -> str:
        return self.out.compare("ne", self.operand(value, env), "0")

    # Ops

    def _op(self, pc: int, op: Op, env: Env) -> None:
        self.at = pc
        self._touching(pc)
        _WRITE[type(op)](self, op, env)

    def _copy(self, op: ops.Copy, env: Env) -> None:
        self._set(op.dst, self.operand(op.src, env))

    def _unary(self, op: ops.Unary, env: Env) -> None:
        a = self.operand(op.a, env)
        if op.op == "not":
            self._set(op.dst, self.out.cast("zext", self.out.compare("eq", a, "0"), "i1", "i64"))
            return
        kind = op.type
        assert isinstance(kind, Int)
        if op.op == "neg":
            minus = ops.Binary(op.dst, "sub", Imm(0), op.a, kind, op.at)
            self._set(op.dst, self.arithmetic.binary(minus, "0", a, (False, self._unsigned(op.a))))
        else:
            flipped = self.out.binary("xor", a, "-1") if kind.signed else self.out.binary("sub", literal(kind.high), a)
            self._set(op.dst, self.arithmetic.narrow(flipped, kind, kind == U64))

    def _binary(self, op: ops.Binary, env: Env) -> None:
        a, b = self.operand(op.a, env), self.operand(op.b, env)
        unsigned = self._unsigned(op.a), self._unsigned(op.b)
        work = self.arithmetic.compare if op.op in ops.COMPARISON else self.arithmetic.binary
        self._set(op.dst, work(op, a, b, unsigned))

    def _narrow(self, op: ops.Narrow, env: Env) -> None:
        self._set(op.dst, self.arithmetic.narrow(self.operand(op.src, env), op.type, self._unsigned(op.src)))

    def _base(self, base: Value, env: Env) -> str:
        """The address of an object, which must not be NULL."""
        found = self.operand(base, env)
        if 0 in self.context.values.addresses(base, env):
            self.out.unless(self.out.compare("ne", found, "0"), "fault")
        return found

    def _field(self, op: ops.Field, env: Env) -> None:
        self._set(op.dst, self.out.binary("add", self._base(op.base, env), str(op.offset)))

    def _container(self, op: ops.Container, env: Env) -> None:
        part, inside = self._base(op.part, env), self.context.values.embedded(op, env)
        if self.context.values.addresses(op.part, env) - {0} != inside:
            found = "false"
            for one in sorted(inside):
                found = self.out.binary("or", found, self.out.compare("eq", part, str(one)), "i1")
            self.out.unless(found, "fault")
        self._set(op.dst, self.out.binary("sub", part, str(op.offset)))

    def _element(self, op: ops.Element, env: Env) -> None:
        base, index = self._base(op.base, env), self.operand(op.index, env)
        self.out.unless(self.out.compare("ult", index, str(op.length)), "fault")
        self._set(op.dst, self.out.binary("add", base, self.out.binary("mul", index, str(op.stride))))

    def _self(self, op: ops.Self, env: Env) -> None:
        self._set(op.dst, str(self.layout.linked.program.threads[self.flow.thread].task))

    def _lifetime(self, op: ops.Lifetime, env: Env) -> None:
        cells = sorted(self.context.values.addresses(op.address, env))
        switches = [self.context.values.lifetime(cell) for cell in cells]
        if cells:
            self._set(op.dst, self.access.chosen(self.operand(op.address, env), cells, switches, "i64"))

    def _referred(self, op: ops.Held, env: Env) -> None:
        found = referred(self.out, self.access, self.layout, self.operand(op.base, env), op.size)
        self._set(op.dst, self.out.cast("zext", found, "i1", "i64"))

    def _step(self, op: ops.Step, env: Env) -> None:
        """The step has begun."""
        self._began = op
        if self.flow.thread >= 0:
            self.context.traps.step(self, self.at, op, env)
            self._note_step(op, env)

    def _note_step(self, op: ops.Step, env: Env) -> None:
        """A handler begins, or somebody is about to take a lock that another waits for as well."""
        self._note_firing()
        self._note_lock(op, env, lambda lock: self.context.traps.wanted_by_another(self, lock))

    def _note_firing(self) -> None:
        """A handler begins, if nothing can keep it from that any more."""
        if self._began is not None and self._began.kind in ENTRIES and not waits(self.code, self.at):
            self._note(Fires(self.flow.thread))

    def _note_lock(self, step: ops.Step, env: Env, condition: Callable[[int], str]) -> None:
        """If a step takes a lock that is to be noted, and an i1 of that lock is true, note it."""
        for item in self.context.notes if step.takes and step.target is not None else ():
            assert step.target is not None
            if isinstance(item, Contended) and item.lock in self.context.values.addresses(step.target, env):
                mine = self.out.compare("eq", self.operand(step.target, env), str(item.lock))
                self._note(item, self.out.binary("and", condition(item.lock), mine, "i1"))

    def _note(self, item: Item, condition: str = "true") -> None:
        number = self.context.notes.get(item)
        if number is not None:
            pointer = self.out.let(f"getelementptr i8, ptr %note, i64 {8 * NOTE_WORDS + number}")
            before = self.out.let(f"load i8, ptr {pointer}")
            self.out.add(f"store i8 {self.out.binary('or', before, self.out.cast('zext', condition, 'i1', 'i8'), 'i8')}, ptr {pointer}")

    def _load(self, op: ops.Load, env: Env) -> None:
        cells = sorted(self.context.values.addresses(op.address, env))
        if cells:
            self._keep_rule(self.operand(op.address, env), cells)
            if cells[0] in self.layout.holding.locks and self.flow.thread >= 0:
                self._set(op.dst, self._owner(cells[0]))
                return
            self._set(op.dst, self.access.read_at(self.operand(op.address, env), cells))

    def _store(self, op: ops.Store, env: Env) -> None:
        cells = sorted(self.context.values.addresses(op.address, env))
        if any(self.layout.cells[cell] is not None for cell in cells):
            self._keep_rule(self.operand(op.address, env), cells)
            if cells[0] in self.layout.holding.locks:
                self._take_or_give(cells[0], self.operand(op.src, env))
                return
            self.access.write_at(self.operand(op.address, env), cells, self.operand(op.src, env), "unfit")

    # Locks that a plan leans on

    def _owner(self, lock: int) -> str:
        """The owner of a lock of which the state has one bit: this thread, somebody else, or nobody."""
        if self._held(lock):
            return str(self.layout.linked.program.threads[self.flow.thread].task)
        cell = self.layout.cells[lock]
        assert cell is not None
        return self.out.select(self.out.compare("ne", self.access.bits(cell.place), "0"), str(SOMEBODY), "0")

    def _held(self, lock: int, pc: int | None = None) -> bool:
        """Whether this thread holds such a lock where it is."""
        return lock in self.layout.holding.held[self.flow.thread].get(self.at if pc is None else pc, ())

    def _take_or_give(self, lock: int, owner: str) -> None:
        """Change that bit. A lock that is taken while held belies what its holder was concluded from."""
        cell = self.layout.cells[lock]
        assert cell is not None
        if owner != "0":
            self.out.store(str(TAKEN_TWICE), "%noted0")
            self.out.store(str(lock), "%noted1")
            self.out.unless(self.out.compare("eq", self.access.bits(cell.place), "0"), "unfit")
        self.access.put(cell.place.word, literal(~cell.place.mask), literal(0 if owner == "0" else cell.place.mask))

    def holds(self, lock: int, pc: int | None = None) -> str:
        """An i1: this thread holds the lock at that address, where it is or before the op at `pc`."""
        if lock in self.layout.holding.locks:
            return "true" if self._held(lock, pc) else "false"
        task = self.layout.linked.program.threads[self.flow.thread].task
        return self.out.compare("eq", self.access.read_at("0", [lock]), str(task))

    def holds_shared(self, lock: int) -> str:
        """An i1: this thread is a reader of the lock at that address."""
        readers = self.layout.linked.program.readers().get(lock)
        known = frozenset((0,)) if readers is None else self.context.values.cells[readers]
        if readers is None or (known is not ANY and not any(one >> self.flow.thread & 1 for one in known)):
            return "false"
        mine = self.out.binary("and", self.access.read_at("0", [readers]), str(1 << self.flow.thread))
        return self.out.compare("ne", mine, "0")

    def held_for(self, address: str, locks: Mapping[int, int], pc: int | None = None) -> str:
        """An i1: the lock that belongs to the cell at `address` is held, or it has none."""
        if not any(locks.values()):
            return "true"
        if len(set(locks.values())) == 1:
            return self.holds(next(iter(locks.values())), pc)
        found = "false"
        for cell, lock in locks.items():
            here = self.out.compare("eq", address, str(cell))
            held = "true" if lock == FREE else self.holds(lock, pc)
            found = self.out.binary("or", found, self.out.binary("and", here, held, "i1"), "i1")
        return found

    def _keep_rule(self, address: str, cells: Sequence[int]) -> None:
        """A protected cell is accessed with its lock only; else say so, as the plan is void."""
        protected = self.context.plan.protected
        if self.flow.thread >= 0 and any(cell in protected for cell in cells):
            self.out.store(str(BROKEN_RULE), "%noted0")
            self.out.store(address, "%noted1")
            self.out.unless(self.held_for(address, {cell: protected.get(cell, FREE) for cell in cells}), "unfit")

    def _await(self, op: ops.Await, env: Env) -> None:
        guard = isinstance(op.condition, Reg) and self.code.registers[op.condition.number].name == GUARD
        if self.flow.thread >= 0 and self._began is not None and not guard:
            self._note_lock(self._began, env, lambda _: self.out.compare("eq", self.operand(op.condition, env), "0"))
        self.out.unless(self._truth(op.condition, env), "blocked")
        if self.flow.thread >= 0:
            self._note_firing()

    def _assume(self, op: ops.Assume, env: Env) -> None:
        self.out.unless(self._truth(op.condition, env), "pruned")

    def _check(self, op: ops.Check, env: Env) -> None:
        self.out.unless(self._truth(op.condition, env), "fault")

    def _choose(self, op: ops.Choose, env: Env) -> None:
        self._set(op.dst, self.out.binary("add", self.out.load("%choice"), str(op.low)))

    def _jump(self, op: ops.Jump, env: Env) -> None:
        self._round(op.target)
        self._on(op.target)
        self._done = True

    def _round(self, target: int) -> None:
        """A loop inside a step may not go round for ever: every such loop has a jump backwards."""
        if (self.at, target) in self._turns.jumps:
            self.out.store("0", "%forward")
        if target <= self.at and not isinstance(self.code.ops[target], ops.Step):
            rounds = self.out.binary("add", self.out.load("%rounds"), "1")
            self.out.store(rounds, "%rounds")
            self.out.unless(self.out.compare("ult", rounds, str(self.context.rounds)), "toolong")

    def _count(self, which: int, amount: int | str, op: str = "add") -> None:
        pointer = self.out.let(f"getelementptr i64, ptr %acc, i64 {which}")
        self.out.store(self.out.binary(op, self.out.load(pointer), str(amount)), pointer)

    def _branch(self, op: ops.Branch, env: Env) -> None:
        condition = self._truth(op.condition, env)
        yes, no = self.out.fresh()[1:], self.out.fresh()[1:]
        self.out.branch(condition, yes, no)
        noting = bool(self.context.notes) and self.flow.thread >= 0
        decides = dict(ways(self.layout.linked, op)) if noting else {}
        for label, target in ((yes, op.yes), (no, op.no)):
            self.out.label(label)
            for item in (decides.get(label == yes), self._refusals.get((self.at, label == yes)) if noting else None):
                if item is not None:
                    self._note(item)
            self._round(target)
            self._on(target)
        self._done = True

    def _return(self, op: ops.Return, env: Env) -> None:
        self._done = True
        if self.flow.thread < 0:
            self.out.add(f"ret i64 {self.out.cast('zext', self._truth(op.values[0], env), 'i1', 'i64')}")
            return
        program = self.layout.linked.program
        task = program.threads[self.flow.thread].task
        for lock in program.locks:
            known = self.context.values.cells[lock]
            if lock in self.layout.holding.locks:
                self.out.unless("false" if self._held(lock) else "true", "fault")
            elif known is ANY or task in known:
                self.out.unless(self.out.compare("ne", self.access.read_at("0", [lock]), str(task)), "fault")
        for lock in program.readers():
            if (shared := self.holds_shared(lock)) != "false":
                self.out.unless(self.out.binary("xor", shared, "true", "i1"), "fault")
        for rule in EXIT_RULES:
            offset = program.task_offset(rule.field)
            if offset is not None and self.context.values.cells[task + offset] != frozenset((0,)):
                self.out.unless(self.out.compare("eq", self.access.read_at("0", [task + offset]), "0"), "fault")
        self.out.jump("exit")


_WRITE: Final[dict[type, Callable[..., None]]] = {
    ops.Copy: Function._copy, ops.Unary: Function._unary, ops.Binary: Function._binary, ops.Narrow: Function._narrow,
    ops.Field: Function._field, ops.Container: Function._container, ops.Element: Function._element,
    ops.Self: Function._self, ops.Lifetime: Function._lifetime, ops.Held: Function._referred, ops.Step: Function._step,
    ops.Load: Function._load, ops.Store: Function._store, ops.Await: Function._await, ops.Assume: Function._assume,
    ops.Check: Function._check, ops.Choose: Function._choose, ops.Jump: Function._jump, ops.Branch: Function._branch,
    ops.Return: Function._return,
}  # fmt: skip


class ThreadFunction(Function):
    """`void @threadN(ptr %state, ptr %out, ptr %note, ptr %acc, i64 %only)`: all moves of a thread from a state, or with
    %only >= 0 just that choice."""

    def text(self) -> str:
        """The whole function."""
        head = f"define internal void @thread{self.flow.thread}(ptr %state, ptr %out, ptr %note, ptr %acc, i64 %only) {{"
        self.out.label("entry")
        self.variables()
        self.out.store(self.out.select(self.out.compare("slt", "%only", "0"), "0", "%only"), "%choice")
        self.out.jump("dispatch")
        self._dispatch()
        self.body()
        for pc in self.layout.threads[self.flow.thread].standing:
            self._arrive(pc)
        self._exits()
        return "\n".join([head, *self.out.lines, "}"])

    def _dispatch(self) -> None:
        """Where the thread stands decides what runs; the state is copied anew for each choice."""
        mine = self.layout.threads[self.flow.thread]
        self.out.label("dispatch")
        self.copy_state()
        self.out.store("0", "%rounds")
        cases = [f"i64 {code}, label %{'finished' if pc == FINISHED else f'at{pc}'}" for code, pc in enumerate(mine.positions)]
        self.out.add(f"switch i64 {self.access.bits(mine.place)}, label %impossible [ {' '.join(cases)} ]")
        for pc in mine.standing:
            self._stand(pc)

    def _stand(self, pc: int) -> None:
        """What the thread knows where it stands, back in registers."""
        standing = self.layout.threads[self.flow.thread].standing[pc]
        self.out.label(f"at{pc}")
        self._touching(pc)
        for number, value in standing.constants.items():
            self.out.store(literal(value), f"%r{number}")
        for number, one in standing.fields.items():
            self.out.store(self.access.read(one), f"%r{number}")
        for copy in standing.derived:
            scaled = self.out.binary("mul", self.out.load(f"%r{copy.base}"), literal(copy.scale))
            self.out.store(self.out.binary("add", scaled, literal(copy.offset)), f"%r{copy.register}")
        following = self.code.ops[pc + 1]
        self.out.store(str(following.high - following.low + 1 if isinstance(following, ops.Choose) else 1), "%choices")
        step = self.code.ops[pc]
        assert isinstance(step, ops.Step)
        self.out.store(self._resting() if step.rest else "0", "%resting")
        if self.context.turns:
            self.out.store("0" if pc in self._turns.rests else "1", "%forward")
        self.out.jump(f"op{pc}")

    def _resting(self) -> str:
        """1 before a step marked `rest`, unless something is pending."""
        pending = self.layout.linked.program.threads[self.flow.thread].pending
        if not pending:
            return "1"
        return self.out.cast("zext", self.out.compare("eq", self.access.read_at("0", [pending]), "0"), "i1", "i64")

    def _arrive(self, pc: int) -> None:
        """The step is over: pack what is kept."""
        mine = self.layout.threads[self.flow.thread]
        self.out.label(f"arrive{pc}")
        self._touching(~pc)
        needs = self.context.plan.going_on.get(self.flow.thread, {}).get(pc)
        if needs is not None:
            self._go_on(pc, needs)
        self._clear(mine.area)
        for number, one in mine.standing[pc].fields.items():
            code = self.access.encode(self.out.load(f"%r{number}"), one, "unfit")
            self._insert(one.place, code)
        self._insert(mine.place, str(mine.positions.index(pc)))
        self.out.jump("moved")

    def _go_on(self, pc: int, needs: tuple[Need, ...]) -> None:
        """Take the next step at once if what it needs is held."""
        met = "true"
        for need in needs:
            if need.address is None:
                for lock in sorted(set(need.locks.values()) - {FREE}):
                    met = self.out.binary("and", met, self.holds(lock, pc), "i1")
            else:
                address = self.operand(need.address, self.flow.entry[pc])
                met = self.out.binary("and", met, self.held_for(address, need.locks, pc), "i1")
        stay = self.out.fresh()[1:]
        self.out.branch(met, f"op{pc}", stay)
        self.out.label(stay)

    def _clear(self, area: tuple[Place, ...]) -> None:
        for word in {place.word for place in area}:
            mask = 0
            for place in area:
                mask |= place.mask if place.word == word else 0
            if mask:
                self.out.store(self.out.binary("and", self.out.load(self.words[word]), literal(~mask)), self.words[word])

    def _insert(self, place: Place, code: str) -> None:
        """Put bits where there are none."""
        if place.bits:
            moved = self.out.put_at(code, place.shift)
            self.out.store(self.out.binary("or", self.out.load(self.words[place.word]), moved), self.words[place.word])

    def _exits(self) -> None:
        mine = self.layout.threads[self.flow.thread]
        self.out.label("exit")
        self._clear(mine.area)
        self._insert(mine.place, str(mine.positions.index(FINISHED)))
        self.out.jump("moved")
        self._moved()
        for label, effects, following in (
            ("fault", [(MOVES, 1, "add"), (FLAGS, FAULT, "or")], "more"),
            ("pruned", [(MOVES, 1, "add"), (WAITING, PRUNED, "add")], "more"),
            ("blocked", [(WAITING, BLOCKED, "add")], "done"),
            ("toolong", [(FLAGS, TOO_LONG, "or")], "done"),
            ("finished", [(WAITING, 1, "add")], "gone"),
        ):
            self.out.label(label)
            for which, amount, op in effects:
                self._count(which, amount, op)
            self.out.jump(following)
        self.out.label("unfit")
        for i in range(NOTE_WORDS):
            self.out.store(self.out.load(f"%noted{i}"), self.out.let(f"getelementptr i64, ptr %note, i64 {i}"))
        self._count(FLAGS, LAYOUT, "or")
        self.out.jump("done")
        self._more()
        self.out.label("impossible")
        self.out.add("unreachable")
        self.out.label("gone")
        self.out.store("1", "%resting")
        self.out.jump("done")
        self.out.label("done")
        pointer = self.out.let(f"getelementptr i64, ptr %acc, i64 {RESTING}")
        self.out.store(self.out.binary("add", self.out.load(pointer), self.out.load("%resting")), pointer)
        self.out.add("ret void")

    def _moved(self) -> None:
        """A successor is complete: write it behind the others."""
        self.out.label("moved")
        pointer = self.out.let(f"getelementptr i64, ptr %acc, i64 {MOVED}")
        number = self.out.load(pointer)
        base = self.out.binary("mul", number, str(self.layout.words))
        for i, word in enumerate(self.words):
            place = self.out.let(f"getelementptr i64, ptr %out, i64 {self.out.binary('add', base, str(i))}")
            self.out.store(self.out.load(word), place)
        self.out.store(self.out.binary("add", number, "1"), pointer)
        self._count(MOVES, 1)
        if self.context.turns:
            self._count(FORWARD, self.out.load("%forward"))
        self.out.jump("more")

    def _more(self) -> None:
        """The next choice of the environment, if there is one and it is asked for."""
        self.out.label("more")
        following = self.out.binary("add", self.out.load("%choice"), "1")
        self.out.store(following, "%choice")
        left = self.out.compare("slt", following, self.out.load("%choices"))
        every = self.out.compare("slt", "%only", "0")
        self.out.branch(self.out.binary("and", left, every, "i1"), "dispatch", "done")


class ConditionFunction(Function):
    """`i64 @conditionN(ptr %state)`: 1 if the property holds, 0 if not, 2 if looking at it breaks a rule."""

    def text(self, number: int) -> str:
        """The whole function."""
        head = f"define internal i64 @condition{number}(ptr %state) {{"
        self.out.label("entry")
        self.variables()
        self.copy_state()
        self.out.store("0", "%rounds")
        self.out.jump("op0")
        self.body()
        for label in ("fault", "toolong", "blocked", "pruned", "unfit"):
            self.out.label(label)
            self.out.add("ret i64 2")
        return "\n".join([head, *self.out.lines, "}"])
