"""Where everything of a state lies: fields of a few bits, packed into 64-bit words.

A cell's field is as wide as its value set needs; cells that one op can name by a computed address share one encoding, so
that reading them differs by a shift only. A thread has a field for its position, and behind it an area whose fields
depend on the position: just the registers kept there, less those that are constants or follow from others. So equal
packed states are equal states, and the other way round.

Integers that are counted have no value set. Their ranges are guessed from the states seen so far (`Guesses`) and every
write is guarded; a guess that fails is widened and the search begins again. Leaves out the code that reads and writes
the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct, field

from lockverse.ir import ops
from lockverse.ir.program import Code, Linked
from lockverse.ir.types import Int

from .encoding import Encoding, HeldBit, of_range, of_set
from .holding import Holding, holding
from .same import Derived, derived
from .values import ANY, Flow, Unsupported, Values

FINISHED: Final = -1  # a position: the thread has come to its end
WORD: Final = 64
SMALL: Final = 60  # bits of a state of one word, so that a slot of the table has room for its own
MEDIUM: Final = 78  # bits of a state of two words whose slot is still one word
WIDE: Final = 127  # bits of a state of two words that a slot of two words holds exactly

MachineState: TypeAlias = tuple[tuple[int, ...], tuple[tuple[int, tuple[int, ...]], ...]]
Key: TypeAlias = tuple[str, str, int]  # what a guess is about: a kind, a name, a number


class Guesses(Struct):
    """The ranges guessed for what is counted. Those seen in `add` grow the guess; `widen` doubles it towards a value."""

    known: dict[Key, tuple[int, int]] = field(default_factory=dict)

    def add(self, key: Key, value: int) -> None:
        """A value was seen."""
        low, high = self.known.get(key, (value, value))
        self.known[key] = (min(low, value), max(high, value))

    def widen(self, key: Key, value: int, kind: Int) -> None:
        """A value did not fit: make room for it, and as much again."""
        low, high = self.range_of(key, kind)
        span = high - low + 1
        low, high = (min(low - span, value), high) if value < low else (low, max(high + span, value))
        self.known[key] = (max(low, kind.low), min(high, kind.high))

    def range_of(self, key: Key, kind: Int) -> tuple[int, int]:
        """The guess, rounded up to a power of two values where the type has room."""
        low, high = self.known.get(key, (0, 0))
        spare = (1 << max(1, (high - low).bit_length())) - (high - low + 1)
        high = min(high + spare, kind.high)
        return low, high


class Place(Struct, frozen=True):
    """Bits of a state: `bits` from `shift` on of a word."""

    word: int
    shift: int
    bits: int

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.bits) - 1) << self.shift


class Field(Struct, frozen=True):
    """A field: where it is, what its bits mean, and (if guarded) the guess it stands on, by its index in `guards`."""

    place: Place
    encoding: Encoding
    guard: int = -1


class Standing(Struct, frozen=True):
    """What is kept of a thread that stands at one position: fields by register, constants, and what follows from others."""

    fields: Mapping[int, Field]
    constants: Mapping[int, int]
    derived: tuple[Derived, ...]


class ThreadLayout(Struct, frozen=True):
    """A thread's part of a state. `positions[code]` is where it stands; `area` are all its places, position included."""

    positions: tuple[int, ...]
    place: Place
    standing: Mapping[int, Standing]
    area: tuple[Place, ...]


