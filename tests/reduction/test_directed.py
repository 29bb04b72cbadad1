"""Each rule of reduction/ on a scheme made for it: what may be merged or exchanged, what may not, and that it matters.

Expected answers are by thinking; "matters" is shown by a wrong twin: the same plan without the rule, explored in Python,
loses something that a reduction has to keep (spaces.essence). Verdicts of the engine are held against the reference.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from lockverse.explore.search import Failing
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.protocol import Blocked, Faulted, Moved
from lockverse.reduction import REDUCTIONS, fusion, symmetry
from lockverse.reduction.footprints import steps_of

from ..codegen.common import linked_text, searched, verdict
from .spaces import (
    Broken,
    Explorer,
    Reduction,
    also,
    essence,
    explored,
    keeps,
    locking_linked,
    protected_in,
    reduced,
    whole,
)

LOCKS = ("local", "locks")
SOME = [(), ("dead",), ("local",), LOCKS, ("symmetry",), REDUCTIONS]  # all sixteen: test_reductions.py
TWO = "x = node()\ny = node()\ncpu(run, x, y)\ncpu(other, x, y)"


def engine_agrees(linked: Linked) -> Failing | None:
    """The verdict, held against the reference for some choices of reductions; gives what fails."""
    reference = searched(linked, "reference")
    for names in SOME:
        assert verdict(searched(linked, "native", names)) == verdict(reference), names
    return reference.failing


def lost_by(twin: Reduction) -> bool:
    """Whether a wrong plan loses something."""
    full, small = whole(twin), Explorer(twin).space()
    assert full is not None and small is not None
    return essence(small, twin) != essence(full, twin)


def merged(linked: Linked, names: tuple[str, ...] = LOCKS) -> list[set[str]]:
    """The kinds of steps merged, for each thread."""
    return [set(kinds) for kinds in reduced(linked, names).merged]


# Cells


PRIVATE = "def run(x, y):\n    x.n = 1\n    x.n = 2\n    y.big += 1\ndef other(x, y):\n    x.slots[0] = 1\n    y.big += 1"


def test_cells_of_ones_own(tmp_path: Path) -> None:
    """x.n is one thread's, y.big both's: steps on the first are merged (all but the first step's own), not on the other."""
    linked = linked_text(tmp_path, PRIVATE, TWO + "\nat_rest(lambda: y.big == 2)")
    one = reduced(linked, ("local",))
    assert [sorted(kinds) for kinds in one.merged] == [["store", "store"], ["store"]]
    assert merged(linked, ()) == [set(), set()]
    assert keeps(one) and lost_by(also(also(one, 0, "load", "store"), 1, "load", "store"))
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is Reason.AT_REST


def test_cells_nobody_writes(tmp_path: Path) -> None:
    """Both read y.n, nobody writes it: reading is merged. With one store anywhere it is not."""
    body = "def run(x, y):\n    i = y.n\n    j = y.n\n    x.n = i + j\ndef other(x, y):\n    k = y.n\n    k = y.n{}"
    assert "load" in merged(linked_text(tmp_path, body.format(""), TWO), ("local",))[1]
    assert "load" not in merged(linked_text(tmp_path, body.format("\n    y.n = 1"), TWO), ("local",))[0]


@pytest.mark.parametrize("prop", ["always(lambda: x.big == 0)", "sometimes(lambda: x.big == 1)"])
def test_what_a_property_looks_at_is_visible(tmp_path: Path, prop: str) -> None:
    """x.big is 1 only inside the lock: whoever goes on at once never sees it. at_rest looks at it only when all is over."""
    body = "def run(x, y):\n    with x.lock:\n        x.big = 1\n        x.big = 0\ndef other(x, y):\n    with x.lock:\n        x.big = 0"
    linked = linked_text(tmp_path, body, f"{TWO}\n{prop}")
    one = reduced(linked, LOCKS)
    assert "store" not in one.merged[0] and keeps(one)
    assert lost_by(also(one, 0, "store"))
    failing = engine_agrees(linked)
    assert (failing.reason if failing else None) is (Reason.ALWAYS if "always" in prop else None)
    assert "store" in merged(linked_text(tmp_path, body, f"{TWO}\nat_rest(lambda: x.big == 0)"))[0]


# Locks


LOCKED = "def run(x, y):\n    with x.lock:\n        {}\n"


@pytest.mark.parametrize(
    ("other", "allowed"),
    [
        ("with x.lock:\n        y.n = 1", True), ("spin_unlock(x.lock)", True),
        ("if spin_is_locked(x.lock):\n        y.flag = True", False),
        ("if spin_trylock(x.lock):\n        spin_unlock(x.lock)\n    else:\n        y.flag = True", False),
    ],
)  # fmt: skip
def test_giving_back_a_lock(tmp_path: Path, other: str, allowed: bool) -> None:
    """A left mover unless somebody can see the lock held without waiting for it: then y.flag tells whether it was."""
    linked = linked_text(tmp_path, f"{LOCKED.format('pass')}def other(x, y):\n    {other}", f"{TWO}\nat_rest(lambda: not y.flag)")
    one = reduced(linked, LOCKS)
    assert ("spin_unlock" in one.merged[0]) == allowed
    assert keeps(one)
    assert lost_by(also(one, 0, "spin_unlock")) != allowed
    assert "spin_unlock" not in merged(linked, ("local",))[0]
    engine_agrees(linked)


def test_a_lock_protects(tmp_path: Path) -> None:
    """Counting under a lock is one move from taking it on; with two locks for one cell it is none."""
    body = "def run(x, y):\n    with x.lock:\n        x.big += 1\ndef other(x, y):\n    with x.{}:\n        x.big += 1"
    good, bad = (linked_text(tmp_path, body.format(lock), f"{TWO}\nat_rest(lambda: x.big == 2)") for lock in ("lock", "other"))
    assert {"load", "store", "spin_unlock"} <= merged(good)[0] and keeps(reduced(good, LOCKS))
    assert "load" not in merged(bad)[0] and keeps(reduced(bad, LOCKS))
    assert engine_agrees(good) is None
    failing = engine_agrees(bad)
    assert failing is not None and failing.reason is Reason.AT_REST
    names = [cell.name for cell in bad.program.cells]
    wrong = reduced(bad, LOCKS, {names.index("x.big"): names.index("x.lock.owner")})
    assert lost_by(_unwatched(also(wrong, 1, "load", "store")))


def _unwatched(one: Reduction) -> Reduction:
    """Without the rule that accesses are held against."""
    return replace(one, plan=replace(one.plan, protected={}))


RARE = """
def run(x, y):
    with x.lock:
        k = x.big
        x.big = k + 1


def other(x, y):
    if choose(range(400)) == 399:
        y.flag = True
        x.big = 100
"""


def test_a_guess_that_is_belied(tmp_path: Path) -> None:
    """One access in 400 executions is without the lock: no sample sees it, the search does, and begins again. Lost: 1 at the
    end though 100 was stored, as 0 was read before and stored after."""
    linked = linked_text(tmp_path, RARE, f"{TWO}\nat_rest(lambda: not (y.flag and x.big == 1))")
    cell = [one.name for one in linked.program.cells].index("x.big")
    assert cell in protected_in(linked)
    one = reduced(linked, LOCKS)
    with pytest.raises(Broken) as caught:
        Explorer(one).space()
    assert caught.value.args == (cell,)
    assert keeps(one) and cell not in explored(one)[1].plan.protected
    assert lost_by(_unwatched(one))
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is Reason.AT_REST


def test_locks_of_computed_objects(tmp_path: Path) -> None:
    """Which object it is is known when the thread stands there: each cell has the lock beside it."""
    body = """
def run(x, y):
    p = x if choose(0, 1) == 0 else y
    with p.lock:
        p.big += 1
        p.n = 1


def other(x, y):
    p = x if choose(0, 1) == 0 else y
    with p.lock:
        p.big += 1
        q = x if p == y else y
        q.flag = True
"""
    linked = linked_text(tmp_path, body, f"{TWO}\nat_rest(lambda: x.big + y.big == 2)")
    assert {"load", "store"} <= merged(linked)[0]
    assert keeps(reduced(linked, LOCKS)) and engine_agrees(linked) is None


# Steps that are not plain


def test_choose_is_not_merged(tmp_path: Path) -> None:
    """A move that went on over a choice would make it for the environment."""
    linked = linked_text(tmp_path, "def run(x, y):\n    x.n = 1\n    k = choose(0, 1)\n    x.n = k\ndef other(x, y):\n    y.n = 1", f"{TWO}\nat_rest(lambda: x.n == 0)")
    one = reduced(linked, LOCKS)
    assert "choose" not in one.merged[0] and keeps(one) and lost_by(also(one, 0, "choose"))
    assert engine_agrees(linked) is not None


def test_waiting_is_not_merged(tmp_path: Path) -> None:
    """The crossed locks: a thread that takes both at once or none never stands between them."""
    body = "def run(x, y):\n    with x.lock:\n        with y.lock:\n            pass\ndef other(x, y):\n    with y.lock:\n        with x.lock:\n            pass"
    linked = linked_text(tmp_path, body, TWO)
    one = reduced(linked, LOCKS)
    assert all("spin_lock" not in kinds for kinds in one.merged) and keeps(one)
    assert lost_by(also(also(one, 0, "spin_lock"), 1, "spin_lock"))
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is Reason.DEADLOCK


def test_assuming_is_not_merged(tmp_path: Path) -> None:
    """A load whose value is assumed is not run on over, one whose value is not assumed is."""
    body = "def run(x, y):\n    k = choose(0, 1)\n    x.n = k\n    k = x.n\n    {}\n    x.n = 3\ndef other(x, y):\n    y.n = 1"
    linked = linked_text(tmp_path, body.format("assume(k == 0)"), f"{TWO}\nat_rest(lambda: x.n == 3)")
    assert "load" not in merged(linked)[0] and keeps(reduced(linked, LOCKS)) and engine_agrees(linked) is None
    assert "load" in merged(linked_text(tmp_path, body.format("k = 1 - k"), TWO))[0]


def test_rest_is_not_merged(tmp_path: Path) -> None:
    """Standing before that step is what rest() is about: run on over, there is no state at rest."""
    body = "def run(x, y):\n    while True:\n        rest()\n        x.n = 1\n        x.n = 0\ndef other(x, y):\n    while True:\n        rest()\n        y.n = 1\n        y.n = 0"
    linked = linked_text(tmp_path, body, f"{TWO}\nat_rest(lambda: x.n == 0)")
    one = reduced(linked, LOCKS)
    full = whole(one)
    assert full is not None and len(full.at_rest) == 1 and keeps(one)
    rests = [pc for pc in one.plan.going_on[0] if one.linked.codes[0].ops[pc].rest]  # type: ignore[union-attr]
    assert not rests and engine_agrees(linked) is None


def test_rest_that_is_merged_is_lost(tmp_path: Path) -> None:
    """The twin: CPU 0 works once more after a rest; who goes on over it never rests there with x.n at 1."""
    linked = linked_text(tmp_path, "def run(x, y):\n    x.n = 1\n    rest()\n    x.n = 2\ndef other(x, y):\n    y.n = 1", f"{TWO}\nat_rest(lambda: x.n == 2)")
    one = reduced(linked, LOCKS)
    assert keeps(one) and lost_by(also(one, 0, "store"))
    assert engine_agrees(linked) is not None


# What goes wrong inside a move, and loops


FAILS = {
    "assertion": ("with x.lock:\n        x.big += 1\n        assert x.big < 2", Reason.ASSERTION),
    "overflow": ("with x.lock:\n        x.n += 200", Reason.OVERFLOW),
    "stranger": ("with x.lock:\n        y.n = 1\n        spin_unlock(x.other)", Reason.UNLOCK_BY_STRANGER),
    "held at the end": ("with x.lock:\n        x.big += 1\n    if x.big == 2:\n        spin_lock(y.lock)", Reason.LOCK_HELD_AT_EXIT),
    "twice": ("with x.lock:\n        x.big += 1\n        if x.big == 2:\n            spin_lock(x.lock)", Reason.RECURSIVE_LOCKING),
}


@pytest.mark.parametrize("name", FAILS)
def test_faults_inside_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two equal CPUs, the second of which fails. Where the exact race may not be looked for, the reduced one replays."""
    linked = linked_text(tmp_path, f"def run(x, y):\n    {FAILS[name][0]}", "x = node()\ny = node()\ncpu(run, x, y)\ncpu(run, x, y)")
    assert keeps(reduced(linked, REDUCTIONS))
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is FAILS[name][1]
    replays(linked, failing)
    few_race_states(monkeypatch)
    for names in SOME[1:]:
        found = searched(linked, "native", names).failing
        assert found is not None and found.reason is FAILS[name][1]
        replays(linked, found)


def few_race_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for the exact race gives up at once."""
    for name in ("lockverse.engine", "lockverse.engine.native", "lockverse.engine.choose"):
        try:
            room = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(room, "RACE_STATES"):
            monkeypatch.setattr(room, "RACE_STATES", 1)
            return
    raise AssertionError("nobody bounds the search for the exact race")


def replays(linked: Linked, failing: Failing) -> None:
    """The schedule runs on the interpreter, unreduced, and comes to what it says."""
    machine = Interpreter(linked)
    state = machine.start().outcome.state  # type: ignore[union-attr]
    outcome: object = None
    for number, (thread, choice) in enumerate(failing.schedule):
        outcome = machine.step(state, thread, choice)
        if isinstance(outcome, Faulted):
            assert number == len(failing.schedule) - 1 and outcome.reason is failing.reason
            return
        assert isinstance(outcome, Moved), (number, outcome)
        state = outcome.state
    running = [thread for thread in range(machine.threads) if not machine.finished(state, thread)]
    if failing.reason is Reason.DEADLOCK:
        assert running and all(isinstance(machine.step(state, thread, 0), Blocked) for thread in running)
    elif failing.reason is Reason.ENDLESS_SPINNING:
        here = state
        for thread, choice in failing.loop:
            outcome = machine.step(here, thread, choice)
            assert isinstance(outcome, Moved)
            here = outcome.state
        assert failing.loop and here == state
    else:
        assert failing.condition is not None and machine.evaluate(state, failing.condition) is not True
        if failing.reason is Reason.AT_REST:
            assert all(machine.at_rest(state, thread) for thread in range(machine.threads))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("with x.lock:\n        with y.lock:\n            x.big += 1", None),
        ("with x.lock:\n        x.n = 1\n    while x.n == 1:\n        cpu_relax()", Reason.ENDLESS_SPINNING),
        ("x.n = 1\n    while True:\n        with x.lock:\n            x.big = 1 - x.big", Reason.ENDLESS_SPINNING),
        ("spin_lock(x.lock)\n    while not y.flag:\n        cpu_relax()\n    spin_unlock(x.lock)", Reason.ENDLESS_SPINNING),
    ],
)
def test_the_whole_is_judged_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: Reason | None) -> None:
    """Nothing is ever wrong with one state here: two equal CPUs and one who sets y.flag under the lock."""
    flag = "def other(x, y):\n    with x.lock:\n        y.flag = True"
    linked = linked_text(tmp_path, f"def run(x, y):\n    {body}\n{flag}", "x = node()\ny = node()\ncpu(run, x, y)\ncpu(run, x, y)\ncpu(other, x, y)")
    assert keeps(reduced(linked, REDUCTIONS))
    failing = engine_agrees(linked)
    assert (failing.reason if failing else None) is reason
    few_race_states(monkeypatch)
    for names in SOME[1:]:
        found = searched(linked, "native", names).failing
        assert (found.reason if found else None) is reason
        if found is not None:
            replays(linked, found)


