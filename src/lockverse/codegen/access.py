"""Code that reads and writes the fields of a packed state.

A field at a known place is a shift and a mask. Where an address is computed, the places of the few cells it can name
are looked up in a constant table. Leaves out the ops that ask for it: lower.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .encoding import Encoding, HeldBit, Linear, Listed, OrNull
from .layout import Field, Layout, Place, Standing
from .text import Tables, Writer, literal

FEW: Final = 2  # cells between which a compare decides; more are looked up


class Access:
    """Reading and writing one working copy of a state: `words` are the names of the variables that hold it."""

    def __init__(self, out: Writer, layout: Layout, tables: Tables, words: Sequence[str]) -> None:
        self.out, self.layout, self.tables, self.words = out, layout, tables, words
        self.touched = [0] * layout.words  # the bits of each word that code written since looks at or changes: recall.py

    # Fields

    def bits(self, place: Place) -> str:
        """The bits of a field."""
        if place.bits == 0:
            return "0"
        self._touch(place)
        return self.out.bits(self.out.load(self.words[place.word]), place.shift, place.bits)

    def _touch(self, place: Place) -> None:
        self.touched[place.word] |= place.mask

    def read(self, one: Field) -> str:
        """The value of a field."""
        return self.decode(self.bits(one.place), one.encoding)

    def stands(self, thread: int, pc: int) -> str:
        """An i1: the thread stands before the step at `pc`."""
        one = self.layout.threads[thread]
        return self.out.compare("eq", self.bits(one.place), str(one.positions.index(pc)))

    def kept(self, standing: Standing, number: int) -> str:
        """What a register holds that is kept where a thread stands."""
        if number in standing.constants:
            return literal(standing.constants[number])
        if number in standing.fields:
            return self.read(standing.fields[number])
        copy = next(one for one in standing.derived if one.register == number)
        return self.out.binary("add", self.out.binary("mul", self.kept(standing, copy.base), literal(copy.scale)), literal(copy.offset))

    def put(self, word: int, keep: str, code: str) -> None:
        """Word := the bits of it in `keep`, with `code` in place of the others."""
        old = self.out.load(self.words[word])
        self.out.store(self.out.binary("or", self.out.binary("and", old, keep), code), self.words[word])

    # Cells at a computed address: all have one encoding

    def chosen(self, address: str, cells: Sequence[int], values: Sequence[int], kind: str = "i8") -> str:
        """The value that belongs to the cell at `address`; `kind` is a type with room for them all."""
        if len(set(values)) == 1:
            return str(values[0])
        if len(cells) <= FEW:
            return self.out.select(self.out.compare("eq", address, str(cells[0])), str(values[0]), str(values[1]))
        table = [0] * (cells[-1] - cells[0] + 1)
        for cell, value in zip(cells, values, strict=True):
            table[cell - cells[0]] = value
        index = self.out.binary("sub", address, str(cells[0]))
        return self.out.element(self.tables.name(kind, table), index, kind, len(table))

    def _places(self, cells: Sequence[int]) -> list[Field]:
        found = [one for one in (self.layout.cells[cell] for cell in cells) if one is not None]
        for one in found:
            self._touch(one.place)
        return found

    def read_at(self, address: str, cells: Sequence[int]) -> str:
        """The value of the one of `cells` (in order) that is at `address`."""
        fields = self._places(cells)
        if not fields:  # none of them ever changes, and all hold the same
            return literal(self.layout.initial[cells[0]])
        if not fields[0].place.bits:
            return self.decode("0", fields[0].encoding)
        words = [one.place.word for one in fields]
        word = self.out.load(self.words[words[0]])
        if len(set(words)) > 1:
            number = self.chosen(address, cells, words)
            for other in sorted(set(words) - {words[0]}):
                word = self.out.select(self.out.compare("eq", number, str(other)), self.out.load(self.words[other]), word)
        moved = self.out.binary("lshr", word, self.chosen(address, cells, [one.place.shift for one in fields]))
        return self.decode(self.out.binary("and", moved, literal((1 << fields[0].place.bits) - 1)), fields[0].encoding)

    def write_at(self, address: str, cells: Sequence[int], value: str, unfit: str) -> None:
        """Put a value in the one of `cells` that is at `address`."""
        fields = self._places(cells)
        code = self.encode(value, fields[0], unfit)
        if not fields[0].place.bits:
            return
        shift = self.chosen(address, cells, [one.place.shift for one in fields])
        mask = self.out.binary("shl", literal((1 << fields[0].place.bits) - 1), shift)
        keep, moved = self.out.binary("xor", mask, "-1"), self.out.binary("shl", code, shift)
        words = sorted({one.place.word for one in fields})
        number = self.chosen(address, cells, [one.place.word for one in fields])
        for word in words:
            if len(words) == 1:
                self.put(word, keep, moved)
            else:
                mine = self.out.compare("eq", number, str(word))
                self.put(word, self.out.select(mine, keep, "-1"), self.out.select(mine, moved, "0"))

    # Encodings

    def decode(self, code: str, encoding: Encoding) -> str:
        """The value of a code."""
        match encoding:
            case Linear():
                scaled = code if encoding.stride == 1 else self.out.binary("mul", code, str(encoding.stride))
                return scaled if encoding.low == 0 else self.out.binary("add", scaled, literal(encoding.low))
            case OrNull():
                scaled = self.out.binary("mul", code, str(encoding.stride))
                value = self.out.binary("add", scaled, literal(encoding.low - encoding.stride))
                return self.out.select(self.out.compare("eq", code, "0"), "0", value)
            case HeldBit():
                return code
            case Listed():
                values = encoding.values
                return self.out.element(self.tables.name("i64", [int(literal(one)) for one in values]), code, "i64", len(values))

    def encode(self, value: str, one: Field, unfit: str) -> str:
        """The code of a value."""
        encoding = one.encoding
        match encoding:
            case Linear():
                code = self._code(value, encoding.low, encoding.stride)
                if encoding.guarded and encoding.count < 1 << 64:
                    self._guard(code, value, one, unfit)
                return code
            case OrNull():
                code = self.out.binary("add", self._code(value, encoding.low, encoding.stride), "1")
                return self.out.select(self.out.compare("eq", value, "0"), "0", code)
            case HeldBit():
                return self.out.cast("zext", self.out.compare("ne", value, "0"), "i1", "i64")
            case Listed():
                return self._number(value, encoding.values)

    def _code(self, value: str, low: int, stride: int) -> str:
        moved = self.out.binary("sub", value, literal(low)) if low else value
        return moved if stride == 1 else self.out.let(f"udiv exact i64 {moved}, {stride}")

    def _guard(self, code: str, value: str, one: Field, unfit: str) -> None:
        assert isinstance(one.encoding, Linear)
        fits = self.out.compare("ult", code, literal(one.encoding.count))
        self.out.add(f"store i64 {one.guard}, ptr %noted0")
        self.out.add(f"store i64 {value}, ptr %noted1")
        self.out.unless(fits, unfit)

    def _number(self, value: str, values: Sequence[int]) -> str:
        """The place of a value in a list: by a table if they are close together, else by comparing."""
        if values[-1] - values[0] < 1 << 12:
            table = [0] * (values[-1] - values[0] + 1)
            for code, one in enumerate(values):
                table[one - values[0]] = code
            index = self.out.binary("sub", value, literal(values[0]))
            return self.out.element(self.tables.name("i8", table), index, "i8", len(table))
        found = "0"
        for number, one in enumerate(values):
            found = self.out.select(self.out.compare("eq", value, literal(one)), str(number), found)
        return found
