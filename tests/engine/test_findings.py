"""Findings and coverage: data races, circles of locks, locks open to handlers, and what no execution does.

Each finding has schemes that show it and near misses that do not, on both engines; what the rules are is said in
docs/language.md. Random programs are held to a definition of data races that is written here again, over all states.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.engine import Options, search_all
from lockverse.explore.bounds import Bounds
from lockverse.explore.search import Result
from lockverse.ir import ops
from lockverse.ir.contexts import GUARD
from lockverse.ir.ops import Op
from lockverse.ir.program import Linked
from lockverse.ir.reason import Reason
from lockverse.ir.traps import FINDINGS
from lockverse.machine.interpreter import Interpreter, MachineState, Run
from lockverse.machine.protocol import Blocked, Moved
from lockverse.reduction import REDUCTIONS
from lockverse.report.verdict import Outcome
from lockverse.session import _observers, check, replay, write_trace

from ..codegen.common import reachable, silent
from ..machine.test_contexts import made
from ..reduction.spaces import locking_linked
from ..support import linked_of, scheme_text, task_of

ENGINES = [("reference", ()), ("native", ()), ("native", REDUCTIONS)]
ON_ALL = pytest.mark.parametrize(("engine", "reductions"), ENGINES, ids=["reference", "native", "reduced"])

BODY = """
def write(x):
    x.n = 1

def read(x):
    y = x.n

def update(x):
    x.n += 1

def write_marked(x):
    WRITE_ONCE(x.n, 1)

def read_marked(x):
    y = READ_ONCE(x.n)

def read_excused(x):
    y = data_race(x.n)

def set_excused(x):
    y = data_race(x.n + x.big)

def locked(x):
    with x.lock:
        x.n += 1

def locked_otherwise(x):
    with x.other:
        x.n += 1

def publish(x):
    x.n = 1
    smp_store_release(x.flag, True)

def consume(x):
    if smp_load_acquire(x.flag):
        y = x.n

def consume_anyway(x):
    y = smp_load_acquire(x.flag)
    z = x.n

def slot(x, i):
    x.slots[i] = 1

def count(x):
    atomic_inc(x.count)

def flag_bit(x):
    set_bit(1, x.n)

def flag_bit_plain(x):
    __set_bit(1, x.n)

def through(x):
    x.next.n = 1
