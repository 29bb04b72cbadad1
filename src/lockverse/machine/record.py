"""From a schedule to a trace: the schedule is run again, and everything a reader may want to see is written down.

What is recorded is data (trace/model.py): which statements each step ran, which cells it touched, how it ended. Works
for any Machine's result, since the interpreter is what runs it. Leaves out how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lockverse.ir import ops
from lockverse.ir.contexts import ENTRIES, GUARD, keepers
from lockverse.ir.ops import Op, Step
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.ir.source import NO_CALLER
from lockverse.ir.traps import Taking, Traps
from lockverse.ir.types import Int, Ptr, Scalar
from lockverse.passes.meetings import singles
from lockverse.trace.model import Access, Blocked, Column, Event, Failure, Link, Side, Trace, Visit, called, link_told

from . import protocol
from .interpreter import Interpreter, MachineState, Run
from .names import Names, bytes_of

_TARGET = re.compile(r"(?:for\s+(?=\w+\s+in\b))?(\w+)(?:\s*:[^=]+)?\s*(?:=(?!=)|in\b)")
_RCU_WAITS = ("synchronize_rcu", "rcu_do_batch")
_BITS = {  # the steps that wait for a bit to be cleared, and what a reader calls that
    **dict.fromkeys(("folio_lock", "folio_wait_locked", "lock_page", "wait_on_page_locked"), "PG_locked of {}"),
    "bit_spin_lock": "the bit lock in {}",
    **dict.fromkeys(("read_seqcount_begin", "read_seqbegin"), "{}"),
}
MOST_CELLS = 3  # named in a remark on a property that fails; more would not be read


class Ending(Struct, frozen=True):
    """How a schedule is known or believed to end; see explore.search.Failing, which has the same parts."""

    reason: Reason
    condition: int | None = None
    loop: tuple[tuple[int, int], ...] = ()
    starter: int | None = None
    taking: Taking | None = None
    chain: tuple[tuple[tuple[tuple[int, int], ...], Taking], ...] = ()

    def traps(self) -> Traps:
        """What a machine has to take for a fault for the schedule to end so."""
        return Traps(self.reason is Reason.DATA_RACE, frozenset() if self.taking is None else frozenset({self.taking}))


class DoesNotFit(Exception):
    """The scheme no longer does what the schedule says: `position` is the index of the first move that does not fit."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(why)
        self.position, self.why = position, why


def record(
    linked: Linked, schedule: Sequence[tuple[int, int]], ending: Ending, parameters: tuple[tuple[str, str], ...] = ()
) -> Trace:
    """The trace of a schedule. Raises DoesNotFit if the scheme cannot follow it or ends otherwise."""
    trace = _Recorder(linked, parameters, ending).run(tuple(schedule), ending)
    links = [_link(linked, moves, taking) for moves, taking in ending.chain]
    if not links:
        return trace
    failure = trace.failure
    message = f"{failure.message}; elsewhere {', '.join(link_told(trace.columns, one) for one in links)}"
    return replace(trace, failure=replace(failure, message=message, chain=(*failure.chain, *links)))


def _link(linked: Linked, moves: tuple[tuple[int, int], ...], taking: Taking) -> Link:
    """What another schedule ends with."""
    ending = Ending(taking.reason, taking=taking)
    return replace(_Recorder(linked, (), ending).run(moves, ending).failure.chain[0], moves=moves)