def cycle_in(one: Reduction) -> bool:
    """Whether merged steps can follow each other for ever in some thread."""
    for flow in one.values.flows:
        mine, steps = set(one.plan.going_on.get(flow.thread, {})), steps_of(one.values, flow)
        while True:
            inner = {pc for pc in mine if steps[pc].following & mine}
            if inner == mine:
                break
            mine = inner
        if mine:
            return True
    return False


ROUND = "def run(x, y):\n    while True:\n        x.n = 1\n        x.n = 0\ndef other(x, y):\n    while y.n < 2:\n        y.n += 1"


def test_a_loop_keeps_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps of the first CPU's loop are its own; merged all, its move would never end, and the other never move."""
    linked = linked_text(tmp_path, ROUND, TWO)
    one = reduced(linked, LOCKS)
    assert not cycle_in(one) and keeps(one)
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is Reason.ENDLESS_SPINNING
    monkeypatch.setattr(fusion, "_loops", lambda *_: set())
    assert cycle_in(reduced(linked, LOCKS))


def test_no_loop_is_merged_whole(tmp_path: Path) -> None:
    for seed in range(60):
        linked = locking_linked(tmp_path, seed)
        if linked is not None:
            assert not cycle_in(reduced(linked, REDUCTIONS)), seed


# Exchanging threads


