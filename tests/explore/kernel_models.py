"""Toy models in the dialect for the kernel's tests: counters with a closed form, and random graphs given as data.

The constants are overridden when compiled. Leaves out what a real model's expansion is: the compiler of schemes makes that.
"""

from __future__ import annotations

from lockverse.jit.dialect import load, mul, shift_left, shift_right, store

W = 1
COUNTERS = 3
BITS = 3  # of a counter
TOP = 5  # a counter goes from 0 to TOP
SPREAD = 0  # 1: the further words of a state are functions of the first
HIGH_MASK = -1  # of the second word
DATA = 0  # address of a graph: for each node DEGREE successors (-1: none), flags, and which successor is forward (-1: none)
DEGREE = 4
MODULUS = 1  # of the hashes that say little


def first_to_others(out: int, x: int) -> int:
    store(out, 0, x)
    for w in range(1, W):
        store(out, w, mul(x * w + 1, 0x9E3779B97F4A7C1) & HIGH_MASK)
    return 0


def counters(state: int, out: int, note: int) -> int:
    """Each counter may step up until TOP. Deadlock and completed at the end; an end also where all are equal."""
    x = load(state, 0)
    n = 0
    for i in range(COUNTERS):
        if shift_right(x, BITS * i) & ((1 << BITS) - 1) < TOP:
            first_to_others(out + n * 8 * W, x + shift_left(1, BITS * i))
            n += 1
    flags = 8 | 2 if n == 0 else 0
    if x % 73 == 0:
        flags = flags | 4
    return n | n << 24 | flags << 48


def ring(state: int, out: int, note: int) -> int:
    """Each counter steps around: (TOP + 1) ** COUNTERS states, COUNTERS times as many transitions."""
    x = load(state, 0)
    for i in range(COUNTERS):
        value = shift_right(x, BITS * i) & ((1 << BITS) - 1)
        following = 0 if value == TOP else value + 1
        first_to_others(out + i * 8 * W, x + shift_left(following - value, BITS * i))
    return COUNTERS | COUNTERS << 24


def graph(state: int, out: int, note: int) -> int:
    x = load(state, 0)
    node = load(DATA, 0) + x * 8 * (DEGREE + 2)
    n = 0
    for i in range(DEGREE):
        if load(node, i) >= 0:
            first_to_others(out + n * 8 * W, load(node, i))
            n += 1
    return n | (n + 1) << 24 | load(node, DEGREE) << 48


def forward(state: int, out: int, note: int) -> int:
    """Of `graph`."""
    node = load(DATA, 0) + load(state, 0) * 8 * (DEGREE + 2)
    which = load(node, DEGREE + 1)
    if which >= 0:
        first_to_others(out, load(node, which))
    return which >= 0


def check(state: int) -> int:
    """A violation where the low bits are 1 1 0 1 0 1 0; the witness is which low bits were seen."""
    x = load(state, 0)
    return (x & 127 == 0b1101010) | shift_left(1, 1 + (x & 7))


def poor_hash(state: int) -> int:
    """In place of the first hash: few values, and what of them is not the line's choice is 0."""
    x = load(state, 0)
    return shift_left(shift_right(mul(x, 0x9E3779B97F4A7C1), 40) % MODULUS * 0x1000193, 32)


def no_hash(state: int, first: int) -> int:
    """In place of the second hash: always the same."""
    return 1
