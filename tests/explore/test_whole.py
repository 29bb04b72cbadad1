"""Slots that refer to whole states: what decides is the comparison, whatever the hashes say; every slot has its state's place.

Hashes are made as poor as can be, so that all states of a line, or of all lines, look alike; what fingerprints then lose shows that
they do. Counts are closed forms. That the table is a set, grows and finds what a search in Python finds: test_kernel, for all shapes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

import pytest

from lockverse.explore import hashing, kernel, whole
from lockverse.explore.table import Functions, Shape, Store
from lockverse.jit import dialect
from lockverse.jit.dialect import MASK, in_python
from lockverse.jit.lower import lower
from lockverse.jit.machine_code import compile

from . import kernel_models as models
from .test_kernel import WHOLE, _all, _explore, _insert, _state, _store

IDS = [f"{shape.words}x{shape.bits}" for shape in WHOLE]


@cache
def _functions(shape: Shape, tag_bits: int, modulus: int) -> Functions:
    """The kernel with so many bits of the hash in a slot, and hashes of `modulus` values if it is not 0."""
    poor = {"first_hash": models.poor_hash, **({} if shape.whole else {"second_hash": models.no_hash})}
    instead = {**shape.instead, **(poor if modulus else {})}
    text = lower(shape.entries, {**shape.constants, "TAG_BITS": tag_bits, "MODULUS": modulus}, instead)
    names = {f.__name__: f.__code__.co_argcount for f in shape.entries}
    library = compile(text, "fast", tuple(names))
    return {name: library.function(name, arguments) for name, arguments in names.items()}


def _places(store: Store) -> list[int]:
    """Where the slots refer to, lowest first."""
    words = store.table.memory.words[: store.table.slots]
    return sorted((word & (1 << whole.ADDRESS_BITS) - 1) << 3 for word in words if word)


def _consistent(store: Store) -> bool:
    """Whether every state of the queue has one slot, and there are no other slots."""
    size = 8 * store.shape.words
    return _places(store) == [store.queue.address + index * size for index in range(store.states)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("shape", WHOLE, ids=IDS)
def test_slots_refer_to_places(shape: Shape, workers: int) -> None:
    """Also where places that workers did not use were closed, and the table has grown; a level at a time."""
    store = _store(shape, "ring", workers=workers, COUNTERS=4, BITS=3, TOP=6)
    _insert(store, _state(store, 0))
    first = 0
    while first < store.states:
        last = store.states
        _level(store, first, last)
        assert _consistent(store)
        assert all(store.slot(store.state(index)) >= 0 for index in range(first, store.states))
        first = last
    assert len(set(_all(store))) == store.states == store.total(kernel.P_NEW) == 7**4


def _level(store: Store, first: int, last: int) -> None:
    """Expand some states of the queue by all workers in turns, a few batches each, so that all have places left."""
    store.set_level(first, last)
    left = list(range(len(store.workers)))
    while left:
        for worker in list(left):
            code = store.run(worker)
            store.context.words[kernel.C_STOP] = 0
            if code == kernel.GROW:
                store.grow(store.table.lines + 1)
            elif code == kernel.DONE:
                left.remove(worker)
    store.close_holes()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(("tag_bits", "modulus"), [(0, 0), (1, 0), (19, 1_000), (0, 97)])
@pytest.mark.parametrize("shape", [WHOLE[0], WHOLE[2]], ids=[IDS[0], IDS[2]])
def test_comparison_decides(shape: Shape, tag_bits: int, modulus: int, workers: int) -> None:
    """Of 7**5 states about 17, or with 97 hashes 173, have the same hash: nearly all that a home line with those behind it hold."""
    store = _store(shape, "ring", workers=workers, functions=_functions(shape, tag_bits, modulus), COUNTERS=5, BITS=3, TOP=6)
    _insert(store, _state(store, 0))
    levels = _explore(store)
    assert store.states == store.total(kernel.P_NEW) == 7**5 == len(set(_all(store)))
    assert store.total(kernel.P_TRANSITIONS) == 5 * 7**5 and len(levels) == 5 * 6 + 1
    assert _consistent(store)


def test_fingerprints_lose_states_where_hashes_say_little() -> None:
    """The same with fingerprints: not more states than there are hashes."""
    store = _store(Shape(3, 192), "ring", functions=_functions(Shape(3, 192), 19, 1_000), COUNTERS=5, BITS=3, TOP=6)
    _insert(store, _state(store, 0))
    _explore(store)
    assert 500 < store.states <= 1_000


def test_equal_but_for_the_last_bit() -> None:
    """A tag of no bits and one home line: states that differ in any one bit are told apart."""
    shape = WHOLE[2]
    store = _store(shape, "ring", functions=_functions(shape, 0, 1), lines=64)
    single = [tuple((1 << bit >> 64 * word & MASK) - (1 << 64) * (bit == 64 * word + 63) for word in range(3)) for bit in range(192)]
    for state in [(0, 0, 0), *single]:
        assert store.slot(state) == -1 and store.add(state) == 0
    assert store.states == 193
    for state in [(0, 0, 0), *single]:
        assert store.slot(state) >= 0 and store.add(state) == 0
    assert store.states == 193 and _consistent(store)


@pytest.mark.parametrize(
    ("before", "rivals", "result", "line"),
    [((), (), hashing.NEW, 0), ((), (1,), hashing.KNOWN, 0), ((), (2, 3), hashing.NEW, 0), ((), (2, 3, 1), hashing.KNOWN, 0), (range(2, 9), (9,), hashing.NEW, 1), (range(2, 9), (9, 1), hashing.KNOWN, 1)],
)  # fmt: skip
def test_slots_that_another_thread_wins(monkeypatch: pytest.MonkeyPatch, before: Sequence[int], rivals: Sequence[int], result: int, line: int) -> None:
    """State 0 equals state 1, and no others are equal. Whoever has a slot first, there is one of the two, in the first line with room."""
    space = (ctypes.c_int64 * (8 * 10 + 4 * hashing.LINE_WORDS + 8))()
    states = [ctypes.addressof(space) + 64 * number for number in range(10)]
    table = ctypes.addressof(space) + 640 + 63 & ~63
    for number, address in enumerate(states):
        dialect.store(address, 0, max(number, 1))
    for slot, number in enumerate(before):
        dialect.store(table, slot, whole.slot_for(0, states[number]))
    left = [states[number] for number in rivals]

    def compare_exchange(address: int, index: int, old: int, new: int) -> int:
        """Another thread wins slots for states of its own, until it has none left."""
        if left:
            dialect.store(address, index, whole.slot_for(0, left.pop(0)))
        return dialect.compare_exchange(address, index, old, new)

    monkeypatch.setattr(whole, "compare_exchange", compare_exchange)
    assert whole.place(table, 2, 0, states[0]) == result
    words = [dialect.load(table, slot) for slot in range(2 * hashing.LINE_WORDS)]
    found = [states.index(whole.state_of(word)) for word in words if word]
    assert sorted(found) == sorted([*before, *rivals, *([0] if result == hashing.NEW else [])]) and not left
    assert words.index(whole.slot_for(0, states[0] if result == hashing.NEW else states[1])) // hashing.LINE_WORDS == line


def test_a_thread_that_grows_keeps_to_its_lines() -> None:
    """A state whose home line is full goes behind it, but not to where another thread writes."""
    growth, counts = (ctypes.c_int64 * hashing.GROWTH_WORDS)(), (ctypes.c_uint8 * 4)(hashing.LINE_WORDS, 0, 0, 0)
    space = (ctypes.c_int64 * (4 * hashing.LINE_WORDS))()
    growth[hashing.G_TABLE], growth[hashing.G_COUNTS], growth[hashing.G_NEW_LINES] = ctypes.addressof(space), ctypes.addressof(counts), 3
    for high, result in ((1, hashing.NO_ROOM), (2, hashing.NEW)):
        growth[hashing.G_HIGH] = high
        assert whole.put(ctypes.addressof(growth), 0, 4711) == result
    assert list(space).index(4711) == hashing.LINE_WORDS and list(counts) == [hashing.LINE_WORDS, 1, 0, 0]


def test_python_and_machine_code_make_the_same_slots() -> None:
    names = in_python([whole.slot_for, whole.state_of], {})
    for address in (8, 1 << 47, (1 << 48) - 8):
        for first in (0, 1, (1 << 19) - 1, -1, 0x1234567):
            slot = names["slot_for"](first, address)
            assert names["state_of"](slot) == address and slot & MASK == (first & (1 << 19) - 1) << 45 | address >> 3