def exchanged(linked: Linked) -> bool:
    """Whether any threads are."""
    return bool(reduced(linked, REDUCTIONS).exchanges)


SAME = "x = node()\ny = node()\ncpu(run, x, y)\ncpu(run, x, y)"


@pytest.mark.parametrize(
    ("body", "scene", "allowed"),
    [
        ("x.big += 1", SAME, True), ("with x.lock:\n        x.big += 1", SAME, True), ("x.n = smp_processor_id()", SAME, False),
        ("if spin_trylock(x.lock):\n        x.big += 1\n        spin_unlock(x.lock)", SAME, True),
        ("x.big += 1", SAME.replace("cpu(run, x, y)\n", "cpu(run, y, x)\n", 1), False), ("x.big += 1\n    y.big += 1", SAME + "\ncpu(run, x, x)", True),
        ("rcu_read_lock()\n    x.big += 1\n    rcu_read_unlock()", SAME, True), ("rcu_read_lock()\n    x.n = 1\n    rcu_read_unlock()\n    synchronize_rcu()", SAME, False),  # grace periods have a bit for each reader
        ("x.big += 1", SAME + "\nat_rest(lambda: x.big == 2)", True),
    ],
)  # fmt: skip
def test_who_is_interchangeable(tmp_path: Path, body: str, scene: str, allowed: bool) -> None:
    """The same code with the same arguments, unless somebody can tell them apart."""
    linked = linked_text(tmp_path, f"def run(x, y):\n    {body}", scene)
    assert exchanged(linked) == allowed and keeps(reduced(linked, REDUCTIONS)) and keeps(reduced(linked, ("symmetry",)))
    engine_agrees(linked)


