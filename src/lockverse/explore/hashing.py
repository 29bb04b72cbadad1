"""The table of known states, in the dialect of `lockverse.jit`: hashes, insertion, search, and growth in place.

A table is any number of lines of 64 bytes. The top 32 bits of a state's first hash choose its home line by multiplication;
a state is in the first free slot there or in the lines 1, 3, 6, 10, ... after it, so that a search ends at the first line
with room. (Steps that grow: with the next 8 lines instead, runs of full lines stop insertion at a load of 0.5, measured.)
Nothing is ever removed. There are FURTHEST lines more than the hash can choose, so nothing wraps around.

8-byte slots (WIDE = 0) hold states of at most 78 bits exactly: the state is mixed by a bijection, the slot keeps the low
58 bits of the result, the displacement in bits 1 to 5 and a set bit 0, and which home line it has says the rest, provided
that there are at least 2 ** LOST lines. 16-byte slots (WIDE = 1) hold 127 bits of hash, exact for two words of at most 127
bits in all, a fingerprint for more (two of n states are taken for one with a chance of about n ** 2 / 2 ** 128).

Threads insert at the same time: a slot goes once from empty to its value, by compare-exchange, always the first that is
empty, so who finds no equal value before it and wins it is alone. A slot of two words is claimed by its second word, BUSY,
until the first is written. Nobody reads while the table grows. Leaves out when to grow: the caller has the policy.
"""

from __future__ import annotations

from lockverse.jit.dialect import (
    add,
    compare_exchange,
    find8,
    load,
    load8,
    load_acquire,
    mul,
    shift_left,
    shift_right,
    store,
    store8,
    store_relaxed,
    store_release,
    trailing_zeros,
    unrolled,
    wrap,
)  # fmt: skip

# What is compiled for: `table.shape` gives the values.
W = 1  # words of a state
WIDE = 0  # 1: slots of 16 bytes
EXACT = 1  # 0: a fingerprint
LOST = 2  # bits of the mixed state that a slot of 8 bytes leaves to the line

LINE = 64  # bytes
LINE_LOG = 6
LINE_WORDS = 8
DISPLACEMENT_BITS = 5
DISPLACED = 1 << DISPLACEMENT_BITS  # lines in which a state can be: at a load of 0.8 a billionth of states finds all full
FURTHEST = DISPLACED * (DISPLACED - 1) >> 1  # lines from the home line
ABOVE = 1 + DISPLACEMENT_BITS  # where the hash begins in a slot
SLOT_BITS = 64 - ABOVE  # of the mixed state in a slot of 8 bytes
NEW, KNOWN, NO_ROOM = 1, 0, 2
BUSY = 2  # a second word while the first is being written; valid ones are odd
ONE_BITS = (1 << 60) - 1  # a state of one word has at most 60 bits

# Multipliers: odd numbers of the SplitMix64 and MurmurHash3 finalizers and of the golden ratio.
GOLDEN = wrap(0x9E3779B97F4A7C15)
MIX_1 = wrap(0xBF58476D1CE4E5B9)
MIX_2 = wrap(0x94D049BB133111EB)
MIX_3 = wrap(0xFF51AFD7ED558CCD)
MIX_4 = wrap(0xC4CEB9FE1A85EC53)


def copy(source: int, target: int) -> int:
    """Copy a state."""
    for word in range(W):
        store(target, word, load(source, word))
    return 0


def difference(one: int, other: int) -> int:
    """0 if two states are equal."""
    found = 0
    for word in range(W):
        found = found | load(one, word) ^ load(other, word)
    return found


def mix64(x: int) -> int:
    """A bijection of 64 bits, in which each bit depends on all."""
    x = mul(x ^ shift_right(x, 30), MIX_1)
    x = mul(x ^ shift_right(x, 27), MIX_2)
    return x ^ shift_right(x, 31)


def mix60(x: int) -> int:
    """The same for 60 bits: shifts to the right and multiplication modulo 2 ** 60 by odd numbers have inverses."""
    x = mul(x ^ (x >> 30), MIX_1) & ONE_BITS
    x = mul(x ^ (x >> 27), MIX_2) & ONE_BITS
    return x ^ (x >> 31)


def spread(high: int) -> int:
    """Of the second of two words: its high bits come down first, for multiplication carries only upwards."""
    return mul(high ^ shift_right(high, 32), GOLDEN)


def first_hash(state: int) -> int:
    """A word whose top 32 bits choose the home line."""
    if W == 1:
        return shift_left(mix60(load(state, 0)), 4)
    if EXACT:
        return mix64(load(state, 0) ^ spread(load(state, 1)))
    h = GOLDEN
    for w in range(W):
        h = mul(h ^ mixed_word(state, w), MIX_3)
        h = h ^ shift_right(h, 32)
    return mix64(h)


