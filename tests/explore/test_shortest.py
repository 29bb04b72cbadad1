"""The race that is shown: shortest, then fewest switches, then the first in order."""

from __future__ import annotations

from pathlib import Path

from lockverse.explore.graph import Edge, Graph
from lockverse.explore.shortest import Move, Race, Target, shortest, switches

from ..support import checked


def _graph(moves: list[tuple[int, int, int]], levels: list[int]) -> Graph:
    """A graph of moves (from, thread, to)."""
    graph = Graph()
    for number, level in enumerate(levels):
        graph.add(f"s{number}", level)
    for source, thread, target in moves:
        graph.into[target].append(Edge(source, thread, 0))
    return graph


def _race(graph: Graph, state: int, last: Move | None = None) -> Race:
    return shortest(graph, [Target(state, last)])


def test_fewest_switches_among_all_shortest_paths() -> None:
    """Two ways from 0 to 3, both of three moves: threads 0 1 0 by the states found first, 1 1 0 by the others."""
    graph = _graph([(0, 0, 1), (0, 1, 2), (1, 1, 3), (2, 1, 3), (3, 0, 4)], [0, 1, 1, 2, 3])
    race = _race(graph, 4)
    assert race.schedule == ((1, 0), (1, 0), (0, 0))
    assert race.switches == 1


def test_the_last_move_counts() -> None:
    """Both ways to 3 have one switch or none; the failing move is thread 0's, so the way that ends in 0 is best."""
    graph = _graph([(0, 0, 1), (0, 1, 2), (1, 0, 3), (2, 1, 3)], [0, 1, 1, 2])
    assert _race(graph, 3, (0, 0)).schedule == ((0, 0), (0, 0), (0, 0))
    assert _race(graph, 3, (1, 0)).schedule == ((1, 0), (1, 0), (1, 0))


def test_longer_ways_are_not_looked_at() -> None:
    """0 -> 1 -> 2 by one thread is no shorter race than 0 -> 2."""
    graph = _graph([(0, 0, 1), (1, 0, 2), (0, 1, 2)], [0, 1, 1])
    assert _race(graph, 2).schedule == ((1, 0),)


def test_of_several_targets_the_one_with_the_fewest_switches_then_the_lowest_rank() -> None:
    """State 3 takes a switch, 4 none; at 4, two things are wrong, and one more by a move from 2 (state 2, level 1)."""
    graph = _graph([(0, 0, 1), (0, 1, 2), (1, 1, 3), (2, 1, 4)], [0, 1, 1, 2, 2])
    targets = [Target(3, rank=0), Target(4, rank=7), Target(4, rank=5), Target(1, (1, 0), 0), Target(2, (1, 1), 6)]
    assert shortest(graph, targets) == Race(((1, 0), (1, 0)), 0, 2)
    assert shortest(graph, [targets[1], targets[4]]) == Race(((1, 0), (1, 1)), 0, 1)


def test_ties_go_to_the_first_in_order() -> None:
    graph = _graph([(0, 1, 1), (0, 0, 2), (1, 0, 3), (2, 1, 3)], [0, 1, 1, 2])
    assert _race(graph, 3).schedule == ((0, 0), (1, 0))


def test_a_long_race_does_not_overflow_the_stack() -> None:
    count = 50_000
    graph = _graph([(n, n % 2, n + 1) for n in range(count)], list(range(count + 1)))
    assert _race(graph, count).switches == count - 1


def test_switches() -> None:
    assert switches(()) == 0
    assert switches(((0, 0), (0, 1), (1, 0), (0, 0))) == 2


def test_in_a_scheme(tmp_path: Path) -> None:
    """CPU1 writes twice, CPU0 once; broken when all three are written, in any order: switching once is enough."""
    body = "def once(x):\n    x.slots[0] = 1\n\n\ndef twice(x):\n    x.slots[1] = 1\n    x.slots[2] = 1"
    scene = "x = node()\ncpu(once, x)\ncpu(twice, x)\nalways(lambda: not (x.slots[0] and x.slots[1] and x.slots[2]))"
    outcome = checked(tmp_path, body, scene)
    assert outcome.trace is not None
    assert (outcome.switches, [event.thread for event in outcome.trace.events]) == (1, [0, 1, 1])


def test_what_was_asked_for_comes_first(tmp_path: Path) -> None:
    """The same step breaks an `always`, and ends with a lock held: a fault has no state, so the fault is what is seen;
    with the lock given back, of two properties the first declared is told."""
    body = "def run(x):\n    x.n = 1"
    scene = "x = node()\ncpu(run, x)\nalways(lambda: x.n == 0, 'first')\nalways(lambda: x.n < 1, 'second')"
    assert checked(tmp_path, body, scene).message == "first"
