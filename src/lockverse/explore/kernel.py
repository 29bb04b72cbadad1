"""The inner loop of the breadth-first search, in the dialect of `lockverse.jit`: expand, look up, append, in batches.

A state is W words. `context` (shared) and `worker` (one a thread) are arrays of words, with the indices below. New states
go to the queue, which keeps all states in the order they were found; `hashing` has the table of those known. `run` comes
back often, and whatever it comes back with, the next call goes on where it stopped: policy is the caller's.

A model gives two C functions by address. expand(state, out, note) writes the successors to `out`, one after another, and
gives their number in bits 0 to 23, the number of transitions in bits 24 to 47 and flags above; what is wrong in detail goes
to `note`. check(state) gives a violation in bit 0 and a witness, a bit for each of up to 62 properties, in bits 1 to 62.

Several threads may `run` with a worker each. The tail of the queue is then reserved in blocks, so that between the blocks
unused places are left: a worker gives its rest back if nobody reserved after it (one worker always can), and the caller
closes the other holes at the end of a level. Leaves out memory and growth of the regions: `table` owns them.
"""

from __future__ import annotations

from lockverse.jit.dialect import (
    call,
    compare_exchange,
    fetch_add,
    load,
    load8,
    load_relaxed,
    prefetch,
    shift_right,
    store,
    store8,
    store_relaxed,
)  # fmt: skip

from .hashing import LINE_LOG, NEW, NO_ROOM, first_hash, grow, home_line, locate, place, second_hash

W = 1  # words of a state; overridden when compiled, as are the constants of `hashing`
BATCH = 128  # successors that are looked up together: that many cache misses overlap
INPUTS = 64  # states that a worker takes from the queue at a time
BLOCK = 256  # places at the tail of the queue that a worker reserves at a time

# What an expansion says, from bit FLAGS on.
COUNT_BITS = 24
COUNT_MASK = (1 << COUNT_BITS) - 1
FLAGS = 48
FAULT, DEADLOCK, END, COMPLETED, LAYOUT_FLAG, TOO_LONG = 1, 2, 4, 8, 16, 32
VIOLATION = 64  # in the log only: the check's
LOGGED = FAULT | DEADLOCK | TOO_LONG
WITNESS = ((1 << 63) - 1) & ~1

# What `run` comes back with. DONE: the level is. GROW: the table is full, grow it and call again. FULL: so is the queue.
# LOG: so is this worker's log. SLICE: nothing, time to look around. STOPPED: the context said so. LAYOUT: a value did not
# fit its field, the search is void.
DONE, GROW, FULL, LOG, SLICE, STOPPED, LAYOUT = 1, 2, 3, 4, 5, 6, 7

# Context. Words that are written while running have a cache line each.
C_TABLE = 0  # address of the first line
C_LINES = 1
C_QUEUE = 2  # address of the first state
C_CAPACITY = 3  # of the queue, in states
C_LIMIT = 4  # a batch is begun with fewer states than that, else GROW
C_LEVEL_END = 5  # the states before it are expanded
C_EXPAND = 6  # address of the function
C_CHECK = 7  # 0: there is none
C_SLICE = 8  # batches until SLICE
C_OTHER_TABLE = 9  # the second table, for `ancestors`
C_OTHER_LINES = 10
C_NEXT = 16  # the next state to expand
C_TAIL = 24  # places of the queue in use or reserved
C_STOP = 32  # not 0: come back. `run` sets it when it comes back with what concerns all workers
CONTEXT_WORDS = 40

# Worker.
P_OUT = 0  # address for successors: at least BATCH states and the widest expansion
P_HASHES = 1  # address for two words for each of them
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
WORKER_WORDS = 24


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
    hash_and_prefetch(context, out, load(worker, P_HASHES))
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
    return place(load(context, C_TABLE), load(context, C_LINES), first_hash(state), second_hash(state))


def find_in(table: int, lines: int, state: int) -> int:
    """The slot of a state in a table, or -1."""
    return locate(table, lines, first_hash(state), second_hash(state))


