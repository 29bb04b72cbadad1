"""The primitives of a small Python dialect that `lower` turns into machine code.

Every value is a 64-bit two's complement integer, memory is reached by address. The functions here run under plain Python
as they stand, so the text of a program in the dialect can be tested against its own machine code. `+ - *` are for places
where nothing overflows (Python would go on with a longer number); where wrap-around is meant there are `add`, `sub`, `mul`.
Left out: other widths than bytes and words, floating point, and atomicity under Python, which runs one thread here.
"""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable, Iterable, Mapping

SIGN = 1 << 63
MASK = (1 << 64) - 1
LANES = 8  # words of a cache line, compared at once


def wrap(value: int) -> int:
    """The 64-bit two's complement number with the low bits of `value`. Not a primitive."""
    return ((value + SIGN) & MASK) - SIGN


def load(address: int, index: int) -> int:
    """The word at `address + 8 * index`."""
    return ctypes.c_int64.from_address(address + 8 * index).value


def store(address: int, index: int, value: int) -> int:
    """Write the word at `address + 8 * index`."""
    ctypes.c_int64.from_address(address + 8 * index).value = value
    return 0


def load8(address: int, index: int) -> int:
    """The byte at `address + index`, without sign."""
    return ctypes.c_uint8.from_address(address + index).value


def store8(address: int, index: int, value: int) -> int:
    """Write the low byte of `value`."""
    ctypes.c_uint8.from_address(address + index).value = value & 255
    return 0


def load_relaxed(address: int, index: int) -> int:
    """An atomic load without order."""
    return load(address, index)


def load_acquire(address: int, index: int) -> int:
    """An atomic load before all that follows."""
    return load(address, index)


def store_relaxed(address: int, index: int, value: int) -> int:
    """An atomic store without order."""
    return store(address, index, value)


def store_release(address: int, index: int, value: int) -> int:
    """An atomic store after all that precedes."""
    return store(address, index, value)


def compare_exchange(address: int, index: int, old: int, new: int) -> int:
    """Atomically write `new` if the word is `old`; the word that was there, so success is `== old`."""
    found = load(address, index)
    if found == old:
        store(address, index, new)
    return found


def fetch_add(address: int, index: int, value: int) -> int:
    """Atomically add; the word that was there."""
    found = load(address, index)
    store(address, index, add(found, value))
    return found


def prefetch(address: int) -> int:
    """Have the cache line of `address` brought near."""
    return 0 * address


def add(a: int, b: int) -> int:
    """a + b, wrapping around."""
    return wrap(a + b)


def sub(a: int, b: int) -> int:
    """a - b, wrapping around."""
    return wrap(a - b)


def mul(a: int, b: int) -> int:
    """a * b, wrapping around."""
    return wrap(a * b)


def mul_high(a: int, b: int) -> int:
    """The high word of the product of two numbers without sign."""
    return wrap((a & MASK) * (b & MASK) >> 64)


def shift_left(a: int, n: int) -> int:
    """`n` is 0 to 63."""
    return wrap(a << n)


def shift_right(a: int, n: int) -> int:
    """The logical shift: zeros come in from the left. `n` is 0 to 63."""
    return wrap((a & MASK) >> n)


def below(a: int, b: int) -> int:
    """Is a < b as numbers without sign?"""
    return int((a & MASK) < (b & MASK))


def trailing_zeros(a: int) -> int:
    """How many zero bits are below the lowest one; `a` is not 0."""
    return (a & -a).bit_length() - 1


def find8(line: int, value: int) -> int:
    """Which of the eight words at `line` (a multiple of 64) equal `value`: bits 0 to 7; which are 0: bits 8 to 15. Each word
    is read at once; the eight of them not."""
    found = 0
    for lane in range(LANES):
        word = load(line, lane)
        found |= (word == value) << lane | (word == 0) << (LANES + lane)
    return found


def match8(line: int, value: int, mask: int) -> int:
    """As `find8`, but only the bits in `mask` have to be equal."""
    found = 0
    for lane in range(LANES):
        word = load(line, lane)
        found |= ((word ^ value) & mask == 0) << lane | (word == 0) << (LANES + lane)
    return found


def call(function: int, *arguments: int) -> int:
    """Call the C function at an address, of at most three words."""
    return int(_prototype(len(arguments))(function)(*arguments))


def unrolled(count: int) -> range:
    """`for i in unrolled(n)`: n is known when compiling, and so is i in each copy of the body."""
    return range(count)


_prototypes: dict[int, Callable[[int], Callable[..., int]]] = {}


def _prototype(arguments: int) -> Callable[[int], Callable[..., int]]:
    if arguments not in _prototypes:
        _prototypes[arguments] = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)
    return _prototypes[arguments]


PRIMITIVES: tuple[Callable[..., object], ...] = (
    load, store, load8, store8, load_relaxed, load_acquire, store_relaxed, store_release, compare_exchange, fetch_add,
    prefetch, add, sub, mul, mul_high, shift_left, shift_right, below, trailing_zeros, find8, match8, call, unrolled,
)  # fmt: skip


def in_python(
    functions: Iterable[Callable[..., int]], constants: Mapping[str, int], instead: Mapping[str, Callable[..., int]] | None = None
) -> dict[str, Callable[..., int]]:
    """The functions by name, to run under plain Python with other values of the constants of their modules, and with others
    `instead` of those of these names that are called."""
    replaced = instead or {}
    made: dict[Callable[..., object], Callable[..., int]] = {}

    def copy(function: Callable[..., object]) -> Callable[..., int]:
        assert isinstance(function, types.FunctionType)
        if function not in made:
            names: dict[str, object] = {**function.__globals__, **constants}
            made[function] = types.FunctionType(function.__code__, names, function.__name__)
            for name in function.__code__.co_names:
                value = replaced.get(name, function.__globals__.get(name))
                if isinstance(value, types.FunctionType) and value not in PRIMITIVES:
                    names[name] = copy(value)
        return made[function]

    return {function.__name__: copy(function) for function in functions}