"""

RACES = [
    ("write", "write", True), ("write", "read", True), ("update", "update", True), ("write_marked", "read", True), ("write", "read_marked", True),
    ("read", "read", False), ("write_marked", "read_marked", False), ("write_marked", "read_excused", False), ("write", "read_excused", False), ("write_marked", "set_excused", False),
    ("locked", "locked", False), ("locked", "locked_otherwise", True), ("locked", "write", True),
    ("publish", "consume", False), ("publish", "consume_anyway", True), ("count", "count", False),
    ("flag_bit", "flag_bit", False), ("flag_bit", "flag_bit_plain", True), ("flag_bit_plain", "flag_bit_plain", True),
    ("through", "write", False),
]  # fmt: skip


def told(folder: Path, body: str, scene: str, engine: str, reductions: tuple[str, ...] = (), *, strict: bool = False) -> Outcome:
    """The outcome of a scheme with two nodes, x and y, of which x points to y."""
    text = scheme_text(body, "x = node()\ny = node()\nx.next = y\n" + scene)
    return check(task_of(folder, text), Bounds(), silent, Options(engine, reductions, 1, strict=strict))


@ON_ALL
@pytest.mark.parametrize(("a", "b", "races"), RACES, ids=[f"{a}-{b}" for a, b, _ in RACES])
def test_data_races(tmp_path: Path, engine: str, reductions: tuple[str, ...], a: str, b: str, races: bool) -> None:
    """Two accesses to one cell, one of them a store, one of them plain, that are enabled together."""
    outcome = told(tmp_path, BODY, f"cpu({a}, x)\ncpu({b}, x)", engine, reductions)
    assert (outcome.reason == "data-race") == races, outcome.message
    assert races or outcome.verdict == "holds"


@ON_ALL
def test_cells_are_told_apart(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    """Elements by their index, objects by the pointer that leads there."""
    assert told(tmp_path, BODY, "cpu(slot, x, 0)\ncpu(slot, x, 1)", engine, reductions).verdict == "holds"
    assert told(tmp_path, BODY, "cpu(slot, x, 1)\ncpu(slot, x, 1)", engine, reductions).reason == "data-race"
    assert told(tmp_path, BODY, "cpu(through, x)\ncpu(write, y)", engine, reductions).reason == "data-race"
    for handler in ("interrupt(write, x, on=c)", "w = work_struct()\nwork(w, write, x)\ncpu(ask, w)", "t = timer_list()\ntimer(t, write, x, on=c)\ncpu(arm, t)"):
        asked = BODY + "\ndef idle(x):\n    smp_mb()\n\ndef ask(w):\n    queue_work(w)\n\ndef arm(t):\n    mod_timer(t)\n"
        assert told(tmp_path, asked, f"c = cpu(idle, x)\ncpu(read, x)\n{handler}", engine, reductions).reason == "data-race", handler
    assert told(tmp_path, BODY, "c = cpu(update, x)\ntask(update, x, on=c)", engine, reductions).verdict == "holds"  # one CPU: no race


@ON_ALL
def test_what_is_wrong_in_an_execution_comes_first(tmp_path: Path, engine: str, reductions: tuple[str, ...]) -> None:
    outcome = told(tmp_path, BODY, "cpu(update, x)\ncpu(update, x)\nat_rest(lambda: x.n == 2)", engine, reductions)
    assert outcome.reason == "at-rest" and len(outcome.also) == 1 and outcome.also[0].startswith("data race on x.n: update() ")


def test_a_data_race_is_shown_and_replays(tmp_path: Path) -> None:
    """Both accesses are in the diagram; the trace can be run again."""
    outcome = told(tmp_path, BODY, "cpu(locked, x)\ncpu(write, x)", "reference")
    assert outcome.trace is not None and outcome.message == "data race on x.n: locked() reads it while write() writes it"
    assert [one.thread for one in outcome.trace.failure.blocked] == [1]
    assert replay(outcome.trace, tmp_path) == outcome.trace
    write_trace(outcome.trace, tmp_path / "traces", set())


LOCKS = """
def ab(x):
    with x.lock:
        with x.other:
            pass

def ba(x):
    with x.other:
        with x.lock:
            pass

def ab_then(x):
    with x.lock:
        with x.other:
            pass
    smp_store_release(x.flag, True)

def then_ba(x):
    if smp_load_acquire(x.flag):
        with x.other:
            with x.lock:
                pass

def never_ba(x):
    if READ_ONCE(x.n) == 7:
        with x.other:
            with x.lock:
                pass

def try_ba(x):
    with x.other:
        if spin_trylock(x.lock):
            spin_unlock(x.lock)

def one_by_one(x):
    with x.other:
        pass
    with x.lock:
        pass

def idle(x):
    smp_mb()

def take(x):
    with x.lock:
        pass

def take_irqsave(x):
    flags = spin_lock_irqsave(x.lock)
    spin_unlock_irqrestore(x.lock, flags)

def take_bh(x):
    spin_lock_bh(x.lock)
    spin_unlock_bh(x.lock)
