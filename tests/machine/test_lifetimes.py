"""Pools in both machines: which object kmalloc gives, what is free, who refers to what at rest.

Expected answers are docs/language.md's, by thinking; then random programs that allocate and free, state for state. The faults
are in test_faults.py, those of RCU in test_rcu.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Faulted, Machine, Moved

from ..codegen.common import searched, verdict
from ..reduction.pooled import pooled_linked
from ..support import checked, linked_of, rejected, scheme_text
from .test_conformance import Make, agree, both, started, walk

POOL = "pool(node, 2)\nx = node()\ncpu(run, x)"


def cell(machine: Machine, name: str) -> int:
    """The address of a cell by its name."""
    linked = machine.linked if isinstance(machine, Interpreter) else machine.layout.linked  # type: ignore[attr-defined]
    return next(n for n, one in enumerate(linked.program.cells) if one.name == name)


def value(machine: Machine, state: object, name: str) -> int:
    """What a cell holds in a state."""
    return state[0][cell(machine, name)]  # type: ignore[index,no-any-return]


@both
def test_the_lowest_number_is_given_out_all_zero(make: Make, tmp_path: Path) -> None:
    """node#0, then node#1; what is given back first is given out again, and nothing of what it held is left."""
    body = "def run(x):\n    x.next = kmalloc(node)\n    x.next.n = 3\n    y = kmalloc(node)\n    kfree(x.next)\n    x.next = kmalloc(node)\n    kfree(y)"
    machine, state = started(make, tmp_path, body, POOL)
    first = cell(machine, "node#0.n")
    state = walk(machine, state, 0, 0)
    assert value(machine, state, "x.next") == first
    state = walk(machine, state, 0, 0, 0)
    assert [value(machine, state, f"node#{n} is allocated") for n in (0, 1)] == [1, 1]
    assert value(machine, state, "node#0.n") == 3
    state = walk(machine, state, 0, 0)  # the load of x.next, and kfree
    assert (value(machine, state, "node#0 is allocated"), value(machine, state, "node#0.n")) == (0, 0)
    state = walk(machine, state, 0, 0)
    assert value(machine, state, "x.next") == first


@both
def test_objects_of_the_scene_can_be_freed(make: Make, tmp_path: Path) -> None:
    """kmalloc() in the scheme gives an object that is allocated at the start; values stored there are its first ones."""
    scene = "pool(node, 2)\nx = node()\nx.next = kmalloc(node)\nx.next.n = 4\ncpu(run, x)"
    machine, state = started(make, tmp_path, "def run(x):\n    kfree(x.next)\n    x.next = NULL", scene)
    assert [value(machine, state, one) for one in ("node#0 is allocated", "node#1 is allocated", "node#0.n")] == [1, 0, 4]
    state = walk(machine, state, 0, 0)
    assert [value(machine, state, one) for one in ("node#0 is allocated", "node#0.n")] == [0, 0]


@both
def test_kfree_of_null_is_a_step_that_does_nothing(make: Make, tmp_path: Path) -> None:
    machine, state = started(make, tmp_path, "def run(x):\n    kfree(x.next)\n    kfree(NULL)", POOL)
    after = walk(machine, state, 0, 0, 0)
    assert machine.finished(after, 0) and after[0] == state[0]  # type: ignore[index]


@both
def test_an_object_that_waits_for_its_lock_is_freed(make: Make, tmp_path: Path) -> None:
    """Who waits for a lock looks at it again and again: once it is free that is a use after free, not a wait."""
    body = "def run(x):\n    with x.next.lock:\n        pass\ndef other(x):\n    n = x.next\n    spin_lock(n.lock)\n    spin_unlock(n.lock)\n    kfree(n)"
    scene = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\ncpu(run, x)\ncpu(other, x)"
    machine, state = started(make, tmp_path, body, scene)
    held = walk(machine, state, 0, 1, 1)
    assert not isinstance(machine.step(held, 0, 0), Moved | Faulted)
    outcome = machine.step(walk(machine, held, 1, 1), 0, 0)
    assert isinstance(outcome, Faulted) and outcome.reason == "use-after-free"


@both
def test_a_property_may_look_at_what_is_free(make: Make, tmp_path: Path) -> None:
    """It sees zeros there, and no fault."""
    scene = "pool(node, 1)\nx = node()\nx.next = kmalloc(node)\nx.next.n = 4\ncpu(run, x)\nalways(lambda: x.next.n == 4)\nalways(lambda: x.next.n >= 0)"
    machine, state = started(make, tmp_path, "def run(x):\n    kfree(x.next)\n    x.next = NULL", scene)
    assert (machine.evaluate(state, 0), machine.evaluate(state, 1)) == (True, True)
    free = walk(machine, state, 0, 0)
    assert (machine.evaluate(free, 0), machine.evaluate(free, 1)) == (False, True)


