"""Both machines keep the protocol, and the native one is the interpreter state for state.

What a step gives (moved, blocked, pruned, faulted, too long, choices) is said by the docstrings of machine/protocol.py and
ir/ops.py; each is asked of both machines. Then the corpus and random programs: from every state the interpreter reaches,
every thread and choice, and packing and unpacking. The interpreter is the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.machine.interpreter import Interpreter
from lockverse.machine.native import NativeMachine, same
from lockverse.machine.protocol import Blocked, Disagreement, Faulted, Machine, Moved, Pruned, TooLong

from ..codegen.common import corpus, linked_text, looping_linked, random_linked, reachable
from ..support import linked_of, scheme_text

MACHINES = [Interpreter, NativeMachine]
Make = Callable[..., Machine]
both = pytest.mark.parametrize("make", MACHINES, ids=lambda one: one.__name__)


def started(make: Make, folder: Path, body: str, scene: str = "x = node()\ncpu(run, x)", **options: int) -> tuple[Machine, object]:
    """A machine for a scheme, and its initial state."""
    machine = make(linked_of(folder, scheme_text(body, scene)), **options)
    first = machine.start().outcome
    assert isinstance(first, Moved), first
    return machine, first.state


def walk(machine: Machine, state: object, *moves: int) -> object:
    """The state after these threads took a step each."""
    for thread in moves:
        outcome = machine.step(state, thread, 0)
        assert isinstance(outcome, Moved), outcome
        state = outcome.state
    return state


@both
def test_moves_until_finished(make: Make, tmp_path: Path) -> None:
    """By hand: two stores are two steps, and the thread ends with the second."""
    machine, state = started(make, tmp_path, "def run(x):\n    x.n = 1\n    x.n = 2")
    assert machine.threads == 1 and not machine.finished(state, 0) and not machine.at_rest(state, 0)
    middle = machine.step(state, 0, 0)
    assert isinstance(middle, Moved) and middle.choices == 1 and not machine.finished(middle.state, 0)
    last = walk(machine, middle.state, 0)
    assert machine.finished(last, 0) and machine.at_rest(last, 0)


@both
def test_equal_states_are_equal(make: Make, tmp_path: Path) -> None:
    """States are compared exactly: two orders of two independent stores meet, and what differs in a byte does not."""
    machine, state = started(make, tmp_path, "def run(x):\n    x.n = 1", "x = node()\ny = node()\ncpu(run, x)\ncpu(run, y)")
    assert walk(machine, state, 0, 1) == walk(machine, state, 1, 0)
    assert hash(walk(machine, state, 0, 1)) == hash(walk(machine, state, 1, 0))
    assert walk(machine, state, 0) != walk(machine, state, 1) != state


@both
def test_blocked(make: Make, tmp_path: Path) -> None:
    """spin_lock of a lock another holds waits; once it is given back it does not."""
    machine, state = started(make, tmp_path, "def run(x):\n    with x.lock:\n        pass", "x = node()\ncpu(run, x)\ncpu(run, x)")
    held = walk(machine, state, 0)
    assert machine.step(held, 1, 0) == Blocked()
    assert isinstance(machine.step(walk(machine, held, 0), 1, 0), Moved)


@both
def test_pruned_and_choices(make: Make, tmp_path: Path) -> None:
    """choose() of three has three outcomes; the assumption cuts off the first."""
    machine, state = started(make, tmp_path, "def run(x):\n    c = choose(0, 1, 2)\n    assume(c > 0)\n    x.n = c")
    assert machine.step(state, 0, 0) == Pruned(3)
    kept = [machine.step(state, 0, choice) for choice in (1, 2)]
    assert all(isinstance(one, Moved) and one.choices == 3 for one in kept)
    assert kept[0] != kept[1]


@both
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("assert x.n == 1", Reason.ASSERTION), ("x.n -= 1", Reason.OVERFLOW), ("x.n = 256 + x.n", Reason.OVERFLOW),
        ("x.n = 1 // x.n", Reason.DIVISION_BY_ZERO), ("x.n = 1 << (x.n + 64)", Reason.OVERFLOW), ("x.next.n = 1", Reason.NULL_DEREFERENCE),
        ("x.slots[x.n + 3] = 1", Reason.OUT_OF_BOUNDS), ("spin_unlock(x.lock)", Reason.UNLOCK_BY_STRANGER),
        ("rcu_read_unlock()", Reason.RCU_IMBALANCE),
    ],
)  # fmt: skip
def test_faulted(make: Make, tmp_path: Path, line: str, reason: Reason) -> None:
    """Some step of the line is that fault (docs/language.md names the reasons), and the fault says where."""
    machine, state = started(make, tmp_path, f"def run(x):\n    {line}")
    outcome = machine.step(state, 0, 0)
    while isinstance(outcome, Moved) and not machine.finished(outcome.state, 0):
        outcome = machine.step(outcome.state, 0, 0)
    assert isinstance(outcome, Faulted) and outcome.reason is reason and outcome.message and outcome.origin > 0


@both
def test_faults_at_the_end(make: Make, tmp_path: Path) -> None:
    """A lock that is held at the end, an RCU section that is open there, a lock taken twice."""
    scenes = [
        ("spin_lock(x.lock)", 1, Reason.LOCK_HELD_AT_EXIT), ("rcu_read_lock()", 1, Reason.RCU_IMBALANCE),
        ("spin_lock(x.lock)\n    spin_lock(x.lock)\n    spin_unlock(x.lock)", 2, Reason.RECURSIVE_LOCKING),
    ]  # fmt: skip
    for line, steps, reason in scenes:
        machine, state = started(make, tmp_path, f"def run(x):\n    {line}")
        outcome = machine.step(walk(machine, state, *[0] * (steps - 1)), 0, 0)
        assert isinstance(outcome, Faulted) and outcome.reason is reason


COUNTS = "def run(x):\n    x.n = 1\n    i = 0\n    while i < 1_000_000:\n        i += 1"


@both
def test_too_long(make: Make, tmp_path: Path) -> None:
    """A million rounds without a look at memory, where a thousand ops are allowed; and where they are enough, they are."""
    machine, state = started(make, tmp_path, COUNTS, ops_in_a_step=1_000)
    assert isinstance(machine.step(state, 0, 0), TooLong)
    machine, state = started(make, tmp_path, COUNTS.replace("1_000_000", "100"), ops_in_a_step=1_000)
    assert isinstance(machine.step(state, 0, 0), Moved)


@both
def test_spins_inside_a_step(make: Make, tmp_path: Path) -> None:
    """Work that repeats itself exactly is no long work but an endless one."""
    machine, state = started(make, tmp_path, "def run(x):\n    x.n = 1\n    i = 0\n    while i < 2:\n        i = 1 - i", ops_in_a_step=100_000)
    outcome = machine.step(state, 0, 0)
    assert isinstance(outcome, Faulted) and outcome.reason is Reason.ENDLESS_SPINNING


@both
def test_rest(make: Make, tmp_path: Path) -> None:
    """At rest exactly before the step that rest() is about."""
    machine, state = started(make, tmp_path, "def run(x):\n    while True:\n        rest()\n        x.n = 1\n        x.n = 0")
    assert [machine.at_rest(walk(machine, state, *[0] * n), 0) for n in range(4)] == [True, False, True, False]
    assert not any(machine.finished(walk(machine, state, *[0] * n), 0) for n in range(4))


@both
def test_start_that_fails(make: Make, tmp_path: Path) -> None:
    """What comes before the first step happens at the start, and can fail there: by thread 1 here."""
    linked = linked_of(tmp_path, scheme_text("def run(x, k):\n    assert k < 2\n    x.n = k", "x = node()\ncpu(run, x, 1)\ncpu(run, x, 2)"))
    first = make(linked).start()
    assert isinstance(first.outcome, Faulted) and first.outcome.reason is Reason.ASSERTION and first.thread == 1


@both
def test_evaluate(make: Make, tmp_path: Path) -> None:
    """A property holds, or not, or looking at it is a fault."""
    scene = "x = node(n=1)\ncpu(run, x)\nalways(lambda: x.n == 1)\nalways(lambda: x.next.n == 0)"
    machine, state = started(make, tmp_path, "def run(x):\n    x.n = 0", scene)
    assert machine.evaluate(state, 0) is True and machine.evaluate(walk(machine, state, 0), 0) is False
    broken = machine.evaluate(state, 1)
    assert isinstance(broken, Faulted) and broken.reason is Reason.NULL_DEREFERENCE


def test_check_looks_at_all_properties(tmp_path: Path) -> None:
    """The compiled look: bad if an always fails (or cannot be looked at), at_rest only at rest; and which sometimes hold."""
    body = "def run(x):\n    x.n = 1\n    x.n = 2"
    scene = "x = node()\nx.next = x\ncpu(run, x)\nalways(lambda: x.n < 2)\nsometimes(lambda: x.n == 1)\nsometimes(lambda: x.n < 1)\nat_rest(lambda: x.n == 0)"
    machine = NativeMachine(linked_of(tmp_path, scheme_text(body, scene)))
    state = machine.start().outcome.state  # type: ignore[union-attr]
    assert machine.check(state) == (False, (2,))
    assert machine.check(walk(machine, state, 0)) == (False, (1,))
    assert machine.check(walk(machine, state, 0, 0)) == (True, ())
    only_rest = scheme_text(body, scene.replace("always(lambda: x.n < 2)\n", ""))
    machine = NativeMachine(linked_of(tmp_path, only_rest))
    assert machine.check(walk(machine, machine.start().outcome.state, 0, 0)) == (True, ())  # type: ignore[union-attr]
    assert not machine.check(walk(machine, machine.start().outcome.state, 0))[0]  # type: ignore[union-attr]


def test_a_wrong_compiler_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison below can fail: with `<` compiled as `<=`, it does."""
    from lockverse.codegen import arithmetic

    linked = linked_of(tmp_path, scheme_text("def run(x):\n    c = choose(range(3))\n    assert x.n + c < 2", "x = node()\ncpu(run, x)"))
    agree(linked)
    monkeypatch.setitem(arithmetic._PREDICATES, "lt", "sle")
    with pytest.raises((AssertionError, Disagreement)):
        agree(linked)