def stored(context: int, worker: int) -> int:
    """States in the queue: places that others hold in reserve are counted too."""
    return load_relaxed(context, C_TAIL) - (load(worker, P_PLACE_END) - load(worker, P_PLACE))


def copy(source: int, target: int) -> int:
    """Copy a state."""
    for word in range(W):
        store(target, word, load(source, word))
    return 0


def hash_and_prefetch(context: int, state: int, hashes: int) -> int:
    """Hash a state to two words, and have its home line brought near."""
    first = first_hash(state)
    store(hashes, 0, first)
    store(hashes, 1, second_hash(state))
    return prefetch(load(context, C_TABLE) + (home_line(first, load(context, C_LINES)) << LINE_LOG))


def expand_batch(context: int, worker: int) -> int:
    """Expand states until BATCH successors are pending. DONE if there were no states."""
    position = load(worker, P_POSITION)
    end = load(worker, P_POSITION_END)
    pending = 0
    code = 0
    while pending < BATCH and code == 0:
        if position == end:
            position = fetch_add(context, C_NEXT, INPUTS)
            end = min(position + INPUTS, load(context, C_LEVEL_END))
            if position >= end:
                position = 0
                end = 0
                code = DONE
        if code == 0 and load(worker, P_LOG_USED) + W + 1 > load(worker, P_LOG_SIZE):
            code = LOG
        if code == 0:
            state = load(context, C_QUEUE) + position * (8 * W)
            r = call(load(context, C_EXPAND), state, load(worker, P_OUT) + pending * (8 * W), load(worker, P_NOTE))
            if shift_right(r, FLAGS) & LAYOUT_FLAG:
                code = LAYOUT
            else:
                account(worker, state, r)
                pending = hash_more(context, worker, pending, pending + (r & COUNT_MASK))
                position += 1
    store(worker, P_POSITION, position)
    store(worker, P_POSITION_END, end)
    store(worker, P_LOOKED_UP, 0)
    store(worker, P_PENDING, pending)
    return 0 if code == DONE and pending > 0 else code


def account(worker: int, state: int, r: int) -> int:
    """Count and log what an expansion says."""
    store(worker, P_TRANSITIONS, load(worker, P_TRANSITIONS) + (shift_right(r, COUNT_BITS) & COUNT_MASK))
    flags = shift_right(r, FLAGS)
    if flags:
        store(worker, P_ENDS, load(worker, P_ENDS) + ((flags & END) != 0))
        store(worker, P_COMPLETED, load(worker, P_COMPLETED) + ((flags & COMPLETED) != 0))
        if flags & LOGGED:
            write_log(worker, flags, state)
    return 0


def write_log(worker: int, flags: int, state: int) -> int:
    """The caller has seen that there is room."""
    used = load(worker, P_LOG_USED)
    entry = load(worker, P_LOG) + 8 * used
    store(entry, 0, flags)
    copy(state, entry + 8)
    store(worker, P_LOG_USED, used + W + 1)
    return 0


def hash_more(context: int, worker: int, first: int, last: int) -> int:
    """Hash successors and have their lines brought near; `last`."""
    out = load(worker, P_OUT)
    hashes = load(worker, P_HASHES)
    for successor in range(first, last):
        hash_and_prefetch(context, out + successor * (8 * W), hashes + 16 * successor)
    return last


def take_in(context: int, worker: int) -> int:
    """Look up the pending successors and append those that are new: 0, or the code of what is in the way."""
    pending = load(worker, P_PENDING)
    index = load(worker, P_LOOKED_UP)
    hashes = load(worker, P_HASHES)
    table = load(context, C_TABLE)
    lines = load(context, C_LINES)
    code = 0
    while index < pending and code == 0:
        if load(worker, P_PLACE) == load(worker, P_PLACE_END):
            code = reserve(context, worker)
        if load(worker, P_LOG_USED) + W + 1 > load(worker, P_LOG_SIZE):
            code = LOG
        if code == 0:
            result = place(table, lines, load(hashes, 2 * index), load(hashes, 2 * index + 1))
            if result == NEW:
                append(context, worker, load(worker, P_OUT) + index * (8 * W))
            if result == NO_ROOM:
                code = GROW
            else:
                index += 1
    if index == pending:
        index = 0
        pending = 0
    store(worker, P_LOOKED_UP, index)
    store(worker, P_PENDING, pending)
    return code


