"""Bit operations and loads that wait, compiled: both engines, and plain Python says the same.

Expected values: Documentation/atomic_bitops.txt and two's complement, worked out by hand.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ..support import rejected, write
from .vocabulary import ends, on_both

HEAD = """from lockverse import *


@struct
class page:
    flags: u8
    sig: s8
    wide: u64
    w: wrapping[u16]
    n: int
    on: bool
    row: array[u32, 2]
    count: atomic_t
    nr: u8


"""


def file(body: str, scene: str = "p = page()\ncpu(run, p)") -> str:
    """A scheme file: the lines of run(), or whole functions, and of the scheme."""
    inside = body if body.startswith("def ") else "def run(p):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}{inside}\n\n\n@scheme\ndef scene():\n" + "\n".join(f"    {line}" for line in scene.splitlines()) + "\n"


VALUES = [
    "set_bit(3, p.flags)\nset_bit(0, p.flags)\nassert p.flags == 9",
    "p.flags = 255\nclear_bit(7, p.flags)\nclear_bit(7, p.flags)\nassert p.flags == 127",
    "change_bit(1, p.flags)\nassert p.flags == 2\nchange_bit(1, p.flags)\nassert p.flags == 0",
    "assert not test_and_set_bit(4, p.flags)\nassert test_and_set_bit(4, p.flags)\nassert p.flags == 16",
    "assert not test_and_clear_bit(4, p.flags)\np.flags = 24\nassert test_and_clear_bit(4, p.flags)\nassert p.flags == 8",
    "assert not test_and_change_bit(0, p.flags)\nassert test_and_change_bit(0, p.flags)\nassert p.flags == 0",
    "assert not test_and_set_bit_lock(0, p.flags)\nassert test_and_set_bit_lock(0, p.flags)\nclear_bit_unlock(0, p.flags)\nassert p.flags == 0",
    "__set_bit(2, p.flags)\n__change_bit(1, p.flags)\n__clear_bit(2, p.flags)\nassert p.flags == 2",
    "assert not __test_and_set_bit(2, p.flags)\nassert __test_and_clear_bit(2, p.flags)\nassert not __test_and_change_bit(0, p.flags)\nassert p.flags == 1",
    "p.flags = 129\nassert clear_bit_unlock_is_negative_byte(0, p.flags)\nassert p.flags == 128",
    "p.flags = 1\nassert not clear_bit_unlock_is_negative_byte(0, p.flags)\nassert p.flags == 0",
    # the sign bit is a bit like another
    "set_bit(7, p.sig)\nassert p.sig == -128\nassert test_bit(7, p.sig)\nset_bit(0, p.sig)\nassert p.sig == -127\nclear_bit(7, p.sig)\nassert p.sig == 1",
    "set_bit(63, p.wide)\nassert p.wide == BIT(63)\nassert test_and_clear_bit(63, p.wide)\nassert p.wide == 0",
    "set_bit(15, p.w)\nassert p.w == 32768\nset_bit(31, p.n)\nassert p.n == -2147483648",
    "for i in range(2):\n    set_bit(i, p.row[i])\nassert p.row[0] == 1 and p.row[1] == 2 and test_bit_acquire(1, p.row[1])",
    "p.nr = 6\nset_bit(p.nr, p.flags)\nassert p.flags & BIT(6)\np.flags = p.flags & ~BIT(6) | BIT(1)\nassert p.flags == 2",
    "p.wide = BIT(63) | BIT(0)\nassert p.wide == BIT(63) + 1",
]  # fmt: skip


@pytest.mark.parametrize("body", VALUES)
def test_values(tmp_path: Path, body: str) -> None:
    """What is asserted holds compiled, on both engines, and when the function is called."""
    text = file(body)
    assert ends(tmp_path, text) == "holds"
    path = write(tmp_path, text)
    spec = importlib.util.spec_from_file_location("bits", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run(module.page())


def test_outside_the_width(tmp_path: Path) -> None:
    """A number known beforehand is rejected; any other is an overflow when it happens. The near miss is the last bit."""
    wrong = rejected(tmp_path, file("set_bit(8, p.flags)"))
    assert [one.code for one in wrong] == ["K306"] and wrong[0].primary.text == "it has bits 0..7"
    assert [one.code for one in rejected(tmp_path, file("test_bit(-1, p.wide)"))] == ["K306"]
    assert ends(tmp_path, file("p.nr = 8\nset_bit(p.nr, p.flags)")) == "overflow"
    assert ends(tmp_path, file("p.nr = 7\nset_bit(p.nr, p.flags)")) == "holds"
    assert ends(tmp_path, file("p.sig = -1\nassert not test_bit(p.sig, p.flags)")) == "overflow"


def test_what_is_no_word(tmp_path: Path) -> None:
    for line, code in (
        ("set_bit(0, p.on)", "K308"), ("set_bit(0, p.count)", "K308"), ("set_bit(p.flags, 0)", "K308"), ("set_bit(0)", "K302"),
        ("set_bit(p, p.flags)", "K301"), ("set_bit(0, p.row[len(p.row) - 1])", "K308"),
    ):  # fmt: skip
        assert [one.code for one in rejected(tmp_path, file(line))] == [code], line
    assert [one.code for one in rejected(tmp_path, file("p.n = 1", "p = page()\ncpu(run, p)\nalways(lambda: not test_and_set_bit(0, p.flags))"))] == ["K305"]


TWO = "def low(p):\n    {0}(0, p.flags)\n\n\ndef high(p):\n    {0}(1, p.flags)"
BOTH = "p = page()\ncpu(low, p)\ncpu(high, p)\nat_rest(lambda: test_bit(0, p.flags) and test_bit(1, p.flags))"


def test_one_step_or_two(tmp_path: Path) -> None:
    """By hand: two set_bit() are one step each, so 4 states; of two __set_bit() one may lose the other's bit: the first
    loads, the second loads and stores, the first stores: 4 moves, 2 switches."""
    whole = on_both(tmp_path, file(TWO.format("set_bit"), BOTH))
    assert (whole.states, whole.transitions, whole.failing) == (4, 4, None)
    torn = on_both(tmp_path, file(TWO.format("__set_bit"), BOTH))
    assert torn.failing is not None
    assert (torn.failing.reason, len(torn.failing.schedule)) == ("at-rest", 4)


WAIT = """def setter(p):
    WRITE_ONCE(p.n, 1)
    WRITE_ONCE(p.n, {0})
    atomic_inc(p.count)