"""


@ON_ALL
@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        ("cpu(ab, x)\ncpu(ba, x)", "deadlock"),
        ("cpu(ab_then, x)\ncpu(then_ba, x)", "lock-order"),
        ("cpu(ab_then, x)\ncpu(never_ba, x)", None),
        ("cpu(ab, x)\ncpu(ab, x)", None),
        ("cpu(ab, x)\ncpu(try_ba, x)", None),
        ("cpu(ab, x)\ncpu(one_by_one, x)", None),
        ("cpu(ab, x)\ncpu(ba, y)", None),
        ("c = cpu(idle, x)\ncpu(take, x)\ninterrupt(take, x, on=c)", "irq-lock-inversion"),
        ("c = cpu(idle, x)\ncpu(take, x)\nsoftirq(take, x, on=c)", "irq-lock-inversion"),
        ("c = cpu(idle, x)\ncpu(take_bh, x)\ninterrupt(take, x, on=c)", "irq-lock-inversion"),
        ("c = cpu(idle, x)\ncpu(take_irqsave, x)\ninterrupt(take, x, on=c)", None),
        ("c = cpu(idle, x)\ncpu(take_bh, x)\nsoftirq(take, x, on=c)", None),
        ("c = cpu(idle, x)\ncpu(take, y)\ninterrupt(take, x, on=c)", None),
    ],
)
def test_locks(tmp_path: Path, engine: str, reductions: tuple[str, ...], scene: str, reason: str | None) -> None:
    """A circle over all executions, though none of them deadlocks; a lock that a handler takes, taken where one can come. A
    deadlock is told as such, a try waits for nobody, and what no execution does is no circle."""
    assert told(tmp_path, LOCKS, scene, engine, reductions).reason == reason


@ON_ALL
@pytest.mark.parametrize(
    ("a", "b", "races"),
    [
        ("folio_lock(x)\n    folio_unlock(x)", "k = x.flags", True), ("folio_lock(x)\n    folio_unlock(x)", "k = READ_ONCE(x.flags)", False),
        ("k = folio_test_locked(x)", "k = x.flags", False), ("k = folio_test_locked(x)", "x.flags = 2", True),
        ("folio_lock(x)\n    folio_unlock(x)", "k = x.n", False), ("folio_lock(x)\n    folio_unlock(x)", "k = y.flags", False),
        ("p = x.next\n    if p == NULL or folio_trylock(p):\n        x.n = 2", "k = y.flags", True),
        ("bit_spin_lock(3, x.flags)\n    bit_spin_unlock(3, x.flags)", "k = x.flags", True), ("set_bit(3, x.flags)", "k = x.flags", True),
    ],
)  # fmt: skip
def test_primitives_on_a_field_of_the_users(tmp_path: Path, engine: str, reductions: tuple[str, ...], a: str, b: str, races: bool) -> None:
    """They are marked accesses to it: with a plain one they race where one of the two writes."""
    head = "@struct\nclass folio:\n    n: u64\n    flags: u64\n    next: ptr['folio']\n\n\n"
    body = f"{head}def one(x, y):\n    {a}\n\n\ndef other(x, y):\n    {b}"
    outcome = told(tmp_path, body, "f = folio()\ng = folio()\nf.next = g\ncpu(one, f, g)\ncpu(other, f, g)", engine, reductions)
    assert (outcome.reason == "data-race") == races, outcome.message
    assert races or outcome.verdict == "holds"


READERS = """
def idle(x):
    smp_mb()

def reads(x):
    read_lock(x.rw)
    read_unlock(x.rw)

def writes(x):
    write_lock(x.rw)
    write_unlock(x.rw)

def writes_irq(x):
    write_lock_irq(x.rw)
    write_unlock_irq(x.rw)