def test_arguments_that_change_are_state(tmp_path: Path) -> None:
    """k is part of the state from the start, as the code changes it: CPUs that begin with different ones are alike."""
    body = "def run(x, k: u8):\n    x.big += k\n    k += 1\n    x.big += k{}"
    linked = linked_text(tmp_path, body.format(""), "x = node()\ncpu(run, x, 100)\ncpu(run, x, 101)\nat_rest(lambda: x.big < 203)")
    assert exchanged(linked) and keeps(reduced(linked, ("symmetry",))) and keeps(reduced(linked, REDUCTIONS))
    assert engine_agrees(linked) is not None
    fixed = linked_text(tmp_path, "def run(x, k: u8):\n    x.big += k", "x = node()\ncpu(run, x, 1)\ncpu(run, x, 2)")
    assert not exchanged(fixed)


def test_a_bug_that_one_of_several_equals_has(tmp_path: Path) -> None:
    """Three equal CPUs: the lock is dropped by whoever comes second. The race is a race of real CPUs."""
    body = "def run(x, y):\n    spin_lock(x.lock)\n    x.n += 1\n    if x.n == 2:\n        spin_unlock(x.lock)\n        x.big += 1\n        assert x.n == 2\n    else:\n        spin_unlock(x.lock)"
    linked = linked_text(tmp_path, body, f"{SAME}\ncpu(run, x, y)")
    one = reduced(linked, REDUCTIONS)
    full, small = whole(one), explored(one)[0]
    assert full is not None and small is not None and len(small.moves) * 3 < len(full.moves) and keeps(one)
    failing = engine_agrees(linked)
    assert failing is not None and failing.reason is Reason.ASSERTION
    replays(linked, failing)


