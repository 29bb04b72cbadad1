"""The Python side of the compiled search: what it is compiled for, the memory it works in, and its functions.

Memory is reserved far beyond what is used and costs nothing until it is touched, so that the table and the queue grow where
they are. Leaves out policy (when to grow, what to do with what `run` comes back with), which is the search's.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from lockverse.jit.dialect import in_python

from . import endless, hashing, kernel, whole

if TYPE_CHECKING:
    from lockverse.jit.machine_code import Level, Library

WORD = 8  # bytes
PAGE = 4096
ONE_WORD_BITS, TWO_WORD_BITS, WIDE_BITS = 60, 78, 127  # what slots hold exactly: of 8 bytes with one word and two; of 16
MOST_LINES = (1 << 31) - 1  # the product with 32 bits of hash stays a positive word
LOG_ENTRIES = 1024  # of a worker: with them full it comes back
FIRST_SIDE = 1 << 12  # entries at the side of growth; doubled when they do not suffice
FILL, FILL_WIDE = 0.8, 0.72  # of the slots, when a table is full: beyond, more and more states are far from home
FILL_SMALL = 0.65  # the same while memory is plenty
SMALL_LINES = 1 << 20  # 64 MiB
LINES_A_CALL = 1 << 20  # of growth, between two looks at signals: a tenth of a second
LINES_A_THREAD = 1 << 12  # of growth, from which another thread is worth its start
STATES_A_CALL = 1 << 17  # of functions over the queue: as long
MAP_NORESERVE = 0x4000 if hasattr(mmap, "MADV_HUGEPAGE") else 0  # Linux; Python has no name for it


class TableFull(Exception):
    """The table may not grow further."""


class Shape(Struct, frozen=True):
    """What the kernel is compiled for: states of `words` words of which the first `bits` bits are used. With one word at
    most 60 bits are; states of 61 to 64 bits take two. `whole`: slots refer to states, which the queue keeps; any number of
    bits is exact then."""

    words: int
    bits: int
    whole: bool = False

    def __post_init__(self) -> None:
        assert self.words >= 1 and self.bits <= 64 * self.words
        assert self.words > 1 or self.bits <= ONE_WORD_BITS, "states of 61 to 64 bits take two words"

    @property
    def wide(self) -> bool:
        """Do slots have 16 bytes?"""
        return not self.whole and (self.words > 2 or (self.words == 2 and self.bits > TWO_WORD_BITS))

    @property
    def exact(self) -> bool:
        """Are states never mistaken for each other?"""
        return self.whole or self.words == 1 or (self.words == 2 and self.bits <= WIDE_BITS)

    @property
    def constants(self) -> dict[str, int]:
        """What the kernel is compiled with."""
        if self.whole:
            return {"W": self.words, "WIDE": 0, "EXACT": 0, "LOST": 0}
        bits = 60 if self.words == 1 else max(self.bits, 64)
        lost = 0 if self.wide else bits - hashing.SLOT_BITS
        return {"W": self.words, "WIDE": int(self.wide), "EXACT": int(self.exact), "LOST": lost}

    @property
    def fewest_lines(self) -> int:
        """With fewer lines, slots of 8 bytes would not tell all states apart."""
        return 1 << self.constants["LOST"]

    @property
    def slots(self) -> int:
        """Of a line."""
        return hashing.LINE_WORDS >> self.wide

    @property
    def entries(self) -> tuple[Callable[..., int], ...]:
        """The functions of the kernel that are called from here."""
        return (*kernel.ENTRIES, *endless.ENTRIES, *((whole.refer,) if self.whole else ()))

    @property
    def instead(self) -> Mapping[str, Callable[..., int]]:
        """What is called instead of functions of the kernel."""
        return whole.INSTEAD if self.whole else {}


Functions = Mapping[str, Callable[..., int]]


def interpreted(shape: Shape) -> Functions:
    """The kernel under plain Python: the same results, slowly, and one thread only."""
    return in_python(shape.entries, shape.constants, shape.instead)


def compiled(shape: Shape, level: Level = "full") -> Functions:
    """The kernel as machine code, from the cache if it is there. The functions release the interpreter's lock."""
    from lockverse.jit.machine_code import compile_written

    return _functions(shape, compile_written(_writer(shape), _source(shape), level, _names(shape)))


def compiled_soon(shape: Shape) -> tuple[Functions, bool]:
    """The same if it is in the cache, else code that is there sooner; whether it is the best."""
    from lockverse.jit.machine_code import compile_soon

    library, best = compile_soon(_writer(shape), _source(shape), "full", _names(shape))
    return _functions(shape, library), best


