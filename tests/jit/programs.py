"""Functions in the dialect for the tests: one or more for each primitive and each statement.

They are run under Python and compiled, with the same arguments. Leaves out what the dialect refuses: test_lower has that.
"""

from __future__ import annotations

from lockverse.jit.dialect import (
    add,
    below,
    call,
    compare_exchange,
    fetch_add,
    find8,
    load,
    load8,
    load_acquire,
    load_relaxed,
    match8,
    mul,
    mul_high,
    prefetch,
    shift_left,
    shift_right,
    store,
    store8,
    store_relaxed,
    store_release,
    sub,
    trailing_zeros,
    unrolled,
)

SIZE = 3
BIG = -(1 << 63)


def wrapping(a: int, b: int) -> int:
    return add(mul(a, b), sub(a, mul(b, 7))) ^ add(a, b) ^ sub(b, a)


def high(a: int, b: int) -> int:
    return mul_high(a, b)


def shifts(a: int, b: int) -> int:
    n = b & 63
    return shift_left(a, n) ^ shift_right(a, n) ^ a >> n ^ (a & 255) << (n & 15)


def bits(a: int, b: int) -> int:
    return (a & b) ^ (a | b) ^ ~a ^ BIG


def order(a: int, b: int) -> int:
    return (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5 | below(a, b) << 6


def floor(a: int, b: int) -> int:
    divisor = (b >> 1) | 1
    return (a >> 1) // divisor ^ (a >> 1) % divisor


def least(a: int, b: int) -> int:
    if a == BIG or b == BIG:
        return 0
    return min(a, b) ^ -max(a, b)


def zeros(a: int, b: int) -> int:
    return trailing_zeros(a) if a != 0 else 64 + trailing_zeros(b | 1)


def truth(a: int, b: int) -> int:
    found = (a < b and not b == 0) or a == 5  # noqa: SIM201
    x = 0
    if a and b or not a:
        x = 2
    return found + x + (not a)


def decide(a: int, b: int) -> int:
    if a < b:
        return 1
    elif a == b:
        x = 2
    else:
        if b < 0:
            return -(b >> 1)
        x = 4
    return x + 10


def loops(a: int, b: int) -> int:
    total = 0
    for i in range(b & 15):
        if i == 3:
            continue
        if i == 9:
            break
        for j in range(i, -2, -2):
            total += j ^ a & 255
    i = 0
    while 1:
        i += 1
        if i > (a & 7):
            break
    return total + i


def unroll(a: int, b: int) -> int:
    total = 0
    for i in unrolled(SIZE):
        for j in unrolled(SIZE + 1):
            if i == j:
                continue
            if j > (b & 3):
                break
            total += i * 10 + j + (a & 1)
    return total


def chosen_size(a: int, b: int) -> int:
    if SIZE == 3:
        return 1
    return 0 if SIZE == 4 else missing(a)  # type: ignore[name-defined]  # noqa: F821  # never compiled


def falls_off(a: int, b: int) -> int:
    if a < b:
        return 1
    return 0


def inner(a: int) -> int:
    a += 0 * a
    return add(a, 1)


def calls(a: int, b: int) -> int:
    x = inner(a)
    return add(inner(x), mul(inner(b), a))


def memory(p: int, a: int, b: int) -> int:
    """Five words at p."""
    store(p, 0, a)
    store_relaxed(p, 1, b)
    store_release(p, 2, a ^ b)
    store8(p, 3, b)
    store8(p + 40, -1, a)
    prefetch(p)
    x = fetch_add(p, 0, b)
    y = compare_exchange(p, 1, b, 77)
    z = compare_exchange(p, 2, 12345, 78)
    total = add(add(x, y), add(z, load_relaxed(p, 0)))
    return total ^ load_acquire(p, 1) ^ load8(p, 17) ^ load8(p, 3) << 8 ^ load(p, 2)


def search(line: int, value: int) -> int:
    return find8(line, value) | match8(line, value, -4) << 16 | match8(line, value, -1 << 56) << 32


def apply(function: int, a: int, b: int) -> int:
    return call(function, a, b) ^ call(function, b, a)


BINARY = (wrapping, high, shifts, bits, order, floor, least, zeros, truth, decide, loops, unroll, chosen_size, falls_off, calls)
