"""A whole model as LLVM IR: what a native search calls.

- `i64 expand(i64 state, i64 out, i64 note)`: all moves from the packed state at that address; successors are written to
  `out`. Bits 0..23 of the result are the number of successors, bits 24..47 that of moves (successors, and moves that
  fail or are pruned), bits 48.. the flags of lower.py. With the flag LAYOUT, `note` says which guess has no room (its
  index in Layout.guards) for which value. Behind these words `note` has a byte for each of Model.notes, 1 once it was seen.
- `i64 forward(i64 state, i64 out, i64 note)`: the successors of some thread that goes forward, if one does; how many. Only if an execution may
  come back to a state, and whoever made the model asked.
- `i64 check(i64 state)`: bit 0 if an `always` or `at_rest` does not hold (or looking at a property breaks a rule); bit
  1 + i if the i-th `sometimes` does.
- `i64 single(i64 state, i64 out, i64 note, i64 thread, i64 choice, i64 acc)`: one move, for those who step by hand;
  `acc` takes the sums of lower.py. Only in models made with `stepping`.

Leaves out compiling the text: the room jit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from lockverse.ir import ops
from lockverse.ir.coverage import Item
from lockverse.ir.program import Linked
from lockverse.ir.reason import LOOKED_AT_REST, Reason
from lockverse.ir.traps import NO_TRAPS, Traps
from lockverse.passes.progress import turns

from .access import Access
from .layout import FINISHED, Guesses, Layout, make_layout
from .lower import (
    ACCUMULATORS,
    COMPLETED,
    COUNT_BITS,
    DEADLOCK,
    END,
    FLAGS,
    FLAGS_AT,
    FORWARD,
    MOVED,
    MOVES,
    NOTE_WORDS,
    RESTING,
    TURNING,
    WAITING,
    ConditionFunction,
    Context,
    ThreadFunction,
)
from .plan import NO_PLAN, Plan
from .recall import DECLARATIONS, Recall, moves, recall_for, remember_text
from .symmetry import Exchange, canonical_text, network
from .text import Tables, Writer, literal
from .traps import TrapWriter
from .values import Unsupported, Values

Symmetry = Callable[[Layout], Sequence[Sequence[int]]]  # the groups of threads that are interchangeable in a layout


def no_symmetry(_layout: Layout) -> Sequence[Sequence[int]]:
    """Every thread is one of its kind."""
    return ()


WITNESSES: Final = 62  # how many `sometimes` the bits of one word have room for
INLINE_OPS: Final = 6_000  # ops of all threads together up to which they become one function; beyond, compiling takes longer than it saves


class Model(Struct, frozen=True):
    """LLVM IR and the layout of its states. `successors` bounds those of one state; `ops` is the size of the code;
    `turning` says whether an execution may come back to a state, and states are flagged TURNING from which no move goes forward
    (passes/progress.py) and no execution ends; `notes` which byte what is seen is noted in."""

    text: str
    layout: Layout
    exchanges: tuple[Exchange, ...]
    successors: int
    ops: int
    turning: bool
    notes: Mapping[Item, int]
    table_words: int

    @property
    def note_words(self) -> int:
        """The words that `note` of `expand` has to have: its own, the notes, and the table of moves."""
        return NOTE_WORDS + words_of(self.notes) + self.table_words


def make_model(
    linked: Linked, values: Values, guesses: Guesses, rounds: int, plan: Plan = NO_PLAN, symmetry: Symmetry = no_symmetry, *,
    without: frozenset[int] = frozenset(), stepping: bool = False, traps: Traps = NO_TRAPS,
    notes: Mapping[Item, int] = MappingProxyType({}), remembering: bool = False, endless: bool = True,
) -> Model:  # fmt: skip
    """Write a model, its steps merged as `plan` says, its states in one order of the threads that `symmetry` finds. `without` is as in
    make_layout; `endless`: whoever searches asks for executions without end. Raises Unsupported for code this back end does not lower."""
    layout = make_layout(linked, values, guesses, without)
    turning = {id(code): turns(code) for code in linked.codes} if endless else {}
    turning = turning if any(turning.values()) else {}
    context = Context(layout, values, Tables(), rounds, plan, turning, TrapWriter(layout, values, traps), notes)
    size = sum(len(code.ops) for code in linked.codes)
    functions = [ThreadFunction(context, flow) for flow in values.flows]
    threads = [function.text() for function in functions]
    recall = recall_for(layout, functions, NOTE_WORDS + words_of(notes)) if remembering else None
    conditions = [ConditionFunction(context, flow).text(number) for number, flow in enumerate(values.conditions)]
    attribute = "alwaysinline" if size <= INLINE_OPS and not stepping and recall is None else "noinline"
    exchanges = network(layout, symmetry(layout))
    expand = _expand(layout, bool(exchanges), recall, context.tables, bool(turning))
    check = _check(layout, linked, context.tables)
    parts = [
        *context.tables.text(),
        *_DECLARATIONS,
        *(one.replace("i64 %only) {", f"i64 %only) {attribute} {{", 1) for one in threads),
        *conditions,
        *([canonical_text(layout, exchanges)] if exchanges else []),
        *([] if recall is None else [*DECLARATIONS, remember_text(recall)]),
        expand,
        check,
    ]
    if turning:
        parts.append(_forward(layout, bool(exchanges)))
    if stepping:
        parts.append(_single(layout))
    widest = sum(_most(code.ops) for code in linked.codes)
    table = 0 if recall is None else recall.words
    return Model("\n".join(parts) + "\n", layout, exchanges, widest, size, bool(turning), notes, table)


def words_of(notes: Mapping[Item, int]) -> int:
    """How many words have a byte for each note."""
    return -(-len(notes) // 8)


_DECLARATIONS: Final = [f"declare {{i64, i1}} @llvm.s{op}.with.overflow.i64(i64, i64)" for op in ("add", "sub", "mul")]


def _most(code: tuple[ops.Op, ...]) -> int:
    """The most moves one thread can make from one state."""
    return max([1, *(op.high - op.low + 1 for op in code if isinstance(op, ops.Choose))])


def _pointers(out: Writer, *names: str) -> None:
    for name in names:
        out.add(f"%{name} = inttoptr i64 %{name}_address to ptr")


def _sums(out: Writer) -> list[str]:
    """Where the functions of threads add up."""
    out.add(f"%acc = alloca [{ACCUMULATORS} x i64]")
    places = [out.let(f"getelementptr i64, ptr %acc, i64 {i}") for i in range(ACCUMULATORS)]
    for place in places:
        out.store("0", place)
    return places


def _expand(layout: Layout, symmetric: bool, recall: Recall | None, tables: Tables, turning: bool) -> str:
    out = Writer()
    out.label("entry")
    _pointers(out, "state", "out", "note")
    places = _sums(out)
    if recall is None:
        for number in range(len(layout.threads)):
            out.add(f"call void @thread{number}(ptr %state, ptr %out, ptr %note, ptr %acc, i64 -1)")
        count = str(len(layout.threads))
        moved, made, waiting, resting = (out.load(places[which]) for which in (MOVED, MOVES, WAITING, RESTING))
        finished, blocked = out.binary("and", waiting, "65535"), out.binary("and", out.binary("lshr", waiting, "16"), "65535")
        rest = out.compare("eq", resting, count)
        still = out.compare("eq", out.binary("add", finished, blocked), count)
        back = out.compare("eq", out.load(places[FORWARD]), "0")
    else:
        moved, rest, still, back = moves(out, recall, tables)
        made = out.binary("add", moved, out.binary("sub", out.load(places[MOVES]), out.load(places[MOVED])))
    if symmetric:
        _order(out, layout, moved)
    pruned = out.compare("ne", out.binary("lshr", out.load(places[WAITING]), "32"), "0")
    stuck = out.binary("and", still, out.binary("xor", rest, "true", "i1"), "i1")
    end = out.binary("or", rest, pruned, "i1")
    flags = out.load(places[FLAGS])
    for condition, flag in ((stuck, DEADLOCK), (end, END), (rest, COMPLETED), (out.binary("and", back, out.binary("xor", end, "true", "i1"), "i1"), TURNING)):
        if flag == TURNING and not turning:
            continue
        flags = out.binary("or", flags, out.select(condition, str(flag), "0"))
    high = out.binary("or", out.put_at(flags, FLAGS_AT), out.put_at(made, COUNT_BITS))
    out.add(f"ret i64 {out.binary('or', high, moved)}")
    return "\n".join(["define i64 @expand(i64 %state_address, i64 %out_address, i64 %note_address) {", *out.lines, "}"])


def _forward(layout: Layout, symmetric: bool) -> str:
    out = Writer()
    out.label("entry")
    _pointers(out, "state", "out", "note")
    places = _sums(out)
    for number in range(len(layout.threads)):
        out.store("0", places[MOVED])
        out.add(f"call void @thread{number}(ptr %state, ptr %out, ptr %note, ptr %acc, i64 -1) noinline")
        out.unless(out.compare("eq", out.load(places[FORWARD]), "0"), "found")
    out.add("ret i64 0")
    out.label("found")
    moved = out.load(places[MOVED])
    if symmetric:
        _order(out, layout, moved)
    out.add(f"ret i64 {moved}")
    return "\n".join(["define i64 @forward(i64 %state_address, i64 %out_address, i64 %note_address) {", *out.lines, "}"])


def _order(out: Writer, layout: Layout, moved: str) -> None:
    """Bring every successor's threads to their order."""
    out.add("%number = alloca i64")
    out.store("0", "%number")
    out.jump("order")
    out.label("order")
    number = out.load("%number")
    out.branch(out.compare("ult", number, moved), "another", "ordered")
    out.label("another")
    place = out.let(f"getelementptr i64, ptr %out, i64 {out.binary('mul', number, str(layout.words))}")
    out.add(f"call void @canonical(ptr {place})")
    out.store(out.binary("add", number, "1"), "%number")
    out.jump("order")
    out.label("ordered")