def _writer(shape: Shape) -> Callable[[], str]:
    def write() -> str:
        from lockverse.jit.lower import lower

        return lower(shape.entries, shape.constants, shape.instead)

    return write


def _names(shape: Shape) -> tuple[str, ...]:
    return tuple(f.__name__ for f in shape.entries)


def _functions(shape: Shape, library: Library) -> Functions:
    return {f.__name__: library.function(f.__name__, f.__code__.co_argcount) for f in shape.entries}


def _source(shape: Shape) -> str:
    return _sources() + repr(shape.constants)


@functools.cache
def _sources() -> str:
    """What the kernel's IR is made from: to write it takes longer than all else about it, once its object is kept."""
    package = Path(__file__).parent.parent
    files = [package / f"explore/{name}.py" for name in ("kernel", "hashing", "endless", "whole")]
    files += [package / "codegen/lower.py", *sorted((package / "jit").glob("*.py"))]
    return "".join(one.read_text(encoding="utf-8") for one in files)


class Region:
    """Zeroed memory, page by page as it is touched: an address, and its words to read and write from Python."""

    def __init__(self, size: int, huge: bool = False) -> None:
        size = -(-size // PAGE) * PAGE
        if hasattr(mmap, "MAP_PRIVATE"):
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
            self._memory = mmap.mmap(-1, size, flags=flags)
        else:
            self._memory = mmap.mmap(-1, size)
        if huge and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without huge pages: slower, no more
                self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.size = size
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.words = memoryview(self._memory).cast("q")


Together = Callable[[Sequence[Callable[[], None]]], None]


def one_by_one(tasks: Sequence[Callable[[], None]]) -> None:
    """Tasks that may run at once, by one thread."""
    for task in tasks:
        task()


class Table:
    """A hash table that grows where it is."""

    def __init__(self, shape: Shape, functions: Functions, lines: int, most_lines: int, huge: bool = True) -> None:
        lines = max(lines, shape.fewest_lines)
        self.shape, self.lines = shape, lines
        self.most_lines = min(max(most_lines, lines), MOST_LINES)
        self.memory = Region((self.most_lines + hashing.FURTHEST) * hashing.LINE, huge)
        self.functions = functions
        self._mover = _Mover()

    @property
    def limit(self) -> int:
        """States with which it is full."""
        most = FILL_SMALL if self.lines < SMALL_LINES else FILL_WIDE if self.shape.wide else FILL
        return int(self.lines * self.shape.slots * most)

    @property
    def slots(self) -> int:
        """The numbers that `find` gives are below it."""
        return (self.lines + hashing.FURTHEST) * self.shape.slots

    def grow(self, lines: int, together: Together = one_by_one, threads: int = 1) -> None:
        """Have at least so many lines: more, if states do not find a place. `together` runs tasks, up to `threads` of them at once."""
        while lines > self.lines or self._mover.waiting:
            target = max(lines, self.lines + self.lines // 8 + 1) if self._mover.waiting else lines
            if target > self.most_lines:
                raise TableFull
            self._grow_once(target, together, threads)
            self.lines = target

    def _grow_once(self, lines: int, together: Together, threads: int) -> None:
        counts = Region(lines + hashing.FURTHEST, huge=True)
        movers = [self._mover, *(_Mover() for _ in range(threads - 1))]
        for mover in movers:
            mover.begin(self, lines, counts)
        top, end = self.lines + hashing.FURTHEST, lines + hashing.FURTHEST
        while (bottom := self._apart(top, lines)) + threads * LINES_A_THREAD <= top:
            borders = [bottom + (top - bottom) * number // threads for number in range(threads)] + [top]
            highest = [self._first_home(border, lines) for border in borders[:-1]] + [end]
            pieces = zip(movers, borders[:-1], borders[1:], highest[:-1], highest[1:], strict=True)
            together([functools.partial(mover.move, self.functions["grow"], *piece) for mover, *piece in pieces])
            top = bottom
        self._mover.move(self.functions["grow"], 0, top, 0, end)
        for mover in movers[1:]:
            self._mover.take_over(mover)
        self._mover.settle(self.functions["settle"], end)

    def _first_home(self, line: int, lines: int) -> int:
        """The first line among so many that can be the new home of what had its home in this line or behind it."""
        return (-(-(line << 32) // self.lines)) * lines >> 32

    def _apart(self, top: int, lines: int) -> int:
        """The first line that has its homes among so many new lines not before `top`: what comes of it and those behind it is written
        where nothing is to be read any more."""
        bottom = max(top * self.lines // lines - 1, 0)
        while self._first_home(bottom, lines) < top:
            bottom += 1
        return bottom


class _Mover:
    """What one thread moves lines with."""

    def __init__(self) -> None:
        self._block = Region(hashing.GROWTH_WORDS * WORD)
        self._side = Region(2 * WORD * FIRST_SIDE)

    @property
    def waiting(self) -> int:
        """The entries at the side."""
        return self._block.words[hashing.G_SIDE_USED]

    def begin(self, table: Table, lines: int, counts: Region) -> None:
        """Be ready to move what is in a table to so many lines."""
        words = self._block.words
        words[hashing.G_TABLE], words[hashing.G_LINES], words[hashing.G_NEW_LINES] = table.memory.address, table.lines, lines
        words[hashing.G_COUNTS], words[hashing.G_SLICE] = counts.address, LINES_A_CALL
        self._set_side()

    def _set_side(self) -> None:
        words = self._block.words
        words[hashing.G_SIDE], words[hashing.G_SIDE_SIZE] = self._side.address, self._side.size // (2 * WORD)

    def move(self, grow: Callable[[int], int], first: int, last: int, low: int, high: int) -> None:
        """Move the lines from `first` up to `last` to those from `low` up to `high`, or to the side."""
        words = self._block.words
        words[hashing.G_STOP], words[hashing.G_NEXT], words[hashing.G_LOW], words[hashing.G_HIGH] = first, last, low, high
        while (code := grow(self._block.address)) != hashing.MOVED:
            if code == hashing.SIDE_FULL:
                self._widen()

    def _widen(self) -> None:
        larger = Region(2 * self._side.size)
        ctypes.memmove(larger.address, self._side.address, self._side.size)
        self._side = larger
        self._set_side()

    def take_over(self, other: _Mover) -> None:
        """Have what waits at another's side."""
        size = 2 * WORD
        while (self.waiting + other.waiting) * size > self._side.size:
            self._widen()
        ctypes.memmove(self._side.address + self.waiting * size, other._side.address, other.waiting * size)
        self._block.words[hashing.G_SIDE_USED] += other.waiting

    def settle(self, settle: Callable[[int], int], high: int) -> None:
        """Put what waits where it belongs, before the line `high`."""
        self._block.words[hashing.G_HIGH] = high
        settle(self._block.address)


class Worker(Struct):
    """What one thread works with; the counters are cumulative."""

    block: Region
    log: Region
    others: tuple[Region, ...]

    @property
    def address(self) -> int:
        """Given to the kernel."""
        return self.block.address

    @property
    def pending(self) -> bool:
        """Is there anything taken and not finished?"""
        words = self.block.words
        return words[kernel.P_PENDING] > 0 or words[kernel.P_POSITION] < words[kernel.P_POSITION_END]

    def take_log(self, length: int) -> list[tuple[int, ...]]:
        """The entries of the log, of so many words each; it is empty then."""
        used = self.block.words[kernel.P_LOG_USED]
        self.block.words[kernel.P_LOG_USED] = 0
        words = self.log.words
        return [tuple(words[i : i + length]) for i in range(0, used, length)]


class Store(Struct):
    """All states found, the table over them, and the workers. `expand` and `check` are addresses of C functions of the
    model; `widest` is how many successors an expansion writes at most, `note_words` what it writes to its note."""

    shape: Shape
    functions: Functions
    table: Table
    queue: Region
    context: Region
    most: int  # states that the queue can be widened to
    limit: int  # states that there may be
    lost: int = 0  # states before it may be overwritten
    other: tuple[object, ...] = ()  # the second table, and the states that it may refer to: they are to stay where they are
    workers: list[Worker] = field(default_factory=list)

    @classmethod
    def make(
        cls, shape: Shape, functions: Functions, expand: int, check: int, *,
        widest: int, note_words: int, lines: int, most_lines: int, capacity: int, most: int, limit: int = 1 << 62,
        workers: int = 1,
    ) -> Store:  # fmt: skip
        """A store without states, and so many workers. The queue keeps `capacity` states, a power of two; it may be
        widened to keep up to `most`. There may be `limit` states in all."""
        assert capacity & capacity - 1 == 0
        table = Table(shape, functions, lines, most_lines)
        queue = Region(most * shape.words * WORD, huge=True)
        assert not shape.whole or (queue.address + queue.size) >> 3 < 1 << whole.ADDRESS_BITS, "addresses of more than 48 bits"
        store = cls(shape, functions, table, queue, Region(kernel.CONTEXT_WORDS * WORD), most, limit)
        store.use(functions, expand, check)
        words = store.context.words
        words[kernel.C_QUEUE] = queue.address
        words[kernel.C_MASK] = capacity - 1
        store.keep_from(0)
        store.set_table()
        store.workers += [store._worker(widest, note_words) for _ in range(workers)]
        return store

    def _worker(self, widest: int, note_words: int) -> Worker:
        block = Region(kernel.WORKER_WORDS * WORD)
        out = Region((kernel.BATCH + widest) * self.shape.words * WORD)
        hashes = Region((kernel.BATCH + widest) * kernel.HASH_BYTES)
        note = Region(max(note_words, 1) * WORD)
        turning = Region((self.table.most_lines + hashing.FURTHEST) * self.shape.slots * self.shape.words * WORD)
        chosen = Region((kernel.BATCH + widest) * WORD)
        log = Region(LOG_ENTRIES * (self.shape.words + 1) * WORD)
        words = block.words
        words[kernel.P_OUT], words[kernel.P_HASHES], words[kernel.P_NOTE] = out.address, hashes.address, note.address
        words[kernel.P_LOG], words[kernel.P_LOG_SIZE] = log.address, log.size // WORD
        words[kernel.P_TURNING], words[kernel.P_CHOSEN] = turning.address, chosen.address
        return Worker(block, log, (out, hashes, note, turning, chosen))

    @property
    def note(self) -> Sequence[memoryview]:
        """The notes of the workers."""
        return [worker.others[2].words for worker in self.workers]

    @property
    def states(self) -> int:
        """How many there are; between runs, with the holes closed."""
        return self.context.words[kernel.C_TAIL]

    def set_table(self) -> None:
        """Tell the kernel where the table is and how long: after each growth."""
        words = self.context.words
        words[kernel.C_TABLE], words[kernel.C_LINES] = self.table.memory.address, self.table.lines
        words[kernel.C_LIMIT] = self.table.limit

    def grow(self, lines: int, together: Together = one_by_one) -> None:
        """Have at least so many lines, and the limit that goes with them. `together` runs a task for each worker at once."""
        self.table.grow(lines, together, len(self.workers))
        self.set_table()

    def use(self, functions: Functions, expand: int, check: int) -> None:
        """Go on with other code for the same."""
        self.functions = self.table.functions = functions
        self.context.words[kernel.C_EXPAND], self.context.words[kernel.C_CHECK] = expand, check

    def total(self, counter: int) -> int:
        """A counter, over all workers."""
        return sum(worker.block.words[counter] for worker in self.workers)

    def exercised(self, first: int, count: int) -> bytes:
        """What the workers' notes have behind that word, so many bytes: not 0 where a worker has put something."""
        return bytes(map(max, zip(*(note.cast("B")[first * WORD : first * WORD + count] for note in self.note), strict=True)))

    def witness(self) -> int:
        """The properties of which a state was seen, a bit for each."""
        found = 0
        for worker in self.workers:
            found |= worker.block.words[kernel.P_WITNESS]
        return found >> 1

    def state(self, index: int) -> tuple[int, ...]:
        """The words of a state, signed."""
        words = self.shape.words
        index &= self.context.words[kernel.C_MASK]
        return tuple(self.queue.words[index * words : (index + 1) * words])

    def run(self, worker: int) -> int:
        """Explore with a worker, in the calling thread: a code of the kernel."""
        return self.functions["run"](self.context.address, self.workers[worker].address)

    def add(self, state: Sequence[int]) -> int:
        """Take in a state: 0, or the code of what is in the way; the first worker then has it pending, for `finish`."""
        given = (ctypes.c_int64 * len(state))(*state)
        return self.functions["insert_one"](self.context.address, self.workers[0].address, ctypes.addressof(given))

    def finish(self, worker: int = 0) -> int:
        """Take in what a worker has pending: 0, or the code of what is in the way."""
        return self.functions["finish"](self.context.address, self.workers[worker].address)

    def slot(self, state: Sequence[int]) -> int:
        """The slot of a state in the table, or -1."""
        given = (ctypes.c_int64 * len(state))(*state)
        return self.functions["find"](self.context.address, ctypes.addressof(given))

    @property
    def capacity(self) -> int:
        """How many states the queue keeps."""
        return self.context.words[kernel.C_MASK] + 1

    def keep_from(self, first: int) -> None:
        """Let states before `first` be overwritten: they count as lost."""
        self.lost = max(first, self.lost)
        self.context.words[kernel.C_QUEUE_END] = min(self.lost + self.capacity, self.limit)

    def widen(self) -> bool:
        """Keep twice as many states, if there may be so many."""
        old, size = self.capacity, self.shape.words * WORD
        if 2 * old > self.most:
            return False
        tail = self.states
        turn = tail // old * old  # where the ring began anew: what is on the side with the bit `old` goes to the upper half
        first, last = (turn, tail) if turn & old else (max(tail - old, 0), turn)
        start = self.queue.address + (first & old - 1) * size
        ctypes.memmove(start + old * size, start, (last - first) * size)
        self.context.words[kernel.C_MASK] = 2 * old - 1
        self.keep_from(self.lost)
        return True

    def ancestors(self, wanted: Sequence[Sequence[int]], first: int, last: int) -> list[int]:
        """The numbers of the states from `first` up to `last` with a successor among the wanted ones."""
        self._set_other(wanted)
        return self._logged(self.functions["ancestors"], first, last)

    def _set_other(self, wanted: Sequence[Sequence[int]]) -> None:
        """Have the wanted states in the second table."""
        lines = max(2 * len(wanted) // self.shape.slots, 1)
        table = Table(self.shape, self.functions, lines, max(4 * lines, self.shape.fewest_lines), huge=False)
        words = Region(kernel.CONTEXT_WORDS * WORD)
        states = [(ctypes.c_int64 * len(state))(*state) for state in wanted]
        for given in states:
            words.words[kernel.C_TABLE], words.words[kernel.C_LINES] = table.memory.address, table.lines
            while self.functions["enter"](words.address, ctypes.addressof(given)) == hashing.NO_ROOM:
                table.grow(table.lines + table.lines // 8 + 1)
                words.words[kernel.C_LINES] = table.lines
        self.context.words[kernel.C_OTHER_TABLE] = table.memory.address
        self.context.words[kernel.C_OTHER_LINES] = table.lines
        self.other = table, states

    def members(self, wanted: Sequence[Sequence[int]]) -> list[int]:
        """The numbers of the wanted states, in order."""
        self._set_other(wanted)
        return self._logged(self.functions["members"], 0, self.states)

    def _logged(self, function: Callable[..., int], first: int, last: int) -> list[int]:
        """The numbers that a function logs, called again where it stops."""
        found: list[int] = []
        while first < last:
            until = min(first + STATES_A_CALL, last)
            first = function(self.context.address, self.workers[0].address, first, until)
            found += [number for (number,) in self.workers[0].take_log(1)]
        return found

    def set_level(self, first: int, last: int) -> None:
        """What is to be expanded."""
        self.context.words[kernel.C_NEXT], self.context.words[kernel.C_LEVEL_END] = first, last

    def close_holes(self) -> None:
        """Move states from the end of the queue into the places that workers reserved and did not use: from the last hole
        to the first, so that what is behind a hole has none."""
        end = self.states
        for first, last, worker in sorted(self._holes(), key=lambda hole: -hole[0]):
            moved = min(last - first, end - last)
            self._copy(end - moved, first, moved)
            if self.shape.whole:
                self.functions["refer"](self.context.address, first, first + moved)
            end -= last - first
            words = worker.block.words
            words[kernel.P_PLACE] = words[kernel.P_PLACE_END] = words[kernel.P_CHECKED] = 0
        self.context.words[kernel.C_TAIL] = end

    def _copy(self, source: int, target: int, states: int) -> None:
        """Copy states of the queue, in pieces where it begins anew."""
        size, mask = self.shape.words * WORD, self.capacity - 1
        while states:
            piece = min(states, mask + 1 - (source & mask), mask + 1 - (target & mask))
            ctypes.memmove(self.queue.address + (target & mask) * size, self.queue.address + (source & mask) * size, piece * size)
            source, target, states = source + piece, target + piece, states - piece

    def _holes(self) -> Iterable[tuple[int, int, Worker]]:
        for worker in self.workers:
            first, last = worker.block.words[kernel.P_PLACE], worker.block.words[kernel.P_PLACE_END]
            if first < last:
                yield first, last, worker
