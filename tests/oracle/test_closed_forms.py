"""What can be said without running anything: closed forms, and state spaces small enough to write down.

Thread i with k_i atomic steps that meet nobody's: the states are the points of a grid, so there are the product of
(k_i + 1) of them; from each point a move goes up in every coordinate that is not at its end; the schedules are the
monotone paths through the grid, a multinomial coefficient.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lockverse.explore.bounds import Bounds
from lockverse.explore.graph import Graph
from lockverse.explore.observer import Expansion, Violation
from lockverse.explore.search import explore
from lockverse.machine.interpreter import Interpreter

from ..support import checked, linked_of, scheme_text


class _Keeper:
    """An observer that keeps the graph."""

    graph: Graph

    def on_state(self, state: object) -> Violation | None:
        return None

    def on_expanded(self, state: object, expansion: Expansion) -> Violation | None:
        return None

    def on_explored(self, graph: Graph) -> list[tuple[int, Violation]]:
        self.graph = graph
        return []


def _schedules(graph: Graph) -> int:
    """How many ways lead from the initial state to the one where all have finished."""
    ways = [0] * len(graph.states)
    ways[0] = 1
    for state in sorted(range(1, len(graph.states)), key=lambda s: graph.levels[s]):
        ways[state] = sum(ways[edge.source] for edge in graph.into[state])
    (end,) = graph.ends
    return ways[end]


@pytest.mark.parametrize("steps", [(1,), (3,), (1, 1), (2, 3), (4, 4), (1, 1, 1), (2, 2, 2), (1, 2, 3), (2, 1, 1, 1)])
def test_grid(tmp_path: Path, steps: tuple[int, ...]) -> None:
    functions = "\n\n\n".join(f"def run{i}(x):\n" + "    atomic_inc(x.count)\n" * k for i, k in enumerate(steps))
    scene = "\n".join(f"x{i} = node()\ncpu(run{i}, x{i})" for i in range(len(steps)))
    keeper = _Keeper()
    result = explore(Interpreter(linked_of(tmp_path, scheme_text(functions, scene))), [keeper], Bounds())
    states = math.prod(k + 1 for k in steps)
    assert result.states == states
    assert result.transitions == sum(k * states // (k + 1) for k in steps)
    assert result.depth == sum(steps)
    assert _schedules(keeper.graph) == math.factorial(sum(steps)) // math.prod(math.factorial(k) for k in steps)


def test_lost_update_by_hand(tmp_path: Path) -> None:
    """Write (a, b) for where the two CPUs are: 0 before the load, 1 before the store, 2 done; n, and what was read.

    Level 0: 00 n0. 1: 10 01. 2: 20n1, 11(both read 0), 02n1. 3: 21(n1,read1), 21(n1,read0), 12(read0), 12(read1).
    4: 22n2, 22n1. That makes 1+2+3+4+2 = 12 states. Moves: 2 from level 0, 2 each from the two of level 1, from
    level 2: 1 + 2 + 1, from the four of level 3 one each: 2+4+4+4 = 14.
    """
    outcome = checked(tmp_path, "def run(x):\n    x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)")
    assert (outcome.states, outcome.transitions, outcome.depth) == (12, 14, 4)
    assert (outcome.reason, outcome.switches) == ("at-rest", 2)


def test_crossed_locks_by_hand(tmp_path: Path) -> None:
    """CPU0 takes a, b; CPU1 takes b, a; each gives back in reverse. (i, j) counts the steps done, four each.

    Level 1: 10 01. Level 2: 20 11 02, where 11 is the deadlock: found when level 2 is expanded, which adds the states
    30 and 03 of level 3. States 1+2+3+2 = 8. Moves: 2, then 2 each from 10 (20, 11) and 01 (11, 02), then 1 each
    from 20 and 02, none from 11: 2+4+2 = 8.
    """
    body = """
        def up(x):
            spin_lock(x.lock)
            spin_lock(x.other)
            spin_unlock(x.other)
            spin_unlock(x.lock)


        def down(x):
            spin_lock(x.other)
            spin_lock(x.lock)
            spin_unlock(x.lock)
            spin_unlock(x.other)
    """
    outcome = checked(tmp_path, body, "x = node()\ncpu(up, x)\ncpu(down, x)")
    assert (outcome.states, outcome.transitions) == (8, 8)
    assert (outcome.reason, outcome.switches) == ("deadlock", 1)
    assert outcome.trace is not None
    assert [(e.thread, e.kind) for e in outcome.trace.events] == [(0, "spin_lock"), (1, "spin_lock")]


def test_lock_makes_sections_exclusive(tmp_path: Path) -> None:
    """Two CPUs, each lock, load, store, unlock. While one is inside the other cannot begin: after the start, either
    order gives 4 states of the first (the last: it has finished) and 4 of the second, and the two orders end alike,
    since n is 2 in both: 1 + 2 * 8 - 1 = 16 states, 2 * 8 = 16 moves."""
    outcome = checked(
        tmp_path, "def run(x):\n    with x.lock:\n        x.n += 1", "x = node()\ncpu(run, x)\ncpu(run, x)\nat_rest(lambda: x.n == 2)"
    )
    assert (outcome.verdict, outcome.states, outcome.transitions, outcome.depth) == ("holds", 16, 16, 8)


def test_choose_by_hand(tmp_path: Path) -> None:
    """A choice of three, then a store of it: 1 + 3 + 3 states, 3 + 3 moves."""
    outcome = checked(tmp_path, "def run(x):\n    x.n = choose(range(5, 8))", "x = node()\ncpu(run, x)")
    assert (outcome.states, outcome.transitions, outcome.depth, outcome.completed) == (7, 6, 2, 3)
