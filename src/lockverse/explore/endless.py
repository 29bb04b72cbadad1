"""States from which no execution can end: walks from those where every move turns back. In the dialect of `lockverse.jit`.

A state is good if an execution that comes to it can end. Where one is not, none after it is. Moves forward never lead back
(passes/progress.py), so following them from a state that is not good one comes to another from which no move goes forward. Those
states the search has kept; they are the roots here, and if all of them are good, so is every state.

From each root goes a depth-first walk, forward first, which comes to an end or a good state soon: mostly all that it takes is one move back
and then moves forward. All states of the walk are good then, and those that it left, since each of them leads to one that is still
on it, or it would have been a component of its own: this is Tarjan's algorithm (SIAM J. Comput. 1, 1972) on the states that are not known
to be good. A component that is left as a whole is not good, and if no move leaves it an execution is caught there for ever.

So a state is expanded as often as it has successors at most, mostly once or twice, and only states are visited that
are near to roots. Leaves out memory (turning.py), and several threads: one walks.
"""

from __future__ import annotations

from lockverse.codegen.lower import COUNT_BITS, END, FLAGS_AT
from lockverse.jit.dialect import call, load, shift_left, shift_right, store

from .hashing import copy, difference, first_hash

W = 1  # words of a state; overridden when compiled, as are the constants of `hashing`
SUCCESSORS = (1 << COUNT_BITS) - 1  # of what an expansion says

# What `walk` comes back with. DONE: from all roots. GROW: give more slots, and call again. MORE: call again.
DONE, GROW, MORE = 1, 2, 3

E_EXPAND = 0  # addresses of the functions
E_FORWARD = 1
E_NOTE = 2  # given to them, and
E_OUT = 3  # the address for successors
E_ROOTS = 4  # address of states
E_NEXT = 5  # the first that no walk went from
E_LAST = 6  # how many there are
E_RECORDS = 7  # address of the states visited, in the order they were: each with its mark
E_FOUND = 8  # how many there are
E_ROOM = 9  # come back with GROW when there are so many
E_SLOTS = 10  # address of words: 1 more than the number of a state, and some bits of its hash above. 0: empty
E_MASK = 11  # how many there are, less 1: a power of two
E_PATH = 12  # address of the states of the walk: for each its number, and which successor is next
E_DEPTH = 13  # how many they are
E_OPEN = 14  # address of the numbers of those that are on the walk, or have been and lead to one that is
E_OPENED = 15  # how many they are
E_SLICE = 16  # moves until MORE
E_CAUGHT = 17  # states that are marked so
WORDS = 18

# The mark of a state that is open: the lowest number of an open state it is known to lead to, and in bit 0 whether it leads to one that is lost.
GOOD, LOST, CAUGHT = -1, -2, -3  # LOST: it leads to one that is caught

NUMBER_BITS = 36
HASH_LOW = 0x0FFFFFF0  # what a slot keeps of a hash; others choose the slot
HASH_HIGH = 32


def walk(endless: int) -> int:
    """Go on with the walks until something is to be said: one of the codes."""
    for _ in range(load(endless, E_SLICE)):
        if load(endless, E_FOUND) >= load(endless, E_ROOM):
            return GROW
        if load(endless, E_DEPTH):
            follow(endless)
        elif load(endless, E_NEXT) < load(endless, E_LAST):
            number_of(endless, load(endless, E_ROOTS) + load(endless, E_NEXT) * (8 * W))
            store(endless, E_NEXT, load(endless, E_NEXT) + 1)
        else:
            return DONE
    return MORE


def record(endless: int, number: int) -> int:
    """Where a state is; its mark is behind it."""
    return load(endless, E_RECORDS) + number * (8 * (W + 1))


