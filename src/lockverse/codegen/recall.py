"""Moves are remembered: what a thread's move does to a packed state follows from a few of the state's bits, mostly two to eight.

Where a thread stands decides which bits its move can look at or change; the code that is written says so (Access.touched). Brought
together by one instruction (pext), they number a place in a table, which keeps the difference that the move made when it was first
made from such a state. So `expand` is straight code without a branch that depends on the state: half of all time went into
mispredicted ones. What is no single move without a finding, or looks at too many bits, is made by the thread's function each time.

The table lies in the note that `expand` is given, behind the rest and zero at first: each worker of a search has its own. Leaves out the functions that make
the moves (lower.py), and which processors have the instruction (jit).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lockverse.ir import ops
from lockverse.passes.registers import successors

from .layout import FINISHED, Layout
from .lower import (
    ACCUMULATORS,
    BLOCKED,
    FLAGS,
    FORWARD,
    MOVED,
    MOVES,
    PRUNED,
    RESTING,
    WAITING,
    ThreadFunction,
)
from .text import Tables, Writer, literal

MOST_BITS: Final = 18  # looked at by a move that is remembered
MOST_WORDS: Final = 1 << 22  # of the table in all, 32 MiB; only what is used takes memory
DECLARATIONS: Final = ["declare i64 @llvm.x86.bmi.pext.64(i64, i64)", '!0 = !{!"branch_weights", i32 100000, i32 1}']
# The flags of an entry, of which the first or the last is always set. With states of one word, which has 60 bits at most, the difference
# is below them.
HAS_MOVED, TURNS, RESTS, STILL = 63, 62, 61, 60


class Row(Struct, frozen=True):
    """How the moves of a thread at one position are found: for each word of the state the bits that matter; and where in the table they
    begin, 0 for moves that are not remembered."""

    masks: tuple[int, ...]
    base: int


class Recall(Struct, frozen=True):
    """The rows of each thread, by the code of its position; how many words the table has, and where in the note it starts."""

    layout: Layout
    start: int
    rows: tuple[tuple[Row, ...], ...]
    words: int

    @property
    def stride(self) -> int:
        """Words of an entry: the flags and the differences, or both in one."""
        return 1 if self.layout.words == 1 else self.layout.words + 1


def recall_for(layout: Layout, functions: Sequence[ThreadFunction], start: int) -> Recall | None:
    """Decide which moves are remembered; None if that is less than half of the positions."""
    stride = 1 if layout.words == 1 else layout.words + 1
    rows, used, several, every = [], stride, 0, 0
    for function in functions:
        mine = []
        for masks in _looks(function):
            every += 1
            bits = MOST_BITS + 1 if masks is None else sum(mask.bit_count() for mask in masks)
            if masks is None or bits > MOST_BITS or used + (stride << bits) > MOST_WORDS:
                mine.append(Row((0,) * layout.words, 0))
                continue
            several += 1
            mine.append(Row(masks, used))
            used += stride << bits
        rows.append(tuple(mine))
    return Recall(layout, start, tuple(rows), used) if 2 * several >= every else None


def _looks(function: ThreadFunction) -> list[tuple[int, ...] | None]:
    """For each position of a thread, in the order of their codes, the bits of each word that the move from there can look at or change,
    besides the position itself; None where there may be several moves. The function's text is written."""
    words, mine = function.layout.words, function.layout.threads[function.flow.thread]
    found: list[tuple[int, ...] | None] = []
    for pc in mine.positions:
        passed = [] if pc == FINISHED else _passed(function, pc)
        if any(at >= 0 and isinstance(function.code.ops[at], ops.Choose) for at in passed):
            found.append(None)
            continue
        masks = [0] * words
        for at in passed:
            for word, touched in enumerate(function.touched.get(at, ())):
                masks[word] |= touched
        masks[mine.place.word] &= ~mine.place.mask
        found.append(tuple(masks))
    return found