def second_hash(state: int, first: int) -> int:
    """The slot's word (of wide slots, the second), without the displacement. Bit 0 is set. Where exact, home line and slot
    give the state: of two words, the second is in the slot as it is, and with it the mix of the first is undone."""
    if W == 1:
        return shift_left(first, LOST) | 1
    if WIDE == 0:
        return shift_left(first, LOST) | shift_left(load(state, 1), ABOVE) | 1
    if EXACT:
        return shift_left(load(state, 1), 1) | 1
    h = MIX_4
    for w in range(W):
        h = mul(add(h, mixed_word(state, w)), MIX_2)
        h = h ^ shift_right(h, 29)
    return mix64(h) | 1


def mixed_word(state: int, w: int) -> int:
    """The two halves of a fingerprint go over the words in different ways; mixed before, no pattern of bits meets another."""
    return mix64(add(load(state, w), mul(w + 1, GOLDEN)))


def home_line(first: int, lines: int) -> int:
    """The line that the top 32 bits choose."""
    return shift_right(first, 32) * lines >> 32


def place(table: int, lines: int, first: int, second: int) -> int:
    """Insert: NEW, KNOWN or NO_ROOM."""
    line = table + (home_line(first, lines) << LINE_LOG)
    for displacement in range(DISPLACED):
        if WIDE:
            result = place_wide(line, first, second)
        else:
            result = place_narrow(line, second | displacement << 1)
        if result != NO_ROOM:
            return result
        line += LINE * (displacement + 1)
    return NO_ROOM


def place_home(line: int, first: int, second: int) -> int:
    """Insert into the home line: NEW, KNOWN or NO_ROOM."""
    if WIDE:
        return place_wide(line, first, second)
    return place_narrow(line, second)


def at_home(line: int, first: int, second: int) -> int:
    """Not 0 if it is in that line, its home."""
    if WIDE:
        return find8(line, first) << 1 & find8(line, second) & 0xAA
    return find8(line, second) & 255


def place_narrow(line: int, slot: int) -> int:
    """Insert into a line, if a slot is empty. Who loses an empty slot to another looks again."""
    found = find8(line, slot)
    while found & 255 == 0:
        if found == 0:
            return NO_ROOM
        if compare_exchange(line, trailing_zeros(found >> 8), 0, slot) == 0:
            return NEW
        found = find8(line, slot)
    return KNOWN


def place_wide(line: int, first: int, second: int) -> int:
    """First a look at all slots, which proves a match whatever it sees torn: each word gets its value once. Else one by
    one, in the order that keeps what was read true."""
    if at_home(line, first, second):
        return KNOWN
    for slot in unrolled(LINE_WORDS >> 1):
        now = load_acquire(line, 2 * slot + 1)
        if now == 0:
            now = compare_exchange(line, 2 * slot + 1, 0, BUSY)
            if now == 0:
                store_relaxed(line, 2 * slot, first)
                store_release(line, 2 * slot + 1, second)
                return NEW
        while now == BUSY:
            now = load_acquire(line, 2 * slot + 1)
        if now == second and load(line, 2 * slot) == first:
            return KNOWN
    return NO_ROOM


def locate(table: int, lines: int, first: int, second: int) -> int:
    """The number of the slot, or -1. Nobody inserts meanwhile."""
    number = home_line(first, lines)
    for displacement in range(DISPLACED):
        line = table + (number << LINE_LOG)
        if WIDE:
            words = find8(line, second)
            both = find8(line, first) << 1 & words & 0xAA
            room = words >> 8 & 0xAA
        else:
            words = find8(line, second | displacement << 1)
            both = words & 255
            room = words >> 8
        if both:
            return (number * LINE_WORDS + trailing_zeros(both)) >> WIDE
        if room:
            return -1
        number += displacement + 1
    return -1


# Growth: an array of words, one for each thread that moves lines.
G_TABLE = 0  # address
G_LINES = 1
G_NEW_LINES = 2  # more than there are; what is behind the old ones is zero
G_NEXT = 3  # lines before it are still to be moved
G_STOP = 4  # but for those before this one
G_SIDE = 5  # address of entries that have no place yet, two words each
G_SIDE_SIZE = 6  # entries
G_SIDE_USED = 7
G_SLICE = 8  # lines until MORE
G_COUNTS = 9  # address of a byte for each new line, 0 at first: the entries moved into it
G_LOW = 10  # new lines may be written from this one
G_HIGH = 11  # up to this one
G_SCRATCH = 16  # a line
GROWTH_WORDS = 24
MOVED, SIDE_FULL, MORE = 1, 2, 3