def test_telling_apart_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU 1 alone fails. The twin takes CPU 0, who stands where CPU 1 stood, for it: it finds that nothing fails, or not when."""
    body = "def run(x, y):\n    x.n = 1\n    smp_mb()\n    i = smp_processor_id()\n    x.big = i\n    x.flag = True"
    linked = linked_text(tmp_path, body, f"{SAME}\nat_rest(lambda: x.big == 0)")
    assert keeps(reduced(linked, ("symmetry",)))
    assert engine_agrees(linked) is not None
    monkeypatch.setattr(symmetry, "_told_apart", lambda *_: False)
    twin = reduced(linked, ("symmetry",))
    assert twin.exchanges and keeps(twin) is False


MARKS = """from lockverse.lang.step import step
from lockverse.lang.task import current_task


@struct
class marked:
    who: ptr[task_struct]
    flag: bool


@step("full")
def mark(m):
    if m.who == NULL:
        m.who = current_task()
        return True
    return False


@step("full")
def mine(m):
    return m.who == current_task()
"""


def test_a_cell_that_names_a_task(tmp_path: Path) -> None:
    """m.who says which CPU came first, and the other is not it: by thinking nothing is wrong, whoever exchanges them."""
    body = "def run(m):\n    if mark(m):\n        m.flag = True\n    elif m.flag:\n        assert not mine(m)"
    linked = linked_text(tmp_path, body, "m = marked()\ncpu(run, m)\ncpu(run, m)", MARKS)
    assert keeps(reduced(linked, ("symmetry",)))
    assert engine_agrees(linked) is None


def test_a_register_that_keeps_a_task(tmp_path: Path) -> None:
    """The same with the task in a variable between steps."""
    body = "def run(m):\n    mark(m)\n    t = m.who\n    m.flag = True\n    if t == m.who:\n        assert mine(m) or not mine(m)"
    linked = linked_text(tmp_path, body, "m = marked()\ncpu(run, m)\ncpu(run, m)", MARKS)
    assert keeps(reduced(linked, ("symmetry",)))
    assert engine_agrees(linked) is None