def _check(layout: Layout, linked: Linked, tables: Tables) -> str:
    out = Writer()
    out.label("entry")
    _pointers(out, "state")
    kinds = [Reason(one.kind) for one in linked.program.properties]
    if kinds.count(Reason.SOMETIMES) > WITNESSES:
        raise Unsupported(f"more than {WITNESSES} sometimes()")
    out.add("%found = alloca i64")
    out.store("0", "%found")
    for number, kind in enumerate(kinds):
        if kind not in LOOKED_AT_REST:
            _look(out, number, kinds[:number].count(Reason.SOMETIMES) + 1 if kind is Reason.SOMETIMES else 0)
    if LOOKED_AT_REST.intersection(kinds):
        out.branch(_at_rest(out, layout, tables), "rest", "end")
        out.label("rest")
        for number, kind in enumerate(kinds):
            if kind in LOOKED_AT_REST:
                _look(out, number, 0)
        out.jump("end")
    else:
        out.jump("end")
    out.label("end")
    out.add(f"ret i64 {out.load('%found')}")
    return "\n".join(["define i64 @check(i64 %state_address) {", *out.lines, "}"])


def _look(out: Writer, number: int, witness: int) -> None:
    """Evaluate a property; `witness` is the bit it sets when it holds, 0 for one that must."""
    result = out.let(f"call i64 @condition{number}(ptr %state)")
    wrong = out.cast("zext", out.compare("eq" if witness else "ne", result, "2" if witness else "1"), "i1", "i64")
    bits = out.binary("or", out.load("%found"), wrong)
    if witness:
        bits = out.binary("or", bits, out.select(out.compare("eq", result, "1"), literal(1 << witness), "0"))
    out.store(bits, "%found")