def grow(growth: int) -> int:
    """Move lines of a table that grows where it is. MOVED: done, and `settle` is to follow when all lines are. SIDE_FULL: give more
    side entries, and call again. MORE: call again.

    Nothing is lost: lines are read from the last to the first, each cleared as it is read. A state's home line never
    decreases, since it is monotone in the number of lines. If the new home is not before the line just read, only lines
    that are read and cleared already are written, and the state goes there as it would into an empty table; otherwise (near
    the start, where a state's displacement was more than its home moves) it waits at the side until all are read. So
    every line holds either old entries only or new ones only, and every entry is in a line, in the scratch line or at the
    side, which is looked at for room before a line is read. How many entries a line got is counted apart: to look for
    room in a line just written, as insertion does, stalls the processor (a whole line does not come out of its stores).

    Several threads may move lines at once, where what they write is apart and all of it behind what they read: the same monotone map
    gives each a range of new lines, and what belongs elsewhere (displaced across a border) waits at the side."""
    left = load(growth, G_SLICE)
    line = load(growth, G_NEXT)
    stop = load(growth, G_STOP)
    code = 0
    while line > stop and code == 0:
        if load(growth, G_SIDE_USED) + LINE_WORDS > load(growth, G_SIDE_SIZE):
            code = SIDE_FULL
        elif left <= 0:
            code = MORE
        else:
            left -= 1
            line -= 1
            move_line(growth, line)
    store(growth, G_NEXT, line)
    return code if code else MOVED


def displaced(second: int, displacement: int) -> int:
    """What a slot of 8 bytes has of a state that is so far from home."""
    return second | displacement << 1


def put(growth: int, first: int, second: int) -> int:
    """As `place`, for a state that is being moved: NEW or NO_ROOM."""
    line = home_line(first, load(growth, G_NEW_LINES))
    counts = load(growth, G_COUNTS)
    for displacement in range(DISPLACED):
        if line >= load(growth, G_HIGH):
            return NO_ROOM
        entries = load8(counts, line)
        if entries < LINE_WORDS >> WIDE:
            address = load(growth, G_TABLE) + (line << LINE_LOG)
            store8(counts, line, entries + 1)
            if WIDE:
                store(address, 2 * entries, first)
                store(address, 2 * entries + 1, second)
            else:
                store(address, entries, displaced(second, displacement))
            return NEW
        line += displacement + 1
    return NO_ROOM


def move_line(growth: int, line: int) -> int:
    """Clear a line, and insert what was in it."""
    lines = load(growth, G_LINES)
    new_lines = load(growth, G_NEW_LINES)
    low = max(load(growth, G_LOW), line)
    old = load(growth, G_TABLE) + (line << LINE_LOG)
    scratch = growth + 8 * G_SCRATCH
    for word in unrolled(LINE_WORDS):
        store(scratch, word, load(old, word))
    for word in unrolled(LINE_WORDS):
        store(old, word, 0)
    least = 0 if WIDE else least_top(line, lines)
    for slot in range(LINE_WORDS >> WIDE):
        second = load(scratch, (slot << WIDE) + WIDE)
        if second == 0:
            break  # a line fills from its first slot on
        if WIDE:
            first = load(scratch, 2 * slot)
        else:
            displacement = second >> 1 & (DISPLACED - 1)
            if displacement:
                home = line - (displacement * (displacement + 1) >> 1)
                first = shift_left(top_bits(second, least_top(home, lines)), 32)
            else:
                first = shift_left(top_bits(second, least), 32)
            second = second & ~((DISPLACED - 1) << 1)
        if home_line(first, new_lines) < low or put(growth, first, second) == NO_ROOM:
            used = load(growth, G_SIDE_USED)
            store(load(growth, G_SIDE), 2 * used, first)
            store(load(growth, G_SIDE), 2 * used + 1, second)
            store(growth, G_SIDE_USED, used + 1)
    return 0


def least_top(home: int, lines: int) -> int:
    """The least number whose home line it is; a division."""
    return 0 if LOST == 0 else ((home << 32) + lines - 1) // lines


def top_bits(slot: int, least: int) -> int:
    """The 32 bits that chose the home line: the slot has all but the LOST upper ones of them, and no two numbers of that
    line's interval, which begins at `least`, are equal in the rest."""
    if LOST == 0:
        return shift_right(slot, 32)
    return least + (shift_right(slot, 32 + LOST) - least & (1 << 32 - LOST) - 1)


def settle(growth: int) -> int:
    """Insert what waits at the side, anywhere; how many fit nowhere and stay there: the table has the new number of lines, and is to grow
    further before it is used."""
    side = load(growth, G_SIDE)
    kept = 0
    for entry in range(load(growth, G_SIDE_USED)):
        first = load(side, 2 * entry)
        second = load(side, 2 * entry + 1)
        if put(growth, first, second) == NO_ROOM:
            store(side, 2 * kept, first)
            store(side, 2 * kept + 1, second)
            kept += 1
    store(growth, G_SIDE_USED, kept)
    return kept
