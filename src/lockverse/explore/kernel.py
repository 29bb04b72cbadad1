"""The inner loop of the breadth-first search, in the dialect of `lockverse.jit`: expand, look up, append, in batches.

A state is W words. `context` (shared) and `worker` (one a thread) are arrays of words, with the indices below. New states
go to the queue, a ring: positions count the states in the order they were found, and the last C_MASK + 1 of them are kept.
`hashing` has the table of all states known. `run` comes back often, and whatever it comes back with, the next call goes on
where it stopped: policy is the caller's.

A model gives two C functions by address. expand(state, out, note) writes the successors to `out`, one after another, and
gives their number in bits 0 to 23, the number of transitions in bits 24 to 47 and flags above; what is wrong in detail goes
to `note`. check(state) gives a violation in bit 0 and a witness, a bit for each of up to 62 properties, in bits 1 to 62.

Several threads may `run` with a worker each. The tail of the queue is then reserved in blocks, so that between the blocks
unused places are left: a worker gives its rest back if nobody reserved after it (one worker always can), and the caller
closes the other holes at the end of a level. Leaves out memory and growth of the regions: `table` owns them.
"""

from __future__ import annotations

from lockverse.codegen.lower import COMPLETED, COUNT_BITS, DEADLOCK, END, FAULT, FLAGS_AT, TOO_LONG, TURNING
from lockverse.codegen.lower import LAYOUT as LAYOUT_FLAG
from lockverse.jit.dialect import (
    call,
    compare_exchange,
    fetch_add,
    find8,
    load,
    load_relaxed,
    prefetch,
    shift_right,
    store,
    store_relaxed,
    trailing_zeros,
)  # fmt: skip

from .hashing import (
    EXACT,
    LINE,
    LINE_LOG,
    LINE_WORDS,
    NEW,
    NO_ROOM,
    WIDE,
    at_home,
    copy,
    first_hash,
    grow,
    home_line,
    locate,
    place,
    place_home,
    second_hash,
    settle,
)  # fmt: skip

W = 1  # words of a state; overridden when compiled, as are the constants of `hashing`
BATCH = 128  # successors that are looked up together: that many cache misses overlap
INPUTS = 64  # states that a worker takes from the queue at a time
TOGETHER = 16  # successors that are hashed at a time: a loop of fixed length, so that no branch is mispredicted
BLOCK = 256  # places at the tail of the queue that a worker reserves at a time

COUNT_MASK = (1 << COUNT_BITS) - 1  # of what an expansion says; its flags are codegen's
VIOLATION = 128  # in the log only: the check's
LOGGED = FAULT | DEADLOCK | TOO_LONG
WITNESS = ((1 << 63) - 1) & ~1

# What `run` comes back with. DONE: the level is. GROW: the table is full, grow it and call again. FULL: so is the queue. LOG: so is this
# worker's log. SLICE: nothing, time to look around. STOPPED: the context said so. LAYOUT: a value did not fit its field, the search is void.
DONE, GROW, FULL, LOG, SLICE, STOPPED, LAYOUT = 1, 2, 3, 4, 5, 6, 7

# Context. Words that are written while running have a cache line each.
C_TABLE = 0  # address of the first line
C_LINES = 1
C_QUEUE = 2  # address of the first state
C_QUEUE_END = 3  # positions before it may be written
C_LIMIT = 4  # a batch is begun with fewer states than that, else GROW
C_LEVEL_END = 5  # the states before it are expanded
C_EXPAND = 6  # address of the function
C_CHECK = 7  # 0: there is none
C_SLICE = 8  # batches until SLICE
C_OTHER_TABLE = 9  # the second table, for `ancestors`
C_OTHER_LINES = 10
C_MASK = 11  # of positions: the queue has room for so many states and one, a power of two
C_ALONE = 12  # not 0: one worker only runs
C_NEXT = 16  # the next state to expand
C_TAIL = 24  # places of the queue in use or reserved
C_STOP = 32  # not 0: come back. `run` sets it when it comes back with what concerns all workers
CONTEXT_WORDS = 40

# Worker.
P_OUT = 0  # address for successors: at least BATCH states and the widest expansion
P_HASHES = 1  # address for the hashes of as many: HASH_BYTES each at most
P_NOTE = 2  # given to `expand`
P_LOG = 3  # address; an entry is its flags and the state
P_LOG_SIZE = 4  # words
P_POSITION = 5  # input states taken and not expanded: from here
P_POSITION_END = 6
P_PLACE = 7  # places reserved and not used: from here
P_PLACE_END = 8
P_PENDING = 9  # successors in P_OUT
P_LOOKED_UP = 10  # and how many of them are looked up
P_LOG_USED = 11  # words
P_TRANSITIONS = 12
P_NEW = 13  # states appended
P_COMPLETED = 14
P_ENDS = 15
P_WITNESS = 16
P_TURNING = 17  # address: states from which no move goes forward, one after another; there is room
P_TURNED = 18  # how many they are
P_CHOSEN = 19  # address for a word for each pending successor
P_CHECKED = 20  # the states before it in the block of places are checked
P_NOWHERE = 21  # written where a branch would cost more
WORKER_WORDS = 24
HASH_BYTES = 16