def _at_rest(out: Writer, layout: Layout, tables: Tables) -> str:
    """An i1: every thread has finished or is at rest."""
    found = "true"
    for number, thread in enumerate(layout.threads):
        code = layout.linked.codes[number].ops
        place = thread.place
        word = out.load(out.let(f"getelementptr i64, ptr %state, i64 {place.word}"))
        position = out.bits(word, place.shift, place.bits)
        mine = "false"
        for index, pc in enumerate(thread.positions):
            step = None if pc == FINISHED else code[pc]
            if step is None or (isinstance(step, ops.Step) and step.rest):
                mine = out.binary("or", mine, out.compare("eq", position, str(index)), "i1")
        pending = layout.linked.program.threads[number].pending
        if pending and mine != "false":
            access = Access(out, layout, tables, [out.let(f"getelementptr i64, ptr %state, i64 {i}") for i in range(layout.words)])
            mine = out.binary("and", mine, out.compare("eq", access.read_at("0", [pending]), "0"), "i1")
        found = out.binary("and", found, mine, "i1")
    return found


def _single(layout: Layout) -> str:
    out = Writer()
    out.label("entry")
    _pointers(out, "state", "out", "note", "acc")
    numbers = range(len(layout.threads))
    out.add(f"switch i64 %thread, label %end [ {' '.join(f'i64 {n}, label %t{n}' for n in numbers)} ]")
    for number in numbers:
        out.label(f"t{number}")
        out.add(f"call void @thread{number}(ptr %state, ptr %out, ptr %note, ptr %acc, i64 %choice)")
        out.jump("end")
    out.label("end")
    out.add("ret i64 0")
    names = "i64 %state_address, i64 %out_address, i64 %note_address, i64 %thread, i64 %choice, i64 %acc_address"
    return "\n".join([f"define i64 @single({names}) {{", *out.lines, "}"])
