"""Endless spinning: what is reported, and the busy loops that are not.

Expected results by the definition in docs/decisions/0005: a state from which no execution can end.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.check.spinning import Spinning
from lockverse.engine import Options
from lockverse.explore.bounds import Bounds
from lockverse.explore.graph import Edge, Graph
from lockverse.session import check, replay

from ..support import checked, scheme_text, task_of

WAIT = "def run(x):\n    while READ_ONCE(x.n) == 0:\n        cpu_relax()\n\n\n"

FINE = {
    "somebody sets it": (WAIT + "def other(x):\n    x.n = 1", "cpu(run, x)\ncpu(other, x)"),
    "a retry loop": ("def run(x):\n    while True:\n        old = READ_ONCE(x.n)\n        if cmpxchg(x.n, old, old + 1) == old:\n            break", "cpu(run, x)\ncpu(run, x)"),  # fmt: skip
    "two that try": ("def run(x):\n    while not spin_trylock(x.lock):\n        cpu_relax()\n    spin_unlock(x.lock)", "cpu(run, x)\ncpu(run, x)"),
    "it may be set": (WAIT + "def other(x):\n    if choose(bool):\n        x.n = 1\n    else:\n        x.n = 2", "cpu(run, x)\ncpu(other, x)"),
}
WRONG = {
    "nobody sets it": (WAIT, "cpu(run, x)", 0, [0]),
    "somebody may not set it": (WAIT + "def other(x):\n    if choose(bool):\n        x.n = 1", "cpu(run, x)\ncpu(other, x)", 1, [0]),
    "each waits for the other": (
        "def run(x):\n    while READ_ONCE(x.slots[0]) == 0:\n        cpu_relax()\n    x.slots[1] = 1\n\n\n"
        "def other(x):\n    while READ_ONCE(x.slots[1]) == 0:\n        cpu_relax()\n    x.slots[0] = 1",
        "cpu(run, x)\ncpu(other, x)", 0, [0, 1],
    ),
    "it takes turns for ever": ("def run(x):\n    while True:\n        x.n ^= 1", "cpu(run, x)", 0, [0]),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_fine(tmp_path: Path, name: str) -> None:
    body, cpus = FINE[name]
    assert checked(tmp_path, body, f"x = node()\n{cpus}").verdict == "holds"


@pytest.mark.parametrize("name", WRONG)
def test_wrong(tmp_path: Path, name: str) -> None:
    body, cpus, prefix, threads = WRONG[name]
    outcome = checked(tmp_path, body, f"x = node()\n{cpus}")
    assert outcome.reason == "endless-spinning"
    assert outcome.trace is not None
    loop = outcome.trace.failure.loop
    assert loop == prefix
    assert sorted({event.thread for event in outcome.trace.events[loop:]}) == threads  # every CPU that can move does


def _never_at_rest(state: object, thread: int) -> bool:
    return False


def _graph(count: int, moves: list[tuple[int, int, int]], ends: set[int]) -> Graph:
    graph = Graph()
    for number in range(count):
        graph.add(f"s{number}", number)
    for source, thread, target in moves:
        graph.into[target].append(Edge(source, thread, 0))
    graph.ends = ends
    return graph


def test_a_loop_that_can_be_left_is_no_component() -> None:
    """0 and 1 go round and can leave to 2 and 3, which go round for ever; 4 ends."""
    graph = _graph(5, [(0, 0, 1), (1, 0, 0), (1, 1, 2), (2, 0, 3), (3, 1, 2), (0, 1, 4)], {4})
    found = Spinning(_never_at_rest).on_explored(graph)
    assert [(state, violation.loop) for state, violation in found] == [(2, ((0, 0), (1, 0)))]


def test_an_end_that_can_be_reached_is_enough() -> None:
    assert not Spinning(_never_at_rest).on_explored(_graph(3, [(0, 0, 1), (1, 0, 0), (1, 1, 2)], {2}))


def test_a_state_that_goes_to_itself() -> None:
    found = Spinning(_never_at_rest).on_explored(_graph(2, [(0, 0, 1), (1, 0, 1)], set()))
    assert [(state, violation.loop) for state, violation in found] == [(1, ((0, 0),))]


def test_what_only_rests_again_does_not_spin() -> None:
    """Thread 0 is at rest in s0 and goes round; nobody else ever moves. The state in which it is at rest is a deadlock."""
    graph = _graph(2, [(0, 0, 1), (1, 0, 0)], set())
    (found,) = Spinning(lambda state, _: state == "s0").on_explored(graph)
    assert (found[0], found[1].reason, found[1].loop) == (0, "deadlock", ())


TICK = """
def tick(x):
    while True:
        rest()
        {}

def stuck(x):
    {}
"""
IDLE = "smp_mb()"
LOCKED = "spin_lock(x.lock)\n    while not READ_ONCE(x.flag):\n        cpu_relax()\n    spin_unlock(x.lock)"
SLEEPS = {
    "a tick that changes nothing": (IDLE, "wait_event(x.wq, READ_ONCE(x.flag))", "deadlock"),
    "a tick that wakes": ("WRITE_ONCE(x.flag, True)\n        wake_up(x.wq)", "wait_event(x.wq, READ_ONCE(x.flag))", None),
    "a tick beside one that spins": (IDLE, LOCKED, "endless-spinning"),
}


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("name", SLEEPS)
def test_what_is_at_rest_and_who_is_stuck(tmp_path: Path, engine: str, name: str) -> None:
    """By hand: what comes back to its rest() for ever is no progress, so who sleeps is in a deadlock; who goes round himself spins."""
    tick, stuck, reason = SLEEPS[name]
    body = "@struct\nclass queue:\n    wq: wait_queue_head_t\n    flag: bool\n    lock: spinlock_t\n" + TICK.format(tick, stuck)
    outcome = check(task_of(tmp_path, scheme_text(body, "x = queue()\ncpu(tick, x)\ncpu(stuck, x)")), Bounds(), lambda _: None, Options(engine, jobs=1))
    assert outcome.reason == reason, outcome.message
    if reason == "deadlock":
        assert outcome.trace is not None and [one.thread for one in outcome.trace.failure.blocked] == [1]
        assert replay(outcome.trace, tmp_path) == outcome.trace


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_interrupts_without_end_are_no_progress(tmp_path: Path, engine: str) -> None:
    """Two CPUs take two locks crosswise, and one is interrupted for ever: neither lock is given back."""
    body = "def run(a, b):\n    with a.lock, b.lock:\n        pass\n\ndef handle(x):\n    smp_mb()"
    scene = "x = node()\ny = node()\nc = cpu(run, x, y)\ncpu(run, y, x)\ninterrupt(handle, x, on=c, times=None)"
    outcome = check(task_of(tmp_path, scheme_text(body, scene)), Bounds(), lambda _: None, Options(engine, jobs=1))
    assert outcome.trace is not None and outcome.reason == "deadlock"
    assert [one.thread for one in outcome.trace.failure.blocked] == [0, 1]
