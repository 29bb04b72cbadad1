"""The checks of lifetimes, on small functions: one before each access that may be of a pool's object, none where that is known.

Expected counts follow from the docstring of passes/lifetimes.py: inside a step an object is looked at once in each block.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.ir import ops
from lockverse.ir.ops import Step
from lockverse.ir.program import Code
from lockverse.ir.reason import Reason

from ..support import linked_of, scheme_text

POOL = "pool(node, 1)\nx = node()\ncpu(run, x)"
HEAD = "@struct\nclass other:\n    n: u8\n    lock: spinlock_t\n\n\n"


def checks(code: Code) -> list[int]:
    """How many checks each step has, in the order of the code."""
    found: list[int] = []
    for op in code.ops:
        if isinstance(op, Step):
            found.append(0)
        elif isinstance(op, ops.Check) and op.reason is Reason.USE_AFTER_FREE:
            found[-1] += 1
    return found


COUNTS = [
    ("x.n = 1", [1]),  # by the type of x, which is given when the CPU starts
    ("p = x.next\n    p.n = 1", [1, 1]),
    ("p = x.next\n    p.n += 1", [1, 1, 1]),
    ("p = x.next\n    spin_lock(p.lock)\n    spin_unlock(p.lock)", [1, 2, 1]),  # a lock is taken in two blocks
    ("p = x.next\n    p.next.next.n = 1", [1, 1, 1, 1]),
    ("p = x.next\n    p.slots[p.n] = 1", [1, 1, 1]),
    ("p = x.next\n    atomic_inc(p.count)", [1, 1]),
    ("p = x.next\n    v = xchg(p.next, NULL)", [1, 1]),
    ("n = kmalloc(node)\n    kfree(n)", [0, 0]),  # they look for themselves
]


@pytest.mark.parametrize(("body", "expected"), COUNTS)
def test_an_object_is_looked_at_once_a_block(tmp_path: Path, body: str, expected: list[int]) -> None:
    linked = linked_of(tmp_path, scheme_text(f"def run(x):\n    {body}", POOL))
    assert checks(linked.codes[0]) == expected


def test_what_cannot_be_in_a_pool_by_its_type(tmp_path: Path) -> None:
    """`other` is in no pool, though a lock may be; tasks are in none."""
    text = scheme_text("def run(x, o):\n    o.n = 1\n    spin_lock(o.lock)\n    rcu_read_lock()\n    rcu_read_unlock()\n    spin_unlock(o.lock)",
                       "pool(node, 1)\nx = node()\no = other()\ncpu(run, x, o)")  # fmt: skip
    linked = linked_of(tmp_path, text.replace("@struct\nclass node", f"{HEAD}@struct\nclass node", 1))
    assert checks(linked.codes[0]) == [0, 2, 0, 0, 1]


def test_properties_are_not_checked(tmp_path: Path) -> None:
    linked = linked_of(tmp_path, scheme_text("def run(x):\n    x.n = 1", f"{POOL}\nalways(lambda: x.next == NULL or x.next.n == 0)"))
    assert not any(isinstance(op, ops.Lifetime) for code in linked.conditions for op in code.ops)


def test_references_are_the_pointers_that_may_be_read_yet(tmp_path: Path) -> None:
    """At the step that rest() is about: q, which is read later, and not p, which is not, nor k, which is no pointer."""
    body = "def run(x):\n    p = kmalloc(node)\n    x.next = p\n    q = x.next\n    k = q.n\n    while True:\n        rest()\n        x.n = k\n        q.n = k"
    code = linked_of(tmp_path, scheme_text(body, POOL)).codes[0]
    held = [{code.registers[one.number].name for one in op.holds} for op in code.ops if isinstance(op, Step) and op.rest]
    assert len(held) == 1 and {"x", "q"} <= held[0] and not held[0] & {"p", "k"}
