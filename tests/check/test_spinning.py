"""Endless spinning: what is reported, and the busy loops that are not.

Expected results by the definition in docs/decisions/0005: a state from which no execution can end.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lockverse.check.spinning import Spinning
from lockverse.explore.graph import Edge, Graph

from ..support import checked

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
    found = Spinning().on_explored(graph)
    assert [(state, violation.loop) for state, violation in found] == [(2, ((0, 0), (1, 0)))]


def test_an_end_that_can_be_reached_is_enough() -> None:
    assert not Spinning().on_explored(_graph(3, [(0, 0, 1), (1, 0, 0), (1, 1, 2)], {2}))


def test_a_state_that_goes_to_itself() -> None:
    found = Spinning().on_explored(_graph(2, [(0, 0, 1), (1, 0, 1)], set()))
    assert [(state, violation.loop) for state, violation in found] == [(1, ((0, 0),))]