LEAKS = [
    # what runs, what it ends as
    ("n = kmalloc(node)\nx.next = n\nx.next = NULL", "leak"),
    ("n = kmalloc(node)\nx.next = n\nn.next = kmalloc(node)", "holds"),
    ("n = kmalloc(node)\nn.next = n", "leak"),  # nothing but itself points to it
    ("n = kmalloc(node)\nn.next = kmalloc(node)\nn.next.next = n", "holds"),  # garbage in a circle: left out, as the docs say
    ("n = kmalloc(node)\nwhile True:\n    rest()\n    n.n = 1", "holds"),  # it may use it yet
    ("n = kmalloc(node)\nwhile True:\n    rest()\n    x.n = 1", "leak"),  # it never will
    ("n = kmalloc(node)\nx.n = 1\nwhile True:\n    rest()\n    m = n.next\n    x.next = m", "holds"),
    ("n = kmalloc(node)\nn.n = 1\nrest()\nkfree(n)", "holds"),
    ("n = kmalloc(node)\nk = n.n\nrest()\nx.n = k\nkfree(n)", "holds"),
]


@pytest.mark.parametrize(("lines", "expected"), LEAKS)
def test_leaks(tmp_path: Path, lines: str, expected: str) -> None:
    """By both engines; without reductions and with, which drop what is never read again."""
    body = "def run(x):\n" + "\n".join("    " + line for line in lines.splitlines())
    linked = linked_of(tmp_path, scheme_text(body, POOL))
    found = searched(linked, "reference")
    assert (str(found.failing.reason) if found.failing else "holds") == expected
    for names in ((), ("dead",), ("dead", "local", "locks", "symmetry")):
        assert verdict(searched(linked, "native", names)) == verdict(found), names


def test_what_an_interrupted_path_holds_is_no_leak(tmp_path: Path) -> None:
    """A leak is looked for at rest only: between kmalloc and the store nothing points to the object."""
    assert checked(tmp_path, "def run(x):\n    n = kmalloc(node)\n    x.n = 1\n    x.next = n", POOL).verdict == "holds"


def test_messages_name_the_object_and_the_pool(tmp_path: Path) -> None:
    exhausted = checked(tmp_path, "def run(x):\n    x.next = kmalloc(node)\n    n = kmalloc(node)", POOL.replace("2", "1"))
    assert exhausted.message == "pool node is exhausted: 1 object is allocated; make it larger: pool(node, 2)"
    named = checked(tmp_path, "def run(x):\n    n = kmalloc(node)\n    kfree(n)\n    n.n = 1", POOL.replace("2", '2, name="page"'))
    assert named.message == "use after free: page#0.n is written, and page#0 is free"
    twice = checked(tmp_path, "def run(x, n):\n    kfree(n)\n    kfree(n)", "pool(node, 2)\nx = node()\nn = kmalloc(node)\ncpu(run, x, n)")
    assert twice.message == "kfree() of n, which is free already"
    stranger = checked(tmp_path, "def run(x):\n    kfree(x)", POOL)
    assert stranger.message == "kfree() of something that kmalloc() did not give"


def test_without_pools_nothing_is_added(tmp_path: Path) -> None:
    linked = linked_of(tmp_path, scheme_text("def run(x):\n    with x.lock:\n        x.next.n = 1", "x = node()\nx.next = node()\ncpu(run, x)"))
    assert (linked.program.pools, linked.program.permanent, linked.program.properties) == ((), 0, ())
    assert not any(type(op).__name__ in ("Lifetime", "Held") for code in linked.codes for op in code.ops)
    assert len(linked.codes) == 1


def test_diagnostics(tmp_path: Path) -> None:
    """A struct without a pool, a kind that is none, an argument that is no object."""
    lines = {
        "kmalloc(node)": "K313", "kfree(x)": "K313", "kmalloc(x)": "K301", "kmalloc()": "K302", "kfree(x.n)": "K301", "pool(node, 3)": "K104",
        "kfree_rcu(x)": "K202",
    }  # fmt: skip
    for line, code in lines.items():
        text = scheme_text(f"def run(x):\n    {line}", "x = node()\ncpu(run, x)")
        assert [one.code for one in rejected(tmp_path, text)] == [code], line
    for scene, code in {"pool(node, 0)": "K006", "pool(node, 1)\npool(node, 1)": "K006", "pool(spinlock_t, 1)": "K006", "kmalloc(node)": "K006"}.items():
        text = scheme_text("def run(x):\n    x.n = 1", f"x = node()\n{scene}\ncpu(run, x)")
        assert [one.code for one in rejected(tmp_path, text)] == [code], scene


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_programs(tmp_path: Path, first: int) -> None:
    """The native machine is the interpreter, state for state."""
    compared = 0
    for seed in range(first, first + 20):
        linked = pooled_linked(tmp_path, seed)
        compared += agree(linked, 60) if linked is not None else 0
    assert compared > 500
