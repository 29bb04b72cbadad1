"""Exchanging the threads of a packed state: what changes place when two threads that run the same code swap roles.

The parts of a state that belong to a thread (its area, and the cells of its task_struct) change places, and every lock
that one of them holds is held by the other. A state is brought to a fixed order of its threads by exchanging neighbours
whose areas are out of order: a sorting network, since all states go through the same comparisons (Knuth, volume 3,
section 5.3.4). It is written twice from the same data, as LLVM IR and in Python.

Leaves out which threads are interchangeable: reduction/symmetry.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .encoding import HeldBit
from .layout import Layout, Place, bits_of
from .text import Writer


class Owner(Struct, frozen=True):
    """A field that says which thread holds a lock, and the codes of two threads in it."""

    place: Place
    a: int
    b: int


class Exchange(Struct, frozen=True):
    """What is exchanged between two threads: pairs of equally wide fields, the first `keys` of which are compared, and
    owners."""

    pairs: tuple[tuple[Place, Place], ...]
    keys: int
    owners: tuple[Owner, ...]


def exchange(layout: Layout, a: int, b: int) -> Exchange | None:
    """What to exchange between threads a and b; None if the layout gives them different parts."""
    first, second = layout.threads[a], layout.threads[b]
    if first.positions != second.positions or not _alike(layout, a, b):
        return None
    pairs = list(zip(first.area, second.area, strict=True))
    keys = len(pairs)
    program = layout.linked.program
    size = program.structs["task_struct"].size
    for offset in range(size):
        x, y = layout.cells[program.threads[a].task + offset], layout.cells[program.threads[b].task + offset]
        if (x is None) != (y is None) or (x is not None and y is not None and x.encoding != y.encoding):
            return None
        if x is not None and y is not None:
            pairs.append((x.place, y.place))
    owners = []
    for lock in program.locks:
        cell = layout.cells[lock]
        if cell is not None and not isinstance(cell.encoding, HeldBit):
            codes = [cell.encoding.encode(program.threads[thread].task) for thread in (a, b)]
            if (codes[0] is None) != (codes[1] is None):
                return None
            if codes[0] is not None and codes[1] is not None:
                owners.append(Owner(cell.place, codes[0], codes[1]))
    return Exchange(tuple(pairs), keys, tuple(owners))


def _alike(layout: Layout, a: int, b: int) -> bool:
    """Whether two threads keep the same registers in the same bits of their areas."""
    first, second = layout.threads[a], layout.threads[b]
    if [place.bits for place in first.area] != [place.bits for place in second.area]:
        return False
    for pc, mine in first.standing.items():
        other = second.standing[pc]
        if mine.fields.keys() != other.fields.keys() or mine.constants.keys() != other.constants.keys():
            return False
        if mine.derived != other.derived:
            return False
        for number, one in mine.fields.items():
            twin = other.fields[number]
            if one.encoding != twin.encoding or _within(first.area, one.place) != _within(second.area, twin.place):
                return False
    return True


def _within(area: Sequence[Place], place: Place) -> tuple[int, int]:
    """Which place of an area a field lies in, and where in it."""
    for number, whole in enumerate(area):
        if whole.word == place.word and whole.shift <= place.shift and place.shift + place.bits <= whole.shift + whole.bits:
            return number, place.shift - whole.shift
    raise AssertionError("a field outside its thread's area")


def network(layout: Layout, groups: Sequence[Sequence[int]]) -> tuple[Exchange, ...]:
    """The exchanges, in order, that sort each group. Every pair of neighbours in a group has an Exchange."""
    found: list[Exchange] = []
    for group in groups:
        for end in range(len(group) - 1, 0, -1):
            for i in range(end):
                one = exchange(layout, group[i], group[i + 1])
                assert one is not None
                found.append(one)
    return tuple(found)


def canonical(words: Sequence[int], exchanges: Sequence[Exchange]) -> tuple[int, ...]:
    """The state with its threads in order."""
    state = list(words)
    for one in exchanges:
        keys = [(bits_of(state, x), bits_of(state, y)) for x, y in one.pairs[: one.keys]]
        if [x for x, _ in keys] > [y for _, y in keys]:
            for x, y in one.pairs:
                _swap(state, x, y)
            for owner in one.owners:
                code = bits_of(state, owner.place)
                _set(state, owner.place, owner.b if code == owner.a else owner.a if code == owner.b else code)
    return tuple(state)


def _set(state: list[int], place: Place, code: int) -> None:
    state[place.word] = state[place.word] & ~place.mask | code << place.shift


def _swap(state: list[int], x: Place, y: Place) -> None:
    a, b = bits_of(state, x), bits_of(state, y)
    _set(state, x, b)
    _set(state, y, a)


# The same as LLVM IR


def canonical_text(layout: Layout, exchanges: Sequence[Exchange]) -> str:
    """`void @canonical(ptr %state)`: brings the state there to its order."""
    out = Writer()
    out.label("entry")
    pointers = [out.let(f"getelementptr i64, ptr %state, i64 {i}") for i in range(layout.words)]
    words = [out.load(pointer) for pointer in pointers]
    for one in exchanges:
        _exchange_text(out, words, one)
    for word, pointer in zip(words, pointers, strict=True):
        out.store(word, pointer)
    out.add("ret void")
    return "\n".join(["define internal void @canonical(ptr %state) alwaysinline {", *out.lines, "}"])


def _exchange_text(out: Writer, words: list[str], one: Exchange) -> None:
    values = [(_of(out, words, x), _of(out, words, y)) for x, y in one.pairs]
    wrong = "false"
    for x, y in reversed(values[: one.keys]):
        equal = out.binary("and", out.compare("eq", x, y), wrong, "i1")
        wrong = out.binary("or", out.compare("ugt", x, y), equal, "i1")
    for places, (x, y) in zip(one.pairs, values, strict=True):
        changed = out.select(wrong, out.binary("xor", x, y), "0")
        for place in places:
            words[place.word] = out.binary("xor", words[place.word], out.put_at(changed, place.shift))
    for owner in one.owners:
        code = _of(out, words, owner.place)
        other = out.select(out.compare("eq", code, str(owner.b)), str(owner.a), code)
        other = out.select(out.compare("eq", code, str(owner.a)), str(owner.b), other)
        changed = out.select(wrong, out.binary("xor", other, code), "0")
        words[owner.place.word] = out.binary("xor", words[owner.place.word], out.put_at(changed, owner.place.shift))


def _of(out: Writer, words: Sequence[str], place: Place) -> str:
    return out.bits(words[place.word], place.shift, place.bits)