def run(context: int, worker: int) -> int:
    """Expand states until something is to be said: one of the codes."""
    left = load(context, C_SLICE)
    code = 0
    while code == 0:
        code = take_in(context, worker)
        if code == 0:
            if left <= 0:
                code = SLICE
            elif load_relaxed(context, C_STOP) != 0:
                code = STOPPED
            elif stored(context, worker) >= load(context, C_LIMIT):
                code = GROW
            else:
                code = expand_batch(context, worker)
                left -= 1
    give_back(context, worker)
    if code == GROW or code == FULL or code == LAYOUT:  # noqa: SIM109  # the dialect has no tuples
        store_relaxed(context, C_STOP, code)
    return code


def insert_one(context: int, worker: int, state: int) -> int:
    """Take in one state, as a successor is. Nothing may be pending before. As `finish`."""
    out = load(worker, P_OUT)
    copy(state, out)
    hash_more(context, out, load(worker, P_HASHES), 0, 1)
    store(worker, P_PENDING, 1)
    return finish(context, worker)


def finish(context: int, worker: int) -> int:
    """Take in what is pending: 0, or the code of what is in the way, and the rest is pending still."""
    code = take_in(context, worker)
    give_back(context, worker)
    return code


def find(context: int, state: int) -> int:
    """The slot of a state, or -1."""
    return find_in(load(context, C_TABLE), load(context, C_LINES), state)


def enter(context: int, state: int) -> int:
    """Put a state into the table alone, not into the queue: what `place` says."""
    first = first_hash(state)
    return place(load(context, C_TABLE), load(context, C_LINES), first, second_hash(state, first))


def find_in(table: int, lines: int, state: int) -> int:
    """The slot of a state in a table, or -1."""
    first = first_hash(state)
    return locate(table, lines, first, second_hash(state, first))


def stored(context: int, worker: int) -> int:
    """States found: places that others hold in reserve are counted too."""
    return load_relaxed(context, C_TAIL) - (load(worker, P_PLACE_END) - load(worker, P_PLACE))


def kept(context: int, position: int) -> int:
    """Where the queue has a state."""
    return load(context, C_QUEUE) + (position & load(context, C_MASK)) * (8 * W)


def hash_size() -> int:
    """Bytes kept of a successor's hashes: the second follows from the first and the state, but for a fingerprint."""
    return 8 + 8 * (WIDE & 1 - EXACT)


def hash_more(context: int, out: int, hashes: int, first: int, last: int) -> int:
    """Hash successors and have their lines brought near; `last`."""
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    for successor in range(first, last):
        state = out + successor * (8 * W)
        one = first_hash(state)
        store(hashes + successor * hash_size(), 0, one)
        if WIDE & 1 - EXACT:
            store(hashes + successor * hash_size(), 1, second_hash(state, one))
        prefetch(table + (home_line(one, lines) << LINE_LOG))
    return last


def second_of(state: int, hashes: int) -> int:
    """The second hash, kept or made from the first."""
    if WIDE & 1 - EXACT:
        return load(hashes, 1)
    return second_hash(state, load(hashes, 0))


def expand_batch(context: int, worker: int) -> int:
    """Expand states until BATCH successors are pending. DONE if there were no states."""
    position = load(worker, P_POSITION)
    end = load(worker, P_POSITION_END)
    expand = load(context, C_EXPAND)
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    note = load(worker, P_NOTE)
    transitions = 0
    pending = 0
    hashed = 0
    code = 0
    while pending < BATCH and code == 0:
        if position == end:
            position = fetch_add(context, C_NEXT, INPUTS)
            end = min(position + INPUTS, load(context, C_LEVEL_END))
            if position >= end:
                position = 0
                end = 0
                code = DONE
        if code == 0:
            state = kept(context, position)
            r = call(expand, state, out + pending * (8 * W), note)
            flags = shift_right(r, FLAGS_AT)
            if flags != 0:
                code = account(worker, state, flags)
            if code != LAYOUT:
                transitions += shift_right(r, COUNT_BITS) & COUNT_MASK
                pending += r & COUNT_MASK
                position += 1
                while pending - hashed >= TOGETHER:
                    hashed = hash_more(context, out, hashes, hashed, hashed + TOGETHER)
    hash_more(context, out, hashes, hashed, pending)
    store(worker, P_TRANSITIONS, load(worker, P_TRANSITIONS) + transitions)
    store(worker, P_POSITION, position)
    store(worker, P_POSITION_END, end)
    store(worker, P_LOOKED_UP, 0)
    store(worker, P_PENDING, pending)
    return 0 if code == DONE and pending > 0 else code


