"""The table over whole states, exact for any width: for states that no slot holds. In the dialect of `lockverse.jit`.

A state stays where the queue has it, and the queue keeps all. A slot is 8 bytes: where the state is, and above that TAG_BITS
bits of its hash, so that other states are seldom looked at. Equal bits say nothing: states are compared, word for word.
The functions here are called instead of those of `hashing` and `kernel` with the same names (INSTEAD); what is said there of
lines, of several threads and of growth holds here too. What they take as the second hash is the address of the state.

A new state is written to the next free place of the queue before its slot is: whoever sees the slot sees the state. If the
slot goes to another worker's equal state, the place is free still.
"""

from __future__ import annotations

from lockverse.jit.dialect import (
    compare_exchange,
    load,
    match8,
    prefetch,
    shift_left,
    shift_right,
    store,
    trailing_zeros,
    unrolled,
)  # fmt: skip

from .hashing import (
    DISPLACED,
    G_LOW,
    G_NEW_LINES,
    G_SCRATCH,
    G_SIDE,
    G_SIDE_USED,
    G_TABLE,
    KNOWN,
    LINE,
    LINE_LOG,
    LINE_WORDS,
    NEW,
    NO_ROOM,
    copy,
    difference,
    first_hash,
    home_line,
    put,
)
from .kernel import C_LINES, C_TABLE, GROW, P_CHOSEN, P_HASHES, P_OUT, P_PLACE, hash_size, kept

W = 1
ADDRESS_BITS = 45  # of an address of 48 bits that is a multiple of 8
TAG_BITS = 19  # of the hash, none of those that choose the line
LIKENESS = -1 << ADDRESS_BITS  # the bits of a slot that are compared first
FAR = 4  # lines of growth between asking for the states of a line and moving it


def second_hash(state: int, first: int) -> int:
    """What stands for the second hash."""
    return state


def slot_for(first: int, state: int) -> int:
    """The slot of a state with that first hash."""
    return shift_left(first & (1 << TAG_BITS) - 1, ADDRESS_BITS) | shift_right(state, 3)


def state_of(slot: int) -> int:
    """Where the state is."""
    return (slot & (1 << ADDRESS_BITS) - 1) << 3


def slot_in(line: int, found: int, state: int) -> int:
    """Which slot of a line has an equal state, or -1; `found` is what `match8` found there."""
    alike = found & ~(found >> LINE_WORDS) & 255
    while alike:
        slot = trailing_zeros(alike)
        if difference(state_of(load(line, slot)), state) == 0:
            return slot
        alike = alike & alike - 1
    return -1


def place_in(line: int, slot: int, state: int) -> int:
    """Insert into a line: NEW, KNOWN or NO_ROOM. Who loses an empty slot to another looks again."""
    found = match8(line, slot, LIKENESS)
    if slot_in(line, found, state) >= 0:
        return KNOWN
    while found >> LINE_WORDS:
        if compare_exchange(line, trailing_zeros(found >> LINE_WORDS), 0, slot) == 0:
            return NEW
        found = match8(line, slot, LIKENESS)
        if slot_in(line, found, state) >= 0:
            return KNOWN
    return NO_ROOM


def place(table: int, lines: int, first: int, state: int) -> int:
    """Insert a state that stays where it is: NEW, KNOWN or NO_ROOM."""
    line = table + (home_line(first, lines) << LINE_LOG)
    slot = slot_for(first, state)
    for displacement in range(DISPLACED):
        result = place_in(line, slot, state)
        if result != NO_ROOM:
            return result
        line += LINE * (displacement + 1)
    return NO_ROOM


def locate(table: int, lines: int, first: int, state: int) -> int:
    """The number of the slot, or -1. Nobody inserts meanwhile."""
    number = home_line(first, lines)
    for displacement in range(DISPLACED):
        line = table + (number << LINE_LOG)
        found = match8(line, slot_for(first, 0), LIKENESS)
        slot = slot_in(line, found, state)
        if slot >= 0:
            return number * LINE_WORDS + slot
        if found >> LINE_WORDS:
            return -1
        number += displacement + 1
    return -1


