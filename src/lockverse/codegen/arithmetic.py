"""Code for arithmetic and comparison, exact as ops.Binary says, whatever the widths.

Registers hold 64 bits; one of type u64 is read as unsigned, any other as signed. Where u64 takes part, and the result
might need more than 64 bits, it is computed in 128 (products in 256) and LLVM narrows what it can. Leaves out division
that mixes u64 with negative numbers: such code is Unsupported, and the interpreter runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockverse.ir import ops
from lockverse.ir.types import U64, Int

from .text import Writer, literal
from .values import Unsupported

_PREDICATES: Final = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_PLAIN: Final = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_OVERFLOWING: Final = ("add", "sub", "mul")
Check = Callable[[str], None]  # go on only if that i1 is true; else the step is a fault


class Arithmetic:
    """Arithmetic written to `out`; `require` makes a fault of a condition that is false."""

    def __init__(self, out: Writer, require: Check) -> None:
        self.out, self.require = out, require

    def binary(self, op: ops.Binary, a: str, b: str, unsigned: tuple[bool, bool]) -> str:
        """The result of an arithmetic op; `unsigned` says which operands are u64."""
        if not isinstance(op.type, Int):
            return self.out.binary(_PLAIN[op.op], a, b)  # bits of bools
        if op.op in ("floordiv", "mod"):
            return self._divide(op, a, b, unsigned)
        if op.op in ("shl", "shr"):
            self.require(self.out.compare("ult", b, "64"))
        if any(unsigned) or op.type == U64 or op.op == "shl":
            return self._wide(op, a, b, unsigned)
        if op.op == "shr":
            return self.fit(self.out.binary("ashr", a, b), op.type)
        if op.op not in _OVERFLOWING:
            return self.fit(self.out.binary(_PLAIN[op.op], a, b), op.type)
        if op.type.wraps:
            return self.fit(self.out.binary(_PLAIN[op.op], a, b), op.type)
        pair = self.out.let(f"call {{i64, i1}} @llvm.s{op.op}.with.overflow.i64(i64 {a}, i64 {b})")
        over = self.out.let(f"extractvalue {{i64, i1}} {pair}, 1")
        self.require(self.out.binary("xor", over, "true", "i1"))
        return self.fit(self.out.let(f"extractvalue {{i64, i1}} {pair}, 0"), op.type)

    def _wide(self, op: ops.Binary, a: str, b: str, unsigned: tuple[bool, bool]) -> str:
        assert isinstance(op.type, Int)
        kind = "i256" if op.op == "mul" else "i128"
        x, y = (self._extend(one, big, kind) for one, big in zip((a, b), unsigned, strict=True))
        result = self.out.binary({**_PLAIN, "shl": "shl", "shr": "ashr"}[op.op], x, y, kind)
        if not op.type.wraps:
            self.require(self.out.compare("sge", result, str(op.type.low), kind))
            self.require(self.out.compare("sle", result, str(op.type.high), kind))
        return self._reduce(self.out.cast("trunc", result, kind, "i64"), op.type)

    def _extend(self, value: str, unsigned: bool, kind: str) -> str:
        return self.out.cast("zext" if unsigned else "sext", value, "i64", kind)

    def _divide(self, op: ops.Binary, a: str, b: str, unsigned: tuple[bool, bool]) -> str:
        assert isinstance(op.type, Int)
        self.require(self.out.compare("ne", b, "0"))
        if any(unsigned):
            if not all(unsigned):
                raise Unsupported("division of u64 by a signed number, or the other way round")
            return self._in_range(self.out.binary("udiv" if op.op == "floordiv" else "urem", a, b), op.type, True)
        # C truncates, Python floors: they differ where there is a rest and the signs do.
        x, y = (self._extend(one, False, "i128") for one in (a, b))  # -2**63 // -1 needs the room
        least = self.out.compare("eq", b, "-1")
        safe = self.out.select(least, "1", b)
        quotient, rest = self.out.binary("sdiv", a, safe), self.out.binary("srem", a, safe)
        signs = self.out.compare("slt", self.out.binary("xor", rest, safe), "0")
        odd = self.out.binary("and", self.out.compare("ne", rest, "0"), signs, "i1")
        if op.op == "mod":
            return self.fit(self.out.select(least, "0", self.out.select(odd, self.out.binary("add", rest, safe), rest)), op.type)
        floored = self.out.binary("sub", quotient, self.out.cast("zext", odd, "i1", "i64"))
        negated = self.out.binary("sub", "0", x, "i128")
        exact = self.out.let(f"select i1 {least}, i128 {negated}, i128 {self._extend(floored, False, 'i128')}")
        del y
        if not op.type.wraps:
            self.require(self.out.compare("sge", exact, str(op.type.low), "i128"))
            self.require(self.out.compare("sle", exact, str(op.type.high), "i128"))
        return self._reduce(self.out.cast("trunc", exact, "i128", "i64"), op.type)

    def compare(self, op: ops.Binary, a: str, b: str, unsigned: tuple[bool, bool]) -> str:
        """The result of a comparison, as 0 or 1."""
        predicate = _PREDICATES[op.op]
        if any(unsigned):
            x, y = (self._extend(one, big, "i128") for one, big in zip((a, b), unsigned, strict=True))
            found = self.out.compare(predicate, x, y, "i128")
        else:
            found = self.out.compare(predicate, a, b)
        return self.out.cast("zext", found, "i1", "i64")

    def fit(self, value: str, kind: Int) -> str:
        """A signed 64-bit value as an integer of that type: reduced, or a fault if out of range."""
        return self._in_range(value, kind, False)

    def narrow(self, value: str, kind: Int, unsigned: bool) -> str:
        """As `fit`, of a value that may be u64."""
        return self._in_range(value, kind, unsigned)

    def _in_range(self, value: str, kind: Int, unsigned: bool) -> str:
        if kind.wraps:
            return self._reduce(value, kind)
        if kind.bits == 64:
            if kind.signed == unsigned:  # the other half of the numbers is what the type does not have
                self.require(self.out.compare("sge", value, "0"))
            return value
        moved = self.out.binary("sub", value, literal(kind.low)) if kind.signed else value
        if unsigned and kind.signed:
            self.require(self.out.compare("ule", value, literal(kind.high)))
        else:
            self.require(self.out.compare("ule", moved, literal(kind.high - kind.low)))
        return value

    def _reduce(self, value: str, kind: Int) -> str:
        if kind.bits == 64:
            return value
        if not kind.signed:
            return self.out.binary("and", value, literal(kind.high))
        up = self.out.binary("shl", value, str(64 - kind.bits))
        return self.out.binary("ashr", up, str(64 - kind.bits))
