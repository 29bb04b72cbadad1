"""Endless spinning: threads that go on for ever though every one of them gets its turns.

A state from which no execution can end has only such executions after it. All states after it are of that kind too,
so the strongly connected components that no move leaves, among them, are where every fair execution ends up: there
every thread that can move at all does, and nothing comes of it. A retry loop that ends when another thread has moved
is not reported. (Fairness and terminal components: Baier and Katoen, "Principles of Model Checking", section 3.5 and
lemma 10.27 for the finite case; components by Tarjan, SIAM J. Comput. 1, 1972.)

An execution can end where every thread has finished or is at rest: a loop for ever with a rest() in it is none of these. Where all that
goes on for ever comes back to where it is at rest, such as handlers that fire and change nothing, and others must go on and cannot, that
is a deadlock: it is told of the state in which all that can move is at rest.

Leaves out loops that only an unfair scheduler makes endless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from lockverse.explore.graph import Edge, Graph
from lockverse.explore.observer import Expansion, Violation
from lockverse.ir.reason import Reason
from lockverse.machine.protocol import State

from .deadlock import RANK as DEADLOCK_RANK

RANK = 3_000_000
Moves = list[list[tuple[Edge, int]]]


class Spinning:
    """Observer of the whole graph, once it is explored. `at_rest` says of a state whether a thread is at rest in it."""

    def __init__(self, at_rest: Callable[[State, int], bool]) -> None:
        self._at_rest = at_rest

    def on_state(self, state: State) -> Violation | None:
        """Nothing: one state tells nothing of where it leads."""

    def on_expanded(self, state: State, expansion: Expansion) -> Violation | None:
        """Nothing."""

    def on_explored(self, graph: Graph) -> Sequence[tuple[int, Violation]]:
        """A violation at the states nearest to the start from which a loop runs for ever."""
        lost = _cannot_end(graph)
        if not lost:
            return ()
        moves = graph.outgoing()
        components = _last_components(moves, lost)
        resting = [state for one in components for state in self._resting(graph, moves, one)]
        if resting:
            least = min(graph.levels[state] for state in resting)
            return [(state, Violation(Reason.DEADLOCK, DEADLOCK_RANK)) for state in sorted(resting) if graph.levels[state] == least]
        caught = [state for component in components for state in component]
        nearest = min(graph.levels[state] for state in caught)
        return [
            (state, Violation(Reason.ENDLESS_SPINNING, RANK, loop=_fair_loop(moves, state)))
            for state in sorted(caught)
            if graph.levels[state] == nearest
        ]


    def _resting(self, graph: Graph, moves: Moves, component: list[int]) -> list[int]:
        """The states of a component in which every thread that ever moves there is at rest."""
        movers = {edge.thread for state in component for edge, _ in moves[state]}
        return [state for state in component if all(self._at_rest(graph.states[state], thread) for thread in movers)]


def _cannot_end(graph: Graph) -> list[int]:
    """The states from which no execution can end."""
    ends = set(graph.ends)
    waiting = sorted(graph.ends)
    while waiting:
        for edge in graph.into[waiting.pop()]:
            if edge.source not in ends:
                ends.add(edge.source)
                waiting.append(edge.source)
    return [state for state in range(len(graph.states)) if state not in ends]


def _last_components(moves: Moves, states: list[int]) -> list[list[int]]:
    """The strongly connected components of `states` that no move leaves (Tarjan's algorithm, with its own stack)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    open_: set[int] = set()
    found: list[list[int]] = []
    for root in states:
        work = [(root, 0)] if root not in number else []
        while work:
            state, place = work.pop()
            if state not in number:
                number[state] = low[state] = len(number)
                stack.append(state)
                open_.add(state)
            targets = [target for _, target in moves[state]]
            new = next((i for i in range(place, len(targets)) if targets[i] not in number), None)
            if new is not None:
                work += [(state, new), (targets[new], 0)]
                continue
            low[state] = min([low[state], *(low[target] for target in targets if target in open_)])
            if low[state] == number[state]:
                found.append(_pop(stack, open_, state))
    component = {state: index for index, one in enumerate(found) for state in one}
    return [
        one for index, one in enumerate(found) if all(component[target] == index for state in one for _, target in moves[state])
    ]


def _pop(stack: list[int], open_: set[int], root: int) -> list[int]:
    component = []
    while True:
        state = stack.pop()
        open_.discard(state)
        component.append(state)
        if state == root:
            return component


def _fair_loop(moves: Moves, start: int) -> tuple[tuple[int, int], ...]:
    """Moves from `start` back to it in which every thread that can ever move there does."""
    threads = _threads(moves, start)
    loop: list[tuple[int, int]] = []
    state, missing = start, set(threads)
    while missing:
        path, state = _walk(moves, state, missing, None)
        loop += [(edge.thread, edge.choice) for edge in path]
        missing -= {edge.thread for edge in path}
    if state != start:
        path, state = _walk(moves, state, frozenset(), start)
        loop += [(edge.thread, edge.choice) for edge in path]
    return tuple(loop)


def _threads(moves: Moves, start: int) -> list[int]:
    seen, waiting, threads = {start}, [start], set()
    while waiting:
        for edge, target in moves[waiting.pop()]:
            threads.add(edge.thread)
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return sorted(threads)


def _walk(moves: Moves, start: int, threads: Collection[int], goal: int | None) -> tuple[list[Edge], int]:
    """The shortest walk from `start` whose last move is one of `threads`' or leads to `goal`, and where it ends."""
    before: dict[int, tuple[int, Edge]] = {}
    waiting, seen = deque([start]), {start}
    while True:
        state = waiting.popleft()
        for edge, target in moves[state]:
            if edge.thread in threads or target == goal:
                path = [edge]
                while state != start:
                    state, edge = before[state]
                    path.append(edge)
                return path[::-1], target
            if target not in seen:
                seen.add(target)
                before[target] = (state, edge)
                waiting.append(target)