class _Notes(Struct):
    """What one step does, op by op: the recorder's watch."""

    linked: Linked
    names: Names
    accesses: list[Access] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    kind: str = ""
    stack: tuple[int, ...] = ()
    picked: str | None = None
    begun: int = 0  # how many visits, from the first, have had a step or come to something

    def __call__(self, op: Op, run: Run) -> None:
        if isinstance(op, Step):
            self.kind, self.stack = op.kind, self.stack_of(op.at)
        elif isinstance(op, ops.Load) and run.code.registers[op.dst.number].name != GUARD:
            self._access(run.value(op.address), "read", op.type, None, run)
        elif isinstance(op, ops.Choose):
            self.picked = self.names.value(op.low + run.choice, run.code.registers[op.dst.number].type)
        elif isinstance(op, ops.Store):
            self._access(run.value(op.address), "write", op.type, run.value(op.src), run)
        self._visit(op, run)
        if isinstance(op, Step):
            self.begun = len(self.visits)

    def _is_more_of(self, stack: tuple[int, ...]) -> bool:
        """Whether an op goes on with the statement visited last. A condition that is decided ends a statement, but a
        `for` takes its next element after that."""
        if not self.visits or self.visits[-1].stack != stack:
            return False
        outcome = self.visits[-1].outcome
        return outcome is None or (outcome and self.linked.program.statements[stack[-1]].kind == "for")

    def stop_before(self, step: Step) -> list[Visit]:
        """The thread stands before `step` now: what only prepared it has not happened yet for a reader. Gives what functions did
        that the step's own statement called for its operands: that belongs to the step."""
        stack = self.stack_of(step.at)
        inside: list[Visit] = []
        while len(self.visits) > self.begun:
            last = self.visits[-1]
            if len(last.stack) > len(stack) and last.stack[: len(stack)] == stack:
                inside.append(last)
            elif stack[: len(last.stack)] != last.stack or last.outcome is not None or last.value is not None:
                break
            self.visits.pop()
        return inside[::-1]

    def _access(self, address: int, kind: str, type_: Scalar, new: int | None, run: Run) -> None:
        old = self.names.value(run.memory[address], type_)
        value = old if new is None else self.names.value(new, type_)
        self.accesses.append(Access(self.names.cell(address), kind, value, old, bytes_of(type_)))
        self.cells.append(address)

    def stack_of(self, origin: int) -> tuple[int, ...]:
        """The statements that led to an op, outermost first."""
        found = []
        while origin != NO_CALLER:
            found.append(self.linked.origins[origin].statement)
            origin = self.linked.origins[origin].caller
        # What the compiler put round a handler is nobody's statement.
        return tuple(one for one in reversed(found) if one != 0) or (0,)

    def _visit(self, op: Op, run: Run) -> None:
        stack = self.stack_of(op.at)
        if stack[-1] == 0 or isinstance(op, ops.Jump):
            return  # nobody's statement, or the way from one to the next
        text = self.linked.program.statements[stack[-1]].text
        if isinstance(op, ops.Return) and not text.startswith("return"):
            return
        if not self._is_more_of(stack):
            self.visits.append(Visit(stack))
        if isinstance(op, ops.Branch):
            decided = op.yes_decides if run.value(op.condition) else op.no_decides
            self.visits[-1] = replace(self.visits[-1], outcome=decided)
        elif isinstance(op, ops.Copy):
            register = run.code.registers[op.dst.number]
            named = _TARGET.match(text)
            if register.kind != "temp" and named is not None and named[1] == register.name:
                value = self.names.value(run.value(op.src), register.type)
                self.visits[-1] = replace(self.visits[-1], value=value)


