"""Breadth-first search in machine code: the same search as search.py, level by level, with the same results.

The compiled kernel expands, looks up and appends whole batches; here is the policy: when the table grows, how long a
slice of work is, bounds, Ctrl-C, what to keep. What the kernel finds wrong is only a state: the interpreter, run on it,
says what is wrong, so there is one place that knows the rules. States are kept in the order they were found while that
takes little memory; a search whose states were lost runs again, keeping them, if a race or a loop is looked for.

A guess that had no room (codegen/layout.py), or a lock that turned out not to protect a cell (reduction), makes what was
explored void: `Void` says so, and who called widens the guess and begins again.

Leaves out making the model, and choosing an engine: the room engine.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from lockverse.codegen.layout import FINISHED, Layout, MachineState
from lockverse.codegen.lower import DEADLOCK, FAULT, NOTE_WORDS, TOO_LONG
from lockverse.codegen.model import Model
from lockverse.codegen.symmetry import canonical
from lockverse.ir.coverage import Item
from lockverse.ir.reason import Reason
from lockverse.jit.machine_code import Library
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Disagreement, Faulted, Moved, Outcome, Pruned, TooLong, started

from . import kernel
from .bounds import INTERRUPTED, BoundHit, Bounds, hit, memory_used
from .graph import Edge, Graph
from .observer import Expansion, Observer, Violation
from .search import FAULT_RANK, Engine, Failing, Progress, Result
from .shortest import Move, Target, best
from .table import Functions, Shape, Store, TableFull
from .turning import Walks

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

FIRST_LINES: Final = 1 << 12  # 256 KiB: more than most schemes need
QUADRUPLE_BELOW: Final = 1 << 17  # lines (8 MiB): growing moves all states, and was a tenth of the time of a million
DOUBLE_BELOW: Final = 1 << 21  # lines (128 MiB): small tables double, large ones grow by less, to stay near full
CAREFUL_FROM: Final = 5 << 19  # lines from which they grow by two ninths only: 18 bytes a state in all is what we allow ourselves
SLICE: Final = 4096  # batches between two looks at the clock: some tens of milliseconds
FIRST_KEPT: Final = 1 << 16  # states that the queue keeps at first
KEPT_BYTES: Final = 4 << 20  # of states: up to there the queue keeps all, beyond only those of two levels
PARALLEL_FROM: Final = 4096  # states of a level from which a second thread is worth its start
BETTER_AFTER: Final = 0.1  # seconds from which it is worth compiling again, for code that is faster
MOST_BYTES: Final = 1 << 40  # reserved for the table or the queue where no bound on memory says less


class Void(Exception):
    """What was explored is void: a value did not fit the guess of that index (`guard`), or with `guard` below 0 a cell
    (`value` is its address) was accessed without the lock that was thought to protect it."""

    def __init__(self, guard: int, value: int) -> None:
        super().__init__(guard, value)
        self.guard, self.value = guard, value


class Compiled(Struct, frozen=True):
    """A model with its machine code and the kernel for its shape. `better` compiles code that is faster; None if there is none. `exact`: no
    fingerprints."""

    model: Model
    library: Library
    functions: Functions
    seconds: float
    better: Callable[[], tuple[Library, Functions]] | None = None
    exact: bool = False

    def pack(self, state: MachineState) -> tuple[int, ...] | int:
        """The state as the compiled code has it, its threads in order; or the guard that has no room for it."""
        packed = self.model.layout.encode(state)
        return packed if isinstance(packed, int) else canonical(packed, self.model.exchanges)

    def ordered(self, state: MachineState) -> MachineState:
        """The state with its threads in order."""
        packed = self.pack(state)
        assert not isinstance(packed, int)
        return self.model.layout.decode(packed)

    @property
    def shape(self) -> Shape:
        """What the kernel is compiled for."""
        return shape_of(self.model.layout, self.exact)


def shape_of(layout: Layout, exact: bool = False) -> Shape:
    """The kernel's shape for a layout; `exact`: with whole states, if there would be fingerprints."""
    shape = Shape(layout.words, layout.bits)
    return replace(shape, whole=True) if exact and not shape.exact else shape