def append(context: int, worker: int, state: int) -> int:
    """Put a new state into the queue and check it."""
    position = load(worker, P_PLACE)
    kept = load(context, C_QUEUE) + position * (8 * W)
    copy(state, kept)
    store(worker, P_PLACE, position + 1)
    store(worker, P_NEW, load(worker, P_NEW) + 1)
    check = load(context, C_CHECK)
    if check != 0:
        r = call(check, kept)
        store(worker, P_WITNESS, load(worker, P_WITNESS) | r & WITNESS)
        if r & 1:
            write_log(worker, VIOLATION, kept)
    return 0


def reserve(context: int, worker: int) -> int:
    """Reserve places at the tail of the queue, fewer than BLOCK where the queue ends: 0, or FULL."""
    tail = load_relaxed(context, C_TAIL)
    end = min(tail + BLOCK, load(context, C_CAPACITY))
    while tail < end:
        found = compare_exchange(context, C_TAIL, tail, end)
        if found == tail:
            store(worker, P_PLACE, tail)
            store(worker, P_PLACE_END, end)
            return 0
        tail = found
        end = min(tail + BLOCK, load(context, C_CAPACITY))
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
        r = call(load(context, C_EXPAND), load(context, C_QUEUE) + index * (8 * W), out, load(worker, P_NOTE))
        for successor in range(r & COUNT_MASK):
            if find_in(load(context, C_OTHER_TABLE), load(context, C_OTHER_LINES), out + successor * (8 * W)) >= 0:
                store(load(worker, P_LOG), load(worker, P_LOG_USED), index)
                store(worker, P_LOG_USED, load(worker, P_LOG_USED) + 1)
                break
    return last


def mark(context: int, worker: int, marks: int, first: int, last: int) -> int:
    """Mark the states from `last - 1` down to `first` in which an execution can end or that have a marked successor: a byte
    for each slot of the table. How many are newly marked. All of them have been expanded before."""
    newly = 0
    for index in range(last - 1, first - 1, -1):
        state = load(context, C_QUEUE) + index * (8 * W)
        slot = find(context, state)
        if load8(marks, slot) == 0:
            newly += mark_one(context, worker, marks, state, slot)
    return newly


def mark_one(context: int, worker: int, marks: int, state: int, slot: int) -> int:
    """All lines are asked for before the first is looked at."""
    out = load(worker, P_OUT)
    r = call(load(context, C_EXPAND), state, out, load(worker, P_NOTE))
    successors = r & COUNT_MASK
    reached = shift_right(r, FLAGS) & END
    if reached == 0:
        hash_more(context, worker, 0, successors)
        hashes = load(worker, P_HASHES)
        for successor in range(successors):
            first = load(hashes, 2 * successor)
            second = load(hashes, 2 * successor + 1)
            found = locate(load(context, C_TABLE), load(context, C_LINES), first, second)
            if found >= 0 and load8(marks, found):
                reached = 1
                break
    if reached:
        store8(marks, slot, 1)
    return reached != 0


def unmarked(context: int, worker: int, marks: int, first: int, last: int) -> int:
    """Log the number of each state from `first` up to `last` without a mark; gives what `ancestors` gives."""
    for index in range(first, last):
        if load(worker, P_LOG_USED) >= load(worker, P_LOG_SIZE):
            return index
        if load8(marks, find(context, load(context, C_QUEUE) + index * (8 * W))) == 0:
            store(load(worker, P_LOG), load(worker, P_LOG_USED), index)
            store(worker, P_LOG_USED, load(worker, P_LOG_USED) + 1)
    return last


ENTRIES = (run, insert_one, enter, finish, find, ancestors, mark, unmarked, grow)