class _Recorder:
    def __init__(self, linked: Linked, parameters: tuple[tuple[str, str], ...], ending: Ending) -> None:
        self.linked, self.parameters, self.taking = linked, parameters, ending.taking
        self.machine = Interpreter(linked, traps=ending.traps())
        self.names = self.machine.names
        self.columns = tuple(Column(one.title, one.cpu, (), one.context) for one in linked.program.threads)
        self.events: list[Event] = []
        self.touched: set[int] = set()
        self.last: _Notes | None = None
        self.taken: dict[int, tuple[int, ...]] = {}  # where each thread took the lock that is held in what is looked for
        self.prepared: dict[int, list[Visit]] = {}  # of each thread, for the step it stands before
        self.initial: MachineState | None = None
        self.state: MachineState | None = None  # the last one reached

    def run(self, schedule: tuple[tuple[int, int], ...], ending: Ending) -> Trace:
        notes = [_Notes(self.linked, self.names) for _ in range(self.machine.threads)]
        start = self.machine.start(lambda op, run: notes[run.thread](op, run))
        started = {thread: one.visits for thread, one in enumerate(notes)}
        if isinstance(start.outcome, protocol.Faulted):
            failure = self._fault(start.outcome, start.thread)
            self.events = [self._first_event(start.thread, started)]
            return self._ended(ending, failure, fits=ending.starter == start.thread and ending.reason is start.outcome.reason)
        if not isinstance(start.outcome, protocol.Moved) or ending.starter is not None:
            raise DoesNotFit(0, "the threads do not start as they did")
        initial: MachineState = start.outcome.state
        self.initial = self.state = initial
        self._note_properties(initial)
        for thread, one in enumerate(notes):
            self._stand(initial, thread, one)
        state, failure_ = self._moves(initial, schedule, 0)
        self._put_first(started)
        if failure_ is not None:
            return self._ended(ending, failure_, fits=ending.condition is None and ending.reason is failure_.reason)
        return self._at_state(state, ending)

    def _called(self, thread: int) -> str:
        return called(self.columns, thread)

    def _first_event(self, thread: int, started: dict[int, list[Visit]]) -> Event:
        visits = tuple(started.get(thread, ()))
        return Event(thread, "start", visits[-1].stack if visits else (), 0, None, (), visits)

    def _note_properties(self, initial: MachineState) -> None:
        """What must hold is about the cells it looks at, whether or not this race touches them."""

        def watch(op: Op, run: Run) -> None:
            if isinstance(op, ops.Load):
                self.touched.add(run.value(op.address))

        for condition, one in enumerate(self.linked.program.properties):
            if one.kind != Reason.LEAK:  # which looks at all pointers there are
                self.machine.evaluate(initial, condition, watch)

    def _stand(self, state: MachineState, thread: int, notes: _Notes) -> None:
        if not self.machine.finished(state, thread):
            step = self.linked.codes[thread].ops[state[1][thread][0]]
            assert isinstance(step, Step)
            self.prepared[thread] = notes.stop_before(step)

    def _put_first(self, started: dict[int, list[Visit]]) -> None:
        """What a thread did before any step belongs to its first event."""
        for index, event in enumerate(self.events):
            before = started.pop(event.thread, [])
            if before:
                self.events[index] = replace(event, visits=_merged(before, event.visits))

    def _moves(
        self, state: MachineState, schedule: Sequence[tuple[int, int]], base: int
    ) -> tuple[MachineState, Failure | None]:
        """Follow a schedule; gives the state it leads to, and the failure if its last move fails."""
        for position, (thread, choice) in enumerate(schedule, base):
            if not 0 <= thread < self.machine.threads:
                raise DoesNotFit(position, f"there is no thread {thread}")
            if self.machine.finished(state, thread):
                raise DoesNotFit(position, f"{self._called(thread)} has finished")
            notes = _Notes(self.linked, self.names)
            outcome = self.machine.step(state, thread, choice, notes)
            self._note(thread, choice, notes, outcome, position)
            if isinstance(outcome, protocol.Faulted):
                if position != base + len(schedule) - 1:
                    raise DoesNotFit(position, f"{self._called(thread)} fails here: {outcome.message}")
                return state, self._finding(state, self._fault(outcome, thread), thread)
            assert isinstance(outcome, protocol.Moved)
            self._note_held(thread, notes, state, outcome.state)
            self.state = state = outcome.state
        return state, None

    def _note(self, thread: int, choice: int, notes: _Notes, outcome: protocol.Outcome, position: int) -> None:
        if isinstance(outcome, protocol.Blocked):
            raise DoesNotFit(position, f"{self._called(thread)} has to wait at {notes.kind}()")
        if isinstance(outcome, protocol.Pruned | protocol.TooLong):
            raise DoesNotFit(position, f"{self._called(thread)} cannot finish its step")
        if choice >= outcome.choices:
            raise DoesNotFit(position, f"there is no choice {choice} for {self._called(thread)} to take")
        prepared = self.prepared.pop(thread, [])
        if isinstance(outcome, protocol.Moved):
            self._stand(outcome.state, thread, notes)
        picked = choice if outcome.choices > 1 else 0
        visits = (*prepared, *notes.visits)
        self.events.append(Event(thread, notes.kind, notes.stack, picked, notes.picked, tuple(notes.accesses), visits))
        self.touched.update(notes.cells)
        self.last = notes

    # How it ended

    def _fault(self, fault: protocol.Faulted, thread: int) -> Failure:
        stack = _Notes(self.linked, self.names).stack_of(fault.origin)
        return Failure(fault.reason, fault.message, fault.remark, thread, stack)

    def _finding(self, state: MachineState, failure: Failure, thread: int) -> Failure:
        """A fault that is a finding, with what else a reader has to know of it."""
        if failure.reason is Reason.DATA_RACE and (other := self.machine.meets(state, thread)) is not None:
            step = self.linked.codes[other].ops[state[1][other][0]]
            assert isinstance(step, Step)
            stack = _Notes(self.linked, self.names).stack_of(step.at)
            sides = (self._side(state, thread), self._side(state, other))
            return replace(failure, blocked=(Blocked(other, stack, step.kind, None, None),), sides=sides)
        if self.taking is not None:
            one, last, locks = self.taking, self.events[-1], self.names.locks
            held = locks.get(one.held, "")
            link = Link(thread, locks[one.wanted], last.stack, last.kind, held, self.taken.get(thread, ()), one.open_to, one.inside)
            return replace(failure, chain=(link,))
        return failure

    def _note_held(self, thread: int, notes: _Notes, before: MachineState, after: MachineState) -> None:
        """Where a thread took the lock that what is looked for is about."""
        lock = self.taking.held if self.taking is not None else 0
        if lock and self.machine.holds(after[0], thread, lock) and not self.machine.holds(before[0], thread, lock):
            self.taken[thread] = notes.stack

    def _side(self, state: MachineState, thread: int) -> Side:
        """The access that a thread stands before, as it would be if it came next."""
        pc, code = state[1][thread][0], self.linked.codes[thread]
        single, step, address = singles(code)[pc], code.ops[pc], self.machine.target(state, thread)
        assert address is not None
        address += single.offset
        cell = self.linked.program.cells[address]
        notes = _Notes(self.linked, self.names)
        Interpreter(self.linked).step(state, thread, 0, notes)  # without traps: this one step is not a fault
        mine = [one for one in notes.accesses if one.cell == cell.name]
        ways = "-".join(way for way in ("read", "write") if any(one.kind == way for one in mine)) or ("write" if single.writes else "read")
        old = self.names.value(state[0][address], cell.type)
        return Side(thread, notes.stack_of(step.at), cell.name, ways, not single.plain, bytes_of(cell.type), old, mine[-1].value if mine else old)

    def _at_state(self, state: MachineState, ending: Ending) -> Trace:
        if ending.reason is Reason.DEADLOCK:
            return self._ended(ending, *self._deadlock(state))
        if ending.reason is Reason.ENDLESS_SPINNING:
            return self._ended(ending, *self._spinning(state, ending))
        if ending.condition is None or not 0 <= ending.condition < len(self.linked.conditions):
            raise DoesNotFit(len(self.events), "nothing fails at its end")
        return self._property(state, ending, ending.condition)

    def _leak(self, state: MachineState, condition: int) -> Trace:
        """The object looked at last is the one that is leaked."""
        looked: list[int] = []

        def watch(op: Op, run: Run) -> None:
            if isinstance(op, ops.Load) and run.value(op.address) in self.names.switches:
                looked.append(run.value(op.address))

        fits = not self.machine.evaluate(state, condition, watch) and self._at_rest(state)
        name = self.names.pooled_by(looked[-1]) if looked else ""
        thread = self.events[-1].thread if self.events else None
        message = f"leak: {name} is allocated, and nothing points to it"
        failure = Failure(Reason.LEAK, message, f"LEAKED {name}", thread, (), condition=condition)
        return self._ended(Ending(Reason.LEAK), failure, fits=fits)

    def _at_rest(self, state: MachineState) -> bool:
        return all(self.machine.at_rest(state, thread) for thread in range(self.machine.threads))

    def _property(self, state: MachineState, ending: Ending, condition: int) -> Trace:
        if ending.reason is Reason.LEAK:
            return self._leak(state, condition)
        reads: list[tuple[int, Scalar]] = []

        def watch(op: Op, run: Run) -> None:
            if isinstance(op, ops.Load) and not self.names.is_hidden(run.value(op.address)) and (run.value(op.address), op.type) not in reads:
                reads.append((run.value(op.address), op.type))

        # A condition stops looking where it is decided: its other cells are those it looks at in the beginning.
        found = self.machine.evaluate(state, condition, watch)
        if self.initial is not None:
            self.machine.evaluate(self.initial, condition, watch)
        message = self.linked.program.properties[condition].message
        fits = not found and (ending.reason is not Reason.AT_REST or self._at_rest(state))
        thread = self.events[-1].thread if self.events else None
        shown = tuple(self.names.cell(address) for address, _ in reads)
        if isinstance(found, protocol.Faulted):
            failure = Failure(found.reason, f"{message}: {found.message}", found.remark, thread, (), condition=condition, reads=shown)
            return self._ended(ending, failure, fits=found.reason is ending.reason)
        self.touched.update(address for address, _ in reads)
        if ending.reason is Reason.SOMETIMES:
            return self._ended(ending, Failure(ending.reason, f"never: {message}", "", None, (), condition=condition, reads=shown))
        remark = self._remark(state, ending.reason, reads)
        failure = Failure(ending.reason, message, remark, thread, (), condition=condition, reads=shown)
        return self._ended(ending, failure, fits=fits)

    def _remark(self, state: MachineState, reason: Reason, reads: list[tuple[int, Scalar]]) -> str:
        """What the failing line says: the cells that were read, those that the last step wrote first of all."""
        wrote = {a.cell: a for a in self.last.accesses if a.kind == "write"} if self.last is not None else {}
        mine = [(address, kind) for address, kind in reads if self.names.cell(address) in wrote]
        if reason is Reason.ALWAYS and mine:
            address, kind = mine[-1]
            fell = isinstance(kind, Int) and state[0][address] < 0 <= int(wrote[self.names.cell(address)].old)
            return f"{'UNDERFLOW' if fell else 'VIOLATED'} {self._cell(state, address, kind)}"
        word = "AT REST" if reason is Reason.AT_REST else "VIOLATED"
        shown = [self._cell(state, address, kind) for address, kind in reads][:MOST_CELLS]
        return f"{word} {', '.join(shown)}".rstrip()

    def _cell(self, state: MachineState, address: int, kind: Scalar) -> str:
        return f"{self.names.cell(address)} = {self.names.value(state[0][address], kind)}"

    def _deadlock(self, state: MachineState) -> tuple[Failure, bool]:
        stuck = []
        fits = True
        for thread in range(self.machine.threads):
            if not self.machine.at_rest(state, thread) and not self._has_to_wait(state, thread):
                fits &= isinstance(self.machine.step(state, thread, 0), protocol.Blocked)
                stuck.append(self._blocked(state, thread))
        message = "; ".join(self._waits(one) for one in stuck)
        return Failure(Reason.DEADLOCK, message, "DEADLOCK", None, (), tuple(stuck)), fits and bool(stuck)

    def _waits(self, one: Blocked) -> str:
        if one.sleeps:
            where = "" if one.object is None else f" in {one.object}"
            return f"{self._called(one.thread)} sleeps for ever{where}, and nobody is left to wake it"
        held = ""
        if one.holder is not None:
            held = ", which it holds itself" if one.holder == one.thread else f", held by {self._called(one.holder)}"
        return f"{self._called(one.thread)} waits for {one.object or one.kind}{held}"

    def _blocked(self, state: MachineState, thread: int) -> Blocked:
        pc, registers = state[1][thread]
        step = self.linked.codes[thread].ops[pc]
        assert isinstance(step, Step)
        notes = _Notes(self.linked, self.names)
        target = self.machine.target(state, thread)
        name = None if target is None else self._named(target, step, thread)
        holder = None
        if target in self.names.locks:
            holder = self._holder(state, target, thread)
        elif step.kind.startswith(_RCU_WAITS):
            name, holder = "the RCU readers", self._reader(state, thread)
        elif step.kind.startswith("synchronize_srcu"):
            first = None if target is None else self._cell_named(f"{name}.blockers[{thread}]", target)
            name, holder = f"the readers of {name}", None if first is None else _lowest(state[0][first])
        elif step.kind in _BITS:
            name, holder = _BITS[step.kind].format(name), self._setter(state, thread)
        if (other := self._keeper(state, thread)) is not None:
            name, holder = "its CPU", other
        return Blocked(thread, notes.stack_of(step.at), step.kind, name, holder)

    def _keeper(self, state: MachineState, thread: int) -> int | None:
        """The thread that keeps another off its CPU."""
        begins = self._begins(state, thread)
        return next((one.thread for one in keepers(self.linked.program, thread, begins=begins) if state[0][one.cell]), None)

    def _begins(self, state: MachineState, thread: int) -> bool:
        """Whether a thread is a handler that has not begun."""
        step = self.linked.codes[thread].ops[state[1][thread][0]]
        return self.columns[thread].context != "task" and isinstance(step, Step) and step.kind in ENTRIES

    def _has_to_wait(self, state: MachineState, thread: int) -> bool:
        """Whether a thread waits for its CPU while a handler runs there, or is one that has not begun: others are what is stuck."""
        other = self._keeper(state, thread)
        return other is not None and (self._begins(state, thread) or self.columns[other].context != "task")

    def _named(self, target: int, step: Step, thread: int) -> str:
        """The name of what a step is about: several objects can begin at one address."""
        registers = self.linked.codes[thread].registers
        kind = registers[step.target.number].type if isinstance(step.target, ops.Reg) else None
        return self.names.object(target, kind.target if isinstance(kind, Ptr) else None)

    def _holder(self, state: MachineState, lock: int, thread: int) -> int | None:
        """Who holds a lock; of several that hold it shared the first, another one than `thread` if there is."""
        owner = self.names.thread_of(state[0][lock])
        readers = self.linked.program.readers().get(lock)
        if owner is not None or readers is None:
            return owner
        mask = state[0][readers]
        return _lowest(mask & ~(1 << thread) or mask)

    def _setter(self, state: MachineState, thread: int) -> int | None:
        """Who waits for a bit to be cleared waits for who set it, as far as the race knows: a bit lock is held by nobody."""
        notes = _Notes(self.linked, self.names)
        self.machine.step(state, thread, 0, notes)
        cell, now = notes.accesses[-1].cell, _bits(notes.accesses[-1].value)
        for event in reversed(self.events):
            if any(one.cell == cell and _bits(one.value) & ~_bits(one.old) & now for one in event.accesses):
                return event.thread
        return None

    def _reader(self, state: MachineState, thread: int) -> int | None:
        """The first of the readers a grace period waits for."""
        task = self.linked.program.threads[thread].task
        found = self._cell_named(".rcu_blockers", task)
        return None if found is None else _lowest(state[0][found])

    def _cell_named(self, end: str, start: int) -> int | None:
        """The first cell from `start` on whose name ends so."""
        return next((c for c in range(start, len(self.linked.program.cells)) if self.names.cell(c).endswith(end)), None)

    def _spinning(self, state: MachineState, ending: Ending) -> tuple[Failure, bool]:
        first = len(self.events)
        after, failure = self._moves(state, ending.loop, first)
        threads = sorted({thread for thread, _ in ending.loop})
        who = " and ".join(self._called(thread) for thread in threads)
        message = f"{who} can go on for ever, and nothing comes of it"
        fits = after == state and failure is None and bool(ending.loop)
        return Failure(Reason.ENDLESS_SPINNING, message, "SPINS FOR EVER", None, (), loop=first), fits

    def _standing(self, thread: int) -> tuple[int, ...]:
        """Where a thread stands in the end; empty if it has finished, or nothing ran."""
        if self.state is None or self.machine.finished(self.state, thread):
            return ()
        step = self.linked.codes[thread].ops[self.state[1][thread][0]]
        return _Notes(self.linked, self.names).stack_of(step.at)

    def _ended(self, ending: Ending, failure: Failure, fits: bool = True) -> Trace:
        if not fits:
            raise DoesNotFit(len(self.events), f"it does not end in {ending.reason} any more")
        program = self.linked.program
        columns = tuple(replace(one, at=self._standing(number)) for number, one in enumerate(self.columns))
        initial = tuple(
            (cell.name, self.names.value(cell.initial, cell.type))
            for address, cell in enumerate(program.cells)
            if address in self.touched and not self.names.is_hidden(address)
        )
        return Trace(
            program.name, program.file, self.parameters, program.statements, columns, initial, tuple(self.events), failure
        )


def takings_of(linked: Linked, chain: Sequence[Link]) -> tuple[Taking, ...]:
    """The takings that a trace tells of, in a program that may have changed; empty if one of their locks is gone."""
    addresses = {name: address for address, name in Names(linked.program).locks.items()} | {"": 0}
    if any(name not in addresses for one in chain for name in (one.wanted, one.held)):
        return ()
    return tuple(Taking(addresses[one.wanted], addresses[one.held], one.open_to, one.inside) for one in chain)


def _merged(before: list[Visit], after: tuple[Visit, ...]) -> tuple[Visit, ...]:
    """The visits of two runs of ops, the statement where they meet kept once."""
    if before and after and before[-1].stack == after[0].stack and before[-1].outcome is None:
        return (*before[:-1], *after)
    return (*before, *after)


def _bits(value: str) -> int:
    """An integer, or a bool, as a reader writes it."""
    return int(value == "True") if value in ("True", "False") else int(value)


def _lowest(mask: int) -> int | None:
    """The number of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1 if mask else None
