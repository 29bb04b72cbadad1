"""The kernel against closed forms, sets and searches in Python: every kind of table, one worker and two, tiny tables.

The models are in kernel_models; each is run compiled, and for a part under plain Python too. Leaves out speed.
"""

from __future__ import annotations

import ctypes
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from lockverse.explore import hashing, kernel
from lockverse.explore.table import Functions, Shape, Store, Table, TableFull, compiled, interpreted
from lockverse.jit.dialect import MASK, in_python, wrap
from lockverse.jit.lower import lower
from lockverse.jit.machine_code import Library, compile

from . import kernel_models as models

SHAPES = [Shape(1, 60), Shape(2, 64), Shape(2, 70), Shape(2, 78), Shape(2, 100), Shape(2, 127), Shape(2, 128), Shape(3, 192), Shape(5, 300)]
WHOLE = [Shape(words, bits, whole=True) for words, bits in ((1, 60), (2, 128), (3, 192), (5, 300), (12, 750))]
SHAPES += WHOLE
NAMES = [f"{shape.words}x{shape.bits}{' whole' * shape.whole}" for shape in SHAPES]
EXPAND = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
State = tuple[int, ...]


@cache
def _native(shape: Shape) -> Functions:
    return compiled(shape, "fast")


def _high_mask(bits: int) -> int:
    """The bits of a second word that a state may use."""
    return -1 if bits > 127 else (1 << max(bits - 64, 0)) - 1


@cache
def _model(words: int, bits: int, more: tuple[tuple[str, int], ...] = ()) -> Library:
    constants = {"W": words, "HIGH_MASK": _high_mask(bits)}
    functions = (models.counters, models.ring, models.graph, models.forward, models.check)
    return compile(lower(functions, {**constants, **dict(more)}), "fast")


def _store(
    shape: Shape, model: str, *, checked: bool = False, workers: int = 1, lines: int = 1, capacity: int = 1 << 17,
    functions: Functions | None = None, limit: int = 1 << 62, **constants: int,
) -> Store:  # fmt: skip
    library = _model(shape.words, shape.bits, tuple(constants.items()))
    check = library.address("check") if checked else 0
    store = Store.make(
        shape, functions or _native(shape), library.address(model), check,
        widest=8, note_words=4, lines=lines, most_lines=1 << 23, capacity=capacity, most=1 << 20, limit=limit, workers=workers,
    )  # fmt: skip
    store.context.words[kernel.C_SLICE] = 7
    return store


def _state(store: Store, x: int) -> State:
    """The state whose first word is x, as the models make it."""
    shape = store.shape
    mask = _high_mask(shape.bits)
    return x, *(wrap((x * w + 1) * 0x9E3779B97F4A7C1) & mask for w in range(1, shape.words))