class Layout(Struct, frozen=True):
    """The whole state: `words` words of which `bits` bits are used (unused ones are 0). `cells[address]` is None for a cell
    that never changes. `guards` are the guesses it stands on, with the type that bounds each."""

    linked: Linked
    words: int
    bits: int
    cells: tuple[Field | None, ...]
    initial: tuple[int, ...]
    threads: tuple[ThreadLayout, ...]
    guards: tuple[tuple[Key, Int], ...]
    holding: Holding

    def encode(self, state: MachineState) -> tuple[int, ...] | int:
        """The words of a state; or the index of the guard that has no room for it."""
        words = [0] * self.words
        memory, threads = state
        for value, cell in zip(memory, self.cells, strict=True):
            if cell is not None and (failed := _put(words, cell, value)) is not None:
                return failed
        for layout, (pc, registers) in zip(self.threads, threads, strict=True):
            words[layout.place.word] |= layout.positions.index(pc) << layout.place.shift
            if pc == FINISHED:
                continue
            for number, one in layout.standing[pc].fields.items():
                if (failed := _put(words, one, registers[number])) is not None:
                    return failed
        return tuple(words)

    def decode(self, words: Sequence[int]) -> MachineState:
        """The state of these words."""
        memory = [known if cell is None else _get(words, cell) for cell, known in zip(self.cells, self.initial, strict=True)]
        threads = tuple(self._thread(words, number) for number in range(len(self.threads)))
        for lock in self.holding.locks:
            holder = self.holding.holder(lock, [pc for pc, _ in threads]) if memory[lock] else None
            memory[lock] = 0 if holder is None else self.linked.program.threads[holder].task
        return tuple(memory), threads

    def _thread(self, words: Sequence[int], number: int) -> tuple[int, tuple[int, ...]]:
        layout = self.threads[number]
        pc = layout.positions[bits_of(words, layout.place)]
        if pc == FINISHED:
            return FINISHED, ()
        registers = [0] * len(self.linked.codes[number].registers)
        standing = layout.standing[pc]
        for register, value in standing.constants.items():
            registers[register] = value
        for register, one in standing.fields.items():
            registers[register] = _get(words, one)
        for copy in standing.derived:
            registers[copy.register] = copy.scale * registers[copy.base] + copy.offset
        return pc, tuple(registers)


def bits_of(words: Sequence[int], place: Place) -> int:
    """The bits of a field."""
    return (words[place.word] >> place.shift) & ((1 << place.bits) - 1)


def _get(words: Sequence[int], one: Field) -> int:
    return one.encoding.decode(bits_of(words, one.place))


def _put(words: list[int], one: Field, value: int) -> int | None:
    code = one.encoding.encode(value)
    if code is None:
        if one.guard < 0:
            raise AssertionError(f"a value the analysis ruled out: {value} for {one}")
        return one.guard
    words[one.place.word] |= code << one.place.shift
    return None


# Making a layout


class _Item(Struct):
    """Something that wants bits next to each other in one word."""

    bits: int
    place: Place | None = None