class Moves(Protocol):
    """Who makes the moves that compiled code makes, by the interpreter: several steps each where they are merged."""

    def move(self, state: MachineState, thread: int, choice: int) -> tuple[Outcome, int]:
        """What a move does, and of how many steps it is."""
        ...


def _more(lines: int) -> int:
    """What a full table of so many lines grows to."""
    if lines < DOUBLE_BELOW:
        return lines * (4 if lines < QUADRUPLE_BELOW else 2)
    return lines + (lines // 2 if lines < CAREFUL_FROM else lines * 2 // 9)


class _Found(Struct):
    """Something wrong, at a packed state of a level."""

    level: int
    flags: int
    state: tuple[int, ...]


class NativeSearch:
    """One search. `keep`: all states, whatever memory they take."""

    def __init__(
        self, compiled: Compiled, machine: Interpreter, observers: Sequence[Observer], bounds: Bounds, progress: Callable[[Progress], None],
        follower: Moves, jobs: int = 1, keep: bool = False,
    ) -> None:  # fmt: skip
        self.compiled, self.machine, self.observers, self.bounds = compiled, machine, observers, bounds
        self.progress, self.follower, self.jobs, self.keep = progress, follower, jobs, keep or compiled.shape.whole
        self.found: list[_Found] = []
        self.levels = [0]  # where each level begins in the queue
        self.began, self.cpu = time.monotonic(), time.process_time()
        self.pool: ThreadPoolExecutor | None = None
        shape = compiled.shape
        memory = MOST_BYTES if bounds.memory is None else bounds.memory << 20
        most = max(memory // (8 * shape.words), FIRST_KEPT)
        if shape.whole:
            most = 1 << (most - 1).bit_length()  # the queue only doubles, and is to end where memory does
        limit = 1 << 62 if bounds.states is None else bounds.states + kernel.BLOCK * jobs
        self.store = Store.make(
            shape, compiled.functions, *self._addresses(),
            widest=compiled.model.successors, note_words=compiled.model.note_words, lines=FIRST_LINES,
            most_lines=memory // 64, capacity=FIRST_KEPT, most=most, limit=limit, workers=jobs,
        )  # fmt: skip
        self.store.context.words[kernel.C_SLICE] = SLICE

    def _addresses(self) -> tuple[int, int]:
        """Of the model's functions; 0: there is nothing to check."""
        address = self.compiled.library.address
        return address("expand"), address("check") if self.machine.linked.program.properties else 0

    def run(self) -> Result:
        """Explore. Raises Void."""
        packed = self.compiled.pack(started(self.machine))  # the reference search tells of one that does not start
        if isinstance(packed, int):
            raise Void(packed, 0)
        try:
            self._take(self.store.add(packed), 0)
            self._logs(0)
            return self._levels()
        except KeyboardInterrupt:
            self.store.context.words[kernel.C_STOP] = 1
            return self._result(bound=INTERRUPTED)
        except (TableFull, MemoryError):
            return self._result(bound=hit("memory", self.bounds.memory or memory_used()))
        finally:
            if self.pool is not None:
                self.pool.shutdown()

    def _levels(self) -> Result:
        depth, first, last = 0, 0, self.store.states
        while first < last and not self.found:
            if self.bounds.depth is not None and depth >= self.bounds.depth and self._unfinished(first, last):
                return self._result(depth, bound=hit("depth", self.bounds.depth))
            self.levels.append(last)
            bound = self._level(depth, first, last)
            if bound is not None:
                return self._result(depth, bound=bound)
            first, last = last, self.store.states
            depth += first < last
        if self.found:
            return self._result(depth, failing=self._best(), complete=first >= last)
        whole = self._whole(depth)
        if isinstance(whole, BoundHit):
            return self._result(depth, bound=whole)
        return self._result(depth, failing=whole, complete=True)

    # One level

    def _level(self, depth: int, first: int, last: int) -> BoundHit | None:
        self.store.set_level(first, last)
        workers = list(range(self.jobs if last - first >= PARALLEL_FROM else 1))
        while workers:
            codes = self._run(workers)
            self._improve()
            self._logs(depth)
            for worker, code in zip(list(workers), codes, strict=True):
                if code == kernel.DONE:
                    workers.remove(worker)
                elif (bound := self._take(code, worker)) is not None:
                    return bound
            self.store.context.words[kernel.C_STOP] = 0
            if workers and (bound := self._bound(depth, last)) is not None:
                return bound
        self.store.close_holes()
        return self._bound(depth, last)

    def _run(self, workers: list[int]) -> list[int]:
        self.store.context.words[kernel.C_ALONE] = len(workers) == 1
        codes = [0] * len(workers)

        def run(number: int) -> None:
            codes[number] = self.store.run(workers[number])

        try:
            self._together([functools.partial(run, number) for number in range(len(workers))])
        except BaseException:
            self.store.context.words[kernel.C_STOP] = 1
            raise
        return codes

    def _improve(self) -> None:
        """Have faster code compiled, once the search has taken long enough for that to be worth it, and go on with it."""
        compiled, began, cpu = self.compiled, time.monotonic(), time.process_time()
        if compiled.better is None or began - self.began < BETTER_AFTER:
            return
        library, functions = compiled.better()
        self.compiled = replace(compiled, library=library, functions=functions, seconds=compiled.seconds + time.monotonic() - began, better=None)
        self.store.use(functions, *self._addresses())
        self.cpu += time.process_time() - cpu

    def _together(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run tasks at once, one of them here."""
        if len(tasks) > 1 and self.pool is None:
            from concurrent.futures import (
                ThreadPoolExecutor,  # not at the top: it loads logging, and few searches need it
            )

            self.pool = ThreadPoolExecutor(self.jobs - 1, "lockverse")
        others = [self.pool.submit(task) for task in tasks[1:]] if self.pool is not None else []
        tasks[0]()
        for other in others:
            other.result()

    def _take(self, code: int, worker: int) -> BoundHit | None:
        """Deal with what a worker came back with."""
        if code == kernel.LAYOUT:
            note = self.store.note[worker]
            raise Void(note[0], note[1])
        if code == kernel.FULL:
            return self._widen()
        if code == kernel.GROW:
            lines = self.store.table.lines
            if self.store.states < self.store.context.words[kernel.C_LIMIT] and not self._crowded(worker):
                return None  # another worker has seen to it
            self.store.grow(_more(lines), self._together)
        return None

    def _widen(self) -> BoundHit | None:
        """More places for states. Each level doubles the queue, or lets it forget what is expanded, as often as it takes."""
        store = self.store
        if store.states >= store.limit:
            return hit("states", self.bounds.states or store.limit)
        if store.states < store.context.words[kernel.C_QUEUE_END]:
            return None  # another worker has seen to it
        if not self.keep and 2 * store.capacity * 8 * self.compiled.shape.words > KEPT_BYTES and self.levels[-2] > store.lost:
            store.keep_from(self.levels[-2])
        elif not store.widen():
            return hit("memory", self.bounds.memory or memory_used())
        return None

    def _crowded(self, worker: int) -> bool:
        """Whether a worker found no room for a state though the table is not full."""
        return self.store.workers[worker].pending

    def _logs(self, depth: int) -> None:
        for worker in self.store.workers:
            for flags, *state in worker.take_log(self.compiled.shape.words + 1):
                level = depth if not flags & kernel.VIOLATION or not self.store.total(kernel.P_TRANSITIONS) else depth + 1
                self.found.append(_Found(level, flags, tuple(word & _MASK for word in state)))

    def _bound(self, depth: int, last: int) -> BoundHit | None:
        seconds = time.monotonic() - self.began
        left = last - min(self.store.context.words[kernel.C_NEXT], last)
        states = self.store.states
        self.progress(Progress(states, self.store.total(kernel.P_TRANSITIONS), depth, left, seconds))
        if any(one.flags & TOO_LONG and self._too_long(one.state) for one in self.found):
            return hit("ops", self.bounds.ops)
        if self.bounds.states is not None and states > self.bounds.states:
            return hit("states", self.bounds.states)
        if self.bounds.seconds is not None and seconds >= self.bounds.seconds:
            return hit("seconds", self.bounds.seconds)
        if self.bounds.memory is not None and memory_used() >= self.bounds.memory:
            return hit("memory", self.bounds.memory)
        return None

    def _unfinished(self, first: int, last: int) -> bool:
        states = (self._state(index) for index in range(first, last))
        return any(thread[0] != FINISHED for _, threads in states for thread in threads)

    # States

    def _words(self, index: int) -> tuple[int, ...]:
        return tuple(word & _MASK for word in self.store.state(index))

    def _state(self, index: int) -> MachineState:
        return self.compiled.model.layout.decode(self._words(index))

    def _packed(self, state: MachineState) -> tuple[int, ...]:
        packed = self.compiled.pack(state)
        assert not isinstance(packed, int)
        return packed

    def _moves(self, state: MachineState) -> list[tuple[Move, Outcome]]:
        """What every thread can do, by the interpreter."""
        found: list[tuple[Move, Outcome]] = []
        for thread in range(self.machine.threads):
            choice, choices = 0, 0 if self.machine.finished(state, thread) else 1
            while choice < choices:
                outcome, _ = self.follower.move(state, thread, choice)
                found.append(((thread, choice), outcome))
                if isinstance(outcome, Blocked | TooLong):
                    break
                choices = outcome.choices
                choice += 1
        return found

    # What is wrong

    def _best(self) -> Failing:
        """The best race to what is wrong, as search.py has it."""
        targets: list[tuple[int, tuple[int, ...], Move | None, Violation]] = []
        for one in self.found:
            targets += [(one.level, one.state, last, violation) for last, violation in self._wrong(one)]
        if not targets:
            raise Disagreement("compiled code finds something wrong where the interpreter does not")
        least = min(level + (last is not None) for level, _, last, _ in targets)
        targets = [one for one in targets if one[0] + (one[2] is not None) == least]
        ways, numbers = self._ways([(level, state) for level, state, _, _ in targets])
        race = best(ways, [Target(numbers[state], last, violation.rank) for _, state, last, violation in targets])
        violation = targets[race.target][3]
        return Failing(violation.reason, race.schedule, race.switches, violation.condition)

    def _too_long(self, packed: tuple[int, ...]) -> bool:
        """Whether a step that ran long is one without an end in sight, and not one that is known to repeat itself."""
        return any(isinstance(outcome, TooLong) for _, outcome in self._moves(self.compiled.model.layout.decode(packed)))

    def _wrong(self, one: _Found) -> list[tuple[Move | None, Violation]]:
        state = self.compiled.model.layout.decode(one.state)
        found: list[tuple[Move | None, Violation]] = []
        if one.flags & kernel.VIOLATION:
            found += [(None, violation) for observer in self.observers if (violation := observer.on_state(state)) is not None]
        if one.flags & (FAULT | DEADLOCK | TOO_LONG):
            moves = self._moves(state)
            found += [(move, Violation(out.reason, FAULT_RANK)) for move, out in moves if isinstance(out, Faulted)]
            found += [(None, violation) for violation in self._expanded(state, moves)]
        return found

    def _expanded(self, state: MachineState, moves: list[tuple[Move, Outcome]]) -> list[Violation]:
        finished = sum(self.machine.finished(state, thread) for thread in range(self.machine.threads))
        blocked = sum(isinstance(outcome, Blocked) for _, outcome in moves)
        pruned = sum(isinstance(outcome, Pruned) for _, outcome in moves)
        at_rest = all(self.machine.at_rest(state, thread) for thread in range(self.machine.threads))
        expansion = Expansion(finished, blocked, pruned, at_rest)
        return [found for observer in self.observers if (found := observer.on_expanded(state, expansion)) is not None]

    def _ways(self, targets: list[tuple[int, tuple[int, ...]]]) -> tuple[dict[int, list[tuple[Edge, int]]], dict[tuple[int, ...], int]]:
        """The moves of all shortest ways to states of given levels, and the numbers the states have in them; the initial
        state has 0. Goes back from level to level: who has a successor that is wanted is wanted."""
        if self.store.lost:
            return self._again()._ways(targets)
        numbers = {self._words(0): 0}
        for _, state in targets:
            numbers.setdefault(state, len(numbers))
        wanted = {state for level, state in targets if level == max(one for one, _ in targets)}
        ways: dict[int, list[tuple[Edge, int]]] = {}
        for level in range(max(level for level, _ in targets) - 1, -1, -1):
            before: set[tuple[int, ...]] = {state for at, state in targets if at == level}
            for index in self.store.ancestors(sorted(wanted), self.levels[level], self.levels[level + 1]):
                source = self._words(index)
                number = numbers.setdefault(source, len(numbers))
                for move, outcome in self._moves(self.compiled.model.layout.decode(source)):
                    target = self._packed(outcome.state) if isinstance(outcome, Moved) else None
                    if target in wanted:
                        ways.setdefault(number, []).append((Edge(number, *move), numbers[target]))
                before.add(source)
            wanted = before
        return ways, numbers

    def _again(self) -> NativeSearch:
        """The same search once more, keeping all states."""
        again = NativeSearch(self.compiled, self.machine, self.observers, self.bounds, self.progress, self.follower, self.jobs, keep=True)
        again._take(again.store.add(self._packed(started(self.machine))), 0)
        first, last, depth = 0, again.store.states, 0
        while first < last and len(again.levels) < len(self.levels):
            again.levels.append(last)
            if again._level(depth, first, last) is not None:
                raise MemoryError
            first, last, depth = last, again.store.states, depth + 1
        return again

    # What is wrong with the whole

    def _whole(self, depth: int) -> Failing | BoundHit | None:
        kinds = [Reason(one.kind) for one in self.machine.linked.program.properties]
        witness = self.store.witness()
        asked = [number for number, kind in enumerate(kinds) if kind is Reason.SOMETIMES]
        for bit, number in enumerate(asked):
            if not witness >> bit & 1:
                return Failing(Reason.SOMETIMES, (), 0, number)
        return self._spinning(depth) if self.store.total(kernel.P_TURNED) else None

    def _spinning(self, depth: int) -> Failing | BoundHit | None:
        """Look for components that no move leaves and in which no execution can end."""
        walks = Walks(self.store, self.compiled.library.address("forward"))
        while walks.go_on():
            bound = self._bound(depth, self.store.states)
            if bound is not None:
                return bound
        caught = walks.caught()
        return self._spins(caught) if caught else None

    def _spins(self, caught: list[tuple[int, ...]]) -> Failing | None:
        """What the observers say is wrong with the graph of these states alone."""
        if self.store.lost:
            return self._again()._spins(caught)
        graph = self._graph_of(self.store.members(caught))
        for observer in self.observers:
            # A `sometimes` is not the graph's business: the kernel has looked at all states, the observer at none.
            wrong = [one for one in observer.on_explored(graph) if one[1].reason is not Reason.SOMETIMES]
            if wrong:
                states = [self._packed(graph.states[number]) for number, _ in wrong]
                ways, numbers = self._ways([(graph.levels[number], state) for (number, _), state in zip(wrong, states, strict=True)])
                race = best(ways, [Target(numbers[state], None, one.rank) for state, (_, one) in zip(states, wrong, strict=True)])
                violation = wrong[race.target][1]
                return Failing(violation.reason, race.schedule, race.switches, violation.condition, violation.loop)
        return None

    def _graph_of(self, indices: list[int]) -> Graph:
        """The graph of these states of the queue, and of the moves between them."""
        graph = Graph()
        level = 0
        for index in indices:
            while level + 1 < len(self.levels) and self.levels[level + 1] <= index:
                level += 1
            graph.add(self._state(index), level)
        for number, state in enumerate(graph.states):
            for move, outcome in self._moves(state):
                target = self.compiled.ordered(outcome.state) if isinstance(outcome, Moved) else None
                if target in graph.numbers:
                    graph.into[graph.numbers[target]].append(Edge(number, *move))
        return graph

    def _result(self, depth: int = 0, failing: Failing | None = None, bound: BoundHit | None = None, complete: bool = False) -> Result:
        total = self.store.total
        states = self.store.states
        engine = Engine(
            "native", self.compiled.shape.bits, self.compiled.shape.exact, self.compiled.seconds,
            time.process_time() - self.cpu, self.jobs,
        )  # fmt: skip
        return Result(
            states, total(kernel.P_TRANSITIONS), depth, total(kernel.P_COMPLETED),
            time.monotonic() - self.began, complete and bound is None, failing, bound, engine,
            never=self._never() if complete and bound is None and failing is None else (),
        )  # fmt: skip

    def _never(self) -> tuple[Item, ...]:
        """What was to be noted and was not."""
        noted = self.store.exercised(NOTE_WORDS, len(self.compiled.model.notes))
        return tuple(item for item, number in self.compiled.model.notes.items() if not noted[number])


_MASK: Final = (1 << 64) - 1