def _passed(function: ThreadFunction, pc: int) -> set[int]:
    """The ops that a move from `pc` can pass, and where it can arrive: keys of Function.touched."""
    code, going_on = function.code.ops, function.context.plan.going_on.get(function.flow.thread, {})
    todo, seen = [pc], {pc}
    while todo:
        at = todo.pop()
        if at < 0:
            following = [~at] if ~at in going_on else []
        else:
            following = [~one if isinstance(code[one], ops.Step) else one for one in successors(code[at], at)]
        todo += [one for one in following if one not in seen]
        seen.update(following)
    return seen


def remember_text(recall: Recall) -> str:
    """`i64 @remember(...)`: have a thread's function make its moves, and enter what came out if it may be remembered. Gives the
    flags TURNS, RESTS and STILL; the sums in %acc grow, and in its word RESTING is how many successors were written this time."""
    out, words = Writer(), recall.layout.words
    out.label("entry")
    out.add(f"%sums = alloca [{ACCUMULATORS} x i64]")
    places = [out.let(f"getelementptr i64, ptr %sums, i64 {i}") for i in range(ACCUMULATORS)]
    for place in places:
        out.store("0", place)
    out.add("call void %thread(ptr %state, ptr %out, ptr %note, ptr %sums, i64 -1)")
    sums = [out.load(place) for place in places]
    for which, op, value in ((MOVED, "add", sums[MOVED]), (MOVES, "add", sums[MOVES]), (FLAGS, "or", sums[FLAGS]),
                             (WAITING, "add", out.binary("and", sums[WAITING], literal(-PRUNED)))):  # fmt: skip
        pointer = out.let(f"getelementptr i64, ptr %acc, i64 {which}")
        out.store(out.binary(op, out.load(pointer), value), pointer)
    out.store(sums[MOVED], out.let(f"getelementptr i64, ptr %acc, i64 {RESTING}"))
    waits = out.cast("zext", out.compare("ne", out.binary("and", sums[WAITING], str(PRUNED - 1)), "0"), "i1", "i64")
    turns = out.cast("zext", out.compare("eq", sums[FORWARD], "0"), "i1", "i64")
    flags = out.binary("or", out.put_at(turns, TURNS), out.binary("or", out.put_at(sums[RESTING], RESTS), out.put_at(waits, STILL)))
    fits = out.compare("ne", "%place", "%table", "ptr")
    fits = out.binary("and", fits, out.compare("eq", sums[FLAGS], "0"), "i1")
    fits = out.binary("and", fits, out.compare("eq", sums[MOVES], sums[MOVED]), "i1")
    moved = out.binary("and", out.compare("eq", sums[MOVED], "1"), out.compare("eq", sums[WAITING], "0"), "i1")
    stood = out.binary("and", out.compare("eq", sums[MOVED], "0"),
                       out.binary("or", out.compare("eq", sums[WAITING], "1"), out.compare("eq", sums[WAITING], str(BLOCKED)), "i1"), "i1")  # fmt: skip
    out.branch(out.binary("and", fits, out.binary("or", moved, stood, "i1"), "i1"), "enter", "done")
    out.label("enter")
    known = out.binary("or", flags, out.put_at(sums[MOVED], HAS_MOVED))
    changes = []
    for word in range(words):
        old, new = (out.load(out.let(f"getelementptr i64, ptr {one}, i64 {word}")) for one in ("%state", "%out"))
        changes.append(out.select(moved, out.binary("xor", old, new), "0"))
    if words == 1:
        known = out.binary("or", known, changes[0])
    else:
        for word, change in enumerate(changes):
            out.store(change, out.let(f"getelementptr i64, ptr %place, i64 {word + 1}"))
    out.store(known, "%place")
    out.jump("done")
    out.label("done")
    out.add(f"ret i64 {flags}")
    parameters = "ptr %thread, ptr %state, ptr %out, ptr %note, ptr %acc, ptr %place, ptr %table"
    return "\n".join([f"define internal i64 @remember({parameters}) noinline {{", *out.lines, "}"])


