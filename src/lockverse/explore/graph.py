"""The states a search has reached and the moves between them, numbered in the order they were found.

States are compared exactly. Every move is kept, by where it leads to: shortest races and endless spinning are found
by going backwards. Leaves out what the states are.
"""

from __future__ import annotations

from msgspec import Struct, field

from lockverse.machine.protocol import State


class Edge(Struct, frozen=True):
    """A move: from the state `source`, `thread` took its step and the environment picked `choice`."""

    source: int
    thread: int
    choice: int


class Graph(Struct):
    """State 0 is the initial one. `levels[i]` is the length of the shortest way to state i, `into[i]` are the moves that
    lead to it, `ends` the states in which an execution can end: all threads are at rest (those that have finished are), or
    one is pruned."""

    states: list[State] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    into: list[list[Edge]] = field(default_factory=list)
    ends: set[int] = field(default_factory=set)
    numbers: dict[State, int] = field(default_factory=dict)

    def add(self, state: State, level: int) -> tuple[int, bool]:
        """The number of a state, and whether it is new."""
        number = self.numbers.setdefault(state, len(self.states))
        if number < len(self.states):
            return number, False
        self.states.append(state)
        self.levels.append(level)
        self.into.append([])
        return number, True

    def outgoing(self) -> list[list[tuple[Edge, int]]]:
        """For each state, the moves from it with the state each leads to, in order of thread and choice."""
        out: list[list[tuple[Edge, int]]] = [[] for _ in self.states]
        for target, edges in enumerate(self.into):
            for edge in edges:
                out[edge.source].append((edge, target))
        for moves in out:
            moves.sort(key=lambda move: (move[0].thread, move[0].choice))
        return out