def sift(context: int, worker: int, first: int, last: int) -> int:
    """Choose the pending successors that are not in their home lines; how many. First the states are found that they are to
    be compared with, and brought near: one each. Where there is none, it is the successor itself, and bit 0 says so. Where
    the wrong one is compared, the successor is chosen, and found when it is to be inserted."""
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    chosen = load(worker, P_CHOSEN)
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    for index in range(first, last):
        one = load(hashes + index * hash_size(), 0)
        line = table + (home_line(one, lines) << LINE_LOG)
        found = match8(line, slot_for(one, 0), LIKENESS)
        alike = found & ~(found >> LINE_WORDS) & 255
        state = state_of(load(line, trailing_zeros(alike | 1 << LINE_WORDS - 1)))
        state = state + (out + index * (8 * W) + 1 - state & -(alike == 0))
        store(chosen, index, state)
        prefetch(state)
        prefetch(state + 8 * (W - 1))
    number = 0
    for index in range(first, last):
        state = load(chosen, index)
        store(chosen, number, index)
        number += (difference(state & -2, out + index * (8 * W)) | state & 1) != 0
    return number


def put_home(context: int, worker: int, first: int, last: int, left: int) -> int:
    """Put chosen successors from `first` up to `last` into the queue, which has places for all, and where new into their home
    lines; choose those with a full line again, after `left` others: how many are."""
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    chosen = load(worker, P_CHOSEN)
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    here = load(worker, P_PLACE)
    for number in range(first, last):
        index = load(chosen, number)
        one = load(hashes + index * hash_size(), 0)
        line = table + (home_line(one, lines) << LINE_LOG)
        state = kept(context, here)
        copy(out + index * (8 * W), state)
        result = place_in(line, slot_for(one, state), state)
        here += result == NEW
        store(chosen, left, index)
        left += result == NO_ROOM
        prefetch(line + LINE * (result == NO_ROOM))
    store(worker, P_PLACE, here)
    return left


def put_late(context: int, worker: int, index: int) -> int:
    """Put one successor wherever it goes: 0, or GROW."""
    state = kept(context, load(worker, P_PLACE))
    copy(load(worker, P_OUT) + index * (8 * W), state)
    result = place(load(context, C_TABLE), load(context, C_LINES), load(load(worker, P_HASHES) + index * hash_size(), 0), state)
    store(worker, P_PLACE, load(worker, P_PLACE) + (result == NEW))
    return GROW if result == NO_ROOM else 0


def displaced(slot: int, displacement: int) -> int:
    """A slot does not say how far its state is from home: the state does."""
    return slot


def move_line(growth: int, line: int) -> int:
    """Clear a line, and insert what was in it. States are looked at for their hashes, and brought near before."""
    new_lines = load(growth, G_NEW_LINES)
    low = max(load(growth, G_LOW), line)
    old = load(growth, G_TABLE) + (line << LINE_LOG)
    scratch = growth + 8 * G_SCRATCH
    if line >= FAR:
        for word in unrolled(LINE_WORDS):
            prefetch(state_of(load(old - FAR * LINE, word)))
    for word in unrolled(LINE_WORDS):
        store(scratch, word, load(old, word))
    for word in unrolled(LINE_WORDS):
        store(old, word, 0)
    for index in range(LINE_WORDS):
        slot = load(scratch, index)
        if slot == 0:
            break  # a line fills from its first slot on
        first = first_hash(state_of(slot))
        if home_line(first, new_lines) < low or put(growth, first, slot) == NO_ROOM:
            used = load(growth, G_SIDE_USED)
            store(load(growth, G_SIDE), 2 * used, first)
            store(load(growth, G_SIDE), 2 * used + 1, slot)
            store(growth, G_SIDE_USED, used + 1)
    return 0


def refer(context: int, first: int, last: int) -> int:
    """States have been moved to the places from `first` up to `last`, and are still where they were: have the table refer to
    the new places."""
    for position in range(first, last):
        state = kept(context, position)
        one = first_hash(state)
        slot = locate(load(context, C_TABLE), load(context, C_LINES), one, state)
        store(load(context, C_TABLE), slot, slot_for(one, state))
    return 0


INSTEAD = {f.__name__: f for f in (second_hash, place, locate, sift, put_home, put_late, displaced, move_line)}