class _Planner:
    def __init__(self, linked: Linked, values: Values, guesses: Guesses, holding: Holding) -> None:
        self.linked, self.values, self.guesses, self.holding = linked, values, guesses, holding
        self.guards: list[tuple[Key, Int]] = []
        self._index: dict[Key, int] = {}
        self.items: list[_Item] = []

    def guess(self, key: Key, kind: Int) -> tuple[Encoding, int]:
        """The encoding of something counted, and its guard."""
        if key not in self._index:
            self._index[key] = len(self.guards)
            self.guards.append((key, kind))
        return of_range(*self.guesses.range_of(key, kind)), self._index[key]

    # Cells

    def cells(self) -> list[tuple[Encoding, int, _Item] | None]:
        """For each cell that changes its encoding, its guard and its bits."""
        found: list[tuple[Encoding, int, _Item] | None] = [None] * len(self.values.cells)
        for group in _groups(self.values):
            sets = [self.values.cells[address] for address in group]
            if len(group) == 1 and sets[0] is not ANY and len(sets[0]) == 1:
                continue
            if group[0] in self.holding.locks:
                item = _Item(HeldBit().bits)
                self.items.append(item)
                found[group[0]] = (HeldBit(), -1, item)
                continue
            known = None if any(one is ANY for one in sets) else frozenset().union(*(one for one in sets if one is not ANY))
            if known is not None:
                encoding, guard = of_set(known), -1
            else:
                kind = self.linked.program.cells[group[0]].type
                if not isinstance(kind, Int):
                    raise Unsupported(f"a cell of which nothing is known holds {kind}")
                encoding, guard = self.guess(cell_key(self.linked, group[0]), kind)
            for address in group:
                item = _Item(encoding.bits)
                self.items.append(item)
                found[address] = (encoding, guard, item)
        return found

    # Threads

    def thread(self, flow: Flow) -> _Thread:
        """What each position of a thread keeps, in encodings; places come later."""
        copies = derived(self.values, flow)
        thread = _Thread([])
        for pc, op in enumerate(flow.code.ops):
            if isinstance(op, ops.Step) and pc in flow.entry:
                thread.positions.append(pc)
                self._standing(flow, pc, copies[pc], thread)
        thread.positions.append(FINISHED)
        thread.item = _Item((len(thread.positions) - 1).bit_length())
        self.items += [thread.item, *thread.chunks]
        return thread

    def _standing(self, flow: Flow, pc: int, copies: tuple[Derived, ...], thread: _Thread) -> None:
        env = flow.entry[pc]
        constants, wanted, follows = {}, [], []
        dependent = {one.register: one for one in copies}
        for number in flow.code.keep[pc]:
            known = env[number]
            kind = flow.code.registers[number].type
            if known is not ANY and len(known) == 1:
                constants[number] = next(iter(known))
            elif number in dependent:
                follows.append(dependent[number])
            elif known is not ANY:
                wanted.append((number, of_set(known), -1))
            else:
                if not isinstance(kind, Int):
                    raise Unsupported(f"a register of which nothing is known holds {kind}")
                wanted.append((number, *self.guess(register_key(flow.code, number), kind)))
        thread.kept[pc] = (constants, thread.pack(wanted), tuple(follows))


class _Thread(Struct):
    """A thread's layout while it is made: chunks of bits, and for each position which register is where in them."""

    positions: list[int]
    item: _Item = field(default_factory=lambda: _Item(0))
    chunks: list[_Item] = field(default_factory=list)
    kept: dict[int, tuple[dict[int, int], list[tuple[int, Encoding, int, int, int]], tuple[Derived, ...]]] = field(default_factory=dict)

    def pack(self, wanted: list[tuple[int, Encoding, int]]) -> list[tuple[int, Encoding, int, int, int]]:
        """Give each register bits of a chunk: (register, encoding, guard, chunk, shift in it)."""
        used: list[int] = [0] * len(self.chunks)
        found = []
        for number, encoding, guard in sorted(wanted, key=lambda one: -one[1].bits):
            chunk = next((i for i, taken in enumerate(used) if taken + encoding.bits <= WORD), len(used))
            if chunk == len(used):
                used.append(0)
                self.chunks.append(_Item(0))
            found.append((number, encoding, guard, chunk, used[chunk]))
            used[chunk] += encoding.bits
            self.chunks[chunk].bits = max(self.chunks[chunk].bits, used[chunk])
        return found


def make_layout(linked: Linked, values: Values, guesses: Guesses, without: frozenset[int] = frozenset()) -> Layout:
    """Lay out the states of a program. Locks in `without` have their owners in the state whatever holding.py says. Raises
    Unsupported for what cannot be laid out."""
    known = holding(values, without)
    known.locks = {lock for lock in known.locks if values.cells[lock] is ANY or len(values.cells[lock] or ()) > 1}
    planner = _Planner(linked, values, guesses, known)
    cells = planner.cells()
    threads = [planner.thread(flow) for flow in values.flows]
    words, bits = _assign(planner.items)
    return Layout(
        linked, words, bits,
        tuple(None if one is None else Field(_placed(one[2]), one[0], one[1]) for one in cells),
        tuple(cell.initial for cell in linked.program.cells),
        tuple(_thread_layout(one) for one in threads),
        tuple(planner.guards),
        known,
    )  # fmt: skip


def _placed(item: _Item) -> Place:
    assert item.place is not None
    return item.place


