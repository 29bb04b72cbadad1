"""The race to show: of all shortest ones, one with the fewest context switches, and of these the first in order.

Every shortest way to a state of level n is a way through states of levels 0, 1, ..., n by moves that go up one level, so
all of them are the paths of the graph that is left when other moves are dropped. Going backwards from the failing
state, `cost[s][t]` is the least number of switches still to come when s was entered by a move of thread t. Going
forwards and always taking the first move that keeps to that cost gives the schedule that is least in order among the
best. Fewest switches as a measure of how hard a race is to follow: Musuvathi and Qadeer, "Iterative context bounding
for systematic testing of multithreaded programs", PLDI 2007.

Leaves out races that are longer but switch less.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import Edge, Graph

Move = tuple[int, int]  # a thread and what the environment picked
Schedule = tuple[Move, ...]
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Race:
    """A schedule, and how often the running thread changes in it."""

    schedule: Schedule
    switches: int


def shortest(graph: Graph, target: int, last: Move | None = None) -> Race:
    """A shortest race to the state `target`, and from there by `last` if that is given."""
    steps = _ways(graph, target)
    cost = _Costs(steps, target, last)
    schedule: list[Move] = []
    state, thread = 0, NOBODY
    while state != target:
        edge, state = min(steps[state], key=lambda step: (cost.of(step, thread), step[0].thread, step[0].choice))
        schedule.append((edge.thread, edge.choice))
        thread = edge.thread
    if last is not None:
        schedule.append(last)
    return Race(tuple(schedule), switches(schedule))


def switches(schedule: list[Move] | Schedule) -> int:
    """How often the running thread changes."""
    return sum(a[0] != b[0] for a, b in zip(schedule, schedule[1:], strict=False))


def _ways(graph: Graph, target: int) -> dict[int, list[tuple[Edge, int]]]:
    """The moves of all shortest ways to `target`, by the state they leave."""
    steps: dict[int, list[tuple[Edge, int]]] = {}
    waiting, seen = [target], {target}
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
    """The least number of switches from a state on, for whoever ran last."""

    def __init__(self, steps: dict[int, list[tuple[Edge, int]]], target: int, last: Move | None) -> None:
        self._known: dict[tuple[int, int], int] = {}
        self._target, self._last, self._steps = target, last, steps

    def of(self, step: tuple[Edge, int], thread: int) -> int:
        """The cost of making this move after `thread` ran."""
        edge, state = step
        return (thread not in (NOBODY, edge.thread)) + self._from(state, edge.thread)

    def _from(self, state: int, thread: int) -> int:
        """Worked out with a stack of our own: races can be longer than Python's."""
        waiting = [(state, thread)]
        while waiting:
            here = waiting[-1]
            if here in self._known:
                waiting.pop()
                continue
            if here[0] == self._target:
                self._known[here] = int(self._last is not None and self._last[0] != here[1])
                continue
            steps = self._steps[here[0]]
            missing = [(after, edge.thread) for edge, after in steps if (after, edge.thread) not in self._known]
            if missing:
                waiting += missing
                continue
            self._known[here] = min((edge.thread != here[1]) + self._known[(after, edge.thread)] for edge, after in steps)
        return self._known[(state, thread)]