def account(worker: int, state: int, flags: int) -> int:
    """Count and log what an expansion says: 0, LAYOUT, or LOG once the log is full."""
    if flags & LAYOUT_FLAG:
        return LAYOUT
    store(worker, P_ENDS, load(worker, P_ENDS) + ((flags & END) != 0))
    store(worker, P_COMPLETED, load(worker, P_COMPLETED) + ((flags & COMPLETED) != 0))
    if flags & TURNING:
        copy(state, load(worker, P_TURNING) + load(worker, P_TURNED) * (8 * W))
        store(worker, P_TURNED, load(worker, P_TURNED) + 1)
    if flags & LOGGED:
        return write_log(worker, flags, state)
    return 0


def log_full(worker: int) -> int:
    """LOG if no entry has room any more, else 0."""
    return LOG if load(worker, P_LOG_USED) + W + 1 > load(worker, P_LOG_SIZE) else 0


def write_log(worker: int, flags: int, state: int) -> int:
    """There is room for an entry; what `log_full` says of the next."""
    used = load(worker, P_LOG_USED)
    entry = load(worker, P_LOG) + 8 * used
    store(entry, 0, flags)
    copy(state, entry + 8)
    store(worker, P_LOG_USED, used + W + 1)
    return log_full(worker)


def take_in(context: int, worker: int) -> int:
    """Look up the pending successors and append those that are new: 0, or the code of what is in the way. Those that are
    not in their home lines are put there; where it is full, the next line is asked for, and they are placed when all others
    are. To look one up again, after something was in the way, does no harm: it is known."""
    code = check_more(context, worker)
    if code != 0:
        return code
    pending = load(worker, P_PENDING)
    chosen = load(worker, P_CHOSEN)
    unknown = sift(context, worker, load(worker, P_LOOKED_UP), pending)
    number = 0
    left = 0
    while number < unknown and code == 0:
        code = see_place(context, worker)
        if code == 0:
            until = min(unknown, number + load(worker, P_PLACE_END) - load(worker, P_PLACE))
            left = put_home(context, worker, number, until, left)
            number = until
            code = check_more(context, worker)
    late = 0
    while late < left and code == 0:
        code = see_place(context, worker)
        if code == 0:
            code = put_late(context, worker, load(chosen, late))
            late += code == 0
    if late < left:
        pending = load(chosen, late)
    elif number < unknown:
        pending = load(chosen, number)
    if code == 0:
        code = check_more(context, worker)
    store(worker, P_LOOKED_UP, pending)
    if pending == load(worker, P_PENDING):
        store(worker, P_LOOKED_UP, 0)
        store(worker, P_PENDING, 0)
    return code


def put_home(context: int, worker: int, first: int, last: int, left: int) -> int:
    """Put chosen successors from `first` up to `last` into their home lines and, where new, into the queue, which has
    places for all; choose those with a full line again, after `left` others: how many are."""
    if WIDE == 0 and load(context, C_ALONE):
        return put_home_alone(context, worker, first, last, left)
    chosen = load(worker, P_CHOSEN)
    for number in range(first, last):
        index = load(chosen, number)
        state = load(worker, P_OUT) + index * (8 * W)
        entry = load(worker, P_HASHES) + index * hash_size()
        line = load(context, C_TABLE) + (home_line(load(entry, 0), load(context, C_LINES)) << LINE_LOG)
        result = place_home(line, load(entry, 0), second_of(state, entry))
        copy(state, kept(context, load(worker, P_PLACE)))
        store(worker, P_PLACE, load(worker, P_PLACE) + (result == NEW))
        store(chosen, left, index)
        left += result == NO_ROOM
        prefetch(line + LINE * (result == NO_ROOM))
    return left


def put_home_alone(context: int, worker: int, first: int, last: int, left: int) -> int:
    """The same while nobody else inserts: without a branch, for what comes out is hard to predict. A state that is known is
    written over itself, and where there is no room, nowhere."""
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    chosen = load(worker, P_CHOSEN)
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    queue = load(context, C_QUEUE)
    mask = load(context, C_MASK)
    nowhere = worker + 8 * P_NOWHERE
    here = load(worker, P_PLACE)
    for number in range(first, last):
        index = load(chosen, number)
        state = out + index * (8 * W)
        entry = hashes + index * hash_size()
        line = table + (home_line(load(entry, 0), lines) << LINE_LOG)
        slot = second_of(state, entry)
        at = trailing_zeros(find8(line, slot) | 1 << 2 * LINE_WORDS)
        full = shift_right(at, 4)
        place = line + 8 * (at & 7)
        store(place + (nowhere - place & -full), 0, slot)
        copy(state, queue + (here & mask) * (8 * W))
        here += shift_right(at, 3) & 1
        store(chosen, left, index)
        left += full
        prefetch(line + LINE * full)
    store(worker, P_PLACE, here)
    return left