def _grown(store: Store) -> None:
    store.grow(max(store.table.lines + 1, store.table.lines * 5 // 4))


def _insert(store: Store, state: State) -> bool:
    before = store.total(kernel.P_NEW)
    code = store.add(state)
    while code:
        assert code == kernel.GROW
        _grown(store)
        code = store.finish()
    return store.total(kernel.P_NEW) > before


def _explore(store: Store, log: Counter[State] | None = None) -> list[tuple[int, int]]:
    """A whole driver: the levels, as ranges of the queue."""
    levels, first = [], 0
    codes: dict[int, int] = {}
    while first < store.states:
        last = store.states
        levels.append((first, last))
        store.set_level(first, last)
        left = list(range(len(store.workers)))
        while left:
            threads = [threading.Thread(target=lambda w: codes.__setitem__(w, store.run(w)), args=(w,)) for w in left]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            store.context.words[kernel.C_STOP] = 0
            said = {codes[w] for w in left}
            assert said <= {kernel.DONE, kernel.GROW, kernel.LOG, kernel.SLICE, kernel.STOPPED}
            for worker in store.workers:
                taken = worker.take_log(store.shape.words + 1)
                if log is not None:
                    log.update(taken)
            if kernel.GROW in said:
                _grown(store)
            left = [w for w in left if codes[w] != kernel.DONE]
        store.close_holes()
        first = last
    return levels


def _all(store: Store) -> list[State]:
    return [store.state(index) for index in range(store.states)]


def _random_state(shape: Shape, r: random.Random) -> State:
    """Few bits set or many, so that regular patterns are among them."""
    bits = r.getrandbits(shape.bits) & (r.getrandbits(shape.bits) if r.random() < 0.5 else -1)
    if r.random() < 0.3:
        bits = r.getrandbits(8) << r.randrange(shape.bits) & (1 << shape.bits) - 1
    return tuple(wrap(bits >> 64 * w) for w in range(shape.words))


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_the_table_is_a_set(shape: Shape) -> None:
    store, r = _store(shape, "ring"), random.Random(shape.bits)
    known: set[State] = set()
    for _ in range(6000):
        state = _random_state(shape, r)
        assert _insert(store, state) == (state not in known)
        known.add(state)
    assert store.states == len(known) and set(_all(store)) == known
    _grown(store)
    slots = {store.slot(state) for state in known}
    assert len(slots) == len(known) and min(slots) >= 0 and max(slots) < store.table.slots
    for _ in range(2000):
        state = _random_state(shape, r)
        assert (store.slot(state) >= 0) == (state in known)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_growth_by_any_factor_in_any_slices(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full to the brim before each growth; by one line, by factors; called again after each few lines, side entries short."""
    from lockverse.explore import table

    r = random.Random(7)
    store = _store(shape, "ring", lines=40 if shape.fewest_lines < 1000 else 1)
    monkeypatch.setattr(table, "LINES_A_CALL", 5 if shape.fewest_lines < 1000 else 1 << 20)
    known: list[State] = []
    for factor in (1.0, 1.02, 1.25, 3.0, 1.1):
        store.context.words[kernel.C_LIMIT] = 1 << 40
        while True:
            state = _random_state(shape, r)
            known.append(state)
            if store.add(state):
                break
            if len(known) % 64 == 0 and len(known) > 20_000:
                break
        store.grow(max(store.table.lines + 1, int(store.table.lines * factor)))
        while store.finish() == kernel.GROW:
            store.grow(store.table.lines + 1)
        assert all(store.slot(state) >= 0 for state in known)
    assert store.states == len(set(known))


def _at_once(tasks: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(lambda task: task(), tasks))


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_several_threads_grow_a_table(shape: Shape, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full to the brim, so that many entries are displaced across the borders; few lines for each, and few at a call."""
    from lockverse.explore import table

    monkeypatch.setattr(table, "LINES_A_THREAD", 16)
    monkeypatch.setattr(table, "LINES_A_CALL", 7 if shape.fewest_lines < 1000 else 1 << 20)
    r = random.Random(threads)
    store = _store(shape, "ring", lines=700, workers=threads)
    known: set[State] = set()
    at_once = 0

    def together(tasks: Sequence[Callable[[], None]]) -> None:
        nonlocal at_once
        at_once += len(tasks) == threads
        _at_once(tasks)

    for factor in (1.02, 11 / 9, 4.0, 1.5):
        store.context.words[kernel.C_LIMIT] = 1 << 40
        while len(known) < 40_000:
            state = _random_state(shape, r)
            known.add(state)
            if store.add(state):
                break
        store.grow(max(store.table.lines + 1, int(store.table.lines * factor)), together)
        while store.finish() == kernel.GROW:
            store.grow(store.table.lines + 1, together)
        slots = {store.slot(state) for state in known}
        assert len(slots) == len(known) and min(slots) >= 0
    assert store.states == len(known) and at_once > 4


def test_what_fits_nowhere_waits_and_the_table_grows_on() -> None:
    """300 states with the same 32 top bits: more than the 32 lines of one home hold. They are never lost, and told."""
    shape = Shape(1, 60)
    store = _store(shape, "ring", lines=8)
    states = [(_unmixed60((0xABCDEF01 << 28) + i),) for i in range(hashing.DISPLACED * 8 + 44)]
    room = hashing.DISPLACED * 8
    assert [store.add(state) for state in states[:room]] == [0] * room
    assert store.add(states[room]) == kernel.GROW
    assert all(store.slot(state) >= 0 for state in states[:room])
    store.table.most_lines = 1000
    store.grow(900)  # all of them move together
    assert all(store.slot(state) >= 0 for state in states[:room])
    with pytest.raises(TableFull):
        store.grow(2000)


def _unshift(x: int, n: int, bits: int) -> int:
    found = x
    for _ in range(bits // n + 1):
        found = x ^ found >> n
    return found


def _unmixed60(x: int) -> int:
    x = _unshift(x, 31, 60)
    x = _unshift(x * pow(hashing.MIX_2, -1, 1 << 60) % (1 << 60), 27, 60)
    return _unshift(x * pow(hashing.MIX_1, -1, 1 << 60) % (1 << 60), 30, 60)


def _unmixed64(x: int) -> int:
    x = _unshift(x & MASK, 31, 64)
    x = _unshift(x * pow(hashing.MIX_2, -1, 1 << 64) & MASK, 27, 64)
    return wrap(_unshift(x * pow(hashing.MIX_1, -1, 1 << 64) & MASK, 30, 64))


def test_mixes_are_bijective() -> None:
    r = random.Random(3)
    for _ in range(2000):
        x = r.getrandbits(60) >> r.randrange(60)
        assert _unmixed60(hashing.mix60(x)) == x
        y = wrap(r.getrandbits(64) << r.randrange(64))
        assert _unmixed64(hashing.mix64(y)) == y


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.exact and not s.whole], ids=[n for n, s in zip(NAMES, SHAPES, strict=True) if s.exact and not s.whole])
def test_line_and_slot_give_the_state(shape: Shape) -> None:
    """What exactness rests on: undo the hash from the home line, the number of lines and the slot alone."""
    names = in_python([hashing.first_hash, hashing.second_hash, hashing.top_bits, hashing.least_top, hashing.home_line], shape.constants)
    r = random.Random(5)
    lost = shape.constants["LOST"]
    for lines in (shape.fewest_lines, shape.fewest_lines + 1, 3 * shape.fewest_lines + 77, (1 << 31) - 600):
        for _ in range(300):
            state = _random_state(shape, r)
            space = (ctypes.c_int64 * shape.words)(*state)
            first = names["first_hash"](ctypes.addressof(space))
            second = names["second_hash"](ctypes.addressof(space), first)
            home = names["home_line"](first, lines)
            if shape.wide:
                mixed, high = first, (second & MASK) >> 1
            else:
                top = names["top_bits"](second, names["least_top"](home, lines))
                assert top == (first & MASK) >> 32
                low = (second & MASK) >> hashing.ABOVE  # 58 bits of the mixed state; the top 32 overlap them
                bits = hashing.SLOT_BITS + lost
                whole = (top << bits - 32) & ~((1 << hashing.SLOT_BITS) - 1) | low
                high = whole & (1 << bits - 64) - 1 if shape.words == 2 else 0
                mixed = whole >> bits - 64 if shape.words == 2 else whole
            if shape.words == 1:
                assert (_unmixed60(mixed),) == state
            else:
                assert (wrap(_unmixed64(mixed) ^ hashing.spread(high)), wrap(high)) == state


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_closed_forms(shape: Shape, workers: int) -> None:
    store = _store(shape, "ring", workers=workers, COUNTERS=5, BITS=3, TOP=6)
    _insert(store, _state(store, 0))
    levels = _explore(store)
    assert store.states == store.total(kernel.P_NEW) == 7**5
    assert store.total(kernel.P_TRANSITIONS) == 5 * 7**5
    assert len(levels) == 5 * 6 + 1
    assert len(set(_all(store))) == 7**5


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_wrong_is_logged_and_ends_are_counted(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from lockverse.explore import table

    monkeypatch.setattr(table, "LOG_ENTRIES", 3)  # a log is a page then, and full in between
    store = _store(Shape(1, 20), "counters", checked=True, workers=workers, COUNTERS=5, BITS=3, TOP=7)
    log: Counter[State] = Counter()
    _insert(store, (0,))
    levels = _explore(store, log)
    states = [x[0] for x in _all(store)]
    assert sorted(states) == list(range(8**5)) and len(levels) == 36
    wrong = [x for x in states if x & 127 == 0b1101010]
    assert log == Counter([(kernel.VIOLATION, x) for x in wrong] + [(kernel.DEADLOCK | kernel.COMPLETED, 8**5 - 1)])
    assert store.total(kernel.P_COMPLETED) == 1
    assert store.total(kernel.P_ENDS) == sum(x % 73 == 0 for x in states)
    assert store.total(kernel.P_TRANSITIONS) == sum(5 - f"{x:05o}".count("7") for x in states)
    assert store.witness() == 255


@pytest.mark.parametrize("shape", [SHAPES[i] for i in (0, 2, 4, 7, 11)], ids=[NAMES[i] for i in (0, 2, 4, 7, 11)])
def test_python_and_machine_code_give_the_same_queue(shape: Shape) -> None:
    found = []
    for functions in (_native(shape), interpreted(shape)):
        store = _store(shape, "counters", checked=True, functions=functions, COUNTERS=3, BITS=3, TOP=5)
        log: Counter[State] = Counter()
        _insert(store, _state(store, 0))
        levels = _explore(store, log)
        words = store.workers[0].block.words
        found.append((levels, _all(store), log, list(words[kernel.P_TRANSITIONS : kernel.P_WITNESS + 1]), store.table.lines))
    assert found[0] == found[1] and len(found[0][1]) == 6**3


def _graph(nodes: int, seed: int) -> tuple[ctypes.Array[ctypes.c_int64], list[list[int]]]:
    r = random.Random(seed)
    successors = [[r.randrange(nodes) for _ in range(r.choice((0, 1, 1, 2, 3, 4)))] for _ in range(nodes)]
    ends = [r.choice((0, 0, 0, 0, kernel.END)) if not edges else 0 for edges in successors]
    flat = [word for edges, end in zip(successors, ends, strict=True) for word in [*edges, *[-1] * (4 - len(edges)), end, -1]]
    return (ctypes.c_int64 * (len(flat) + 1))(0, *flat), successors


@pytest.mark.parametrize("seed", [*range(6), 9, 11])
def test_search_and_ancestors_of_random_graphs(seed: int) -> None:
    data, successors = _graph(400, seed)
    data[0] = ctypes.addressof(data) + 8
    shape = SHAPES[seed]
    store = _store(shape, "graph", workers=1 + seed % 2, DATA=ctypes.addressof(data))
    _insert(store, _state(store, 0))
    levels = _explore(store)
    # Breadth first, in Python.
    expected, frontier, known = [], [0], {0}
    while frontier:
        expected.append(set(frontier))
        frontier = sorted({y for x in frontier for y in successors[x]} - known)
        known.update(frontier)
    assert [{store.state(i)[0] for i in range(*level)} for level in levels] == expected
    assert store.total(kernel.P_TRANSITIONS) == sum(len(successors[x]) + 1 for x in known)
    # States with a successor in a second table.
    targets = random.Random(seed).sample(sorted(known), max(1, len(known) // 9))
    other = _store(shape, "graph", DATA=ctypes.addressof(data), lines=64)
    for x in targets:
        _insert(other, _state(other, x))
    words = store.context.words
    words[kernel.C_OTHER_TABLE], words[kernel.C_OTHER_LINES] = other.table.memory.address, other.table.lines
    worker = store.workers[0]
    worker.block.words[kernel.P_LOG_SIZE] = 2
    found, first = [], 0
    while first < store.states or worker.block.words[kernel.P_LOG_USED]:
        first = store.functions["ancestors"](store.context.address, worker.address, first, store.states)
        found += [index for (index,) in worker.take_log(1)]
    assert found == [i for i in range(store.states) if set(successors[store.state(i)[0]]) & set(targets)]
    before = store.total(kernel.P_NEW)
    wanted = [_state(store, x) for x in targets]
    assert store.ancestors(wanted, 3, store.states) == [i for i in found if i >= 3]
    assert store.members(wanted) == [i for i in range(store.states) if store.state(i)[0] in targets]
    assert store.total(kernel.P_NEW) == before == len(known)


def test_a_full_queue_is_told_and_nothing_is_lost() -> None:
    store = _store(Shape(1, 60), "ring", limit=100, lines=1 << 10, COUNTERS=3, BITS=3, TOP=7)
    _insert(store, (0,))
    store.set_level(0, 1)
    first, code = 0, store.run(0)
    while code != kernel.FULL:
        if code == kernel.DONE:
            first, last = store.context.words[kernel.C_LEVEL_END], store.states
            store.set_level(first, last)
        code = store.run(0)
    assert store.states == 100 and store.context.words[kernel.C_STOP] == kernel.FULL
    assert store.workers[0].pending
    store.context.words[kernel.C_QUEUE_END] = 1000
    store.context.words[kernel.C_STOP] = 0
    while store.run(0) != kernel.DONE:
        pass
    last = store.context.words[kernel.C_LEVEL_END]
    while last < store.states:
        store.set_level(last, store.states)
        last = store.states
        while store.run(0) != kernel.DONE:
            pass
    assert sorted(x[0] for x in _all(store)) == list(range(512))
    assert store.total(kernel.P_TRANSITIONS) == 3 * 512


def test_layout_and_stop_come_back_at_once() -> None:
    asked: list[int] = []

    def expand(state: int, out: int, note: int) -> int:
        asked.append(ctypes.c_int64.from_address(state).value)
        ctypes.c_int64.from_address(note).value = 42
        return kernel.LAYOUT_FLAG << kernel.FLAGS_AT

    callback = EXPAND(expand)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    assert address
    shape = Shape(1, 60)
    store = Store.make(shape, _native(shape), address, 0, widest=1, note_words=1, lines=8, most_lines=8, capacity=8, most=8)
    store.context.words[kernel.C_SLICE] = 1
    _insert(store, (9,))
    store.set_level(0, 1)
    store.context.words[kernel.C_STOP] = 1
    assert store.run(0) == kernel.STOPPED and not asked
    store.context.words[kernel.C_STOP] = 0
    assert store.run(0) == kernel.LAYOUT and asked == [9] and store.note[0][0] == 42
    assert store.context.words[kernel.C_STOP] == kernel.LAYOUT


def test_holes_are_closed() -> None:
    """Workers with unused places anywhere, the states between them told apart by their numbers."""
    r = random.Random(1)
    for _ in range(100):
        store = _store(Shape(2, 78), "ring", workers=4)
        position, kept = 0, []
        for worker in r.sample(store.workers, r.randint(0, 4)):
            for end in (position + r.randint(0, 3), position + r.randint(3, 6)):
                for index in range(position, end):
                    store.queue.words[2 * index] = store.queue.words[2 * index + 1] = index
                    kept.append((index, index))
                position = max(position, end)
            worker.block.words[kernel.P_PLACE] = position
            position += r.randint(0, 5)
            worker.block.words[kernel.P_PLACE_END] = position
        for index in range(position, position := position + r.randint(0, 9)):
            store.queue.words[2 * index] = store.queue.words[2 * index + 1] = index
            kept.append((index, index))
        store.context.words[kernel.C_TAIL] = position
        store.close_holes()
        assert sorted(_all(store)) == kept


def _numbered(store: Store, first: int, last: int) -> None:
    for position in range(first, last):
        place = (position & store.capacity - 1) * store.shape.words
        store.queue.words[place] = position
    store.context.words[kernel.C_TAIL] = last


def test_a_ring_is_widened_anywhere() -> None:
    for words, bits in ((1, 60), (2, 70)):
        for first in range(40):
            store = _store(Shape(words, bits), "ring", capacity=8)
            _numbered(store, 0, first)
            for last in (first + 8, first + 13, first + 32):
                while store.context.words[kernel.C_QUEUE_END] < last:
                    store.keep_from(first) if store.lost < first else store.widen()
                _numbered(store, store.states, last)
                assert [store.state(position)[0] for position in range(first, last)] == list(range(first, last))
            assert store.capacity == 32 and store.lost == first
            store.most = 32
            assert not store.widen()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[4], SHAPES[7]], ids=[NAMES[i] for i in (0, 4, 7)])
def test_a_ring_that_forgets_finds_the_same(shape: Shape, workers: int) -> None:
    """The queue is as short as two levels let it be."""
    store = _store(shape, "counters", checked=True, workers=workers, capacity=8, COUNTERS=5, BITS=3, TOP=5)
    _insert(store, _state(store, 0))
    widths, first = [], 0
    while first < store.states:
        last = store.states
        widths.append(last - first)
        store.set_level(first, last)
        left = list(range(workers))
        while left:
            codes = {worker: store.run(worker) for worker in left}
            store.context.words[kernel.C_STOP] = 0
            for worker in store.workers:
                worker.take_log(store.shape.words + 1)
            if kernel.GROW in codes.values():
                _grown(store)
            if kernel.FULL in codes.values() and store.states >= store.context.words[kernel.C_QUEUE_END]:
                store.keep_from(first) if store.lost < first else store.widen()
            left = [worker for worker in left if codes[worker] != kernel.DONE]
        store.close_holes()
        first = last
    assert sum(widths) == store.total(kernel.P_NEW) == 6**5 and len(widths) == 26
    assert store.lost > 0 and store.capacity < 6**5


def test_a_table_has_an_end() -> None:
    shape = Shape(1, 60)
    table = Table(shape, _native(shape), 1, 100)
    table.grow(100)
    assert table.lines == 100
    with pytest.raises(TableFull):
        table.grow(101)


def test_shapes() -> None:
    with pytest.raises(AssertionError, match="two words"):
        Shape(1, 61)
    kinds: dict[tuple[int, int], Callable[[Shape], bool]] = {
        (1, 60): lambda s: not s.wide and s.exact and s.fewest_lines == 4,
        (2, 60): lambda s: not s.wide and s.exact and s.fewest_lines == 64,
        (2, 78): lambda s: not s.wide and s.exact and s.fewest_lines == 1 << 20,
        (2, 79): lambda s: s.wide and s.exact and s.fewest_lines == 1,
        (2, 127): lambda s: s.wide and s.exact,
        (2, 128): lambda s: s.wide and not s.exact,
        (3, 150): lambda s: s.wide and not s.exact,
    }
    for (words, bits), holds in kinds.items():
        assert holds(Shape(words, bits))