def moves(out: Writer, recall: Recall, tables: Tables) -> tuple[str, str, str, str]:
    """All moves from %state to %out: how many successors there are; and as i1, whether all threads rest, whether none can move, and
    whether no move goes forward."""
    words = recall.layout.words
    table = out.let(f"getelementptr i64, ptr %note, i64 {recall.start}")
    state = [out.load(out.let(f"getelementptr i64, ptr %state, i64 {word}")) for word in range(words)]
    target, all_flags = "%out", "-1"
    for number, thread in enumerate(recall.layout.threads):
        position = out.bits(state[thread.place.word], thread.place.shift, thread.place.bits) if thread.place.bits else "0"
        entry = out.let(f"getelementptr i64, ptr {table}, i64 {_index(out, recall, tables, number, position, state)}")
        flags = out.load(entry)
        out.add(f"br i1 {out.compare('ne', flags, '0')}, label %fast{number}, label %slow{number}, !prof !0")
        out.label(f"slow{number}")
        made = out.let(f"call i64 @remember(ptr @thread{number}, ptr %state, ptr {target}, ptr %note, ptr %acc, ptr {entry}, ptr {table})")
        count = out.load(out.let(f"getelementptr i64, ptr %acc, i64 {RESTING}"))
        further = out.let(f"getelementptr [{words} x i64], ptr {target}, i64 {count}")
        all_made = out.binary("and", all_flags, made)
        out.jump(f"next{number}")
        out.label(f"fast{number}")
        for word, old in enumerate(state):
            change = out.binary("and", flags, literal((1 << STILL) - 1)) if words == 1 else out.load(out.let(f"getelementptr i64, ptr {entry}, i64 {word + 1}"))
            out.store(out.binary("xor", old, change), out.let(f"getelementptr i64, ptr {target}, i64 {word}"))
        all_flags = out.binary("and", all_flags, flags)
        one = out.binary("lshr", flags, str(HAS_MOVED))
        after = out.let(f"getelementptr [{words} x i64], ptr {target}, i64 {one}")
        out.jump(f"next{number}")
        out.label(f"next{number}")
        target = out.let(f"phi ptr [ {after}, %fast{number} ], [ {further}, %slow{number} ]")
        all_flags = out.let(f"phi i64 [ {all_flags}, %fast{number} ], [ {all_made}, %slow{number} ]")
    ends = out.cast("ptrtoint", target, "ptr", "i64")
    count = out.let(f"udiv exact i64 {out.binary('sub', ends, '%out_address')}, {8 * words}")
    rest, still, turning = (out.compare("ne", out.binary("and", all_flags, literal(1 << bit)), "0") for bit in (RESTS, STILL, TURNS))
    return count, rest, still, turning


def _index(out: Writer, recall: Recall, tables: Tables, number: int, position: str, state: Sequence[str]) -> str:
    """Where in the table the move of a thread is. A row of its constants is where it begins, and for each word of the state that it ever
    looks at the bits that matter; of all but the first also by how far they are moved."""
    rows = recall.rows[number]
    used = [word for word in range(recall.layout.words) if any(row.masks[word] for row in rows)]
    constants: list[int] = []
    for row in rows:
        constants.append(row.base)
        shift = 0
        for word in used:
            constants += [row.masks[word]] if word == used[0] else [row.masks[word], shift]
            shift += row.masks[word].bit_count()
    columns = len(constants) // len(rows)
    name, start = tables.name("i64", [int(literal(one)) for one in constants]), out.binary("mul", position, str(columns))

    def column(which: int) -> str:
        return out.element(name, out.binary("add", start, str(which)), "i64", len(constants))

    found = "0"
    for which, word in enumerate(used):
        bits = out.let(f"call i64 @llvm.x86.bmi.pext.64(i64 {state[word]}, i64 {column(max(2 * which, 1))})")
        found = out.binary("or", found, out.binary("shl", bits, column(2 * which + 1)) if which else bits)
    if recall.stride > 1:
        found = out.binary("mul", found, str(recall.stride))
    return out.binary("add", column(0), found)