def waiter(p, least):
    VAL = 5
    seen = smp_cond_load_acquire(p.n, lambda VAL: VAL >= least)
    assert seen == 2 and VAL == 5
    assert atomic_cond_read_acquire(p.count, lambda v: v) == 1
    smp_cond_load_relaxed(p.n, lambda v: not v == 1 or v == 2)"""


def test_waiting_for_a_value(tmp_path: Path) -> None:
    """By hand: the waiter's first two steps wait for the setter's second and third; all it can do is follow. So the setter's
    4 positions with the waiter at its start, then at positions 2 3 | 3 | 3: states (setter, waiter) are (0..3, 0), (2..3, 1),
    (3, 2), (3, 3): 8."""
    scene = "p = page()\ncpu(setter, p)\ncpu(waiter, p, 2)"
    found = on_both(tmp_path, file(WAIT.format(2), scene))
    assert (found.states, found.failing) == (8, None)
    # What never comes is a deadlock, as with a lock, and says what is waited for.
    stuck = on_both(tmp_path, file(WAIT.format(1), scene))
    assert stuck.failing is not None and stuck.failing.reason == "deadlock"


def test_conditions_look_at_the_value_only(tmp_path: Path) -> None:
    for condition, code in (
        ("lambda VAL: VAL == p.n", "K102"), ("lambda VAL: atomic_read(p.count) == VAL", "K102"), ("p.n == 1", "K103"), ("lambda: True", "K103"),
        ("lambda VAL: VAL == choose(1, 2)", "K102"),
    ):  # fmt: skip
        assert [one.code for one in rejected(tmp_path, file(f"smp_cond_load_acquire(p.flags, {condition})"))] == [code], condition
    assert [one.code for one in rejected(tmp_path, file("atomic64_cond_read_acquire(p.count, lambda VAL: VAL)"))] == ["K301"]
    bad = "p = page()\ncpu(run, p)\nalways(lambda: smp_cond_load_relaxed(p.n, lambda VAL: VAL) == 1)"
    assert [one.code for one in rejected(tmp_path, file("p.n = 1", bad))] == ["K305"]