def put_late(context: int, worker: int, index: int) -> int:
    """Put one successor wherever it goes: 0, or GROW."""
    state = load(worker, P_OUT) + index * (8 * W)
    entry = load(worker, P_HASHES) + index * hash_size()
    result = place(load(context, C_TABLE), load(context, C_LINES), load(entry, 0), second_of(state, entry))
    if result == NEW:
        copy(state, kept(context, load(worker, P_PLACE)))
        store(worker, P_PLACE, load(worker, P_PLACE) + 1)
    return GROW if result == NO_ROOM else 0


def sift(context: int, worker: int, first: int, last: int) -> int:
    """Choose the pending successors that are not in their home lines; how many. Without branches: whether one is known
    nobody can predict."""
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    chosen = load(worker, P_CHOSEN)
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    number = 0
    for index in range(first, last):
        entry = hashes + index * hash_size()
        one = load(entry, 0)
        store(chosen, number, index)
        number += at_home(table + (home_line(one, lines) << LINE_LOG), one, second_of(out + index * (8 * W), entry)) == 0
    return number


def see_place(context: int, worker: int) -> int:
    """See that there is a place for a state, and before a new block that those of the old one are checked: 0, FULL or LOG."""
    if load(worker, P_PLACE) != load(worker, P_PLACE_END):
        return 0
    code = check_more(context, worker)
    return code if code else reserve(context, worker)


def check_more(context: int, worker: int) -> int:
    """Count and check the new states in the block of places: 0, or LOG."""
    first = load(worker, P_CHECKED)
    last = load(worker, P_PLACE)
    check = load(context, C_CHECK)
    code = log_full(worker)
    if check == 0 and code == 0:
        store(worker, P_NEW, load(worker, P_NEW) + last - first)
        first = last
    while first < last and code == 0:
        state = kept(context, first)
        r = call(check, state)
        first += 1
        store(worker, P_NEW, load(worker, P_NEW) + 1)
        if r != 0:
            store(worker, P_WITNESS, load(worker, P_WITNESS) | r & WITNESS)
            if r & 1:
                code = write_log(worker, VIOLATION, state)
    store(worker, P_CHECKED, first)
    return code


def reserve(context: int, worker: int) -> int:
    """Reserve places at the tail of the queue, fewer than BLOCK where the queue ends: 0, or FULL."""
    tail = load_relaxed(context, C_TAIL)
    end = min(tail + BLOCK, load(context, C_QUEUE_END))
    while tail < end:
        found = compare_exchange(context, C_TAIL, tail, end)
        if found == tail:
            store(worker, P_PLACE, tail)
            store(worker, P_CHECKED, tail)
            store(worker, P_PLACE_END, end)
            return 0
        tail = found
        end = min(tail + BLOCK, load(context, C_QUEUE_END))
    return FULL


def give_back(context: int, worker: int) -> int:
    """Unreserve what is not used, if it is at the tail."""
    position = load(worker, P_PLACE)
    end = load(worker, P_PLACE_END)
    if position < end and compare_exchange(context, C_TAIL, end, position) == end:
        store(worker, P_PLACE_END, position)
    return 0


def ancestors(context: int, worker: int, first: int, last: int) -> int:
    """Log the number of each state from `first` up to `last` that has a successor in the second table. The first state not
    looked at: `last`, or an earlier one where the log is full."""
    out = load(worker, P_OUT)
    for index in range(first, last):
        if load(worker, P_LOG_USED) >= load(worker, P_LOG_SIZE):
            return index
        r = call(load(context, C_EXPAND), kept(context, index), out, load(worker, P_NOTE))
        for successor in range(r & COUNT_MASK):
            if find_in(load(context, C_OTHER_TABLE), load(context, C_OTHER_LINES), out + successor * (8 * W)) >= 0:
                log_number(worker, index)
                break
    return last


def members(context: int, worker: int, first: int, last: int) -> int:
    """The same for the states that are in the second table themselves."""
    for index in range(first, last):
        if load(worker, P_LOG_USED) >= load(worker, P_LOG_SIZE):
            return index
        if find_in(load(context, C_OTHER_TABLE), load(context, C_OTHER_LINES), kept(context, index)) >= 0:
            log_number(worker, index)
    return last


def log_number(worker: int, number: int) -> int:
    """There is room."""
    store(load(worker, P_LOG), load(worker, P_LOG_USED), number)
    store(worker, P_LOG_USED, load(worker, P_LOG_USED) + 1)
    return 0


ENTRIES = (run, insert_one, enter, finish, find, ancestors, members, grow, settle)