def _thread_layout(thread: _Thread) -> ThreadLayout:
    standing = {}
    for pc, (constants, packed, follows) in thread.kept.items():
        fields = {}
        for number, encoding, guard, chunk, shift in packed:
            base = _placed(thread.chunks[chunk])
            fields[number] = Field(Place(base.word, base.shift + shift, encoding.bits), encoding, guard)
        standing[pc] = Standing(fields, constants, follows)
    places = tuple(_placed(item) for item in [thread.item, *thread.chunks])
    return ThreadLayout(tuple(thread.positions), places[0], standing, places)


def _assign(items: Sequence[_Item]) -> tuple[int, int]:
    """Give every item its place: the fewest words, and of the last as few bits as the table's slots like."""
    total = sum(item.bits for item in items)
    sizes = [[SMALL]] if total <= SMALL else []
    sizes += [[WORD, MEDIUM - WORD]] if total <= MEDIUM else []
    sizes += [[WORD, WIDE - WORD]] if total <= WIDE else []
    count = -(-total // WORD)
    sizes += [[WORD] * max(count, 3), [WORD] * (count + 1), [WORD] * (count + 4), [WORD] * max(len(items), 3)]
    for capacities in sizes:
        used = _fill(items, capacities)
        if used is not None:
            words = max(len(capacities) if len(capacities) <= 2 else max((i + 1 for i, taken in enumerate(used) if taken), default=1), 1)
            return words, (words - 1) * WORD + (used[words - 1] if words > 1 else used[0])
    raise Unsupported("a field of more than 64 bits")


def _fill(items: Sequence[_Item], capacities: Sequence[int]) -> list[int] | None:
    """First fit, the widest first; gives the bits used of each word, or None if they do not fit."""
    used = [0] * len(capacities)
    for item in sorted(items, key=lambda one: -one.bits):
        word = next((i for i, room in enumerate(capacities) if used[i] + item.bits <= room), None)
        if word is None:
            return None
        item.place = Place(word, used[word], item.bits)
        used[word] += item.bits
    return used


def _groups(values: Values) -> list[list[int]]:
    """The cells, those that one op can name together."""
    parent = list(range(len(values.cells)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for addresses in accesses(values):
        first = min(addresses)
        for address in addresses:
            parent[root(address)] = root(first)
    groups: dict[int, list[int]] = {}
    for address in range(len(parent)):
        groups.setdefault(root(address), []).append(address)
    return list(groups.values())


def accesses(values: Values) -> Iterable[frozenset[int]]:
    """For each load and store that can name several cells, those cells."""
    flows = [*values.flows, *values.conditions]
    found = {one.cells for flow in flows for one in values.facts(flow).accesses.values() if len(one.cells) > 1}
    return sorted(found, key=sorted)


def cell_key(linked: Linked, address: int) -> Key:
    """What the guess for a cell is known by: cells of one field and type share it."""
    cell = linked.program.cells[address]
    return ("cell", f"{cell.name.rpartition('.')[2].partition('[')[0]}: {cell.type}", 0)


def register_key(code: Code, number: int) -> Key:
    """What the guess for a register is known by: threads with one function share it."""
    return ("register", code.name, number)


def observe(guesses: Guesses, linked: Linked, states: Iterable[MachineState]) -> None:
    """Take the ranges of everything that is counted from states that were seen."""
    seen = list(states)
    for number, values in enumerate(zip(*(memory for memory, _ in seen), strict=True)):
        if isinstance(linked.program.cells[number].type, Int):
            key = cell_key(linked, number)
            guesses.add(key, min(values))
            guesses.add(key, max(values))
    for thread, code in enumerate(linked.codes):
        counted = {n: register_key(code, n) for n, one in enumerate(code.registers) if isinstance(one.type, Int)}
        for pc, kept in {threads[thread] for _, threads in seen}:
            for number in code.keep[pc] if pc != FINISHED else ():
                if number in counted:
                    guesses.add(counted[number], kept[number])