"""


@ON_ALL
@pytest.mark.parametrize(
    ("handler", "task", "reason"),
    [
        ("reads", "reads", None), ("reads", "writes", "irq-lock-inversion"), ("reads", "writes_irq", None),
        ("writes", "reads", "irq-lock-inversion"), ("writes", "writes_irq", None),
    ],
)  # fmt: skip
def test_handlers_that_read(tmp_path: Path, engine: str, reductions: tuple[str, ...], handler: str, task: str, reason: str | None) -> None:
    """A reader waits for no reader: where the handlers only read, interrupts are open to those that write."""
    scene = f"x = shared()\nc = cpu(idle, x)\ncpu({task}, x)\ninterrupt({handler}, x, on=c)"
    assert told(tmp_path, "@struct\nclass shared:\n    rw: rwlock_t\n\n" + READERS, scene, engine, reductions).reason == reason


def test_a_lock_order_replays(tmp_path: Path) -> None:
    outcome = told(tmp_path, LOCKS, "cpu(ab_then, x)\ncpu(then_ba, x)", "reference")
    assert outcome.trace is not None and [(one.wanted, one.held) for one in outcome.trace.failure.chain] == [("x.lock", "x.other"), ("x.other", "x.lock")]
    assert replay(outcome.trace, tmp_path) == outcome.trace



# Random programs


def finds(linked: Linked, engine: str, reductions: tuple[str, ...], bounds: Bounds | None = None) -> Result:
    """All that is looked for, by an engine."""
    return search_all(linked, _observers, bounds or Bounds(states=50_000), silent, Options(engine, reductions, 1))


def has_race(linked: Linked) -> bool | None:
    """Whether two threads on two CPUs stand before conflicting accesses, one of them plain, in any state that is reached
    before something fails: what each next step touches is seen by taking it. None if there are too many states."""
    machine, states = Interpreter(linked), reachable(linked)
    return None if states is None else any(_meet(machine, state) for state in states)


def _meet(machine: Interpreter, state: MachineState) -> bool:
    found: list[tuple[int, set[int], set[int], bool]] = []
    for thread in range(machine.threads):
        if machine.finished(state, thread):
            continue
        reads: set[int] = set()
        writes: set[int] = set()

        def watch(op: Op, run: Run, reads: set[int] = reads, writes: set[int] = writes) -> None:
            if isinstance(op, ops.Load) and run.code.registers[op.dst.number].name != GUARD:
                reads.add(run.value(op.address))
            elif isinstance(op, ops.Store):
                writes.add(run.value(op.address))

        step = machine.linked.codes[thread].ops[state[1][thread][0]]
        assert isinstance(step, ops.Step)
        if isinstance(machine.step(state, thread, 0, watch), Blocked):
            continue
        plain = step.order == "plain" and step.kind in ("load", "store")
        found.append((machine.linked.program.threads[thread].cpu, reads, writes, plain))
    return any(
        a[0] != b[0] and (a[3] or b[3]) and (a[2] & (b[1] | b[2]) or b[2] & a[1])
        for i, a in enumerate(found) for b in found[i + 1 :]
    )  # fmt: skip


def test_random_findings(tmp_path: Path) -> None:
    """All engines find the same, and data races where the definition has them."""
    reasons: list[Reason | None] = []
    for seed in range(5000, 5040):
        for linked in (made(tmp_path, seed), locking_linked(tmp_path, seed)):
            found = None if linked is None else finds(linked, "reference", (), Bounds(states=1_500))
            if linked is None or found is None or found.bound is not None or not found.states:
                continue
            reason = None if found.failing is None else found.failing.reason
            reasons.append(reason)
            for engine, reductions in ENGINES[1:]:
                other = finds(linked, engine, reductions)
                assert (other.failing.reason if other.failing else None) == reason
                assert sorted(one.reason for one in other.also) == sorted(one.reason for one in found.also)
                if reason is None:
                    assert set(other.never) == set(found.never)
            if reason is None or reason in FINDINGS:
                assert has_race(linked) in (None, reason is Reason.DATA_RACE)
    assert {None, Reason.DATA_RACE} < set(reasons), set(reasons)


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 2000, 20))
def test_many_random_findings(tmp_path: Path, first: int) -> None:
    for seed in range(700_000 + first, 700_020 + first):
        for linked in (made(tmp_path, seed), locking_linked(tmp_path, seed)):
            found = None if linked is None else finds(linked, "reference", (), Bounds(states=1_500))
            if linked is not None and found is not None and found.bound is None and found.states:
                reason = None if found.failing is None else found.failing.reason
                for engine, reductions in ENGINES[1:]:
                    other = finds(linked, engine, reductions)
                    assert (other.failing.reason if other.failing else None) == reason, seed
                    assert reason is not None or set(other.never) == set(found.never), seed


def test_a_scheme_without_plain_accesses_costs_nothing(tmp_path: Path) -> None:
    """Counts with findings and without are the same; what is looked for does not steer the search."""
    linked = linked_of(tmp_path, scheme_text(BODY, "x = node()\ncpu(locked, x)\ncpu(locked, x)"))
    with_, without = finds(linked, "reference", ()), search_all(linked, _observers, Bounds(), silent, Options("reference", (), 1, findings=False))
    assert (with_.states, with_.transitions, with_.depth) == (without.states, without.transitions, without.depth)
    assert isinstance(Interpreter(linked).start().outcome, Moved)
