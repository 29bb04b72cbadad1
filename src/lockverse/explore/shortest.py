"""The race to show: of all shortest ones, one with the fewest context switches, and of these the first in order.

Every shortest way to a state of level n is a way through states of levels 0, 1, ..., n by moves that go up one level, so
all of them are the paths of the graph that is left when other moves are dropped. Going backwards from what failed,
`cost[s][t]` is the least number of switches still to come when s was entered by a move of thread t, and the least rank of
what then fails. Going forwards and always taking the first move that keeps to that cost gives the schedule that is least
in order among the best. Fewest switches as a measure of how hard a race is to follow: Musuvathi and Qadeer, "Iterative
context bounding for systematic testing of multithreaded programs", PLDI 2007.

Leaves out races that are longer but switch less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from .graph import Edge, Graph

Move: TypeAlias = tuple[int, int]  # a thread and what the environment picked
Schedule: TypeAlias = tuple[Move, ...]
Ways: TypeAlias = Mapping[int, Sequence[tuple[Edge, int]]]  # the moves of all shortest ways, by the state they leave
Cost: TypeAlias = tuple[int, int]  # switches, and the rank of what fails
NOBODY = -1


class Target(Struct, frozen=True):
    """What a race leads to: something wrong with a state, or with the move `last` from it. `rank` orders those that are
    equally near: the lower is told first."""

    state: int
    last: Move | None = None
    rank: int = 0


class Race(Struct, frozen=True):
    """A schedule, how often the running thread changes in it, and which of the targets it leads to."""

    schedule: Schedule
    switches: int
    target: int = 0


def shortest(graph: Graph, targets: Sequence[Target]) -> Race:
    """The best race to one of the targets, all of which are equally far."""
    return best(_ways(graph, [one.state for one in targets]), targets)


def best(ways: Ways, targets: Sequence[Target]) -> Race:
    """The best race from state 0 along `ways` to one of the targets."""
    costs = _Costs(ways, targets)
    schedule: list[Move] = []
    state, thread = 0, NOBODY
    while (ending := costs.ending(state, thread)) is None:
        edge, state = min(ways[state], key=lambda way: (costs.of(way, thread), way[0].thread, way[0].choice))
        schedule.append((edge.thread, edge.choice))
        thread = edge.thread
    last = targets[ending].last
    schedule += [last] if last is not None else []
    return Race(tuple(schedule), switches(schedule), ending)


def switches(schedule: Sequence[Move]) -> int:
    """How often the running thread changes."""
    return sum(a[0] != b[0] for a, b in zip(schedule, schedule[1:], strict=False))


def _ways(graph: Graph, targets: Sequence[int]) -> Ways:
    steps: dict[int, list[tuple[Edge, int]]] = {}
    waiting, seen = list(dict.fromkeys(targets)), set(targets)
    while waiting:
        state = waiting.pop()
        for edge in graph.into[state]:
            if graph.levels[edge.source] == graph.levels[state] - 1:
                steps.setdefault(edge.source, []).append((edge, state))
                if edge.source not in seen:
                    seen.add(edge.source)
                    waiting.append(edge.source)
    return steps


class _Costs:
    """The least cost from a state on, for whoever ran last."""

    def __init__(self, ways: Ways, targets: Sequence[Target]) -> None:
        self._known: dict[tuple[int, int], Cost] = {}
        self._ways, self._targets = ways, targets
        self._here: dict[int, list[int]] = {}
        for number, target in enumerate(targets):
            self._here.setdefault(target.state, []).append(number)

    def of(self, way: tuple[Edge, int], thread: int) -> Cost:
        """The cost of making this move after `thread` ran."""
        edge, state = way
        return self._after(edge.thread, thread, self._from(state, edge.thread))

    @staticmethod
    def _after(mover: int, thread: int, cost: Cost) -> Cost:
        return cost[0] + (thread not in (NOBODY, mover)), cost[1]

    def _stops(self, state: int, thread: int) -> list[tuple[Cost, Move, int]]:
        """What it costs to be at each of the targets here, its last move, and its number."""
        found = []
        for number in self._here.get(state, ()):
            one = self._targets[number]
            mover = thread if one.last is None else one.last[0]
            found.append((self._after(mover, thread, (0, one.rank)), one.last or (NOBODY, 0), number))
        return found

    def ending(self, state: int, thread: int) -> int | None:
        """The target to stop at here, if going on is no better."""
        stops = self._stops(state, thread)
        if not stops:
            return None
        cost, last, number = min(stops)
        further = [(self.of(way, thread), (way[0].thread, way[0].choice)) for way in self._ways.get(state, ())]
        return None if further and min(further) < (cost, last) else number

    def _from(self, state: int, thread: int) -> Cost:
        """Worked out with a stack of our own: races can be longer than Python's."""
        waiting = [(state, thread)]
        while waiting:
            here = waiting[-1]
            if here in self._known:
                waiting.pop()
                continue
            ways = self._ways.get(here[0], ())
            missing = [(after, edge.thread) for edge, after in ways if (after, edge.thread) not in self._known]
            if missing:
                waiting += missing
                continue
            costs = [self._after(edge.thread, here[1], self._known[(after, edge.thread)]) for edge, after in ways]
            self._known[here] = min([*costs, *(cost for cost, _, _ in self._stops(*here))])
        return self._known[(state, thread)]