def agree(linked: Linked, limit: int = 1_500) -> int:
    """Compare the machines at the states the interpreter reaches, as far as `limit`; gives how many moves were compared."""
    reference, native = Interpreter(linked), NativeMachine(linked)
    assert native.start() == reference.start()
    first = reference.start().outcome
    waiting = [first.state] if isinstance(first, Moved) else []
    seen, moves = set(waiting), 0
    for state in waiting:
        _looks_alike(linked, reference, native, state)
        for thread in range(reference.threads):
            assert native.finished(state, thread) == reference.finished(state, thread)
            assert native.at_rest(state, thread) == reference.at_rest(state, thread)
            choice, choices = 0, 0 if reference.finished(state, thread) else 1
            while choice < choices:
                wanted, found = reference.step(state, thread, choice), native.step(state, thread, choice)
                assert same(wanted, found), (wanted, found)
                moves += 1
                if isinstance(wanted, Moved) and wanted.state not in seen and len(seen) < limit:
                    seen.add(wanted.state)
                    waiting.append(wanted.state)
                choices = getattr(wanted, "choices", 1)
                choice += 1
    return moves


def _looks_alike(linked: Linked, reference: Interpreter, native: NativeMachine, state: object) -> None:
    """Packing is undone by unpacking; the compiled look at the properties is the interpreter's."""
    packed = native.pack(state)  # type: ignore[arg-type]
    assert native.layout.decode(list(packed)) == state
    at_rest = all(reference.at_rest(state, thread) for thread in range(reference.threads))  # type: ignore[arg-type]
    wrong, witnessed = False, []
    for number, one in enumerate(linked.program.properties):
        holds = reference.evaluate(state, number)  # type: ignore[arg-type]
        if Reason(one.kind) is Reason.SOMETIMES:
            witnessed += [number] if holds is True else []
            wrong |= isinstance(holds, Faulted)
        elif at_rest or Reason(one.kind) is Reason.ALWAYS:
            wrong |= holds is not True
    assert native.check(state) == (wrong, tuple(witnessed))  # type: ignore[arg-type]


