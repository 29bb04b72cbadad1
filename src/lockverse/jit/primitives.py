"""LLVM IR text for each primitive of the dialect.

A primitive's emitter gets the block being written and its arguments, values as they are spelled in IR, and gives the value
of the result. The text is plain: no attributes beyond those needed, opaque pointers, so that it holds over LLVM versions.
Leaves out `unrolled`, which is no value: `lower` treats it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from . import dialect

DECLARATIONS = """\
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare i64 @llvm.cttz.i64(i64, i1)
"""
CALL_ARGUMENTS = 3  # words that `call` passes at most


class Block(Struct):
    """Lines of a function so far; `op` adds one with a result."""

    lines: list[str] = field(default_factory=list)
    temporaries: int = 0

    def op(self, text: str) -> str:
        """An instruction with a result: its name."""
        self.temporaries += 1
        self.lines.append(f"  %t{self.temporaries} = {text}")
        return f"%t{self.temporaries}"

    def do(self, text: str) -> str:
        """An instruction without a result, which gives 0 in the dialect."""
        self.lines.append(f"  {text}")
        return "0"

    def pointer(self, address: str, index: str, element: str) -> str:
        """The pointer to the element with that index."""
        pointer = self.op(f"inttoptr i64 {address} to ptr")
        return pointer if index == "0" else self.op(f"getelementptr {element}, ptr {pointer}, i64 {index}")

    def binary(self, operation: str, a: str, b: str) -> str:
        """An operation of two words."""
        return self.op(f"{operation} i64 {a}, {b}")

    def number(self, bit: str) -> str:
        """An i1 as a word."""
        return self.op(f"zext i1 {bit} to i64")


Emitter = Callable[..., str]


def _load(order: str = "") -> Emitter:
    kind = "load atomic" if order else "load"

    def emit(block: Block, address: str, index: str) -> str:
        return block.op(f"{kind} i64, ptr {block.pointer(address, index, 'i64')}{order}, align 8")

    return emit


def _store(order: str = "") -> Emitter:
    kind = "store atomic" if order else "store"

    def emit(block: Block, address: str, index: str, value: str) -> str:
        return block.do(f"{kind} i64 {value}, ptr {block.pointer(address, index, 'i64')}{order}, align 8")

    return emit


def _load8(block: Block, address: str, index: str) -> str:
    byte = block.op(f"load i8, ptr {block.pointer(address, index, 'i8')}, align 1")
    return block.op(f"zext i8 {byte} to i64")


def _store8(block: Block, address: str, index: str, value: str) -> str:
    byte = block.op(f"trunc i64 {value} to i8")
    return block.do(f"store i8 {byte}, ptr {block.pointer(address, index, 'i8')}, align 1")


def _compare_exchange(block: Block, address: str, index: str, old: str, new: str) -> str:
    pointer = block.pointer(address, index, "i64")
    pair = block.op(f"cmpxchg ptr {pointer}, i64 {old}, i64 {new} acq_rel acquire, align 8")
    return block.op(f"extractvalue {{ i64, i1 }} {pair}, 0")


def _fetch_add(block: Block, address: str, index: str, value: str) -> str:
    return block.op(f"atomicrmw add ptr {block.pointer(address, index, 'i64')}, i64 {value} acq_rel, align 8")


def _prefetch(block: Block, address: str) -> str:
    return block.do(f"call void @llvm.prefetch.p0(ptr {block.pointer(address, '0', 'i8')}, i32 1, i32 3, i32 1)")


def _operation(name: str) -> Emitter:
    return lambda block, a, b: str(block.binary(name, a, b))


def _mul_high(block: Block, a: str, b: str) -> str:
    wide = [block.op(f"zext i64 {value} to i128") for value in (a, b)]
    product = block.op(f"mul i128 {wide[0]}, {wide[1]}")
    return block.op(f"trunc i128 {block.op(f'lshr i128 {product}, 64')} to i64")


def _below(block: Block, a: str, b: str) -> str:
    return block.number(block.op(f"icmp ult i64 {a}, {b}"))


def _trailing_zeros(block: Block, a: str) -> str:
    return block.op(f"call i64 @llvm.cttz.i64(i64 {a}, i1 true)")


WORDS = f"<{dialect.LANES} x i64>"


def _every(block: Block, value: str) -> str:
    one = block.op(f"insertelement {WORDS} poison, i64 {value}, i64 0")
    return block.op(f"shufflevector {WORDS} {one}, {WORDS} poison, <{dialect.LANES} x i32> zeroinitializer")


def _equal(block: Block, one: str, other: str) -> str:
    """A bit for each lane."""
    bits = block.op(f"icmp eq {WORDS} {one}, {other}")
    return block.op(f"zext i{dialect.LANES} {block.op(f'bitcast <{dialect.LANES} x i1> {bits} to i{dialect.LANES}')} to i64")


def _find8(block: Block, line: str, value: str, mask: str | None = None) -> str:
    """One vector comparison for each of the two questions. The load is not atomic: each lane is, on the machines we run
    on, and no caller needs more."""
    loaded = block.op(f"load {WORDS}, ptr {block.pointer(line, '0', 'i8')}, align 64")
    every = _every(block, value)
    if mask is None:
        alike = _equal(block, loaded, every)
    else:
        alike = _equal(block, block.op(f"and {WORDS} {block.op(f'xor {WORDS} {loaded}, {every}')}, {_every(block, mask)}"), "zeroinitializer")
    return block.binary("or", alike, block.binary("shl", _equal(block, loaded, "zeroinitializer"), str(dialect.LANES)))


def _call(block: Block, function: str, *arguments: str) -> str:
    pointer = block.op(f"inttoptr i64 {function} to ptr")
    return block.op(f"call i64 {pointer}({', '.join(f'i64 {argument}' for argument in arguments)})")


EMITTERS: dict[object, Emitter] = {
    dialect.load: _load(),
    dialect.store: _store(),
    dialect.load8: _load8,
    dialect.store8: _store8,
    dialect.load_relaxed: _load(" monotonic"),
    dialect.load_acquire: _load(" acquire"),
    dialect.store_relaxed: _store(" monotonic"),
    dialect.store_release: _store(" release"),
    dialect.compare_exchange: _compare_exchange,
    dialect.fetch_add: _fetch_add,
    dialect.prefetch: _prefetch,
    dialect.add: _operation("add"),
    dialect.sub: _operation("sub"),
    dialect.mul: _operation("mul"),
    dialect.mul_high: _mul_high,
    dialect.shift_left: _operation("shl"),
    dialect.shift_right: _operation("lshr"),
    dialect.below: _below,
    dialect.trailing_zeros: _trailing_zeros,
    dialect.find8: _find8,
    dialect.match8: _find8,
    dialect.call: _call,
}
# The number of arguments; `call` has one to four.
ARITY: dict[object, int] = {
    primitive: primitive.__code__.co_argcount for primitive in EMITTERS if hasattr(primitive, "__code__")
}
# Those without memory: with constant arguments their Python is run when compiling.
PURE: frozenset[object] = frozenset(
    (dialect.add, dialect.sub, dialect.mul, dialect.mul_high, dialect.shift_left, dialect.shift_right, dialect.below)
)