def follow(endless: int) -> int:
    """Make a move from the last state of the walk, or go back from it."""
    last = load(endless, E_PATH) + 16 * (load(endless, E_DEPTH) - 1)
    state = record(endless, load(last, 0))
    out = load(endless, E_OUT)
    following = load(last, 1)
    target = out
    if following > 0 or call(load(endless, E_FORWARD), state, out, load(endless, E_NOTE)) == 0:
        following = max(following, 1)
        r = call(load(endless, E_EXPAND), state, out, load(endless, E_NOTE))
        if shift_right(r, FLAGS_AT) & END:
            return arrive(endless)
        if following > r & SUCCESSORS:
            return go_back(endless)
        target = out + (following - 1) * (8 * W)
    store(last, 1, following + 1)
    known = load(endless, E_FOUND)
    number = number_of(endless, target)
    mark = load(record(endless, number), W)
    if mark == GOOD:
        return arrive(endless)
    if number < known:
        before = load(state, W)
        store(state, W, before | 1 if mark < 0 else min(before >> 1, number) << 1 | before & 1)
    return 0


def arrive(endless: int) -> int:
    """The walk came to what is good: all that is open is."""
    for place in range(load(endless, E_OPENED)):
        store(record(endless, load(load(endless, E_OPEN), place)), W, GOOD)
    store(endless, E_OPENED, 0)
    store(endless, E_DEPTH, 0)
    return 0


def go_back(endless: int) -> int:
    """The last state of the walk has no successor left."""
    depth = load(endless, E_DEPTH) - 1
    path = load(endless, E_PATH)
    number = load(path, 2 * depth)
    low = load(record(endless, number), W) >> 1
    if low == number:
        close(endless, number)
    store(endless, E_DEPTH, depth)
    if depth > 0:
        before = record(endless, load(path, 2 * depth - 2))
        mark = load(before, W)
        store(before, W, mark | 1 if low == number else min(mark >> 1, low) << 1 | mark & 1)
    return 0


def close(endless: int, number: int) -> int:
    """The states that are open from `number` on are a component, from which nothing good is reached."""
    opened = load(endless, E_OPEN)
    last = load(endless, E_OPENED)
    first = last
    leads = 0
    one = -1
    while one != number:
        first -= 1
        one = load(opened, first)
        leads = leads | load(record(endless, one), W) & 1
    for place in range(first, last):
        store(record(endless, load(opened, place)), W, LOST if leads else CAUGHT)
    store(endless, E_CAUGHT, load(endless, E_CAUGHT) + (0 if leads else last - first))
    store(endless, E_OPENED, first)
    return 0


def number_of(endless: int, state: int) -> int:
    """The number of a state. One that is new is entered, and the walk goes on there."""
    hashed = first_hash(state)
    kept = shift_left(hashed & HASH_LOW, HASH_HIGH)
    slots = load(endless, E_SLOTS)
    slot = shift_right(hashed, HASH_HIGH) & load(endless, E_MASK)
    word = load(slots, slot)
    while word != 0:
        number = (word & (1 << NUMBER_BITS) - 1) - 1
        if word >> NUMBER_BITS == kept >> NUMBER_BITS and difference(state, record(endless, number)) == 0:
            return number
        slot = slot + 1 & load(endless, E_MASK)
        word = load(slots, slot)
    number = load(endless, E_FOUND)
    store(slots, slot, kept | number + 1)
    store(endless, E_FOUND, number + 1)
    copy(state, record(endless, number))
    store(record(endless, number), W, number << 1)
    depth = load(endless, E_DEPTH)
    store(load(endless, E_PATH), 2 * depth, number)
    store(load(endless, E_PATH), 2 * depth + 1, 0)
    store(endless, E_DEPTH, depth + 1)
    store(load(endless, E_OPEN), load(endless, E_OPENED), number)
    store(endless, E_OPENED, load(endless, E_OPENED) + 1)
    return number


def enter_again(endless: int, first: int, last: int) -> int:
    """Enter the states with these numbers into slots that are new."""
    slots = load(endless, E_SLOTS)
    for number in range(first, last):
        hashed = first_hash(record(endless, number))
        slot = shift_right(hashed, HASH_HIGH) & load(endless, E_MASK)
        while load(slots, slot) != 0:
            slot = slot + 1 & load(endless, E_MASK)
        store(slots, slot, shift_left(hashed & HASH_LOW, HASH_HIGH) | number + 1)
    return 0


ENTRIES = (walk, enter_again)