def test_the_corpus() -> None:
    for name, linked in corpus().items():
        assert agree(linked, 120) >= 1, name


@pytest.mark.parametrize(("first", "threads", "rests"), [*((n, 2, False) for n in range(0, 100, 25)), (7000, 3, False), (40000, 2, True)])
def test_random_programs(tmp_path: Path, first: int, threads: int, rests: bool) -> None:
    compared = 0
    for seed in range(first, first + 25):
        linked = random_linked(tmp_path, seed, threads, 2 if threads > 2 else 3, rests=rests)
        compared += agree(linked, 100) if linked is not None else 0
    assert compared > 500


def test_random_loops(tmp_path: Path) -> None:
    compared = [agree(linked, 100) for seed in range(30) if (linked := looping_linked(tmp_path, seed)) is not None]
    assert len(compared) >= 20


@pytest.mark.long
@pytest.mark.parametrize("first", range(100_000, 103_000, 100))
def test_many_random_programs(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        for linked in (random_linked(tmp_path, seed, 2 + seed % 2, 3 + seed % 3, rests=seed % 5 == 0), looping_linked(tmp_path, seed)):
            if linked is not None:
                agree(linked, 300)


def test_a_guess_that_fails_is_widened(tmp_path: Path) -> None:
    """The machine is told of no states beforehand: a counter to 40 outgrows its first guess of a bit again and again."""
    linked = linked_text(tmp_path, "def run(x):\n    while x.big < 40:\n        x.big += 1", "x = node()\ncpu(run, x)")
    machine = NativeMachine(linked)
    before = machine.layout.bits
    states = reachable(linked)
    assert states is not None and len(states) > 100
    assert agree(linked) == len(states) - 1  # one thread, no choices: each state but the last has one move
    for state in states:
        machine.pack(state)
    assert machine.layout.bits > before
