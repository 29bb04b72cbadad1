"""Writing LLVM IR as text: fresh names, blocks, and the few instructions a model needs.

Values are i64; an operand is a name or a literal. Nothing is folded here: LLVM does that better. Leaves out what the
instructions are for.
"""

from __future__ import annotations

from collections.abc import Sequence

_SIGN = 1 << 63


def literal(value: int) -> str:
    """A number as an i64 operand: LLVM reads 64 bits in two's complement."""
    value &= 2 * _SIGN - 1
    return str(value - 2 * _SIGN if value >= _SIGN else value)


class Writer:
    """The body of one function, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names = 0

    def fresh(self) -> str:
        """A name nothing has yet."""
        self._names += 1
        return f"%v{self._names}"

    def label(self, name: str) -> None:
        """A block begins."""
        self.lines.append(f"{name}:")

    def add(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def let(self, text: str) -> str:
        """An instruction with a result; gives its name."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def binary(self, op: str, a: str, b: str, kind: str = "i64") -> str:
        """`op` of two operands."""
        return self.let(f"{op} {kind} {a}, {b}")

    def compare(self, predicate: str, a: str, b: str, kind: str = "i64") -> str:
        """An i1."""
        return self.let(f"icmp {predicate} {kind} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        """`a` if the i1 is true, else `b`."""
        return self.let(f"select i1 {condition}, i64 {a}, i64 {b}")

    def cast(self, op: str, a: str, old: str, new: str) -> str:
        """`zext`, `sext` or `trunc` from one type to another."""
        return self.let(f"{op} {old} {a} to {new}")

    def bits(self, word: str, shift: int, bits: int) -> str:
        """`bits` bits of a word, from `shift` on."""
        moved = self.binary("lshr", word, str(shift)) if shift else word
        return moved if shift + bits == 64 else self.binary("and", moved, literal((1 << bits) - 1))

    def put_at(self, bits: str, shift: int) -> str:
        """Bits where they belong in a word."""
        return self.binary("shl", bits, str(shift)) if shift else bits

    def load(self, pointer: str) -> str:
        """The i64 at a pointer."""
        return self.let(f"load i64, ptr {pointer}")

    def store(self, value: str, pointer: str) -> None:
        """An i64 to a pointer."""
        self.add(f"store i64 {value}, ptr {pointer}")

    def jump(self, target: str) -> None:
        """Go to a block."""
        self.add(f"br label %{target}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        """Go to one of two blocks."""
        self.add(f"br i1 {condition}, label %{yes}, label %{no}")

    def unless(self, condition: str, otherwise: str) -> None:
        """Go to `otherwise` unless the i1 is true; else on, in a new block."""
        following = self.fresh()[1:]
        self.branch(condition, following, otherwise)
        self.label(following)

    def element(self, table: str, index: str, kind: str, count: int) -> str:
        """The entry of a constant table, as an i64."""
        pointer = self.let(f"getelementptr [{count} x {kind}], ptr {table}, i64 0, i64 {index}")
        if kind == "i64":
            return self.load(pointer)
        return self.cast("zext", self.let(f"load {kind}, ptr {pointer}"), kind, "i64")


class Tables:
    """The constant tables of a module, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[int, ...]], str] = {}

    def name(self, kind: str, values: Sequence[int]) -> str:
        """The name of the table of these values."""
        return self._known.setdefault((kind, tuple(values)), f"@table{len(self._known)}")

    def text(self) -> list[str]:
        """Their definitions."""
        return [
            f"{name} = private unnamed_addr constant [{len(values)} x {kind}] [{', '.join(f'{kind} {one}' for one in values)}]"
            for (kind, values), name in self._known.items()
        ]
